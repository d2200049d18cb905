"""Rules over turns: nominated entries are located exactly, checked for context and excuses, and become findings."""

from collections.abc import Iterator
from datetime import datetime

from lexicons.load import Lexicon
from lexicons.schema import After, Rule
from screening import tokenise
from screening.detect.excuses import Excuses
from screening.detect.reading import Reading
from screening.detect.vocabulary import CLEAN, FOLDED, SOUND, Phrases, Vocabulary, after_kind
from screening.normalise.fold import by_sound
from screening.types import Conversation, Finding

NAME = "rules"
_COMMON = 50


class RuleDetector:
    """Finds what the lexicon's active and shadow rules say."""

    def __init__(self, lexicon: Lexicon, vocabulary: Vocabulary):
        self._vocabulary = vocabulary
        self._excuses = Excuses(lexicon)

    def detect(self, reading: Reading) -> list[Finding]:
        """Findings of all rules in one conversation, unordered."""
        found: list[Finding] = []
        rules = self._vocabulary.rules
        repeated: dict[str, list[Finding]] = {}
        for i, nominated in reading.nominated():
            for entry, views in sorted(nominated.items()):
                rule = rules[entry]
                if rule.after is not None and not _may_follow(rule.after, reading, i):
                    continue
                for finding in self._locate(rule, self._vocabulary.entries[entry], reading, i, views):
                    if rule.repeats is None:
                        found.append(finding)
                    else:
                        repeated.setdefault(rule.id, []).append(finding)
        for findings in repeated.values():
            found += self._repeats(findings)
        return found

    def _repeats(self, findings: list[Finding]) -> list[Finding]:
        rule = next(r for r in self._vocabulary.rules if r.id == findings[0].id)
        assert rule.repeats is not None
        turns = sorted({f.turn for f in findings if f.turn is not None and f.status != "excused"})
        kept = []
        for finding in findings:
            assert finding.turn is not None
            near = [t for t in turns if finding.turn - rule.repeats.turns <= t <= finding.turn]
            if len(near) >= rule.repeats.times:
                kept.append(finding)
        return kept

    def _locate(self, rule: Rule, phrases: Phrases, reading: Reading, i: int, views: int) -> list[Finding]:
        places = _places(rule, phrases, reading, i, views)
        if not places or not self._in_place(rule, reading, i):
            return []
        turn = reading.turn(i)
        found = []
        for start, end in sorted(places):
            innocent = phrases.excused(turn.clean, start, end)
            excuse = f"unless:{innocent}" if innocent else self._excuses.excuse(turn.clean, start, end, rule.excuses)
            finding = Finding(
                signal=rule.signal,
                turn=i,
                span=turn.span(start, end),
                kind="rule",
                id=rule.id,
                version=rule.version,
                why=rule.title,
                status="excused" if excuse else "shadow" if rule.status == "shadow" else "active",
                suggestion=rule.suggestion,
                excused_by=excuse,
                references=rule.references,
            )
            found.append(finding)
        return found

    def _in_place(self, rule: Rule, reading: Reading, i: int) -> bool:
        conversation = reading.conversation
        if rule.after is not None:
            kind = after_kind(rule.after)
            if not any(reading.has(j, kind) for j in _before(rule.after, conversation, i)):
                return False
        return rule.position is None or _positioned(rule, conversation, i)


def _places(rule: Rule, phrases: Phrases, reading: Reading, i: int, views: int) -> set[tuple[int, int]]:
    """Half-open clean ranges of a rule's hits in the views that it was nominated for."""
    clean = reading.clean(i)
    places: set[tuple[int, int]] = set()
    if views & CLEAN:
        places.update(phrases.spans(clean))
        if places and rule.whole_word:
            places = {place for place in places if tokenise.is_whole(clean, *place)}
    if views & FOLDED:
        for start, end in phrases.spans(reading.folded_text(i)):
            folded = reading.folded(i)
            if folded.disguised(start, end) and not _straddles(folded.text, start, end):
                places.add((folded.starts[start], folded.ends[end - 1]))
    if views & SOUND:
        places.update(_by_sound(phrases, clean))
    return places


def _before(after: After, conversation: Conversation, i: int) -> list[int]:
    """The turns in which a rule's `after` may have been said."""
    said = [j for j in range(i) if conversation.turns[j].role == after.speaker]
    return said[-after.turns :]


def _may_follow(after: After, reading: Reading, i: int) -> bool:
    kind = after_kind(after)
    return any(reading.may_have(j, kind) for j in _before(after, reading.conversation, i))


def _positioned(rule: Rule, conversation: Conversation, i: int) -> bool:
    assert rule.position is not None
    place, turns = rule.position, conversation.turns
    if place.first_turns is not None and i >= place.first_turns:
        return False
    if place.last_turns is not None and i < len(turns) - place.last_turns:
        return False
    at = turns[i].at
    for limit, edge in ((place.first_seconds, turns[0].at), (place.last_seconds, turns[-1].at)):
        if limit is not None and (at is None or edge is None or _apart(at, edge) > limit):
            return False
    return True


def _apart(one: datetime, other: datetime) -> float:
    """Seconds between two times; where only one carries an offset, by the clock on the wall."""
    if (one.tzinfo is None) != (other.tzinfo is None):
        one, other = one.replace(tzinfo=None), other.replace(tzinfo=None)
    return abs((one - other).total_seconds())


def _straddles(text: str, start: int, end: int) -> bool:
    """Whether an ordinary word of the folded text reaches over an edge of the range: then separators were just punctuation."""
    return any(
        len(word.text) > 1 and (word.start < start < word.end or word.start < end < word.end) for word in tokenise.words(text)
    )


def _by_sound(phrases: Phrases, clean: str) -> Iterator[tuple[int, int]]:
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
                    yield at, end
            at = heard.find(sounding, at + 1)
