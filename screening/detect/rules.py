"""Rules over turns: hits are checked for their place and for excuses, and become findings."""

from datetime import datetime

from lexicons.load import Lexicon
from lexicons.schema import Rule
from screening.detect.excuses import Excuses
from screening.detect.reading import Reading
from screening.detect.vocabulary import Phrases, Vocabulary
from screening.types import CleanTurn, Finding, Span

NAME = "rules"


class RuleDetector:
    """Finds what the lexicon's active and shadow rules say."""

    def __init__(self, lexicon: Lexicon, vocabulary: Vocabulary):
        self._vocabulary = vocabulary
        self._excuses = Excuses(lexicon)

    def detect(self, reading: Reading) -> list[Finding]:
        """Findings of all rules in one conversation, unordered."""
        found: list[Finding] = []
        rules = self._vocabulary.rules
        repeated: dict[int, list[Finding]] = {}
        for i, hits in reading.hits():
            for entry in sorted(hits):
                rule = rules[entry]
                if reading.last is not None and _needs_the_whole(rule, whole=reading.last == i):
                    continue
                if rule.position is not None and not _positioned(rule, reading, i):
                    continue
                for finding in self._judge(rule, self._vocabulary.entries[entry], reading.turn(i), i, hits[entry]):
                    if rule.repeats is None:
                        found.append(finding)
                    else:
                        repeated.setdefault(entry, []).append(finding)
        for entry, findings in repeated.items():
            found += self._repeats(rules[entry], findings)
        return found

    def _repeats(self, rule: Rule, findings: list[Finding]) -> list[Finding]:
        assert rule.repeats is not None
        turns = sorted({f.turn for f in findings if f.turn is not None and f.status != "excused"})
        kept = []
        for finding in findings:
            assert finding.turn is not None
            near = [t for t in turns if finding.turn - rule.repeats.turns <= t <= finding.turn]
            if len(near) >= rule.repeats.times:
                kept.append(finding)
        return kept

    def _judge(self, rule: Rule, phrases: Phrases, turn: CleanTurn, i: int, places: set[Span]) -> list[Finding]:
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


def _needs_the_whole(rule: Rule, *, whole: bool) -> bool:
    """Whether a window on a running conversation cannot tell: the rule counts repeats, is bound to the end, or to a beginning in
    seconds that the window does not hold.
    """
    place = rule.position
    at_end = place is not None and (place.last_turns is not None or place.last_seconds is not None)
    at_start = place is not None and place.first_seconds is not None and not whole
    return at_end or at_start or rule.repeats is not None


def _positioned(rule: Rule, reading: Reading, i: int) -> bool:
    assert rule.position is not None
    place, turns = rule.position, reading.conversation.turns
    if place.first_turns is not None and (i if reading.last is None else reading.last) >= place.first_turns:
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
