"""Judges a draft: the same screener as everywhere, only the draft's own turn counts, and the deadline is kept."""

import secrets
import time

from api.assist import policy, suggest
from api.assist.lane import Judged, Lane
from api.assist.policy import WHOLE, Policy
from api.assist.verdict import Draft, DraftFlag, Outcome, Suggestion, Verdict
from screening.pipeline import Screener
from screening.types import Screening

SUGGESTIONS = "suggestions"
_RESERVE = 0.9
"""Share of the deadline for judging; the rest is for reading, writing, and the event loop's own delay."""


class Desk:
    """Judges drafts for one process, by the policy of the screener in force and of the vendor's profile."""

    def __init__(self, lane: Lane):
        self._lane = lane
        self._known: tuple[Screener, dict[int, Policy]] | None = None

    def policy(self, screener: Screener, vendor_id: str | None) -> Policy:
        """The policy of a screener for a vendor's drafts."""
        if self._known is None or self._known[0] is not screener:
            self._known = screener, {}
        known, profile = self._known[1], screener.profile_of(vendor_id)
        own = known.get(id(profile))  # the screener keeps its profiles
        if own is None:
            own = known[id(profile)] = policy.of(screener.lexicon, profile, screener.versions_of(vendor_id))
        return own

    async def judge(self, draft: Draft, since: float | None = None) -> Verdict:
        """The verdict within the draft's deadline, counted from `since` (`time.perf_counter`).

        Raises `NotReadyError`, `OverloadedError`, `InputError`.
        """
        started = time.perf_counter() if since is None else since
        vendor_id = draft.window.vendor_id
        deadline_ms = draft.deadline_ms or self._lane.screener.profile_of(vendor_id).assist.deadline_ms
        until = started + deadline_ms * _RESERVE / 1000
        judged = await self._lane.last_turn(draft.window, until - time.perf_counter())
        own = self.policy(judged.screener, vendor_id)
        flags = () if judged.screening is None else flags_of(judged.screening, own)
        not_checked = (*judged.undone, *WHOLE)
        suggestions: tuple[Suggestion, ...] = ()
        if flags:
            found = await suggest.offered(self._lane, draft, flags, own, until)
            if found is None:
                not_checked = (SUGGESTIONS, *not_checked)
            else:
                suggestions = found
        return Verdict(
            verdict=_outcome(flags, judged),
            may_send=not any(flag.action == "block" for flag in flags) and not (judged.undone and own.closed),
            flags=flags,
            suggestions=suggestions,
            not_checked=not_checked,
            check_id=secrets.token_hex(12),
            versions=own.versions,
            timing_ms=round((time.perf_counter() - started) * 1000, 2),
        )


def flags_of(screening: Screening, own: Policy) -> tuple[DraftFlag, ...]:
    """The active flags on the last turn that the policy does not switch off, in the screening's order."""
    found = []
    for flag in screening.flags:
        rank = own.ranks[flag.signal]
        if flag.status != "active" or rank.action == "off":
            continue
        assert flag.start is not None and flag.end is not None
        found.append(
            DraftFlag(
                signal=flag.signal,
                start=flag.start,
                end=flag.end,
                quote=flag.quote,
                score=flag.score,
                source=flag.source,
                why=flag.why,
                action=rank.action,
                level=rank.level,
                reference=rank.reference,
            )
        )
    return tuple(found)


def _outcome(flags: tuple[DraftFlag, ...], judged: Judged) -> Outcome:
    if judged.undone:
        return "degraded"
    if any(flag.action == "block" for flag in flags):
        return "block"
    return "advise" if flags else "pass"
