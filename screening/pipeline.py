"""Conversation in, screening out: normalise, nominate, detect, excuse, grade. One engine for one, many, live and replay."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

import screening
from lexicons.load import Lexicon, packaged, standard_version
from lexicons.schema import Standard
from screening import grade, profile, scores
from screening.detect import patterns, phrases, privacy, rules
from screening.detect.conduct.detector import ConductDetector
from screening.detect.conduct.facts import Facts
from screening.detect.conduct.live import LiveCourse, Seen, Timer
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


class _Under(NamedTuple):
    """What depends on the profile that a conversation is screened under."""

    profile: Profile
    conduct: ConductDetector
    standards: list[Standard]
    versions: Versions


class LastTurn(NamedTuple):
    """What the words of the last turn of a window show. `screening` holds the text signals of that turn alone, with turn numbers of
    the window, `findings` what its flags were made of; `seen` is what the conduct detectors read from the turn.
    """

    screening: Screening
    seen: Seen
    findings: list[Finding]


class Windows(NamedTuple):
    """Windows on running conversations after the rules, before the classifiers."""

    readings: list[Reading]
    found: list[_Found]
    seen: list[Seen]


class Screener:
    """Screens conversations with one lexicon, one profile and any number of further detectors (classifiers).

    `vendors` names the profile of each vendor whose conversations are not screened under the common one.
    May be asked from several threads: what it holds is made once and then only read, or is kept under a lock.
    """

    def __init__(
        self,
        lexicon: Lexicon | None = None,
        profile_: Profile | None = None,
        detectors: Sequence[Detector] = (),
        scores_: scores.Scores | None = None,
        vendors: Mapping[str, Profile] | None = None,
    ):
        self.lexicon = packaged() if lexicon is None else lexicon
        self.profile = Profile() if profile_ is None else profile_
        self.vendors = dict(vendors or {})
        for one in (self.profile, *self.vendors.values()):
            profile.check(one, self.lexicon)
        self._scores = scores.Scores(self.lexicon.scores, self.lexicon.judged) if scores_ is None else scores_
        self.vocabulary = Vocabulary(self.lexicon)
        self.reach = max((rule.after.turns for rule in self.vocabulary.rules if rule.after), default=1)
        """So many turns of each speaker back may decide what a turn's words show."""
        self._rules = rules.RuleDetector(self.lexicon, self.vocabulary)
        self.detectors = tuple(detectors)
        self._common = self._under(self.profile)
        made = {one.digest(): self._under(one) for one in self.vendors.values()}
        self._of_vendor = {vendor: made[one.digest()] for vendor, one in self.vendors.items()}
        self.versions = self._common.versions

    def _under(self, profile_: Profile) -> _Under:
        named = dict.fromkeys((*profile_.standards, *profile_.thresholds_from))
        versions = Versions(
            code=screening.__version__,
            normaliser=tables.version(),
            lexicon=self.lexicon.version,
            models={d.name: d.version for d in self.detectors},
            standards={name: standard_version(self.lexicon.standards[name]) for name in named},
            settings=profile_.digest(),
            engine=", ".join((phrases.ENGINE, patterns.ENGINE, *(d.engine for d in self.detectors))),
        )
        graded = [self.lexicon.standards[name] for name in profile_.standards]
        return _Under(profile_, ConductDetector(self.lexicon, profile_), graded, versions)

    def _for(self, vendor_id: str | None) -> _Under:
        return self._common if vendor_id is None else self._of_vendor.get(vendor_id, self._common)

    def profile_of(self, vendor_id: str | None) -> Profile:
        """The profile that a vendor's conversations are screened under."""
        return self._for(vendor_id).profile

    def versions_of(self, vendor_id: str | None) -> Versions:
        """The versions that a vendor's screenings name."""
        return self._for(vendor_id).versions

    def zone_of(self, vendor_id: str | None) -> ZoneInfo:
        """The zone of the profile that a vendor's conversations are screened under."""
        return ZoneInfo(self.profile_of(vendor_id).timezone)

    def screen(self, conversation: Conversation) -> Screening:
        """The screening of one conversation; raises `InputError` where a text cannot be read."""
        return next(self._screen_batch([conversation]))[0]

    def screen_many(self, conversations: Iterable[Conversation]) -> Iterator[Screening]:
        """The same screenings as `screen` gives one by one, in order, for less."""
        for batch in _batches(conversations):
            yield from (screened for screened, _ in self._screen_batch(batch))

    def windows(self, conversations: Sequence[Conversation], numbers: Sequence[int] | None = None) -> Windows:
        """Judge the last turn of each conversation by the rules, with the turns before it as context.

        `numbers` says what each last turn counts as in its whole conversation, by default its place in the window. Rules that count
        repeats or are bound to the conversation's end stay out. Raises `InputError` where a text cannot be read.
        """
        last = [len(conversation.turns) - 1 for conversation in conversations] if numbers is None else numbers
        readings = list(Batch(conversations, self.vocabulary, last).readings())
        found = [self._by_words(reading, [], [], []) for reading in readings]
        return Windows(readings, found, [self._for(reading.conversation.vendor_id).conduct.seen(reading) for reading in readings])

    def by_rules(self, windows: Windows) -> list[LastTurn]:
        """What the rules alone say; every classifier stands in `not_checked`, and nothing is complete where there is one."""
        unasked = [detector.name for detector in self.detectors]
        found = [own._replace(not_checked=[*own.not_checked, *unasked]) for own in windows.found]
        return self._last_turns(windows, found, complete=not unasked)

    def classified(self, windows: Windows) -> list[LastTurn]:
        """What rules and classifiers say: the flags that the screening of the whole conversation holds for these turns."""
        found = windows.found
        for detector in self.detectors:
            found = self._judged(detector, windows.readings, found)
        return self._last_turns(windows, found, complete=True)

    def _last_turns(self, windows: Windows, found: Sequence[_Found], *, complete: bool) -> list[LastTurn]:
        turns = []
        for reading, own, seen in zip(windows.readings, found, windows.seen, strict=True):
            screening = self._assemble(reading.conversation, own)
            if not complete:
                screening = msgspec.structs.replace(screening, complete=False)
            turns.append(LastTurn(screening, seen, own.findings))
        return turns

    def follow(self, window: Conversation, turn: LastTurn, course: LiveCourse) -> tuple[LiveCourse, Screening, list[Timer]]:
        """A running conversation with one more turn: its course, the turn's screening with what it breaks of the limits on time, and
        the timers that run after it.
        """
        conduct = self._for(window.vendor_id).conduct
        course, late = conduct.follow(course, turn.seen)
        timers = conduct.timers(course)
        if not late:
            return course, turn.screening, timers
        last = len(window.turns) - 1
        findings = [*(self._scored(finding._replace(turn=last)) for finding in late), *turn.findings]
        whole = self._assemble(window, _Found(findings, list(turn.screening.not_checked), list(turn.screening.failures)))
        complete, versions = turn.screening.complete, turn.screening.versions
        return course, msgspec.structs.replace(whole, complete=complete, versions=versions), timers

    def screen_with_facts(self, conversations: Iterable[Conversation]) -> Iterator[tuple[Screening, Facts]]:
        """The same screenings, each with what only reports and later conversations need."""
        for batch in _batches(conversations):
            yield from (
                (screened, self._for(reading.conversation.vendor_id).conduct.facts(reading))
                for screened, reading in self._screen_batch(batch)
            )

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
        conduct = self._for(reading.conversation.vendor_id).conduct
        return self._by_words(reading, *conduct.detect(reading))

    def _by_words(self, reading: Reading, findings: list[Finding], not_checked: list[str], failures: list[Failure]) -> _Found:
        """What was found already, and what rules and privacy find."""
        for name, detect in ((rules.NAME, self._rules.detect), (privacy.NAME, privacy.detect)):
            try:
                findings += detect(reading)
            except Exception as error:  # the screening is marked incomplete and goes to a person
                failures.append(Failure(name, type(error).__name__))
                not_checked.append(name)
        conduct = self._for(reading.conversation.vendor_id).conduct
        findings = [self._scored(finding) for finding in conduct.excuse(reading, findings)]
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
            _Found(self._for(reading.conversation.vendor_id).conduct.excuse(reading, judged), own.not_checked, own.failures)
            for reading, judged, own in zip(readings, findings, found, strict=True)
        ]

    def _scored(self, finding: Finding) -> Finding:
        if finding.score is not None:
            return finding
        score, prior = self._scores.score(finding.signal, finding.id, finding.version)
        return finding._replace(score=score, prior=prior)

    def _assemble(self, conversation: Conversation, own: _Found) -> Screening:
        under = self._for(conversation.vendor_id)
        flags: tuple[Flag, ...] = ()
        found: tuple[Candidate, ...] = ()
        if own.findings:
            findings = _without_doubles(conversation, own.findings)
            flags = tuple(_flag(conversation, finding) for finding in findings)
            found = grade.candidates(findings, flags, under.standards)
        return Screening(
            conversation_id=conversation.id,
            complete=not own.failures,
            not_checked=tuple(own.not_checked),
            flags=flags,
            candidates=found,
            level=grade.level(found),
            versions=under.versions,
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
