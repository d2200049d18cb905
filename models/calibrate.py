"""Fits the stack, the thresholds and what counts as clear on the calibration briefs, and measures each of them across briefs."""

from collections.abc import Iterator, Mapping, Sequence
from math import floor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from models import artefact
from models.artefact import CARD, Clear, Manifest
from models.card import card
from models.cascade import Cascade
from models.dataset import DATA, load
from models.opinions import Opinions, gather
from models.stack import OPINIONS, Stack, Thresholds
from screening.errors import InputError
from screening.intervals import wilson

FAMILIES = ("rudeness.", "diversion.", "false_claim.", "forced_end.")
WANTED = {True: 0.93, False: 0.85}
"""Precision that a threshold aims at, for signals of the four families and for others."""
CLEARED = 0.01
"""Share of the turns rightly flagged that the linear tier may clear."""
_LOOK = 0.3
_SHRINK = 10.0
_GRID = np.arange(0.50, 0.96, 0.01)
"""Nothing is flagged that is less likely than not: on real traffic faults are rarer than in the calibration briefs."""
_PENALTY = 1.0
Array = npt.NDArray[np.float64]


class Curve(NamedTuple):
    """Expected calibration error over equal-mass bins of cells scored 0.2 or more, and (mean score, share right, cells) of each bin."""

    error: float
    bins: list[tuple[float, float, int]]


def fit_stack(signals: Sequence[str], data: Opinions, rows: npt.NDArray[np.bool_]) -> Stack:
    """The stack without thresholds, from the examples that `rows` picks."""
    asked = data.asked & rows[:, None]
    number = np.broadcast_to(np.arange(len(signals)), asked.shape)[asked]
    features = np.concatenate([data.opinions[asked], np.eye(len(signals))[number]], axis=1)
    model = LogisticRegression(C=_PENALTY, max_iter=1000).fit(features, data.shows[asked])
    weights = model.coef_[0]
    intercepts = weights[len(OPINIONS) :] + model.intercept_[0]
    return Stack(
        weights=tuple(round(float(weight), 4) for weight in weights[: len(OPINIONS)]),
        intercepts={signal: round(float(own), 4) for signal, own in zip(signals, intercepts, strict=True)},
        thresholds={},
    )


def across_briefs(signals: Sequence[str], data: Opinions) -> Array:
    """Probabilities of every cell by stacks that never saw its brief."""
    found = np.zeros(data.shows.shape)
    for brief in np.unique(data.briefs):
        own = data.briefs == brief
        stack = fit_stack(signals, data, ~own)
        found[own] = [stack.probabilities(signals, cells) for cells in data.opinions[own]]
    return np.where(data.asked, found, 0.0)


def thresholds(signals: Sequence[str], sure: Array, shows: npt.NDArray[np.bool_]) -> dict[str, Thresholds]:
    """Per signal the lowest threshold whose precision, shrunk to that of all signals at it, reaches what is wanted."""
    found = {}
    for k, signal in enumerate(signals):
        wanted = WANTED[signal.startswith(FAMILIES)]
        flag = next((own for own in _GRID if _precision(own, k, sure, shows) >= wanted), _GRID[-1])
        found[signal] = Thresholds(flag=round(float(flag), 2), look=min(_LOOK, round(float(flag), 2)))
    return found


def _precision(threshold: float, k: int, sure: Array, shows: npt.NDArray[np.bool_]) -> float:
    flagged = sure >= threshold
    whole = shows[flagged].mean() if flagged.any() else 0.0
    own = flagged[:, k]
    return float((shows[own, k].sum() + _SHRINK * whole) / (own.sum() + _SHRINK))


def clear(data: Opinions, flagged: npt.NDArray[np.bool_]) -> dict[str, Clear]:
    """Per role the limits that clear at most `CLEARED` of the turns rightly flagged, a third of them at the first look.

    Turns that a rule flags are never cleared, so the limits rest on the others.
    """
    found = {}
    ruled = (data.opinions[:, :, OPINIONS.index("rule")] != 0).any(axis=1)
    for role, own in (("agent", data.agents), ("customer", ~data.agents)):
        wanted = own & flagged & ~ruled
        allowed = CLEARED * (own & flagged).sum() / max(1, wanted.sum())
        first = _lowest(data.first[wanted], allowed / 3)
        second = _lowest(data.second[wanted & (data.first >= first)], 2 * allowed / 3)
        found[role] = Clear(any=round(first, 4), both=round(second, 4))
    return found


def _lowest(odds: Array, share: float) -> float:
    """The highest value that leaves at most this share of `odds` below it."""
    return float(np.sort(odds)[min(floor(share * odds.size), odds.size - 1)]) - 1e-3 if odds.size else -1e3


def curve(sure: Array, shows: npt.NDArray[np.bool_], asked: npt.NDArray[np.bool_], bins: int = 10) -> Curve:
    """How well scores say how often they are right (equal-mass bins)."""
    kept = asked & (sure >= 0.2)
    order = np.argsort(sure[kept])
    parts = [part for part in np.array_split(order, bins) if part.size]
    scores, right = sure[kept], shows[kept]
    found = [(float(scores[part].mean()), float(right[part].mean()), int(part.size)) for part in parts]
    error = sum(abs(mean - share) * size for mean, share, size in found) / max(1, order.size)
    return Curve(error, found)


def measured(signals: Sequence[str], sure: Array, data: Opinions, chosen: Mapping[str, Thresholds]) -> dict[str, Any]:
    """Precision and recall with Wilson intervals per signal and for all, and the calibration curve."""
    limits = np.array([chosen[signal].flag for signal in signals])
    flagged = (sure >= limits) & data.asked
    error, bins = curve(sure, data.shows, data.asked)
    return {
        "signals": dict(_shares(signals, flagged, data.shows)),
        "calibration error": round(error, 4),
        "curve": [[round(x, 4) for x in own] for own in bins],
    }


def _shares(
    signals: Sequence[str], flagged: npt.NDArray[np.bool_], shows: npt.NDArray[np.bool_]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, columns in [*((signal, [k]) for k, signal in enumerate(signals)), ("all", list(range(len(signals))))]:
        got, want = flagged[:, columns], shows[:, columns]
        right = int((got & want).sum())
        yield name, {"precision": _share(right, int(got.sum())), "recall": _share(right, int(want.sum()))}


def _share(right: int, total: int) -> list[float | int | None]:
    low, high = wilson(right, total)
    return [round(right / total, 4) if total else None, right, total, round(low, 4), round(high, 4)]


def rightly_flagged(
    signals: Sequence[str], sure: Array, data: Opinions, chosen: Mapping[str, Thresholds]
) -> npt.NDArray[np.bool_]:
    """Examples with at least one signal that they show and that is flagged."""
    limits = np.array([chosen[signal].flag for signal in signals])
    return np.asarray(((sure >= limits) & data.asked & data.shows).any(axis=1))


def calibrate(folder: Path, data: Path = DATA) -> Manifest:
    """Calibrate the artefact in `folder`, write its manifest and its card; raises `InputError` where there is nothing to calibrate on."""
    before, _ = artefact.read(folder, unreported=True)
    examples = [example for example in load(data) if example.brief in before.training.calibration]
    if len({example.brief for example in examples}) < 2:
        raise InputError(f"calibration briefs {', '.join(before.training.calibration)}: at least two must have labelled turns")
    signals = before.signals
    opinions = gather(Cascade(folder, unreported=True), examples)
    sure = across_briefs(signals, opinions)
    chosen = thresholds(signals, sure, opinions.shows)
    manifest = msgspec.structs.replace(
        before,
        stack=msgspec.structs.replace(fit_stack(signals, opinions, np.ones(len(examples), dtype=bool)), thresholds=chosen),
        clear=clear(opinions, rightly_flagged(signals, sure, opinions, chosen)),
        metrics=measured(signals, sure, opinions, chosen),
    )
    artefact.write(folder, manifest)
    (folder / CARD).write_text(card(manifest, CLEARED), encoding="utf-8")
    return manifest
