"""What people decide on candidates and flags. Decisions are only added; what they come to stands in the candidate's `decided_*`.

A verdict is in force until a later one on the same thing, or an undo. It outranks every later run of the machine.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.access import Principal, visible
from api.errors import ApiError, conflict, not_found
from api.review.claims import hold, locked, outdated, over, person
from api.store.tables import StoredCandidate, StoredConversation, StoredFlag, StoredScreening
from api.store.tables_review import Decision
from lexicons.schema import Standard

FlagVerdict = Literal["confirmed", "rejected", "unsure"]
CandidateVerdict = Literal["confirmed", "rejected"]
Reason = Literal["wrong_context", "quoted", "rule_too_wide", "clause_misread", "normalisation_fault"]
Level = Literal["A", "B", "C"]


class FlagJudgement(NamedTuple):
    """A verdict on flag `n` of the screening; one that rejects needs a reason."""

    n: int
    verdict: FlagVerdict
    reason: Reason | None = None
    note: str | None = None


class Judgement(NamedTuple):
    """What a reviewer says on a candidate, having seen `screening_id`.

    `verdict` None leaves the candidate undecided: only flags are judged, or a note is left. `clause` and `level` tell what it is
    where the machine was wrong about that; another clause brings its own level unless one is given.
    """

    screening_id: int
    verdict: CandidateVerdict | None = None
    reason: Reason | None = None
    level: Level | None = None
    clause: str | None = None
    severe: bool | None = None
    note: str | None = None
    flags: Sequence[FlagJudgement] = ()


def decide(
    session: Session,
    principal: Principal,
    candidate_id: int,
    judgement: Judgement,
    standards: Mapping[str, Standard],
    now: int,
) -> list[Decision]:
    """Add the decisions that a judgement makes, and give them.

    Raises 404; 409 where the screening is outdated, the candidate decided, or not held by the user; 422 where the judgement
    does not fit the candidate.
    """
    user = person(principal)
    candidate = in_conversation(session, principal, candidate_id)
    if candidate.status == "outdated":
        raise outdated(session, candidate.conversation_id, candidate.screening_id)
    if judgement.screening_id != candidate.screening_id:
        raise _other_screening(session, candidate, judgement.screening_id)
    if candidate.status == "decided":
        raise over(session, candidate)
    if candidate.status != "claimed" or candidate.assignee_id != user:
        raise conflict("not_claimed", f"you do not hold candidate {candidate.id}; claim it first")
    if (candidate.claimed_until or 0) <= now:
        raise conflict("claim_expired", f"your claim of candidate {candidate.id} is over; claim it again")
    _check(candidate, judgement, standards)
    flags = _flags(session, judgement)
    screening = session.get_one(StoredScreening, candidate.screening_id)

    common = {
        "conversation_id": candidate.conversation_id,
        "screening_id": screening.id,
        "versions": screening.versions,
        "candidate_id": candidate.id,
        "user_id": user,
        "at": now,
    }
    decisions = [
        Decision(**common, kind="flag", flag_id=flag.id, verdict=one.verdict, reason=one.reason, note=one.note)
        for flag, one in zip(flags, judgement.flags, strict=True)
    ]
    if judgement.verdict is not None:
        verdict: dict[str, Any] = {"verdict": judgement.verdict, "reason": judgement.reason, "note": judgement.note}
        if judgement.verdict == "confirmed":
            verdict |= _found(candidate, judgement, standards)
        decisions.append(Decision(**common, kind="candidate", **verdict))
    elif judgement.note is not None:
        decisions.append(Decision(**common, kind="note", note=judgement.note))
    session.add_all(decisions)
    session.flush()
    if judgement.verdict is not None:
        _settle(candidate, decisions[-1])
    return decisions


def undo(session: Session, principal: Principal, decision_id: int, note: str | None, *, now: int, minutes: int) -> Decision:
    """Take a decision back by adding another that says so; its candidate is then held by the user, to be decided anew.

    Raises 404; 403 for another's decision, except for who may assign; 409 where it is an undo itself, or undone already.
    """
    user = person(principal)
    undone = session.get(Decision, decision_id)
    conversation = None if undone is None else session.get_one(StoredConversation, undone.conversation_id)
    if undone is None or conversation is None or not visible(principal, conversation.vendor_id):
        raise not_found(f"decision {decision_id}")
    if undone.user_id != user and "assign" not in principal.actions:
        raise ApiError(403, "forbidden", "this is another's decision; only a lead may undo it")
    if undone.kind == "undo":
        raise conflict("not_undoable", "an undo is not undone; decide anew")
    lock_conversation(session, conversation.id)
    if session.scalar(select(Decision.id).where(Decision.undoes == decision_id)) is not None:
        raise conflict("already_undone", f"decision {decision_id} is undone already")
    names = ("conversation_id", "screening_id", "versions", "candidate_id", "flag_id")
    same = {name: getattr(undone, name) for name in names}
    made = Decision(**same, kind="undo", undoes=decision_id, note=note, user_id=user, at=now)
    session.add(made)
    of_decision = (StoredCandidate.conversation_id == conversation.id) & (StoredCandidate.decision_id == decision_id)
    for candidate in session.scalars(select(StoredCandidate).where(of_decision).with_for_update()):
        _reopen(session, candidate)
        if candidate.status == "open":
            hold(candidate, user, now, minutes)
    session.flush()
    return made


def _reopen(session: Session, candidate: StoredCandidate) -> None:
    current = candidate.status == "decided" and session.get_one(StoredScreening, candidate.screening_id).latest
    candidate.status, candidate.assignee_id = "open" if current else "outdated", None
    candidate.decision_id = None
    candidate.decided_verdict = candidate.decided_level = candidate.decided_clause = candidate.decided_severe = None


def in_conversation(session: Session, principal: Principal, candidate_id: int) -> StoredCandidate:
    """The candidate, locked after its conversation: who screens that anew comes before or after, never in between."""
    conversation = session.scalar(select(StoredCandidate.conversation_id).where(StoredCandidate.id == candidate_id))
    if conversation is not None:
        lock_conversation(session, conversation)
    return locked(session, principal, candidate_id)


def lock_conversation(session: Session, conversation_id: int) -> None:
    """Keep a conversation from other writers until the session ends."""
    session.execute(select(StoredConversation.id).where(StoredConversation.id == conversation_id).with_for_update())


def _other_screening(session: Session, candidate: StoredCandidate, screening_id: int) -> ApiError:
    own = select(StoredScreening.id).where(
        StoredScreening.id == screening_id, StoredScreening.conversation_id == candidate.conversation_id
    )
    if session.scalar(own) is not None:
        return outdated(session, candidate.conversation_id, screening_id)
    message = f"candidate {candidate.id} belongs to screening {candidate.screening_id}, not to {screening_id}"
    return ApiError(422, "invalid", message, "/screening_id")


def _check(candidate: StoredCandidate, judgement: Judgement, standards: Mapping[str, Standard]) -> None:
    if judgement.verdict is None and not judgement.flags and judgement.note is None:
        raise ApiError(422, "invalid", "nothing is decided; give `verdict`, `flags` or `note`", "/verdict")
    if judgement.verdict != "confirmed":
        for name in ("level", "clause", "severe"):
            if getattr(judgement, name) is not None:
                raise ApiError(422, "invalid", f"`{name}` goes with the verdict confirmed only", f"/{name}")
    if judgement.verdict != "rejected" and judgement.reason is not None:
        raise ApiError(422, "invalid", "`reason` goes with the verdict rejected only", "/reason")
    if judgement.clause is not None and _clause_level(candidate, judgement.clause, standards) is None:
        raise ApiError(422, "invalid", f"standard {candidate.standard} has no clause {judgement.clause!r}", "/clause")
    for i, one in enumerate(judgement.flags):
        if one.verdict == "rejected" and one.reason is None:
            raise ApiError(422, "invalid", "a rejected flag needs a reason", f"/flags/{i}/reason")
        if one.verdict != "rejected" and one.reason is not None:
            raise ApiError(422, "invalid", "`reason` goes with the verdict rejected only", f"/flags/{i}/reason")


def _clause_level(candidate: StoredCandidate, clause: str, standards: Mapping[str, Standard]) -> str | None:
    if clause == candidate.clause:
        return candidate.level
    standard = standards.get(candidate.standard)
    return next((one.level for one in (standard.clauses if standard else ()) if one.id == clause), None)


def _found(candidate: StoredCandidate, judgement: Judgement, standards: Mapping[str, Standard]) -> dict[str, Any]:
    """What a confirmed candidate is: the machine's level and clause, or the reviewer's."""
    clause = judgement.clause or candidate.clause
    return {
        "clause": clause,
        "level": judgement.level or _clause_level(candidate, clause, standards),
        "severe": candidate.severe if judgement.severe is None else judgement.severe,
    }


def _flags(session: Session, judgement: Judgement) -> list[StoredFlag]:
    numbers = [one.n for one in judgement.flags]
    statement = select(StoredFlag).where(StoredFlag.screening_id == judgement.screening_id, StoredFlag.n.in_(numbers))
    found = {flag.n: flag for flag in session.scalars(statement)}
    for i, n in enumerate(numbers):
        if n not in found:
            raise ApiError(422, "invalid", f"screening {judgement.screening_id} has no flag {n}", f"/flags/{i}/n")
        if n in numbers[:i]:
            raise ApiError(422, "invalid", f"flag {n} is judged twice", f"/flags/{i}/n")
    return [found[n] for n in numbers]


def _settle(candidate: StoredCandidate, decision: Decision) -> None:
    candidate.status, candidate.claimed_until = "decided", None
    candidate.decision_id = decision.id
    candidate.decided_verdict = decision.verdict
    candidate.decided_level = decision.level
    candidate.decided_clause = decision.clause
    candidate.decided_severe = decision.severe
