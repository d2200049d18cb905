"""The review queue: looking, claiming, handing out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import audit, openapi
from api.access import Principal, require
from api.clock import from_datetime
from api.dependencies import ServiceDep
from api.errors import ApiError, ErrorEnvelope, conflict
from api.review import claims, queue
from api.review.claims import Share
from api.review.filters import Filters
from api.routes.review_models import (
    Assigned,
    Assignment,
    CandidateFilters,
    CandidateItem,
    CandidatePage,
    NextCandidate,
    PageQuery,
    QueueCounts,
    QueueFilters,
)
from api.schemas import RowId
from api.store.tables import StoredCandidate
from api.store.tables_access import User
from api.wiring import Service

router = APIRouter(prefix="/v1/review", tags=["review"], responses=openapi.REFUSALS)
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorEnvelope, "description": "There is no such thing"}}
CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": ErrorEnvelope, "description": "The state of things forbids it"}}
Reader = Annotated[Principal, Depends(require("read"))]
Reviewer = Annotated[Principal, Depends(require("review"))]
Lead = Annotated[Principal, Depends(require("assign"))]
CandidateId = Annotated[RowId, Path()]


@router.get("/candidates", responses=CONFLICT)
def list_candidates(service: ServiceDep, principal: Reader, query: Annotated[PageQuery, Query()]) -> CandidatePage:
    """Candidates by the expected value of looking at them, highest first; one vendor's people see what is decided."""
    claims.free_expired(service.store, service.clock(), service.settings.claim_minutes)
    with service.store.read() as session:
        filters = _filters(session, service, principal, query)
        found = queue.page(session, principal, filters, limit=query.limit, cursor=query.cursor)
    return CandidatePage(items=[CandidateItem.of(item, principal) for item in found.items], next=found.cursor)


@router.get("/counts", responses=CONFLICT)
def count_candidates(service: ServiceDep, principal: Reader, filters: Annotated[QueueFilters, Query()]) -> QueueCounts:
    """How many candidates each value of a filter would leave."""
    claims.free_expired(service.store, service.clock(), service.settings.claim_minutes)
    with service.store.read() as session:
        found = queue.counts(session, principal, _filters(session, service, principal, filters))
    return QueueCounts(limit=queue.COUNTED, **found._asdict())


@router.post("/next", responses=CONFLICT)
def claim_next(filters: CandidateFilters, service: ServiceDep, principal: Reviewer) -> NextCandidate:
    """Claim the first candidate that matches: of those assigned to the caller, else of the free ones."""
    now = service.clock()
    claims.free_expired(service.store, now, service.settings.claim_minutes)
    wanted = _narrowed(service, filters)
    with service.store.write() as session:
        found = claims.claim_next(session, principal, wanted, now=now, minutes=service.settings.claim_minutes)
        return NextCandidate(candidate=None if found is None else _item(session, found, principal))


@router.put("/candidates/{candidate_id}/claim", responses={**MISSING, **CONFLICT})
def claim_candidate(candidate_id: CandidateId, service: ServiceDep, principal: Reviewer) -> CandidateItem:
    """Claim this candidate, or hold it for longer."""
    with service.store.write() as session:
        minutes = service.settings.claim_minutes
        found = claims.claim(session, principal, candidate_id, now=service.clock(), minutes=minutes)
        return _item(session, found, principal)


@router.delete("/candidates/{candidate_id}/claim", status_code=204, responses={**MISSING, **CONFLICT})
def release_candidate(candidate_id: CandidateId, service: ServiceDep, principal: Reviewer) -> Response:
    """Give a candidate back; a lead may do so for anybody, whether it is held or assigned."""
    with service.store.write() as session:
        claims.release(session, principal, candidate_id)
    return Response(status_code=204)


@router.post("/assignments", responses=CONFLICT)
def assign_candidates(assignment: Assignment, service: ServiceDep, principal: Lead) -> Assigned:
    """Hand free candidates out, in turn or by percentage."""
    percents = [share.percent for share in assignment.to]
    if None in percents and any(percent is not None for percent in percents):
        raise ApiError(422, "invalid", "give a percentage to all or to nobody", "/to")
    if sum(percent or 0 for percent in percents) > 100:
        raise ApiError(422, "invalid", "the percentages are more than 100 together", "/to")
    now = service.clock()
    claims.free_expired(service.store, now, service.settings.claim_minutes)
    shares = [Share(share.user, share.percent) for share in assignment.to]
    wanted = _narrowed(service, assignment.filters)
    with service.store.write() as session:
        given = claims.assign(session, principal, wanted, shares, limit=assignment.limit)
        detail: dict[str, object] = {"assigned": given}
        audit.record(session, at=now, actor=principal.actor, action="assigned", subject="queue", detail=detail)
    return Assigned(assigned=given)


def _item(session: Session, found: StoredCandidate, principal: Principal) -> CandidateItem:
    session.flush()
    return CandidateItem.of(queue.items(session, [found])[0], principal)


def _narrowed(service: Service, given: CandidateFilters) -> Filters:
    if given.words is not None and service.bodies.encrypts:
        raise conflict("search_off", "text search is off, because texts are encrypted at rest (setting encryption_key)", "/words")
    return Filters(
        agent_id=given.agent,
        signal=given.signal,
        vendor_id=given.vendor,
        clause=given.clause,
        level=given.level,
        channel=given.channel,
        occurred_from=None if given.occurred_from is None else from_datetime(given.occurred_from),
        occurred_to=None if given.occurred_to is None else from_datetime(given.occurred_to),
        score_from=given.score_from,
        score_to=given.score_to,
        words=given.words,
    )


def _filters(session: Session, service: Service, principal: Principal, given: QueueFilters) -> Filters:
    filters = _narrowed(service, given)._replace(status=given.status)
    match given.assignee:
        case None:
            return filters
        case "nobody":
            return filters._replace(unassigned=True)
        case "me":
            return filters._replace(assignee_id=claims.person(principal))
    user = None if principal.vendor_id is not None else session.scalar(select(User.id).where(User.name == given.assignee))
    if user is None:
        raise ApiError(422, "invalid", f"assignee: there is no user {given.assignee!r}")
    return filters._replace(assignee_id=user)
