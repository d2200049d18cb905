"""The audit log: who did what and when, and whether the log is whole."""

from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from nicegui import ui

from api.access import Principal
from api.console import rule_form, shell
from api.console.live import Live
from api.console.pages.back_tests import day
from api.console.visitor import Visitor
from api.errors import ApiError
from api.routes import users
from api.routes.users import AuditPage
from api.wiring import Service

FIELDS = ("text", "actor", "subject", "since", "until")


class Asked(NamedTuple):
    """A page of the log, and the zone that its times are shown in."""

    page: AuditPage
    zone: ZoneInfo

    def local(self, at: str) -> str:
        """A time of the log as it is shown."""
        return f"{datetime.fromisoformat(at).astimezone(self.zone):%Y-%m-%d %H:%M:%S}"


@shell.page("/audit", "audit", "audit", styles=("rules.css", "users.css"))
async def page(visitor: Visitor, principal: Principal) -> None:
    """The log with its filters in the address."""
    del principal
    t = visitor.words
    query = dict(ui.context.client.request.query_params)
    chosen = {name: rule_form.text(query, name)[:200] for name in FIELDS}

    async def verify(given: dict[str, Any]) -> None:
        del given
        found = await visitor.act("audit", users.verify_audit)
        state.set_content(shell.template("audit_state.html", t=t, found=found))

    Live(visitor, {"verify": verify})
    shell.heading(t("audit.title"), t("audit.about"))
    ui.html(shell.template("audit_head.html", t=t, chosen=chosen), sanitize=False)
    state = ui.html("", sanitize=False)
    try:
        asked = await visitor.act("audit", found_lines, query)
    except ApiError as error:
        if error.status_code == 401:
            raise
        shell.failure(visitor, error)
        return
    older = (
        None if asked.page.before is None else urlencode({k: v for k, v in chosen.items() if v} | {"before": asked.page.before})
    )
    ui.html(
        shell.template("audit.html", t=t, asked=asked, local=asked.local, older=older, filtered=any(chosen.values())),
        sanitize=False,
    )


def found_lines(service: Service, principal: Principal, query: dict[str, str]) -> Asked:
    """The lines that an address asks for; days are those of the profile's zone, both included."""
    zone = ZoneInfo(service.engine.screener.profile.timezone)
    named = {name: rule_form.text(query, name)[:200] or None for name in ("text", "actor", "subject")}
    found = users.list_audit(
        service,
        principal,
        before=rule_form.number(query.get("before")),
        since=day(query, "since", zone),
        until=day(query, "until", zone, after=1),
        **named,
    )
    return Asked(found, zone)
