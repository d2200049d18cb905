"""The dashboard: its script asks the service's own statistics and draws them; the filters stand in the address."""

from datetime import date, timedelta

import msgspec
from nicegui import ui
from nicegui.elements import echart as _echart  # noqa: F401 - its library becomes a module that the page's script can import

from api import wiring
from api.access import Principal
from api.clock import to_datetime
from api.console import shell, words
from api.console.visitor import Visitor
from api.statistics import chosen
from api.wiring import Service

_DAYS = 30


@shell.page("/dashboard", "dashboard", "review", styles=("dashboard.css",))
async def page(visitor: Visitor, principal: Principal) -> None:
    """The page; `?since=&until=&vendor=&agent=&channel=&state=` narrow it."""
    del principal
    t = visitor.words
    today, last = await visitor.act("review", _days)
    texts = words.section(visitor.language, "dashboard_script") | {
        f"error.{key}": text for key, text in words.section(visitor.language, "error").items()
    }
    given = {
        "words": texts | {f"signal.{key}": text for key, text in words.section(visitor.language, "signal").items()},
        "since": last - timedelta(days=_DAYS - 1),
        "until": last,
        "today": today,
    }
    ui.add_head_html(shell.template("scripts.html", modules=[shell.asset("dashboard.js")]))
    shell.heading(t("dashboard.title"), t("dashboard.about"))
    content = shell.template("dashboard.html", t=t, given=msgspec.json.encode(given).decode())
    ui.html(content, sanitize=False)


def _days(service: Service, principal: Principal) -> tuple[date, date]:
    """Today, and the last day that has conversations (today where there are none)."""
    zone = wiring.keeping(service).zone
    today = to_datetime(service.clock()).astimezone(zone).date()
    with service.store.read() as session:
        at = chosen.latest(session, principal)
    return today, today if at is None else min(today, to_datetime(at).astimezone(zone).date())
