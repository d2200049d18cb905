"""A conversation as the detectors read it: clean text on demand, and what the automaton nominated for each turn."""

from collections.abc import Mapping, Sequence

from lexicons.load import Lexicon
from screening.detect.patterns import SlotPattern
from screening.detect.phrases import Automaton
from screening.normalise.clean import CleanBatch, CleanTurn
from screening.normalise.fold import Folded, Folder, by_sound
from screening.types import Conversation

_NOTHING: frozenset[int] = frozenset()


class Phrases:
    """A list of phrases or one slot pattern, with what excuses an overlapping match."""

    __slots__ = ("phrases", "slot", "unless")

    def __init__(self, any_of: Sequence[str], pattern: str | None, unless: Sequence[str], sets: Mapping[str, tuple[str, ...]]):
        self.phrases = tuple(any_of)
        self.slot = None if pattern is None else SlotPattern(pattern, sets)
        self.unless = tuple(SlotPattern(text, sets) for text in unless)

    def literals(self) -> Sequence[str]:
        """What nominates a turn."""
        return self.phrases if self.slot is None else sorted(self.slot.triggers)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """All places, longest phrase first where several begin together; the ones that `unless` overlaps are included."""
        if self.slot is not None:
            return self.slot.spans(text)
        found = []
        for phrase in self.phrases:
            at = text.find(phrase)
            while at >= 0:
                found.append((at, at + len(phrase)))
                at = text.find(phrase, at + 1)
        return _outermost(found)

    def excused(self, text: str, start: int, end: int) -> str | None:
        """The innocent words that overlap a place, or None."""
        for slot in self.unless:
            for a, b in slot.spans(text):
                if a < end and start < b:
                    return text[a:b]
        return None

    def found(self, text: str) -> bool:
        """Whether there is a place that nothing excuses."""
        return any(self.excused(text, start, end) is None for start, end in self.spans(text))


def _outermost(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda s: (s[0], -s[1])):
        if not kept or end > kept[-1][1]:
            kept.append((start, end))
    return kept


class Vocabulary:
    """Everything of a lexicon that is looked for in text, behind one automaton. Ids: rules first, then cues."""

    def __init__(self, lexicon: Lexicon):
        self.rules = tuple(rule for rule in lexicon.rules if rule.status in ("active", "shadow"))
        self.cues = lexicon.cues
        self.entries = tuple(Phrases(e.any_of, e.pattern, e.unless, lexicon.sets) for e in (*self.rules, *self.cues))
        self.folder = Folder(lexicon.writings)
        self.kinds: dict[str, list[int]] = {}
        for i, cue in enumerate(self.cues, len(self.rules)):
            self.kinds.setdefault(cue.kind, []).append(i)
        self._owners, self._automaton = _automaton({i: e.literals() for i, e in enumerate(self.entries)})
        loose = {i: e.literals() for i, (r, e) in enumerate(zip(self.rules, self.entries, strict=False)) if r.fold != "none"}
        self._loose_owners, self._loose = _automaton(loose)
        self._sequences = Automaton(self.folder.sequences)
        sounding = {
            i: [by_sound(phrase) for phrase in rule.any_of] for i, rule in enumerate(self.rules) if rule.fold == "sound"
        }
        self._sound_owners, self._sounds = _automaton(sounding)

    def nominate(self, batch: CleanBatch) -> "Nominations":
        """Which entries each turn of a batch may hold: in the clean view, in the folded view, by sound."""
        joined = batch.joined
        clean = _owned(self._automaton.scan(joined), self._owners)
        folded = _owned(self._loose.scan(self.folder.compact(joined)), self._loose_owners)
        for turn in self._sequences.scan(joined):
            folded.setdefault(turn, set()).update(
                owner
                for literal in self._loose.scan(self.folder.fold(batch.clean(turn)).text).get(0, ())
                for owner in self._loose_owners[literal]
            )
        sound = _owned(self._sounds.scan(by_sound(joined)), self._sound_owners)
        return Nominations(clean, folded, sound)


class Nominations:
    """Per turn of a batch: entries to look at in the clean view, the folded view and by sound."""

    __slots__ = ("clean", "folded", "sound")

    def __init__(self, clean: dict[int, set[int]], folded: dict[int, set[int]], sound: dict[int, set[int]]):
        self.clean = clean
        self.folded = folded
        self.sound = sound


def _automaton(literals: Mapping[int, Sequence[str]]) -> tuple[list[list[int]], Automaton]:
    owners: dict[str, list[int]] = {}
    for entry, texts in literals.items():
        for text in texts:
            owners.setdefault(text, []).append(entry)
    return list(owners.values()), Automaton(list(owners))


def _owned(hits: dict[int, set[int]], owners: Sequence[Sequence[int]]) -> dict[int, set[int]]:
    return {turn: {owner for literal in literals for owner in owners[literal]} for turn, literals in hits.items()}


class Reading:
    """One conversation inside a batch; turn numbers are the conversation's own."""

    __slots__ = ("_batch", "_first", "_folded", "_nominations", "_signs", "conversation", "vocabulary")

    def __init__(self, conversation: Conversation, vocabulary: Vocabulary, batch: CleanBatch, nominations: Nominations, first: int):
        self.conversation = conversation
        self.vocabulary = vocabulary
        self._batch = batch
        self._nominations = nominations
        self._first = first
        self._folded: dict[int, Folded] = {}
        self._signs: dict[tuple[int, str], bool] = {}

    def clean(self, i: int) -> str:
        """Clean text of turn `i`."""
        return self._batch.clean(self._first + i)

    def turn(self, i: int) -> CleanTurn:
        """Turn `i` with its way back to the original."""
        return self._batch.turn(self._first + i)

    def folded(self, i: int) -> Folded:
        """Folded view of turn `i`."""
        if i not in self._folded:
            self._folded[i] = self.vocabulary.folder.fold(self.clean(i))
        return self._folded[i]

    def nominated(self, i: int) -> tuple[set[int] | frozenset[int], set[int] | frozenset[int], set[int] | frozenset[int]]:
        """Entries nominated for turn `i`: (clean view, folded view, by sound)."""
        at, n = self._first + i, self._nominations
        return n.clean.get(at, _NOTHING), n.folded.get(at, _NOTHING), n.sound.get(at, _NOTHING)

    def has(self, i: int, kind: str) -> bool:
        """Whether turn `i` shows a cue of this kind said by a speaker the cue is meant for."""
        key = (i, kind)
        if key not in self._signs:
            self._signs[key] = self._look(i, kind)
        return self._signs[key]

    def _look(self, i: int, kind: str) -> bool:
        nominated = self._nominations.clean.get(self._first + i)
        if not nominated:
            return False
        role = self.conversation.turns[i].role
        for entry in self.vocabulary.kinds.get(kind, ()):
            if entry in nominated and role in self.vocabulary.cues[entry - len(self.vocabulary.rules)].speaker:
                if self.vocabulary.entries[entry].found(self.clean(i)):
                    return True
        return False
