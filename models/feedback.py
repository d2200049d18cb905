"""Learning from review: verdicts of people as further labels, and a report of the new classifier beside the old.

Verdicts are trained on together with the whole training text, so that nothing is forgotten for their sake; whether that held is
tested, and a classifier trained so does not load without its report (`models.artefact.read`).
"""

from collections.abc import Iterator, Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from models import artefact
from models.artefact import Manifest
from models.cascade import Cascade
from models.dataset import Example, check, load_file
from models.rows import SIGNALS
from screening.errors import InputError
from screening.evaluate import read as read_records
from screening.evaluate import share_text
from screening.pipeline import Screener

HELD = ("feedback-0", "feedback-1")
"""A quarter of the conversations with verdicts is kept from training; the report is about them."""
REPORT = "report.md"
_DOUBT = 0.05
Cell = tuple[str, str]


class Verdicts(NamedTuple):
    """Turns from review: those to train on, and those kept for the report."""

    trained: list[Example]
    held: list[Example]


def read(path: Path) -> Verdicts:
    """The verdicts of an export (`GET /v1/feedback/export`); raises `InputError` with the line that is wrong."""
    try:
        examples = load_file(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; export verdicts with GET /v1/feedback/export") from None
    for example in examples:
        if example.judged is None:
            raise InputError(f"{path.name}: {example.record.id} has no `judged`; it does not come from GET /v1/feedback/export")
        shown = {label.signal for label in example.record.labels}
        if unknown := (example.judged | shown) - set(SIGNALS):
            raise InputError(f"{path.name}: {example.record.id}: the classifiers do not answer for {', '.join(sorted(unknown))}")
    check(examples)
    if not examples:
        raise InputError(f"{path.name}: no verdicts yet; people confirm or reject flags first")
    held = [example for example in examples if example.brief in HELD]
    return Verdicts([example for example in examples if example.brief not in HELD], held)


def guard(path: Path) -> list[Example]:
    """The labelled turns of a file as what must not get worse."""
    try:
        return [Example(record, "guard", None) for record in read_records(path)[0]]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a file of labelled turns with --guard") from None


class Change(NamedTuple):
    """One set of labelled turns under both classifiers: right cells of each, and cells on which only one of them was right."""

    name: str
    cells: int
    old: int
    new: int
    only_old: int
    only_new: int

    @property
    def doubt(self) -> float:
        """How probable it is that the new one loses by so much, were both equally good (sign test, one-sided)."""
        total = self.only_old + self.only_new
        return float(sum(comb(total, k) for k in range(self.only_old, total + 1)) / 2**total)

    @property
    def falls(self) -> bool:
        """Whether the new classifier is worse beyond chance."""
        return self.only_old > self.only_new and self.doubt < _DOUBT


def compared(old: Path, new: Path, guard: Sequence[Example], held: Sequence[Example]) -> list[Change]:
    """Both classifiers, with the packaged rules, on the guard set and on held verdicts: as a whole, and per signal of the guard set.

    A cell is a turn and a signal that is labelled or that one of them flags; of a turn from review only what people decided on.
    """
    found = []
    for name, examples in (("guard", guard), ("verdicts", held)):
        before, after = _flagged(Cascade(old), examples), _flagged(Cascade(new, unreported=True), examples)
        wanted = {(e.record.id, label.signal) for e in examples for label in e.record.labels}
        known = {e.record.id: e.judged for e in examples}
        asked = {cell for cell in before | after | wanted if _decided(known[cell[0]], cell[1])}
        asked |= {(i, signal) for i, judged in known.items() for signal in judged or ()}
        found.append(_change(name, asked, before, after, wanted))
        if name == "guard":
            for signal in sorted({signal for _, signal in asked}):
                own = {cell for cell in asked if cell[1] == signal}
                found.append(_change(signal, own, before, after, wanted))
    return found


def _decided(judged: frozenset[str] | None, signal: str) -> bool:
    return judged is None or signal in judged


def _change(name: str, asked: set[Cell], before: set[Cell], after: set[Cell], wanted: set[Cell]) -> Change:
    old = {cell for cell in asked if (cell in before) == (cell in wanted)}
    new = {cell for cell in asked if (cell in after) == (cell in wanted)}
    return Change(name, len(asked), len(old), len(new), len(old - new), len(new - old))


def _flagged(cascade: Cascade, examples: Sequence[Example]) -> set[Cell]:
    screenings = Screener(detectors=[cascade]).screen_many(example.record.conversation for example in examples)
    found = set()
    for example, screening in zip(examples, screenings, strict=True):
        last = len(example.record.conversation.turns) - 1
        for flag in screening.flags:
            if flag.turn == last and flag.status == "active" and flag.signal in SIGNALS:
                found.add((example.record.id, flag.signal))
    return found


def report(folder: Path, changes: Sequence[Change], verdicts: Mapping[str, int]) -> Manifest:
    """Put the comparison into the manifest of the artefact and beside it as Markdown; from now on the artefact loads."""
    manifest, _ = artefact.read(folder, unreported=True)
    kept: dict[str, Any] = {
        "verdicts": dict(verdicts),
        "changes": [change._asdict() | {"falls": change.falls} for change in changes],
    }
    manifest = msgspec.structs.replace(manifest, metrics={**manifest.metrics, "feedback": kept})
    artefact.write(folder, manifest)
    (folder / REPORT).write_text("\n".join(_lines(manifest, changes, verdicts)) + "\n", encoding="utf-8")
    return manifest


def _lines(manifest: Manifest, changes: Sequence[Change], verdicts: Mapping[str, int]) -> Iterator[str]:
    falling = [change.name for change in changes if change.falls]
    yield f"# {manifest.name}, version {manifest.version}: what the verdicts changed"
    yield ""
    yield f"Trained on {verdicts['trained']} turns with verdicts beside the training text; {verdicts['held']} were kept for this report."
    yield "It gets worse beyond chance on: " + ", ".join(falling) + "." if falling else "It gets worse nowhere beyond chance."
    yield ""
    yield "| set | right before | right now | only before | only now | doubt |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for change in changes:
        old, new = share_text(change.old, change.cells), share_text(change.new, change.cells)
        yield f"| {change.name} | {old} | {new} | {change.only_old} | {change.only_new} | {change.doubt:.3f} |"
    yield ""
    yield "A cell is a turn and a signal that is labelled or flagged. Doubt: the chance of losing by so much, were both equally good."
