"""The training text: labelled turns with what stood before them, by author's brief; what is checked before anything trains on it.

Splits go by brief, so that no author's habits, no shared context and no minimal pair crosses them (models/data/README.md).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from screening.errors import InputError
from screening.evaluate import TurnRecord, read

DATA = Path(__file__).parent / "data"
NEAR = 0.6
_GRAM = 3
_BANDS, _ROWS = 24, 3
_PRIME = (1 << 61) - 1


class Example(NamedTuple):
    """One labelled turn, its author's brief, and the name of its minimal pair.

    `judged`: the signals that people decided on, of a turn that comes from review; None where all signals were.
    """

    record: TurnRecord
    brief: str
    pair: str | None
    judged: frozenset[str] | None = None

    @property
    def text(self) -> str:
        """The judged turn as written."""
        return self.record.conversation.turns[-1].text


class _Tags(msgspec.Struct):
    brief: str
    pair: str | None = None
    judged: frozenset[str] | None = None


def load(folder: Path = DATA) -> list[Example]:
    """All examples of a folder of JSON Lines, by file name; raises `InputError` with file and line of a wrong one."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise InputError(f"{folder}: no *.jsonl with labelled turns")
    examples = [example for path in files for example in load_file(path)]
    check(examples)
    return examples


def load_file(path: Path) -> list[Example]:
    """The examples of one file; raises `InputError` with file and line."""
    turns, conversations = read(path)
    if conversations:
        raise InputError(f"{path.name}: training text is single turns; {conversations[0].id} is a whole conversation")
    examples = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for row, (record, line) in enumerate(zip(turns, lines, strict=True), 1):
        try:
            tags = msgspec.json.decode(line, type=_Tags)
        except msgspec.ValidationError as error:
            raise InputError(f"{path.name}:{row}: {error}") from None
        examples.append(Example(record, tags.brief, tags.pair, tags.judged))
    return examples


def check(examples: Sequence[Example]) -> None:
    """Ids are unique, marked words stand in their turn, minimal pairs are pairs; raises `InputError`."""
    seen: set[str] = set()
    pairs: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        if example.record.id in seen:
            raise InputError(f"two examples are called {example.record.id}; each needs its own id")
        seen.add(example.record.id)
        for label in example.record.labels:
            if label.quote not in example.text:
                raise InputError(f"{example.record.id}: the words marked for {label.signal} do not stand in the turn")
        if example.pair:
            pairs[example.pair].append(example)
    for name, members in pairs.items():
        labels = {frozenset(label.signal for label in member.record.labels) for member in members}
        if len(members) != 2 or len(labels) != 2 or members[0].brief != members[1].brief:
            raise InputError(f"minimal pair {name}: needs two examples of one brief with different labels")


def folds(examples: Sequence[Example], count: int) -> list[frozenset[str]]:
    """The briefs dealt into `count` parts, in turn by name: a model of one part never saw its authors."""
    briefs = sorted({example.brief for example in examples})
    if count > len(briefs):
        raise InputError(f"{len(briefs)} briefs cannot be dealt into {count} parts")
    return [frozenset(briefs[k::count]) for k in range(count)]


def near_duplicates(examples: Sequence[Example], least: float = NEAR) -> list[tuple[str, str, float]]:
    """Pairs of ids, not of one minimal pair, whose judged turns share at least `least` of their 3-grams (Jaccard), and how much.

    Candidates come from MinHash (A. Broder 1997) with banding, and are then counted exactly.
    """
    grams = [_grams(example.text) for example in examples]
    found = []
    for i, j in sorted(_candidates(grams)):
        one, other = examples[i], examples[j]
        if one.pair is not None and one.pair == other.pair:
            continue
        shared = len(grams[i] & grams[j]) / len(grams[i] | grams[j])
        if shared >= least:
            found.append((one.record.id, other.record.id, shared))
    return found


def _grams(text: str) -> frozenset[int]:
    return frozenset(crc32(text[i : i + _GRAM].encode()) for i in range(max(1, len(text) - _GRAM + 1)))


def _candidates(grams: Sequence[frozenset[int]]) -> set[tuple[int, int]]:
    random = np.random.default_rng(0)
    factors = random.integers(1, _PRIME, size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    offsets = random.integers(0, _PRIME, size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    signatures = np.array(
        [(np.fromiter(own, dtype=np.uint64)[None, :] * factors + offsets >> np.uint64(16)).min(axis=1) for own in grams]
    )
    found: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for i, signature in enumerate(signatures[:, band * _ROWS : (band + 1) * _ROWS]):
            buckets[signature.tobytes()].append(i)
        for members in buckets.values():
            found.update(combinations(members, 2))
    return found


def counts(examples: Sequence[Example]) -> Iterator[tuple[str, int, int]]:
    """(signal, positives, hard negatives beside it), in the order of the signals' names."""
    positive = Counter(label.signal for example in examples for label in example.record.labels)
    negative = Counter(signal for example in examples for signal in example.record.near)
    for signal in sorted(positive | negative):
        yield signal, positive[signal], negative[signal]
