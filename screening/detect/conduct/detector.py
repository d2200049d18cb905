"""All conduct detectors behind one door, each failing alone, with the list of what could not be checked."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from lexicons.load import Lexicon
from screening.detect.conduct import data, ending, holds, live, phone, promises, timing, transfer
from screening.detect.conduct.course import Course
from screening.detect.conduct.facts import Facts, facts_of
from screening.detect.patterns import SlotPattern
from screening.detect.reading import Reading
from screening.profile import Profile, limits
from screening.types import Channel, Failure, Finding

SIGNALS = frozenset(
    {
        *("rudeness.interruption", "forced_end.hangup", "forced_end.transfer", "promise.unkept"),
        *("response.slow_first", "response.slow", "response.unattended_emotion"),
        *("process.no_greeting", "process.no_closing", "process.hold_unannounced", "loss.over_limit", "entry.error"),
    }
)
"""What the detectors here can find."""
_FORMULAE = frozenset({"process.no_greeting", "process.no_closing"})

DETECTORS: tuple[tuple[str, Callable[[Course], list[Finding]]], ...] = (
    ("first_reply", timing.first_reply),
    ("mean_reply", timing.mean_reply),
    ("unattended", timing.unattended),
    ("overrun_holds", holds.overrun_holds),
    ("dead_air", holds.dead_air),
    ("talk_over", phone.talk_over),
    ("forced_end", ending.forced_end),
    ("missing_formulae", ending.missing_formulae),
    ("forced_transfer", transfer.forced_transfer),
    ("promises", promises.unkept),
    ("loss", data.loss),
    ("wrong_entries", data.wrong_entries),
)


class ConductDetector:
    """Runs the conduct detectors that the profile's standards ask for."""

    def __init__(self, lexicon: Lexicon, profile: Profile):
        self._limits = limits(profile, lexicon)
        self._zone = ZoneInfo(profile.timezone)
        self._auto_replies = tuple(SlotPattern(text, lexicon.sets) for text in profile.auto_replies)
        graded = {signal for name in profile.standards for clause in lexicon.standards[name].clauses for signal in clause.signals}
        self._detectors = [
            (name, detect) for name, detect in DETECTORS if detect is not ending.missing_formulae or graded & _FORMULAE
        ]
        self._formulae = graded & _FORMULAE

    def _course(self, reading: Reading) -> Course:
        return Course(reading, self._limits, self._zone, self._auto_replies)

    def seen(self, reading: Reading) -> live.Seen:
        """What the last turn of a reading shows."""
        return live.seen(self._course(reading))

    def follow(self, course: live.LiveCourse, turn: live.Seen) -> tuple[live.LiveCourse, list[Finding]]:
        """A running conversation's course with one more turn, and what that turn breaks."""
        return live.follow(course, turn, self._limits_of(course.channel))

    def timers(self, course: live.LiveCourse) -> list[live.Timer]:
        """The limits that are being counted down in a running conversation."""
        return live.timers(course, self._limits_of(course.channel))

    def _limits_of(self, channel: Channel) -> live.LimitsOf:
        return lambda signal: self._limits.get((signal, channel), ())

    def facts(self, reading: Reading) -> Facts:
        """What is kept of the conversation's course beside its flags."""
        return facts_of(self._course(reading))

    def excuse(self, reading: Reading, findings: list[Finding]) -> list[Finding]:
        """Findings of rules with what the course of the conversation excuses marked as excused."""
        if not any(f.kind == "rule" and f.signal == "forced_end.hangup" for f in findings):
            return findings
        course = self._course(reading)
        return [ending.excused(course, f) if f.kind == "rule" else f for f in findings]

    def detect(self, reading: Reading) -> tuple[list[Finding], list[str], list[Failure]]:
        """(findings, names of what was not checked, failures) for one conversation."""
        course = self._course(reading)
        found: list[Finding] = []
        failures: list[Failure] = []
        for name, detect in self._detectors:
            try:
                findings = detect(course)
            except Exception as error:
                failures.append(Failure(name, type(error).__name__))
                continue
            if detect is ending.missing_formulae:
                findings = [f for f in findings if f.signal in self._formulae]
            found += findings
        return found, _not_checked(course), failures


def _not_checked(course: Course) -> list[str]:
    missing = []
    if course.times is None:
        missing.append("timing")
    if course.conversation.channel == "phone" and (course.times is None or not phone.has_speech_ends(course)):
        missing.append("talk_over")
    no_times, no_callbacks = course.times is None, "callbacks" not in course.conversation.attributes
    if (no_times or no_callbacks) and course.showing("agent", "promise"):
        if no_times:
            missing.append("promises_kept")
        if no_callbacks:
            missing.append("callbacks")
    if not transfer.is_checked(course):
        missing.append("transfer")
    return missing
