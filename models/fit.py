"""The training loop of teacher and student: batches of rows of like length, AdamW with a linear schedule, bfloat16 where the processor
has it, a checkpoint after each epoch from which an interrupted training goes on as if it had not stopped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from models.network import Network
from models.rows import SIGNALS, LabelledRow

_BUCKET = 50
"""Batches whose rows are sorted by length together."""
_LAYER_DECAY = 0.95
_HEADS = 5.0
"""The heads start from nothing and learn at a higher rate than the encoder."""
_TOKENS = 0.5
"""Weight of the marked words beside the signals of the turn."""
Array = npt.NDArray[np.float32]


class Schedule(NamedTuple):
    """How long and how fast: `rate` is that of the encoder's topmost layer at its height."""

    epochs: int
    batch: int
    rate: float
    seed: int


class Batch(NamedTuple):
    """Some rows as tensors, padded to the longest: see `models.rows.LabelledRow`; `numbers` are their places in the list."""

    ids: Tensor
    turn: Tensor
    shows: Tensor
    marked: Tensor
    counts: Tensor
    numbers: list[int]


def fit(
    network: Network,
    rows_of: Callable[[int], Sequence[LabelledRow]],
    weights: Tensor | None,
    schedule: Schedule,
    checkpoint: Path,
    say: Callable[[str], None],
    device: str = "cpu",
) -> None:
    """Train in place on `rows_of(epoch)`, the same number each epoch; `weights` count positives more, one number per signal.

    Goes on from `checkpoint` where it is of the same schedule and the same number of rows.
    """
    network.to(device)
    rows = rows_of(0) if schedule.epochs else []
    steps = max(1, schedule.epochs * -(-len(rows) // schedule.batch))
    optimiser = torch.optim.AdamW(_groups(network, schedule.rate), lr=schedule.rate, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min((step + 1) / (0.1 * steps), max(0.0, 1 - step / steps)))
    kept = Checkpoint(checkpoint, f"{schedule} {len(rows)}", {"network": network, "optimiser": optimiser, "rate": rate})
    done = kept.resume() if schedule.epochs else 0
    if not schedule.epochs:
        kept.keep(0)
    for epoch in range(done, schedule.epochs):
        torch.manual_seed(schedule.seed * 1000 + epoch)
        network.train()
        total, count = 0.0, 0
        order = Random(schedule.seed * 1000 + epoch)
        for batch in batches(rows_of(epoch), schedule.batch, network.padding, order):
            loss = _loss(network, batch, weights, device)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            rate.step()
            total, count = total + float(loss.detach()), count + 1
            if count % 100 == 0:
                say(
                    f"epoch {epoch + 1} of {schedule.epochs}, batch {count} of {steps // schedule.epochs}: loss {total / count:.4f}"
                )
        kept.keep(epoch + 1)
    network.eval()


def _loss(network: Network, batch: Batch, weights: Tensor | None, device: str) -> Tensor:
    ids, turn, shows, marked, counts = (tensor.to(device) for tensor in batch[:5])
    with _mixed(device):
        by_turn, by_token = network(ids, turn)
    on_turn = cross_entropy(by_turn.float(), shows, counts, pos_weight=None if weights is None else weights.to(device))
    on_tokens = (cross_entropy(by_token.float(), marked, reduction="none") * counts.unsqueeze(1)).mean(-1)
    return on_turn + _TOKENS * (on_tokens * turn).sum() / turn.sum()


def batches(rows: Sequence[LabelledRow], size: int, padding: int, random: Random | None = None) -> Iterator[Batch]:
    """Rows of like length together; in random order, or from the shortest on."""
    order = list(range(len(rows)))
    if random is None:
        order.sort(key=lambda i: len(rows[i].ids))
    else:
        random.shuffle(order)
        span = size * _BUCKET
        order = [i for at in range(0, len(order), span) for i in sorted(order[at : at + span], key=lambda i: len(rows[i].ids))]
    chunks = [order[at : at + size] for at in range(0, len(order), size)]
    if random is not None:
        if len(chunks) > 1 and len(chunks[-1]) == 1:  # batch normalisation cannot train on one row
            last = chunks.pop()
            chunks[-1] += last
        random.shuffle(chunks)
    for chunk in chunks:
        longest = max(len(rows[i].ids) for i in chunk)
        ids = np.full((len(chunk), longest), padding, dtype=np.int64)
        turn = np.zeros((len(chunk), longest), dtype=np.float32)
        marked = np.zeros((len(chunk), longest, len(SIGNALS)), dtype=np.float32)
        for k, i in enumerate(chunk):
            own = rows[i]
            ids[k, : len(own.ids)] = own.ids
            turn[k, own.first : own.first + own.turn] = 1
            marked[k, own.first : own.first + own.turn] = own.marked
        shows = np.stack([rows[i].shows for i in chunk])
        counts = np.stack([rows[i].counts for i in chunk])
        ids_, turn_, shows_, marked_, counts_ = (torch.from_numpy(part) for part in (ids, turn, shows, marked, counts))
        yield Batch(ids_, turn_, shows_, marked_, counts_, chunk)


class Scored(NamedTuple):
    """Logits of one row: per signal, and judged tokens x signals."""

    turn: Array
    tokens: Array


def scores(network: Network, rows: Sequence[LabelledRow], device: str = "cpu") -> list[Scored]:
    """What the network says of each row."""
    network.to(device).eval()
    found: dict[int, Scored] = {}
    for batch in batches(rows, 64, network.padding):
        with torch.inference_mode(), _mixed(device):
            by_turn, by_token = (tensor.float().cpu().numpy() for tensor in network(batch.ids.to(device), batch.turn.to(device)))
        for k, i in enumerate(batch.numbers):
            found[i] = Scored(by_turn[k], by_token[k, rows[i].first : rows[i].first + rows[i].turn])
    return [found[i] for i in range(len(rows))]


def class_weights(shows: npt.NDArray[np.bool_]) -> Tensor:
    """The root of negatives to positives (rows x signals): rare signals count more, without drowning the common ones."""
    positive = shows.sum(axis=0).astype(np.float32)
    return torch.from_numpy(np.sqrt((len(shows) - positive) / np.maximum(positive, 1)))


def _groups(network: Network, rate: float) -> list[dict[str, object]]:
    """Parameters by layer, with a lower rate the further from the heads (J. Howard and S. Ruder 2018)."""
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        scale = _HEADS
        if name.startswith("encoder."):
            layers = network.encoder.config.num_hidden_layers
            number = name.split(".layer.", 1)[1].split(".", 1)[0] if ".layer." in name else None
            scale = _LAYER_DECAY ** (layers if number is None else layers - 1 - int(number))
        groups.setdefault(scale, []).append(parameter)
    return [{"params": parameters, "lr": rate * scale} for scale, parameters in sorted(groups.items())]


def _mixed(device: str) -> torch.autocast:
    """bfloat16 where the processor computes in it."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=device != "cpu" or torch.cpu._is_avx512_bf16_supported())


class Checkpoint:
    """The states of `parts` after each epoch; `key` says what they belong to."""

    def __init__(self, path: Path, key: str, parts: Mapping[str, Any]):
        self._path = path
        self._key = key
        self._parts = parts

    def keep(self, epoch: int) -> None:
        """Replace what is kept."""
        unfinished = self._path.with_suffix(".unfinished")
        torch.save(
            {"key": self._key, "epoch": epoch} | {name: part.state_dict() for name, part in self._parts.items()}, unfinished
        )
        unfinished.replace(self._path)

    def resume(self) -> int:
        """Load what is kept and say how many epochs it has behind it; 0 where nothing fits."""
        state = torch.load(self._path, weights_only=True) if self._path.exists() else {}
        if state.get("key") != self._key:
            return 0
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        return int(state["epoch"])
