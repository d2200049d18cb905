"""Deciding: what a reviewer looks at, verdicts, undo, reports of what was missed."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel

from api import audit, openapi, stored
from api.access import Principal
from api.clock import to_datetime
from api.dependencies import ServiceDep
from api.review import decisions, history, missed, view
from api.review.decisions import FlagJudgement, Judgement
from api.review.missed import Marking
from api.review.view import Previous, View
from api.routes.conversations import Masked
from api.routes.review import CONFLICT, MISSING, CandidateId, Reader, Reviewer
from api.routes.review_models import (
    CandidateItem,
    DecisionInput,
    DecisionOut,
    Decisions,
    MissedInput,
    MissedOut,
    UndoInput,
)
from api.wiring import Service
from lexicons.schema import Standard

router = APIRouter(prefix="/v1/review", tags=["review"], responses=openapi.REFUSALS)


class PreviousOut(BaseModel):
    """An earlier conversation: the gravest level that the machine found, and the clauses that reviewers confirmed."""

    conversation_id: str
    started_at: AwareDatetime | None
    agent_id: str | None
    channel: str
    level: Literal["A", "B", "C"] | None
    confirmed: list[str]

    @classmethod
    def of(cls, found: Previous) -> "PreviousOut":
        """As it is shown."""
        row = found.row
        return cls(
            conversation_id=row.external_id,
            started_at=None if row.started_at is None else to_datetime(row.started_at),
            agent_id=row.agent_id,
            channel=row.channel,
            level=found.level,  # type: ignore[arg-type]  # the store's words are those of the contract
            confirmed=found.confirmed,
        )


class ReviewView(BaseModel):
    """A screening with all that belongs to it. A flag's `n` is its number; `latest_screening_id` is another where this one is outdated."""

    conversation_id: str
    revision: int
    screening_id: int
    latest_screening_id: int
    texts: Literal["raw", "masked"]
    conversation: dict[str, Any]
    complete: bool
    not_checked: list[str]
    flags: list[dict[str, Any]]
    candidates: list[CandidateItem]
    decisions: list[DecisionOut]
    missed: list[MissedOut]
    previous_of_customer: list[PreviousOut]
    previous_of_agent: list[PreviousOut]


@router.get("/candidates/{candidate_id}", responses=MISSING)
def get_candidate(candidate_id: CandidateId, service: ServiceDep, principal: Reader, masked: Masked = False) -> ReviewView:
    """The conversation of a candidate, as its screening saw it."""
    with service.store.read() as session:
        found = view.candidate(session, principal, candidate_id)
        shown = view.of_screening(session, service.bodies, principal, found.screening_id)
    return _shown(service, principal, shown, masked)


@router.get("/conversations/{conversation_id:path}", responses=MISSING)
def get_conversation(conversation_id: str, service: ServiceDep, principal: Reviewer, masked: Masked = False) -> ReviewView:
    """A conversation with its latest screening, for review."""
    with service.store.read() as session:
        shown = view.of_conversation(session, service.bodies, principal, conversation_id)
    return _shown(service, principal, shown, masked)


def _shown(service: Service, principal: Principal, found: View, masked: bool) -> ReviewView:
    raw = stored.raw_for(principal, masked)
    if raw:
        with service.store.write() as session:
            stored.note_view(session, principal, found.held, service.clock())
    conversation, screening = stored.shown(found.held, raw=raw)
    candidates = [CandidateItem.of(item, principal) for item in found.candidates]
    seen = {n for one in candidates for n in one.flags}
    return ReviewView(
        conversation_id=found.held.row.external_id,
        revision=found.held.revision.number,
        screening_id=found.held.run.id,
        latest_screening_id=found.latest,
        texts="raw" if raw else "masked",
        conversation=msgspec.to_builtins(conversation),
        complete=screening.complete,
        not_checked=list(screening.not_checked),
        flags=[
            {"n": n, **msgspec.to_builtins(flag)}
            for n, flag in enumerate(screening.flags)
            if principal.vendor_id is None or n in seen
        ],
        candidates=candidates,
        decisions=[DecisionOut.of(entry, principal) for entry in found.decisions],
        missed=[MissedOut.of(report) for report in found.missed],
        previous_of_customer=[PreviousOut.of(one) for one in found.of_customer],
        previous_of_agent=[PreviousOut.of(one) for one in found.of_agent],
    )


@router.get("/candidates/{candidate_id}/history", responses=MISSING)
def get_history(candidate_id: CandidateId, service: ServiceDep, principal: Reader) -> Decisions:
    """All decisions on a candidate and its flags, also those made on earlier screenings of the conversation."""
    with service.store.read() as session:
        entries = history.of_candidate(session, view.candidate(session, principal, candidate_id))
    return Decisions(decisions=[DecisionOut.of(entry, principal) for entry in entries])


@router.post("/candidates/{candidate_id}/decisions", status_code=201, responses={**MISSING, **CONFLICT})
def decide(candidate_id: CandidateId, given: DecisionInput, service: ServiceDep, principal: Reviewer) -> Decisions:
    """Decide on a candidate and its flags; the caller must hold it. Gives the decisions made."""
    flags = [FlagJudgement(one.n, one.verdict, one.reason, one.note) for one in given.flags]
    fields = given.model_dump(exclude={"flags"})
    now = service.clock()
    with service.store.write() as session:
        made = decisions.decide(session, principal, candidate_id, Judgement(**fields, flags=flags), _standards(service), now)
        entries = history.of_decisions(session, made)
        detail: dict[str, object] = {"decisions": [one.id for one in made], "verdict": given.verdict}
        subject = f"candidate:{candidate_id}"
        audit.record(session, at=now, actor=principal.actor, action="decided", subject=subject, detail=detail)
    return Decisions(decisions=[DecisionOut.of(entry, principal) for entry in entries])


@router.post("/decisions/{decision_id}/undo", status_code=201, responses={**MISSING, **CONFLICT})
def undo(decision_id: CandidateId, given: UndoInput, service: ServiceDep, principal: Reviewer) -> Decisions:
    """Take a decision back by a further one; the caller then holds the candidate."""
    now, minutes = service.clock(), service.settings.claim_minutes
    with service.store.write() as session:
        made = decisions.undo(session, principal, decision_id, given.note, now=now, minutes=minutes)
        entries = history.of_decisions(session, [made])
        subject = f"decision:{decision_id}"
        audit.record(session, at=now, actor=principal.actor, action="undone", subject=subject, detail={"by": made.id})
    return Decisions(decisions=[DecisionOut.of(entry, principal) for entry in entries])


@router.post("/missed", status_code=201, responses={**MISSING, **CONFLICT})
def report_missed(given: MissedInput, service: ServiceDep, principal: Reviewer) -> MissedOut:
    """Report an incident that the machine did not find: the words and the clause they break."""
    marking = Marking(**given.model_dump(exclude={"conversation_id"}))
    now = service.clock()
    with service.store.write() as session:
        held = stored.conversation(session, service.bodies, principal, given.conversation_id)
        made = missed.report(session, principal, held, marking, _standards(service), now)
        (found,) = [one for one in history.reports(session, held.row.id) if one.report.id == made.id]
        subject = f"report:{made.id}"
        audit.record(session, at=now, actor=principal.actor, action="missed_reported", subject=subject)
    return MissedOut.of(found)


@router.post("/missed/{report_id}/undo", status_code=201, responses={**MISSING, **CONFLICT})
def withdraw_missed(report_id: CandidateId, given: UndoInput, service: ServiceDep, principal: Reviewer) -> MissedOut:
    """Withdraw a report by a further one; gives the report as it stands now."""
    now = service.clock()
    with service.store.write() as session:
        made = missed.withdraw(session, principal, report_id, given.note, now)
        (found,) = [one for one in history.reports(session, made.conversation_id) if one.report.id == report_id]
        subject = f"report:{report_id}"
        audit.record(session, at=now, actor=principal.actor, action="missed_withdrawn", subject=subject)
    return MissedOut.of(found)


def _standards(service: Service) -> Mapping[str, Standard]:
    return service.engine.screener.lexicon.standards
