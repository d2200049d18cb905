"""Back-tests: what a version of the rules would change in stored conversations."""

from fastapi import APIRouter, Response
from sqlalchemy import select

from api import openapi
from api.clock import from_datetime
from api.dependencies import ServiceDep
from api.errors import not_found
from api.jobs import back_test
from api.jobs.rescreen import Parameters
from api.overlay import versions
from api.routes.rules import MISSING, Editor, Limit
from api.routes.rules_models import BackTestInput, BackTestPage, BackTestView
from api.schemas import RowId
from api.store.tables_rules import BackTest, Overlay

router = APIRouter(prefix="/v1", tags=["rules"], responses=openapi.REFUSALS)


@router.post("/rules/versions/{version_id}/back-tests", status_code=202, responses=MISSING)
def start_back_test(
    version_id: RowId, body: BackTestInput, response: Response, service: ServiceDep, principal: Editor
) -> BackTestView:
    """Hold the version against what is in force, on stored conversations; workers do it as a job, nothing but the report is stored."""
    chosen = Parameters(
        vendor_id=body.vendor_id,
        agent_id=body.agent_id,
        channel=body.channel,
        level=body.level,
        since=None if body.since is None else from_datetime(body.since),
        until=None if body.until is None else from_datetime(body.until),
    )
    with service.store.write() as session:
        row = versions.find(session, Overlay, version_id)
        made = back_test.create(session, row, chosen, body.limit, principal, service.clock())
    response.headers["Location"] = f"/v1/rules/back-tests/{made.id}"
    return BackTestView.of(made, None)


@router.get("/rules/back-tests")
def list_back_tests(
    service: ServiceDep, principal: Editor, version: RowId | None = None, before: RowId | None = None, limit: Limit = 50
) -> BackTestPage:
    """Back-tests from the newest on, of all versions or of one."""
    del principal
    statement = select(BackTest).order_by(BackTest.id.desc()).limit(limit)
    if version is not None:
        statement = statement.where(BackTest.overlay_id == version)
    if before is not None:
        statement = statement.where(BackTest.id < before)
    with service.store.read() as session:
        rows = session.scalars(statement).all()
    views = [BackTestView.of(row, None) for row in rows]
    return BackTestPage(back_tests=views, next=rows[-1].id if len(rows) == limit else None)


@router.get("/rules/back-tests/{back_test_id}", responses=MISSING)
def get_back_test(back_test_id: RowId, service: ServiceDep, principal: Editor) -> BackTestView:
    """One back-test with its report; its job tells the progress."""
    del principal
    with service.store.read() as session:
        row = session.get(BackTest, back_test_id)
    if row is None:
        raise not_found(f"back-test {back_test_id}")
    return BackTestView.of(row, None if row.report is None else service.bodies.unpack(row.report))
