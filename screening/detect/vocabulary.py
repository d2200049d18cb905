"""What a lexicon looks for, ready to run: phrases and patterns behind one automaton per speaker."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lexicons.load import Lexicon
from lexicons.schema import After, Cue, Rule, Speaker
from screening.detect.patterns import SlotPattern
from screening.detect.phrases import Automaton
from screening.normalise.clean import CleanBatch
from screening.normalise.fold import Folder, by_sound

Hits = dict[int, set[int]]
"""Per turn of a batch: the entries that may stand in it."""


class Phrases:
    """A list of phrases or one slot pattern, with what excuses an overlapping match."""

    __slots__ = ("phrases", "slot", "unless")

    def __init__(self, any_of: Sequence[str], pattern: str | None, unless: Sequence[str], sets: Mapping[str, tuple[str, ...]]):
        self.phrases = tuple(any_of)
        self.slot = None if pattern is None else SlotPattern(pattern, sets)
        self.unless = tuple(SlotPattern(text, sets) for text in unless)

    def literals(self) -> Sequence[str]:
        """What nominates a turn."""
        return self.phrases if self.slot is None else sorted(self.slot.triggers())

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


class _Index:
    """Literals of many entries behind one automaton: which entries each turn nominates."""

    def __init__(self, literals: Mapping[int, Sequence[str]]):
        owners: dict[str, list[int]] = {}
        for entry, texts in literals.items():
            for text in texts:
                owners.setdefault(text, []).append(entry)
        self._owners = list(owners.values())
        self._automaton = Automaton(list(owners))

    def scan(self, joined: str) -> Hits:
        owners = self._owners
        return {
            turn: {owner for literal in literals for owner in owners[literal]}
            for turn, literals in self._automaton.scan(joined).items()
        }


class Nominations(NamedTuple):
    """Per turn of a batch: rules to look at in the clean view, in the folded view, by sound; and cues."""

    clean: Hits
    folded: Hits
    sound: Hits
    cues: Hits


class _Ear:
    """What one speaker's turns are searched for."""

    def __init__(self, speaker: Speaker, rules: Sequence[Rule], cues: Sequence[Cue], entries: Sequence[Phrases]):
        own = {i: rule for i, rule in enumerate(rules) if rule.speaker == speaker}
        heard = {len(rules) + i: cue for i, cue in enumerate(cues) if speaker in cue.speaker}
        self.first_cue = len(rules)
        self.clean = _Index({i: entries[i].literals() for i in (*own, *heard)})
        self.loose = _Index({i: entries[i].literals() for i, rule in own.items() if rule.fold != "none"})
        self.sounds = _Index({i: [by_sound(p) for p in rule.any_of] for i, rule in own.items() if rule.fold == "sound"})


_EXCUSES = frozenset({"negation", "refusal", "quotation"})  # looked for around a hit, not in whole turns


def after_kind(after: After) -> str:
    """The kind of cue that stands for what a rule wants said before it."""
    return f"after:{after.speaker}:{after.pattern}"


def _after_cues(rules: Sequence[Rule]) -> list[Cue]:
    wanted = {after_kind(rule.after): rule.after for rule in rules if rule.after}
    return [Cue(kind, kind, (after.speaker,), (), (), pattern=after.pattern) for kind, after in wanted.items()]


class Vocabulary:
    """Everything of a lexicon that is looked for in text. Entries: rules first, then cues."""

    def __init__(self, lexicon: Lexicon):
        self.rules = tuple(rule for rule in lexicon.rules if rule.status in ("active", "shadow"))
        self.cues = (*(cue for cue in lexicon.cues if cue.kind not in _EXCUSES), *_after_cues(self.rules))
        tables: tuple[Rule | Cue, ...] = (*self.rules, *self.cues)
        self.entries = tuple(Phrases(t.any_of, t.pattern, t.unless, lexicon.sets) for t in tables)
        self.folder = Folder(lexicon.writings)
        self._sequences = Automaton(self.folder.sequences)
        self.kinds: dict[str, frozenset[int]] = {}
        for i, cue in enumerate(self.cues, len(self.rules)):
            self.kinds[cue.kind] = self.kinds.get(cue.kind, frozenset()) | {i}
        speakers: tuple[Speaker, ...] = ("agent", "customer", "system")
        self._ears = {speaker: _Ear(speaker, self.rules, self.cues, self.entries) for speaker in speakers}

    def nominate(self, batch: CleanBatch, segments: Mapping[Speaker, tuple[int, int]]) -> Nominations:
        """Which entries each turn of a batch may hold; `segments` are the turns [first, last) of each speaker."""
        nominations = Nominations({}, {}, {}, {})
        for speaker, (first, last) in segments.items():
            if first < last:
                self._listen(self._ears[speaker], batch, first, last, nominations)
        return nominations

    def _listen(self, ear: _Ear, batch: CleanBatch, first: int, last: int, into: Nominations) -> None:
        joined = batch.joined[batch.starts[first] : batch.starts[last]]
        cue = ear.first_cue
        for turn, entries in ear.clean.scan(joined).items():
            cues = {entry for entry in entries if entry >= cue}
            rules = entries - cues if cues else entries
            if cues:
                into.cues[first + turn] = cues
            if rules:
                into.clean[first + turn] = rules
        for turn, entries in ear.loose.scan(self.folder.compact(joined)).items():
            known = into.clean.get(first + turn)
            if known is None or entries - known or self.folder.suspicious(batch.clean(first + turn)):
                into.folded[first + turn] = entries
        for turn in self._sequences.scan(joined):
            hits = ear.loose.scan(self.folder.fold(batch.clean(first + turn)).text + "\n")
            into.folded.setdefault(first + turn, set()).update(hits.get(0, ()))
        for turn, entries in ear.sounds.scan(by_sound(joined)).items():
            into.sound[first + turn] = entries
