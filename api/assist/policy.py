"""What a signal does to a draft under a profile: its action, its level, the clause behind it."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from lexicons.load import Lexicon
from lexicons.schema import Rule, Standard
from lexicons.signals import SIGNALS, TEXT_SIGNALS
from screening.grade import ORDER
from screening.profile import Action, Profile
from screening.types import Level, Source, Versions

Judged = Literal["block", "advise"]
WHOLE: tuple[str, ...] = tuple(signal for signal in SIGNALS if signal not in TEXT_SIGNALS)
"""Signals that only a whole conversation shows; no verdict on a draft covers them."""


class VerdictVersions(Versions, frozen=True):
    """The versions of a draft's screening, and of the settings that made a verdict of it."""

    assist: str


class Rank(NamedTuple):
    """A signal under a profile: what it does, its gravest level there and the clause (`standard/clause`) that gives it."""

    action: Action
    level: Level | None
    reference: str | None


class Reply(NamedTuple):
    """Words to say instead, with open slots; the rule they come from and the clause it names, where there is one."""

    template: str
    rule: str | None = None
    reference: str | None = None


REPLIES = {
    "diversion.platform": Reply("{称呼}，款式和优惠都在本店页面上，您看中哪一款，我来为您介绍。"),
    "diversion.private_contact": Reply("{称呼}，有什么需要请直接在这里告诉我，我在这个窗口为您处理。"),
}
"""For signals whose rules suggest nothing."""


class Policy(NamedTuple):
    """What decides a verdict besides the screening; `closed` are the signals that stop a draft where they could not be checked."""

    ranks: dict[str, Rank]
    closed: frozenset[str]
    deadline_ms: int
    slots: dict[str, str]
    rules: dict[str, Reply]
    replies: dict[str, Reply]
    versions: VerdictVersions

    def reply(self, source: Source, signal: str) -> Reply | None:
        """The reply of the rule that raised a flag, else the commonest among the signal's rules."""
        own = self.rules.get(source.id) if source.kind == "rule" else None
        return own or self.replies.get(signal)


def of(lexicon: Lexicon, profile: Profile, versions: Versions) -> Policy:
    """The policy of a profile and its standards; `versions` are those of screenings under them."""
    assist = profile.assist
    standards = [lexicon.standards[name] for name in profile.standards]
    active = [rule for rule in lexicon.rules if rule.status == "active"]
    return Policy(
        ranks={signal: _rank(signal, standards, assist.signals) for signal in TEXT_SIGNALS},
        closed=frozenset(signal for signal, fail in assist.fail.items() if fail == "closed"),
        deadline_ms=assist.deadline_ms,
        slots=assist.slots,
        rules={rule.id: reply for rule in active if (reply := _reply(rule, profile.standards))},
        replies={signal: reply for signal in TEXT_SIGNALS if (reply := _commonest(signal, active))},
        versions=VerdictVersions(**msgspec.structs.asdict(versions), assist=profile.assist_digest()),
    )


def _rank(signal: str, standards: list[Standard], own: dict[str, Action]) -> Rank:
    clauses = [(ORDER[c.level], c.level, f"{s.id}/{c.id}") for s in standards for c in s.clauses if signal in c.signals]
    if not clauses:
        return Rank(own.get(signal, "off"), None, None)
    _, level, reference = min(clauses, key=lambda clause: clause[0])
    return Rank(own.get(signal, "block" if level == "A" else "advise"), level, reference)


def _reply(rule: Rule, standards: Sequence[str]) -> Reply | None:
    if rule.suggestion is None:
        return None
    graded = [reference for reference in rule.references if reference.partition("/")[0] in standards]
    return Reply(rule.suggestion, rule.id, next(iter(graded or rule.references), None))


def _commonest(signal: str, active: Sequence[Rule]) -> Reply | None:
    counted = Counter(rule.suggestion for rule in active if rule.signal == signal and rule.suggestion)
    if not counted:
        return REPLIES.get(signal)
    return Reply(min(counted, key=lambda text: (-counted[text], text)))
