"""Rules workshop: back-tests - their progress, what a version would find and lose, samples to read."""

from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from fastapi import Response
from nicegui import ui

from api import stored
from api.access import Principal
from api.console import rule_form, shell
from api.console.live import Live
from api.console.pages.rules import tabs
from api.console.visitor import Visitor
from api.errors import ApiError
from api.routes import back_tests, jobs, rules
from api.routes.jobs import JobView
from api.routes.rules_models import BackTestInput, BackTestPage, BackTestView, VersionView
from api.wiring import Service
from screening.types import Turn

_PROGRESS_SECONDS = 1.0
_AROUND = 2


class Shown(NamedTuple):
    """A back-test with its job, its version and the titles of rules."""

    test: BackTestView
    job: JobView
    version: VersionView
    titles: dict[str, str]


class Sampled(NamedTuple):
    """A turn around a hit; `marked` are its texts before, in and after the hit."""

    turn: Turn
    marked: tuple[str, str, str] | None


@shell.page("/rules/back-tests", "rules", "rules", styles=("rules.css", "rule_edit.css"))
async def listed(visitor: Visitor, principal: Principal) -> None:
    """All back-tests from the newest on."""
    del principal
    tabs(visitor, "back_tests")
    before = rule_form.number(ui.context.client.request.query_params.get("before"))
    page, versions = await visitor.act("rules", _page, before)
    ui.html(shell.template("back_tests.html", t=visitor.words, page=page, versions=versions), sanitize=False)


@shell.page("/rules/back-test", "rules", "rules", styles=("rules.css", "rule_edit.css"))
async def one(visitor: Visitor, principal: Principal) -> None:
    """`?id=`: one back-test; its progress until the report is there."""
    del principal
    test_id = rule_form.number(ui.context.client.request.query_params.get("id")) or 0
    t = visitor.words
    tabs(visitor, "back_tests")

    async def draw() -> Shown:
        shown = await visitor.act("rules", found, test_id)
        content.set_content(shell.template("back_test.html", t=t, s=shown, report=shown.test.report, job=shown.job))
        return shown

    async def follow() -> None:
        shown = await draw()
        if shown.test.report is not None or shown.job.state in ("failed", "cancelled"):
            timer.deactivate()

    async def cancel(given: dict[str, Any]) -> None:
        del given
        shown = await visitor.act("rules", found, test_id)
        await visitor.act("jobs", lambda service, who: jobs.cancel_job(shown.job.id, service, who))
        await draw()

    async def sample(given: dict[str, Any]) -> None:
        turns = await visitor.act("read", excerpt, given)
        live.call("actFill", rule_form.text(given, "place"), shell.template("sample.html", t=t, turns=turns))

    live = Live(visitor, {"cancel": cancel, "sample": sample})
    content = ui.html("", sanitize=False)
    try:
        shown = await draw()
    except ApiError as error:
        if error.status_code == 401:
            raise
        content.delete()
        shell.failure(visitor, error)
        return
    if shown.test.report is None and shown.job.state not in ("failed", "cancelled"):
        timer = ui.timer(_PROGRESS_SECONDS, shell.acting(visitor, follow))


def started(service: Service, principal: Principal, version_id: int, given: rule_form.Given) -> BackTestView:
    """Start a back-test as a form asks for it; days are those of the profile's zone, both included."""
    zone = ZoneInfo(service.engine.screener.profile.timezone)
    named = {name: rule_form.text(given, name) or None for name in ("vendor_id", "agent_id", "channel", "level")}
    body = BackTestInput.model_validate(
        named
        | {"since": day(given, "since", zone), "until": day(given, "until", zone, after=1)}
        | {"limit": rule_form.text(given, "limit") or "10000"}
    )
    return back_tests.start_back_test(version_id, body, Response(), service, principal)


def found(service: Service, principal: Principal, test_id: int) -> Shown:
    """One back-test with all about it."""
    test = back_tests.get_back_test(test_id, service, principal)
    version = rules.get_rules_version(test.version, service, principal)
    titles = {rule.id: rule.title for rule in service.engine.screener.lexicon.rules}
    titles |= {rule["id"]: rule["title"] for rule in version.rules}
    return Shown(test, jobs.get_job(test.job_id, service, principal), version, titles)


def excerpt(service: Service, principal: Principal, given: rule_form.Given) -> list[Sampled]:
    """The turns around a sample, as far as the principal may read them."""
    raw = stored.raw_for(principal, masked=False)
    with service.store.write() as session:
        held = stored.conversation(session, service.bodies, principal, rule_form.text(given, "conversation"))
        if raw:
            stored.note_view(session, principal, held, service.clock())
    turns = stored.shown(held, raw=raw)[0].turns
    at = rule_form.number(given.get("turn"))
    if at is None or at >= len(turns):
        return [Sampled(turn, None) for turn in turns[: 2 * _AROUND + 1]]
    start, end = rule_form.number(given.get("start")), rule_form.number(given.get("end"))
    shown = []
    for n in range(max(0, at - _AROUND), min(len(turns), at + _AROUND + 1)):
        text = turns[n].text
        marked = (text[:start], text[start:end], text[end:]) if n == at and start is not None and end is not None else None
        shown.append(Sampled(turns[n], marked))
    return shown


def _page(service: Service, principal: Principal, before: int | None) -> tuple[BackTestPage, dict[int, VersionView]]:
    page = back_tests.list_back_tests(service, principal, before=before)
    ids = {test.version for test in page.back_tests}
    return page, {id_: rules.get_rules_version(id_, service, principal) for id_ in ids}


def day(given: rule_form.Given, name: str, zone: ZoneInfo, after: int = 0) -> datetime | None:
    """The beginning of the day that a field names, or of a later one; None where it is empty."""
    written = rule_form.text(given, name)
    if not written:
        return None
    try:
        day = datetime.strptime(written, "%Y-%m-%d").date()
    except ValueError:
        raise ApiError(422, "invalid", f"{written[:20]!r} is no day", f"/{name}") from None
    return datetime.combine(day + timedelta(days=after), time(), zone)
