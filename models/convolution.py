"""The middle tier: a small text convolution (Y. Kim 2014) that clears most of what the linear tier could not.

It learns the teacher's scores and starts from the base encoder's own word vectors, cut to their main directions.
"""

from typing import cast

import torch
from torch import Tensor, nn

from models.network import Network

WIDTH = 64
_FILTERS = 96
_SIZES = (2, 3, 4)


class Convolution(nn.Module):
    """Same input and output as `models.network.Network`: log-odds per row and signal, and per token and signal."""

    def __init__(self, vectors: Tensor, signals: int, padding: int):
        super().__init__()
        self.padding = padding
        self.words = nn.Embedding(len(vectors), WIDTH, padding_idx=padding, _weight=vectors)
        self.filters = nn.ModuleList(nn.Conv1d(WIDTH, _FILTERS, size, padding="same") for size in _SIZES)
        self.dropout = nn.Dropout(0.2)
        self.of_turn = nn.Sequential(
            nn.Linear(len(_SIZES) * _FILTERS + 2 * WIDTH, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, signals)
        )
        self.of_token = nn.Linear(len(_SIZES) * _FILTERS, signals)

    def forward(self, ids: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
        """(log-odds per row, log-odds per token)."""
        words = self.words(ids)
        judged = turn.unsqueeze(-1)
        own = (words * judged).transpose(1, 2)
        seen = torch.cat([torch.relu(layer(own)) for layer in self.filters], dim=1).transpose(1, 2) * judged
        around = (ids != self.padding).to(turn.dtype).unsqueeze(-1) - judged
        mean = (words * judged).sum(1) / judged.sum(1).clamp(min=1)
        context = (words * around).sum(1) / around.sum(1).clamp(min=1)
        whole = torch.cat([seen.amax(1), mean, context], dim=-1)
        return self.of_turn(self.dropout(whole)), self.of_token(self.dropout(seen))


def over(network: Network, signals: int) -> Convolution:
    """An untrained convolution over the word vectors of an encoder."""
    vectors = cast(nn.Embedding, network.encoder.get_input_embeddings()).weight.detach().float()
    centred = vectors - vectors.mean(dim=0)
    _, _, directions = torch.pca_lowrank(centred, q=WIDTH, center=False)
    reduced = centred @ directions
    return Convolution(reduced / reduced.std(), signals, network.padding)
