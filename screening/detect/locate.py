"""Where the nominated rules and cues of a batch really stand: each entry is looked for once, in all its turns together."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from lexicons.schema import After, Rule
from screening import tokenise
from screening.detect.phrases import places
from screening.detect.vocabulary import CLEAN, FOLDED, SOUND, Nominations, Phrases, Vocabulary, after_kind
from screening.normalise.clean import CleanBatch
from screening.normalise.fold import Folded, by_sound
from screening.types import Role, Span

_COMMON = 50


class Layout:
    """Where the turns of a batch's conversations lie: `place` in the batch's texts, `turn` counted through all conversations."""

    __slots__ = ("_before", "_firsts", "_order", "_roles", "places")

    def __init__(self, roles: Sequence[Role], order: Sequence[int], firsts: Sequence[int]):
        self._roles = roles
        self._firsts = firsts
        self._order = order
        self._before: dict[Role, list[int]] = {}
        self.places = [0] * len(order)
        for place, turn in enumerate(order):
            self.places[turn] = place

    def at(self, place: int) -> tuple[int, int]:
        """(number of the conversation, turn in it) of a place."""
        turn = self._order[place]
        conversation = bisect_right(self._firsts, turn) - 1
        return conversation, turn - self._firsts[conversation]

    def before(self, place: int, after: After) -> list[int]:
        """The places, last first, in which what `after` wants may have been said to be in time for a place."""
        last = self._last_of(after.speaker)
        found: list[int] = []
        turn = last[self._order[place]]
        while turn >= 0 and len(found) < after.turns:
            found.append(self.places[turn])
            turn = last[turn]
        return found

    def _last_of(self, role: Role) -> list[int]:
        """Per turn: the last turn of a role before it in its conversation, or -1."""
        known = self._before.get(role)
        if known is None:
            firsts = frozenset(self._firsts)
            known, last = [], -1
            for turn, own in enumerate(self._roles):
                if turn in firsts:
                    last = -1
                known.append(last)
                if own == role:
                    last = turn
            self._before[role] = known
        return known


class _Cues:
    """The cues of one kind in one batch: which places show any; nominated places are looked at when asked for, many at once."""

    __slots__ = ("_clean", "_entries", "_known", "_may")

    def __init__(self, entries: Sequence[tuple[Phrases, int]], clean: Callable[[int], str]):
        self._entries = entries
        self._clean = clean
        self._may = 0
        for _, bits in entries:
            self._may |= bits
        self._known: dict[int, bool] = {}

    def all(self) -> list[int]:
        """All places that show one."""
        return self.among(places(self._may)) if self._may else []

    def nominated(self, asked: Iterable[int]) -> list[int]:
        """Of some places those that may show one."""
        may = self._may
        return [place for place in asked if may >> place & 1] if may else []

    def among(self, asked: Iterable[int]) -> list[int]:
        """Of some places those that show one."""
        nominated = self.nominated(asked)
        known = self._known
        new = [place for place in nominated if place not in known]
        if new:
            shown: set[int] = set()
            for entry, bits in self._entries:
                open_ = [place for place in new if bits >> place & 1 and place not in shown]
                if open_:
                    shown.update(open_[k] for k in entry.showing([self._clean(place) for place in open_]))
            known.update((place, place in shown) for place in new)  # only now: a failure above must not read as a no
        return [place for place in nominated if known[place]]

    def spans(self, place: int) -> list[tuple[int, int]]:
        """The clean ranges of the cues in a place."""
        return [span for entry, bits in self._entries if bits >> place & 1 for span in entry.spans(self._clean(place))]


class Located:
    """The hits of one batch, worked out when first asked for."""

    def __init__(self, vocabulary: Vocabulary, texts: CleanBatch, nominations: Nominations, layout: Layout):
        self._vocabulary = vocabulary
        self._texts = texts
        self._nominations = nominations
        self._layout = layout
        self._cleans: dict[int, str] = {}
        self._folded: dict[int, Folded] = {}
        self._cues: dict[str, _Cues] = {}
        self._turns: dict[str, dict[int, list[int]]] = {}
        self._rules: dict[int, dict[int, set[Span]]] | None = None

    def clean(self, place: int) -> str:
        """Clean text of a place."""
        text = self._cleans.get(place)
        if text is None:
            text = self._cleans[place] = self._texts.clean(place)
        return text

    def cues(self, kind: str) -> _Cues:
        """The cues of a kind."""
        known = self._cues.get(kind)
        if known is None:
            entries = [
                (self._vocabulary.entries[cue], bits)
                for cue in self._vocabulary.kinds.get(kind, ())
                if (bits := self._nominations.cues.get(cue))
            ]
            known = self._cues[kind] = _Cues(entries, self.clean)
        return known

    def turns(self, kind: str) -> Mapping[int, Sequence[int]]:
        """All turns that show a cue of this kind: number of the conversation to its turns, in order."""
        known = self._turns.get(kind)
        if known is None:
            known = {}
            for conversation, turn in sorted(map(self._layout.at, self.cues(kind).all())):
                known.setdefault(conversation, []).append(turn)
            self._turns[kind] = known
        return known

    def rules(self) -> Mapping[int, Mapping[int, set[Span]]]:
        """Per place that holds any rule's words: rule to the clean ranges. What a rule wants said before is seen to."""
        if self._rules is None:
            found: dict[int, dict[int, set[Span]]] = {}
            for view, locate in ((CLEAN, self._in_clean), (FOLDED, self._in_folded), (SOUND, self._in_sound)):
                for number, bits in self._nominations.rules[view].items():
                    rule, entry = self._vocabulary.rules[number], self._vocabulary.entries[number]
                    for place, span in locate(rule, entry, self._allowed(rule, places(bits))):
                        found.setdefault(place, {}).setdefault(number, set()).add(span)
            self._rules = found
        return self._rules

    def _allowed(self, rule: Rule, nominated: list[int]) -> list[int]:
        """The nominated places before which was said what a rule wants said."""
        if rule.after is None:
            return nominated
        cues = self.cues(after_kind(rule.after))
        before = {place: cues.nominated(self._layout.before(place, rule.after)) for place in nominated}
        shown = set(cues.among({said for asked in before.values() for said in asked}))
        return [place for place in nominated if not shown.isdisjoint(before[place])]

    def _in_clean(self, rule: Rule, entry: Phrases, nominated: list[int]) -> Iterator[tuple[int, Span]]:
        for number, spans in entry.located([self.clean(place) for place in nominated]).items():
            place = nominated[number]
            for start, end in spans:
                if not rule.whole_word or tokenise.is_whole(self.clean(place), start, end):
                    yield place, Span(start, end)

    def _in_folded(self, _rule: Rule, entry: Phrases, nominated: list[int]) -> Iterator[tuple[int, Span]]:
        for number, spans in entry.located([self.folded_text(place) for place in nominated]).items():
            place = nominated[number]
            folded = self._fold(place)
            for start, end in spans:
                if folded.disguised(start, end) and not _straddles(folded.text, start, end):
                    yield place, Span(folded.starts[start], folded.ends[end - 1])

    def folded_text(self, place: int) -> str:
        """The turn at `place` in the folded view."""
        text = self._nominations.folded.get(place)
        if text is None:
            text = self._nominations.folded[place] = self._vocabulary.folder.text(self.clean(place))
        return text

    def _fold(self, place: int) -> Folded:
        folded = self._folded.get(place)
        if folded is None:
            folded = self._folded[place] = self._vocabulary.folder.fold(self.clean(place))
        return folded

    def _in_sound(self, _rule: Rule, entry: Phrases, nominated: list[int]) -> Iterator[tuple[int, Span]]:
        for place in nominated:
            for span in _by_sound(entry, self.clean(place)):
                yield place, span


def _straddles(text: str, start: int, end: int) -> bool:
    """Whether an ordinary word of the folded text reaches over an edge of the range: then separators were just punctuation."""
    return any(
        len(word.text) > 1 and (word.start < start < word.end or word.start < end < word.end) for word in tokenise.words(text)
    )


def _by_sound(phrases: Phrases, clean: str) -> Iterator[Span]:
    """Places where a phrase is written with other characters of the same sound, and no ordinary word explains these."""
    heard = by_sound(clean)
    words = None
    for phrase in phrases.phrases:
        sounding = by_sound(phrase)
        at = heard.find(sounding)
        while at >= 0:
            end = at + len(phrase)
            other = [at + k for k, char in enumerate(phrase) if clean[at + k] != char]
            if other:
                words = words if words is not None else tokenise.words(clean)
                if not any(
                    len(word.text) > 1 and word.start <= k < word.end and tokenise.frequency(word.text) >= _COMMON
                    for k in other
                    for word in words
                ):
                    yield Span(at, end)
            at = heard.find(sounding, at + 1)
