"""Why a hit is none: the agent denies it, refuses it, or repeats what the customer said. The words for it are cues."""

import re
from collections.abc import Callable, Mapping, Sequence

from lexicons.load import Lexicon
from lexicons.schema import Cue, Excuse
from screening.detect.patterns import SlotPattern

WINDOW = 14
_CLAUSE_END = re.compile("[。！？!?；;，,\n]")
_SENTENCE_END = re.compile("[。！？!?；;\n]")
_QUOTES = {"“": "”", "‘": "’", "「": "」", "『": "』", "《": "》", '"': '"'}


class Excuses:
    """The excuses of one lexicon, each answering for a clean text and the half-open range of a hit."""

    def __init__(self, lexicon: Lexicon):
        self._cues = {kind: _compiled(lexicon.cue_patterns(kind), lexicon.sets) for kind in ("negation", "refusal", "quotation")}
        self._checks: dict[Excuse, Callable[[str, int, int], bool]] = {
            "negation": lambda clean, start, _end: self._negated(clean, start),
            "refusal": self._refused,
            "quotation": self._quoted,
        }

    def excuse(self, clean: str, start: int, end: int, allowed: Sequence[Excuse]) -> str | None:
        """The first excuse that holds, or None."""
        for name in allowed:
            if self._checks[name](clean, start, end):
                return name
        return None

    def _negated(self, clean: str, start: int) -> bool:
        return _found(self._cues["negation"], _before(clean, start, _CLAUSE_END))

    def _refused(self, clean: str, start: int, end: int) -> bool:
        head = _before(clean, start, _SENTENCE_END, 40)
        tail = _SENTENCE_END.split(clean[end : end + 40], maxsplit=1)[0]
        return _found(self._cues["refusal"], head + clean[start:end] + tail)

    def _quoted(self, clean: str, start: int, end: int) -> bool:
        for opening, closing in _QUOTES.items():
            at = clean.rfind(opening, 0, start)
            if at >= 0 and closing not in clean[at + 1 : start] and closing in clean[end:]:
                return True
        return _found(self._cues["quotation"], _before(clean, start, _SENTENCE_END))


def _compiled(cues: Sequence[Cue], sets: Mapping[str, tuple[str, ...]]) -> list[tuple[SlotPattern, list[SlotPattern]]]:
    return [
        (SlotPattern(text, sets), [SlotPattern(u, sets) for u in cue.unless])
        for cue in cues
        for text in (cue.pattern, *map(re.escape, cue.any_of))
        if text
    ]


def _found(cues: Sequence[tuple[SlotPattern, list[SlotPattern]]], text: str) -> bool:
    return bool(text) and any(cue.found(text) and not any(u.found(text) for u in unless) for cue, unless in cues)


def _before(clean: str, start: int, ends: re.Pattern[str], window: int = WINDOW) -> str:
    return ends.split(clean[max(0, start - window) : start])[-1]
