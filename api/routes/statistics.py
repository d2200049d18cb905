"""What reviewers' decisions teach: precision per rule, and labelled turns for training."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel

from api import audit, openapi
from api.access import Principal, require
from api.clock import from_datetime
from api.dependencies import ServiceDep
from api.review import feedback, precision
from api.schemas import Text

router = APIRouter(prefix="/v1", tags=["statistics"], responses=openapi.REFUSALS)


class RulePrecision(BaseModel):
    """Judged flags of a rule or model (null where counted per signal), with the 95 % Wilson interval of the precision."""

    source: Literal["rule", "model", "conduct", "privacy"] | None
    id: str | None
    version: int | None
    signal: str
    confirmed: int
    rejected: int
    unsure: int
    precision: float | None
    low: float
    high: float


class Precision(BaseModel):
    """Precision by what reviewers said, most judged first."""

    items: list[RulePrecision]


@router.get("/statistics/precision")
def get_precision(
    service: ServiceDep,
    principal: Annotated[Principal, Depends(require("review"))],
    by: Annotated[Literal["rule", "signal"], Query(description="Per rule or model and its version, or per signal.")] = "rule",
    decided_from: AwareDatetime | None = None,
    decided_to: AwareDatetime | None = None,
    vendor: Text | None = None,
) -> Precision:
    """How often reviewers confirmed what each rule and model flagged (verdicts in force, flags active or in the shadow)."""
    del principal
    start = None if decided_from is None else from_datetime(decided_from)
    end = None if decided_to is None else from_datetime(decided_to)
    with service.store.read() as session:
        found = precision.judged(session, by, start=start, end=end, vendor_id=vendor)
    return Precision(
        items=[
            RulePrecision(
                source=one.source,  # type: ignore[arg-type]  # the store's words are those of the contract
                id=one.rule,
                version=one.version,
                signal=one.signal,
                confirmed=one.confirmed,
                rejected=one.rejected,
                unsure=one.unsure,
                precision=one.precision,
                low=one.interval[0],
                high=one.interval[1],
            )
            for one in found
        ]
    )


class RuleHits(BaseModel):
    """Flags of a rule in the latest screening of every stored conversation, by status."""

    id: str
    active: int
    shadow: int
    excused: int


class Hits(BaseModel):
    """Rules with flags, by id; a rule that is not here has none."""

    items: list[RuleHits]


@router.get("/statistics/hits")
def get_hits(
    service: ServiceDep, principal: Annotated[Principal, Depends(require("review"))], vendor: Text | None = None
) -> Hits:
    """How often each rule hits in what is stored."""
    with service.store.read() as session:
        found = precision.hits(session, principal.vendor_id or vendor)
    none = {"active": 0, "shadow": 0, "excused": 0}
    return Hits(items=[RuleHits(id=rule, **none | found[rule]) for rule in sorted(found)])


@router.get(
    "/feedback/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "JSON Lines, one labelled turn each, as models/data/README.md describes them",
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        }
    },
)
def export_feedback(service: ServiceDep, principal: Annotated[Principal, Depends(require("export"))]) -> StreamingResponse:
    """Judged turns and reported misses as labels for training; personal data is covered unless the caller may see it."""
    raw = "raw" in principal.actions
    with service.store.write() as session:
        detail: dict[str, object] = {"texts": "raw" if raw else "masked"}
        audit.record(
            session, at=service.clock(), actor=principal.actor, action="feedback_exported", subject="feedback", detail=detail
        )

    def lines() -> Iterator[bytes]:
        with service.store.read() as session:
            yield from feedback.labelled_turns(session, service.bodies, principal, raw=raw)

    return StreamingResponse(lines(), media_type="application/x-ndjson")
