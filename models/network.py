"""The encoder with its two heads: which signals the judged turn shows, and which of its words show them."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class Network(nn.Module):
    """Logits of every signal for rows of tokens.

    `ids` (rows x tokens, int64) and `turn` (rows x tokens, 1.0 on the judged turn's tokens; padding has id `padding`) give
    (rows x signals, rows x tokens x signals).
    """

    def __init__(self, encoder: PreTrainedModel, signals: int, padding: int, dropout: float = 0.1):
        super().__init__()
        self.encoder = encoder
        self.padding = padding
        width = cast(int, encoder.config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        # e5's sentences all point the same way (cosines of 0.9): without centring, the heads learn slowly.
        self.centred = nn.BatchNorm1d(3 * width)
        self.of_turn = nn.Linear(3 * width, signals)
        self.of_token = nn.Linear(width, signals)

    def forward(self, ids: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
        """(log-odds per row, log-odds per token)."""
        mask = (ids != self.padding).to(turn.dtype)
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        judged = turn.unsqueeze(-1)
        mean = (hidden * judged).sum(1) / judged.sum(1).clamp(min=1)
        highest = (hidden - (1 - judged) * 1e4).amax(1)
        whole = torch.cat([hidden[:, 0], mean, highest], dim=-1)
        return self.of_turn(self.dropout(self.centred(whole))), self.of_token(self.dropout(hidden))

    def keep_layers(self, layers: int) -> None:
        """Keep only the first `layers` layers of the encoder."""
        stack = cast(Any, self.encoder).encoder
        stack.layer = nn.ModuleList(list(stack.layer)[:layers])
        self.encoder.config.num_hidden_layers = layers
