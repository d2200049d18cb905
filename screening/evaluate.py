"""Precision and recall on labelled sets (tests/data), with Wilson intervals: per signal, style and clause, and per rule file."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lexicons.load import SCORES, Lexicon
from lexicons.signals import TEXT_SIGNALS
from screening.errors import InputError
from screening.intervals import wilson
from screening.pipeline import Screener
from screening.readers.records import from_record
from screening.types import Conversation, Screening


class Label(msgspec.Struct, frozen=True):
    """A signal that the judged turn shows, with the words a reviewer would mark."""

    signal: str
    quote: str


class TurnRecord(msgspec.Struct, frozen=True):
    """One labelled turn with what stood before it; see tests/data/README.md."""

    id: str
    conversation: Conversation
    labels: tuple[Label, ...]
    style: str
    near: tuple[str, ...]


class ConversationRecord(msgspec.Struct, frozen=True):
    """One whole conversation with the clauses that must come out."""

    id: str
    conversation: Conversation
    clauses: frozenset[str]
    flags: tuple[tuple[str, int | None], ...]
    group: str


class Tally(NamedTuple):
    """Right, wrong and missed decisions."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> tuple[int, int]:
        """(right, decided)."""
        return self.right, self.right + self.wrong

    @property
    def recall(self) -> tuple[int, int]:
        """(right, to be found)."""
        return self.right, self.right + self.missed


def share_text(successes: int, total: int) -> str:
    """A share as `0.93 (28/30) [0.79, 0.98]`, `n/a` where nothing was counted."""
    if total == 0:
        return "n/a"
    low, high = wilson(successes, total)
    return f"{successes / total:.3f} ({successes}/{total}) [{low:.2f}, {high:.2f}]"


def read(path: Path) -> tuple[list[TurnRecord], list[ConversationRecord]]:
    """The records of a labelled file; raises `InputError` with the line that is wrong."""
    turns: list[TurnRecord] = []
    conversations: list[ConversationRecord] = []
    for row, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            if record["kind"] == "turn":
                turns.append(_turn_record(record))
            else:
                conversations.append(_conversation_record(record))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path.name}:{row}: not a labelled record: {error}") from None
    return turns, conversations


def _turn_record(record: dict[str, Any]) -> TurnRecord:
    turns = [{"role": role, "text": text} for role, text in record["context"]]
    turns.append({"role": record["role"], "text": record["text"]})
    conversation = from_record({"id": record["id"], "channel": record["channel"], "turns": turns})
    labels = tuple(Label(label["signal"], label["quote"]) for label in record["labels"])
    return TurnRecord(record["id"], conversation, labels, record["style"], tuple(record["near"]))


def _conversation_record(record: dict[str, Any]) -> ConversationRecord:
    expected = record["expect"]
    return ConversationRecord(
        record["id"],
        from_record(record["conversation"] | {"id": record["id"]}),
        frozenset(expected["clauses"]),
        tuple((flag["signal"], flag.get("turn")) for flag in expected["flags"]),
        record["group"],
    )


class Evaluation:
    """Decisions of a screener on labelled records, ready to be tallied."""

    def __init__(self, screener: Screener, turns: Sequence[TurnRecord], conversations: Sequence[ConversationRecord]):
        self.turns = turns
        self.conversations = conversations
        self.lexicon = screener.lexicon
        self.screenings = list(screener.screen_many(record.conversation for record in turns))
        self.whole = list(screener.screen_many(record.conversation for record in conversations))
        self.standard = screener.lexicon.standards[screener.profile.standards[0]]

    def found(self, screening: Screening, record: TurnRecord) -> dict[str, list[str]]:
        """Text signals with active flags on the judged turn, each with the sources that raised it."""
        last = len(record.conversation.turns) - 1
        found: dict[str, list[str]] = {}
        for flag in screening.flags:
            if flag.status == "active" and flag.turn == last and flag.signal in TEXT_SIGNALS:
                found.setdefault(flag.signal, []).append(flag.source.id)
        return found

    def _pairs(self) -> Iterator[tuple[TurnRecord, set[str], set[str]]]:
        for record, screening in zip(self.turns, self.screenings, strict=True):
            yield record, set(self.found(screening, record)), {label.signal for label in record.labels}

    def by_signal(self) -> dict[str, Tally]:
        """Turns, per signal."""
        return _tally((got, want) for _, got, want in self._pairs())

    def by_family(self) -> dict[str, Tally]:
        """Turns, per family of signals (the part before the dot)."""
        return _tally(({s.split(".")[0] for s in got}, {s.split(".")[0] for s in want}) for _, got, want in self._pairs())

    def by_style(self) -> dict[str, Tally]:
        """Turns, per style: decisions on (turn, signal)."""
        styles: dict[str, list[int]] = {}
        for record, got, want in self._pairs():
            counts = styles.setdefault(record.style, [0, 0, 0])
            counts[0] += len(got & want)
            counts[1] += len(got - want)
            counts[2] += len(want - got)
        return {style: Tally(*counts) for style, counts in sorted(styles.items())}

    def hard_negatives(self) -> tuple[int, int]:
        """(hard negatives with any active text flag, hard negatives)."""
        negatives = [(got, want) for _, got, want in self._pairs() if not want]
        return sum(bool(got) for got, _ in negatives), len(negatives)

    def by_clause(self) -> dict[str, Tally]:
        """Whole conversations, per clause of the first standard."""
        pairs = zip(self.conversations, self.whole, strict=True)
        return _tally(({c.clause for c in s.candidates if c.standard == self.standard.id}, set(r.clauses)) for r, s in pairs)

    def clauses_of_turns(self) -> dict[str, Tally]:
        """Turns, per clause that the labelled or flagged signals lead to."""
        lead = {s: {c.id for c in self.standard.clauses if s in c.signals} for s in TEXT_SIGNALS}
        return _tally(
            ({c for s in got for c in lead.get(s, ())}, {c for s in want for c in lead.get(s, ())})
            for _, got, want in self._pairs()
        )

    def spans(self) -> tuple[int, int]:
        """(flags on labelled turns that overlap the words a reviewer would mark, flags of a labelled signal)."""
        overlapping = total = 0
        for record, screening in zip(self.turns, self.screenings, strict=True):
            last = len(record.conversation.turns) - 1
            text = record.conversation.turns[last].text
            for label in record.labels:
                start = text.find(label.quote)
                for flag in screening.flags:
                    if flag.turn == last and flag.signal == label.signal and flag.status == "active":
                        total += 1
                        assert flag.start is not None and flag.end is not None
                        overlapping += flag.start < start + len(label.quote) and start < flag.end
        return overlapping, total

    def by_file(self) -> dict[str, tuple[int, int]]:
        """Per rule file: (labelled pairs it finds, pairs that only it finds)."""
        finds: Counter[str] = Counter()
        alone: Counter[str] = Counter()
        for record, screening in zip(self.turns, self.screenings, strict=True):
            wanted = {label.signal for label in record.labels}
            for signal, sources in self.found(screening, record).items():
                if signal in wanted:
                    files = {self.lexicon.files.get(source, source) for source in sources}
                    finds.update(files)
                    if len(files) == 1:
                        alone.update(files)
        return {file: (finds[file], alone[file]) for file in sorted(finds)}

    def mistakes(self) -> Iterator[tuple[str, str, str, list[str]]]:
        """(record id, "false" or "missed", signal, sources) for every wrong decision on turns."""
        for record, screening in zip(self.turns, self.screenings, strict=True):
            found = self.found(screening, record)
            wanted = {label.signal for label in record.labels}
            for signal in sorted(found.keys() - wanted):
                yield record.id, "false", signal, found[signal]
            for signal in sorted(wanted - found.keys()):
                yield record.id, "missed", signal, []

    def clause_mistakes(self) -> Iterator[tuple[str, set[str], set[str]]]:
        """(record id, missed clauses, false clauses) for every whole conversation that came out otherwise."""
        for record, screening in zip(self.conversations, self.whole, strict=True):
            got = {c.clause for c in screening.candidates if c.standard == self.standard.id}
            if got != record.clauses:
                yield record.id, set(record.clauses) - got, got - record.clauses


def _tally(pairs: Iterable[tuple[set[str], set[str]]]) -> dict[str, Tally]:
    counts: dict[str, list[int]] = {}
    for got, want in pairs:
        for name in got | want:
            slot = counts.setdefault(name, [0, 0, 0])
            slot[0 if name in got & want else 1 if name in got else 2] += 1
    return {name: Tally(*slot) for name, slot in sorted(counts.items())}


def write_scores(evaluation: Evaluation, folder: Path) -> Path:
    """Keep true and false flags per signal as the prior of `screening.scores`."""
    table = {signal: [tally.right, tally.wrong] for signal, tally in evaluation.by_signal().items()}
    path = folder / SCORES
    lines = ",\n".join(f' "{signal}": {json.dumps(counts)}' for signal, counts in table.items())
    path.write_text("{\n" + lines + "\n}\n", encoding="utf-8")
    return path


def coverage(lexicon: Lexicon) -> dict[str, tuple[int, int, int]]:
    """Per text signal: (active rules, slot patterns among them, phrases)."""
    table = {}
    for signal in TEXT_SIGNALS:
        rules = [r for r in lexicon.rules if r.signal == signal and r.status == "active"]
        table[signal] = (len(rules), sum(r.pattern is not None for r in rules), sum(len(r.any_of) for r in rules))
    return table
