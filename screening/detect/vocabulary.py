"""What a lexicon looks for, ready to run: phrases and patterns behind one index per speaker."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from lexicons import cache
from lexicons.load import PACKAGED, Lexicon
from lexicons.pattern import Need
from lexicons.schema import After, Cue, Rule, Speaker
from screening.detect.needs import Needs, as_compacted, as_written
from screening.detect.patterns import SlotPattern
from screening.detect.phrases import Points, joined_points, places
from screening.normalise import tables
from screening.normalise.clean import CleanBatch
from screening.normalise.fold import Folder, by_sound, sound_points
from screening.normalise.pinyin import PinyinReader


class Phrases:
    """A list of phrases or one slot pattern, with what excuses an overlapping match."""

    __slots__ = ("phrases", "slot", "unless")

    def __init__(self, any_of: Sequence[str], pattern: str | None, unless: Sequence[str], sets: Mapping[str, tuple[str, ...]]):
        self.phrases = tuple(any_of)
        self.slot = None if pattern is None else SlotPattern(pattern, sets)
        self.unless = tuple(SlotPattern(text, sets) for text in unless)

    def need(self) -> Need:
        """What a turn must hold to be nominated."""
        return frozenset(self.phrases) if self.slot is None else self.slot.triggers()

    def spans(self, text: str) -> list[tuple[int, int]]:
        """All places, longest phrase first where several begin together; the ones that `unless` overlaps are included."""
        if self.slot is not None:
            return self.slot.spans(text)
        return _all_places(self.phrases, text)

    def located(self, texts: Sequence[str]) -> dict[int, list[tuple[int, int]]]:
        """`spans` of many texts at once: position in `texts` to the places, for the texts that hold any."""
        found: dict[int, list[tuple[int, int]]] = {}
        if self.slot is not None:
            for number, start, end in self.slot.located(texts):
                found.setdefault(number, []).append((start, end))
            return found
        joined = "\n".join(texts)
        held = [phrase for phrase in self.phrases if phrase in joined]
        for number, text in enumerate(texts) if held else ():
            spans = _all_places(held, text)
            if spans:
                found[number] = spans
        return found

    def excused(self, text: str, start: int, end: int) -> str | None:
        """The innocent words that overlap a place, or None."""
        for slot in self.unless:
            for a, b in slot.spans(text):
                if a < end and start < b:
                    return text[a:b]
        return None

    def showing(self, texts: Sequence[str]) -> list[int]:
        """Positions of the texts that hold a place that nothing excuses."""
        found = self.located(texts)
        if self.unless and found:
            numbers = list(found)
            held = [texts[number] for number in numbers]
            for slot in self.unless:
                for k, a, b in slot.located(held):
                    found[numbers[k]] = [(start, end) for start, end in found[numbers[k]] if b <= start or end <= a]
        return [number for number, spans in found.items() if spans]

    def found(self, text: str) -> bool:
        """Whether there is a place that nothing excuses."""
        return bool(self.showing((text,)))


def _all_places(phrases: Iterable[str], text: str) -> list[tuple[int, int]]:
    found = []
    for phrase in phrases:
        at = text.find(phrase)
        while at >= 0:
            found.append((at, at + len(phrase)))
            at = text.find(phrase, at + 1)
    return _outermost(found)


def _outermost(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda s: (s[0], -s[1])):
        if not kept or end > kept[-1][1]:
            kept.append((start, end))
    return kept


CLEAN, FOLDED, SOUND = 1, 2, 4


class Nominations:
    """What the turns of a batch may hold: per entry of the vocabulary the turns, as bits of a number."""

    def __init__(self) -> None:
        self.rules: dict[int, dict[int, int]] = {CLEAN: {}, FOLDED: {}, SOUND: {}}
        """Per view: rule to turns."""
        self.folded: dict[int, str] = {}
        """Folded texts that are known already."""
        self.cues: dict[int, int] = {}

    def add_rule(self, rule: int, turns: int, view: int) -> None:
        """`rule` may stand in `turns`."""
        if turns:
            self.rules[view][rule] = self.rules[view].get(rule, 0) | turns

    def add_cue(self, cue: int, turns: int) -> None:
        """`cue` may stand in `turns`."""
        self.cues[cue] = self.cues.get(cue, 0) | turns


class _Ear:
    """What one speaker's turns are searched for."""

    def __init__(self, speaker: Speaker, rules: Sequence[Rule], cues: Sequence[Cue], needs: Sequence[Need], folder: Folder):
        own = {i: rule for i, rule in enumerate(rules) if rule.speaker == speaker}
        heard = [len(rules) + i for i, cue in enumerate(cues) if speaker in cue.speaker]
        self.first_cue = len(rules)
        self.sequences = self.first_cue + len(cues)
        self.clean, self.loose, self.sounds, self.context = Needs(), Needs(), Needs(), Needs()
        """What is looked for in turns that are judged, in three views, and in those that only stand before them."""
        for i in (*own, *heard):
            self.clean.add(i, needs[i], as_written)
        for i in heard:
            self.context.add(i, needs[i], as_written)
        for i, rule in own.items():
            if rule.fold != "none":
                self.loose.add(i, needs[i], as_compacted)
            if rule.fold == "sound":
                self.sounds.add(i, frozenset(map(by_sound, rule.any_of)), as_written)
        if own and folder.sequences:
            self.clean.add(self.sequences, frozenset(folder.sequences), as_written)
        for part in (self.clean, self.loose, self.sounds, self.context):
            part.close()


_EXCUSES = frozenset({"negation", "refusal", "quotation"})  # looked for around a hit, not in whole turns


def after_kind(after: After) -> str:
    """The kind of cue that stands for what a rule wants said before it."""
    return f"after:{after.speaker}:{after.pattern}"


def _after_cues(rules: Sequence[Rule]) -> list[Cue]:
    wanted = {after_kind(rule.after): rule.after for rule in rules if rule.after}
    return [Cue(kind, kind, (after.speaker,), (), (), pattern=after.pattern) for kind, after in wanted.items()]


_HAN_RUN = re.compile("[\u3400-\u9fff]+")


def _words(lexicon: Lexicon) -> Iterator[str]:
    """Every stretch of two to four characters in the phrases, sets and patterns of a lexicon."""
    texts = [text for rule in lexicon.rules for text in (*rule.any_of, rule.pattern or "")]
    for text in (*texts, *(form for forms in lexicon.sets.values() for form in forms)):
        for run in _HAN_RUN.findall(text):
            yield from (run[i : i + size] for size in (2, 3, 4) for i in range(len(run) - size + 1))


class Vocabulary:
    """Everything of a lexicon that is looked for in text. Entries: rules first, then cues."""

    def __init__(self, lexicon: Lexicon):
        self.rules = tuple(rule for rule in lexicon.rules if rule.status in ("active", "shadow"))
        self.cues = (*(cue for cue in lexicon.cues if cue.kind not in _EXCUSES), *_after_cues(self.rules))
        tables: tuple[Rule | Cue, ...] = (*self.rules, *self.cues)
        self.entries = tuple(Phrases(t.any_of, t.pattern, t.unless, lexicon.sets) for t in tables)
        self._lexicon = lexicon
        self.folder = Folder(lexicon.writings, self._reader)
        self._pinyin: PinyinReader | None = None
        self.kinds: dict[str, frozenset[int]] = {}
        for i, cue in enumerate(self.cues, len(self.rules)):
            self.kinds[cue.kind] = self.kinds.get(cue.kind, frozenset()) | {i}
        self._ears = cache.kept("index", self._digest(lexicon), self._listeners)

    def compile(self, going_on: Callable[[], bool] = lambda: True) -> bool:
        """Compile every pattern now that would be at first need, as long as `going_on` says so; whether all are."""
        for entry in self.entries:
            for slot in (entry.slot, *entry.unless):
                if slot is not None:
                    slot.compile()
            if not going_on():
                return False
        return True

    def _listeners(self) -> dict[Speaker, _Ear]:
        speakers: tuple[Speaker, ...] = ("agent", "customer", "system")
        needs = [entry.need() for entry in self.entries]
        return {speaker: _Ear(speaker, self.rules, self.cues, needs, self.folder) for speaker in speakers}

    def _digest(self, lexicon: Lexicon) -> str:
        """Of everything that the index is made of: the words, the tables, and the code."""
        words = msgspec.msgpack.encode([self.rules, self.cues, sorted(lexicon.sets.items()), sorted(lexicon.writings.items())])
        made_of = [path.read_bytes() for path in sorted(tables.DATA.iterdir())]
        return cache.digest(
            [words, *made_of, *cache.code(PACKAGED, Path(__file__).parent, tables.DATA.parent), np.__version__.encode()]
        )

    def _reader(self) -> PinyinReader:
        if self._pinyin is None:
            self._pinyin = cache.kept("pinyin", self._digest(self._lexicon), lambda: PinyinReader(_words(self._lexicon)))
        return self._pinyin

    def nominate(
        self, batch: CleanBatch, segments: Mapping[Speaker, tuple[int, int]], context: Mapping[Speaker, tuple[int, int]]
    ) -> Nominations:
        """Which entries each turn of a batch may hold; `segments` are the turns [first, last) of each speaker.

        In `context` only cues are looked for.
        """
        nominations = Nominations()
        for speaker, (first, last) in segments.items():
            if first < last:
                self._listen(self._ears[speaker], batch, first, last, nominations)
        for speaker, (first, last) in context.items():
            if first < last:
                points = joined_points(batch.joined[batch.starts[first] : batch.starts[last]])
                for entry, bits in self._ears[speaker].context.nominate(points, last - first).items():
                    nominations.add_cue(entry, bits << first)
        return nominations

    def _listen(self, ear: _Ear, batch: CleanBatch, first: int, last: int, into: Nominations) -> None:
        turns = last - first
        points = joined_points(batch.joined[batch.starts[first] : batch.starts[last]])
        clean = ear.clean.nominate(points, turns)
        sequences = clean.pop(ear.sequences, 0)
        for entry, bits in clean.items():
            if entry >= ear.first_cue:
                into.add_cue(entry, bits << first)
            else:
                into.add_rule(entry, bits << first, CLEAN)
        spelled = self._listen_folded(ear, (first, last), points, clean, into)
        read = [turn for turn in spelled if self.folder.reads(batch.clean(first + turn))]
        for turn in {*places(sequences), *read}:
            text = into.folded[first + turn] = self.folder.text(batch.clean(first + turn))
            folded = self.folder.compact(joined_points(text + "\n"))
            for entry in ear.loose.nominate(folded, 1):
                into.add_rule(entry, 1 << first + turn, FOLDED)
        if ear.sounds:
            for entry, bits in ear.sounds.nominate(sound_points(points), turns).items():
                into.add_rule(entry, bits << first, SOUND)

    def _listen_folded(
        self, ear: _Ear, place: tuple[int, int], points: Points, clean: Mapping[int, int], into: Nominations
    ) -> Sequence[int]:
        """Nominate for the folded view what only it holds, and on turns where a disguise shows all that it holds.

        Returns the turns that may hold pinyin.
        """
        first, last = place
        if not ear.loose:
            return ()
        suspects = self.folder.suspects(points, last - first)
        if not suspects.turns:
            return suspects.spelled
        into.folded.update((first + turn, text) for turn, text in zip(suspects.turns, suspects.texts, strict=True))
        for entry, bits in ear.loose.nominate(suspects.compacted, len(suspects.turns)).items():
            turns = sum(1 << suspects.turns[turn] for turn in places(bits))
            into.add_rule(entry, (turns & (suspects.disguised | ~clean.get(entry, 0))) << first, FOLDED)
        return suspects.spelled
