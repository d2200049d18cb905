"""Conversation in, screening out: normalise, nominate, detect, excuse, grade. One engine for one, many, live and replay."""

from collections.abc import Iterable, Iterator, Sequence

import screening
from lexicons.load import Lexicon, packaged, standard_version
from screening import grade, profile, scores
from screening.detect import patterns, phrases, privacy, rules
from screening.detect.conduct.detector import ConductDetector
from screening.detect.reading import Batch, Reading
from screening.detect.vocabulary import Vocabulary
from screening.normalise import tables
from screening.profile import Profile
from screening.types import Candidate, Conversation, Detector, Failure, Finding, Flag, Screening, Source, Versions

BATCH_TURNS = 8192
_STATUS_ORDER = {"active": 0, "shadow": 1, "excused": 2}


class Screener:
    """Screens conversations with one lexicon, one profile and any number of further detectors (classifiers).

    Not for use from several threads at once; make one per thread or process.
    """

    def __init__(
        self,
        lexicon: Lexicon | None = None,
        profile_: Profile | None = None,
        detectors: Sequence[Detector] = (),
        scores_: scores.Scores | None = None,
    ):
        self.lexicon = packaged() if lexicon is None else lexicon
        self.profile = Profile() if profile_ is None else profile_
        profile.check(self.profile, self.lexicon)
        self._scores = scores.Scores(self.lexicon.scores) if scores_ is None else scores_
        self.vocabulary = Vocabulary(self.lexicon)
        self._rules = rules.RuleDetector(self.lexicon, self.vocabulary)
        self._conduct = ConductDetector(self.lexicon, self.profile)
        self._detectors = tuple(detectors)
        self._standards = [self.lexicon.standards[name] for name in self.profile.standards]
        named = dict.fromkeys((*self.profile.standards, *self.profile.thresholds_from))
        self.versions = Versions(
            code=screening.__version__,
            normaliser=tables.version(),
            lexicon=self.lexicon.version,
            models={d.name: d.version for d in self._detectors},
            standards={name: standard_version(self.lexicon.standards[name]) for name in named},
            settings=self.profile.digest(),
            engine=f"{phrases.ENGINE}, {patterns.ENGINE}",
        )

    def screen(self, conversation: Conversation) -> Screening:
        """The screening of one conversation; raises `InputError` where a text cannot be read."""
        return next(self._screen_batch([conversation]))

    def screen_many(self, conversations: Iterable[Conversation]) -> Iterator[Screening]:
        """The same screenings as `screen` gives one by one, in order, for less."""
        batch: list[Conversation] = []
        turns = 0
        for conversation in conversations:
            batch.append(conversation)
            turns += len(conversation.turns)
            if turns >= BATCH_TURNS:
                yield from self._screen_batch(batch)
                batch, turns = [], 0
        if batch:
            yield from self._screen_batch(batch)

    def _screen_batch(self, conversations: Sequence[Conversation]) -> Iterator[Screening]:
        return map(self._screen_one, Batch(conversations, self.vocabulary).readings())

    def _screen_one(self, reading: Reading) -> Screening:
        conversation = reading.conversation
        findings, not_checked, failures = self._conduct.detect(reading)
        for name, detect in ((rules.NAME, self._rules.detect), (privacy.NAME, privacy.detect)):
            try:
                findings += detect(reading)
            except Exception as error:  # the screening is marked incomplete and goes to a person
                failures.append(Failure(name, type(error).__name__))
                not_checked.append(name)
        findings = self._conduct.excuse(reading, findings)
        turns = [reading.turn(i) for i in range(len(conversation.turns))] if self._detectors else []
        for detector in self._detectors:
            try:
                findings += detector.detect(conversation, turns)
            except Exception as error:
                failures.append(Failure(detector.name, type(error).__name__))
                not_checked.append(detector.name)
        return self._assemble(conversation, findings, not_checked, failures)

    def _assemble(
        self, conversation: Conversation, findings: list[Finding], not_checked: list[str], failures: list[Failure]
    ) -> Screening:
        flags: tuple[Flag, ...] = ()
        found: tuple[Candidate, ...] = ()
        if findings:
            findings = _without_doubles(conversation, findings)
            flags = tuple(self._flag(conversation, finding) for finding in findings)
            found = grade.candidates(findings, flags, self._standards)
        return Screening(
            conversation_id=conversation.id,
            complete=not failures,
            not_checked=tuple(not_checked),
            flags=flags,
            candidates=found,
            level=grade.level(found),
            versions=self.versions,
            failures=tuple(failures),
        )

    def _flag(self, conversation: Conversation, finding: Finding) -> Flag:
        start, end = _place(conversation, finding)
        quote = "" if finding.turn is None else conversation.turns[finding.turn].text[start:end]
        score, prior = (finding.score, False) if finding.score is not None else self._scores.score(finding.signal, finding.id)
        return Flag(
            signal=finding.signal,
            turn=finding.turn,
            start=start,
            end=end,
            quote=quote,
            score=score,
            status=finding.status,
            source=Source(finding.kind, finding.id, finding.version, prior),
            why=finding.why,
            suggestion=finding.suggestion,
            excused_by=finding.excused_by,
        )


def _place(conversation: Conversation, finding: Finding) -> tuple[int | None, int | None]:
    if finding.turn is None:
        return None, None
    if finding.span is None:
        return 0, len(conversation.turns[finding.turn].text)
    return finding.span


def _without_doubles(conversation: Conversation, findings: list[Finding]) -> list[Finding]:
    """One finding per signal and overlapping place, in the contract's order.

    Of overlapping ones the active stands before the shadow and the excused, words before conduct's whole turn, the longer
    before the shorter. Findings on thresholds of different standards stand side by side.
    """

    def rank(finding: Finding) -> tuple[int, bool, int, int, str]:
        start, end = _place(conversation, finding)
        return _STATUS_ORDER[finding.status], finding.span is None, (start or 0) - (end or 0), start or 0, finding.id

    kept: list[Finding] = []
    taken: dict[tuple[str, int | None, frozenset[str] | None], list[tuple[int, int]]] = {}
    for finding in sorted(findings, key=rank):
        start, end = _place(conversation, finding)
        places = taken.setdefault((finding.signal, finding.turn, finding.standards), [])
        if start is None or end is None:
            if places:
                continue
            places.append((0, 0))
        elif any((start < b and a < end) or start == a for a, b in places):
            continue
        else:
            places.append((start, end))
        kept.append(finding)

    def order(finding: Finding) -> tuple[bool, int, int, str, int, str, str]:
        start, end = _place(conversation, finding)
        return finding.turn is None, finding.turn or 0, start or 0, finding.signal, end or 0, finding.id, finding.why

    return sorted(kept, key=order)
