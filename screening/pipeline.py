"""Conversation in, screening out: normalise, nominate, detect, excuse, grade. One engine for one, many, live and replay."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import screening
from lexicons.load import Lexicon, packaged, standard_version
from screening import grade, profile, scores
from screening.detect import patterns, phrases, privacy, rules
from screening.detect.conduct.detector import ConductDetector
from screening.detect.conduct.facts import Facts
from screening.detect.detector import Detector
from screening.detect.reading import Batch, Reading
from screening.detect.vocabulary import Vocabulary
from screening.normalise import tables
from screening.profile import Profile
from screening.types import Candidate, Conversation, Failure, Finding, Flag, Screening, Source, Versions

BATCH_TURNS = 8192
_STATUS_ORDER = {"active": 0, "shadow": 1, "excused": 2}


class _Found(NamedTuple):
    """What is known of one conversation before it is graded."""

    findings: list[Finding]
    not_checked: list[str]
    failures: list[Failure]


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
        self.detectors = tuple(detectors)
        self._standards = [self.lexicon.standards[name] for name in self.profile.standards]
        named = dict.fromkeys((*self.profile.standards, *self.profile.thresholds_from))
        self.versions = Versions(
            code=screening.__version__,
            normaliser=tables.version(),
            lexicon=self.lexicon.version,
            models={d.name: d.version for d in self.detectors},
            standards={name: standard_version(self.lexicon.standards[name]) for name in named},
            settings=self.profile.digest(),
            engine=", ".join((phrases.ENGINE, patterns.ENGINE, *(d.engine for d in self.detectors))),
        )

    def screen(self, conversation: Conversation) -> Screening:
        """The screening of one conversation; raises `InputError` where a text cannot be read."""
        return next(self._screen_batch([conversation]))[0]

    def screen_many(self, conversations: Iterable[Conversation]) -> Iterator[Screening]:
        """The same screenings as `screen` gives one by one, in order, for less."""
        for batch in _batches(conversations):
            yield from (screened for screened, _ in self._screen_batch(batch))

    def screen_with_facts(self, conversations: Iterable[Conversation]) -> Iterator[tuple[Screening, Facts]]:
        """The same screenings, each with what only reports and later conversations need."""
        for batch in _batches(conversations):
            yield from ((screened, self._conduct.facts(reading)) for screened, reading in self._screen_batch(batch))

    def _screen_batch(self, conversations: Sequence[Conversation]) -> Iterator[tuple[Screening, Reading]]:
        readings = Batch(conversations, self.vocabulary).readings()
        if not self.detectors:
            return ((self._assemble(reading.conversation, self._found(reading)), reading) for reading in readings)
        every = list(readings)
        found = [self._found(reading) for reading in every]
        for detector in self.detectors:
            found = self._judged(detector, every, found)
        return ((self._assemble(reading.conversation, own), reading) for reading, own in zip(every, found, strict=True))

    def _found(self, reading: Reading) -> _Found:
        findings, not_checked, failures = self._conduct.detect(reading)
        for name, detect in ((rules.NAME, self._rules.detect), (privacy.NAME, privacy.detect)):
            try:
                findings += detect(reading)
            except Exception as error:  # the screening is marked incomplete and goes to a person
                failures.append(Failure(name, type(error).__name__))
                not_checked.append(name)
        findings = [self._scored(finding) for finding in self._conduct.excuse(reading, findings)]
        return _Found(findings, not_checked, failures)

    def _judged(self, detector: Detector, readings: Sequence[Reading], found: Sequence[_Found]) -> list[_Found]:
        """What was found and what the detector makes of it; where it fails on all of them, each is judged alone."""
        try:
            findings = detector.detect(readings, [own.findings for own in found])
        except Exception as error:
            if len(readings) > 1:
                return [self._judged(detector, [reading], [own])[0] for reading, own in zip(readings, found, strict=True)]
            own = found[0]
            failure = Failure(detector.name, type(error).__name__)
            return [_Found(own.findings, [*own.not_checked, detector.name], [*own.failures, failure])]
        return [
            _Found(self._conduct.excuse(reading, judged), own.not_checked, own.failures)
            for reading, judged, own in zip(readings, findings, found, strict=True)
        ]

    def _scored(self, finding: Finding) -> Finding:
        if finding.score is not None:
            return finding
        score, prior = self._scores.score(finding.signal, finding.id)
        return finding._replace(score=score, prior=prior)

    def _assemble(self, conversation: Conversation, own: _Found) -> Screening:
        flags: tuple[Flag, ...] = ()
        found: tuple[Candidate, ...] = ()
        if own.findings:
            findings = _without_doubles(conversation, own.findings)
            flags = tuple(_flag(conversation, finding) for finding in findings)
            found = grade.candidates(findings, flags, self._standards)
        return Screening(
            conversation_id=conversation.id,
            complete=not own.failures,
            not_checked=tuple(own.not_checked),
            flags=flags,
            candidates=found,
            level=grade.level(found),
            versions=self.versions,
            failures=tuple(own.failures),
        )


def _batches(conversations: Iterable[Conversation]) -> Iterator[list[Conversation]]:
    batch: list[Conversation] = []
    turns = 0
    for conversation in conversations:
        batch.append(conversation)
        turns += len(conversation.turns)
        if turns >= BATCH_TURNS:
            yield batch
            batch, turns = [], 0
    if batch:
        yield batch


def _flag(conversation: Conversation, finding: Finding) -> Flag:
    start, end = _place(conversation, finding)
    assert finding.score is not None
    return Flag(
        signal=finding.signal,
        turn=finding.turn,
        start=start,
        end=end,
        quote="" if finding.turn is None else conversation.turns[finding.turn].text[start:end],
        score=finding.score,
        status=finding.status,
        source=Source(finding.kind, finding.id, finding.version, finding.prior),
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
