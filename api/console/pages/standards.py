"""Standards: every clause with how it is seen, the thresholds in force with a house's own, and which signal leads where."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import Response
from nicegui import ui

from api.access import Principal
from api.console import rule_form, shell
from api.console.live import Live
from api.console.visitor import Visitor
from api.errors import ApiError
from api.routes import profiles as routes
from api.routes.rules_models import ProfileDiff, ProfileInForce, ProfileInput, RollBackInput, VersionView
from api.store.tables import CHANNELS
from api.wiring import Service
from lexicons.load import Lexicon
from lexicons.schema import Clause, Standard, Threshold
from lexicons.signals import SIGNALS
from screening import profile as profiles
from screening.detect.conduct.detector import SIGNALS as CONDUCT
from screening.pipeline import Screener
from screening.profile import Limit, Profile

_LIMIT = "limit:"
_UNITS = ("seconds", "minutes", "hours", "days", "working_days", "months", "years", "count", "percent", "points")


class Seen(NamedTuple):
    """How a signal is found: active rules and rules in the shadow, classifiers, the course of the conversation."""

    rules: int
    shadow: int
    models: tuple[str, ...]
    conduct: bool


class Cell(NamedTuple):
    """A threshold of one signal in one channel: what the standards set and what holds; None where nobody sets one."""

    limits: tuple[Limit, ...]
    own: float | None


class Page(NamedTuple):
    """What the template shows of one standard."""

    standards: tuple[Standard, ...]
    shown: Standard
    profile: Profile
    seen: Mapping[str, Seen]
    leads: Mapping[str, list[Clause]]
    grid: Mapping[str, list[Cell]]
    units: Mapping[str, str]


@shell.page("/standards", "standards", "read", styles=("rules.css", "standards.css"))
async def page(visitor: Visitor, principal: Principal) -> None:
    """`?standard=` chooses one; the thresholds can be changed by whoever may change rules."""
    t = visitor.words
    wanted = ui.context.client.request.query_params.get("standard")
    may = {action: action in principal.actions for action in ("rules", "publish")}

    async def draw() -> None:
        made = await visitor.act("read", found, wanted)
        content.set_content(shell.template("standards.html", t=t, p=made, signals=SIGNALS, units=_UNITS))
        if may["rules"]:
            now, versions, diffs = await visitor.act("rules", _versions)
            mine = principal.actor.partition(":")[2]
            shown = shell.template(
                "thresholds.html", t=t, p=made, channels=CHANNELS, now=now, versions=versions, diffs=diffs, may=may, mine=mine
            )
            own.set_content(shown)

    async def save(given: dict[str, Any]) -> None:
        body = ProfileInput(
            title=given.get("title", ""), note=given.get("note", ""), profile=await visitor.act("rules", _changed, given)
        )
        await visitor.act("rules", lambda service, who: routes.draft_profile(body, Response(), service, who))
        await draw()
        shell.notify(t("standards.drafted"), "good")

    async def publish(given: dict[str, Any]) -> None:
        number = rule_form.number(given.get("id")) or 0
        await visitor.act("publish", lambda service, who: routes.publish_profile(number, service, who))
        await draw()
        shell.notify(t("standards.published"), "good")

    async def roll_back(given: dict[str, Any]) -> None:
        body = RollBackInput(to=rule_form.number(given.get("to")))
        await visitor.act("publish", lambda service, who: routes.roll_back_profile(body, service, who))
        await draw()
        shell.notify(t("standards.rolled_back"), "good")

    if may["rules"]:
        Live(visitor, {"save": save, "publish": publish, "roll_back": roll_back})
    shell.heading(t("standards.title"), t("standards.about"))
    content = ui.html("", sanitize=False)
    own = ui.html("", sanitize=False)
    try:
        await draw()
    except ApiError as error:
        if error.status_code == 401:
            raise
        content.delete()
        own.delete()
        shell.failure(visitor, error)


def found(service: Service, principal: Principal, wanted: str | None) -> Page:
    """The standard of that id (the first graded one without); raises 404."""
    del principal
    screener = service.engine.screener
    standards = tuple(screener.lexicon.standards.values())
    shown = screener.lexicon.standards.get(wanted or screener.profile.standards[0])
    if shown is None:
        raise ApiError(404, "not_found", f"there is no standard {wanted!r}")
    leads: dict[str, list[Clause]] = {}
    for clause in shown.clauses:
        for signal in clause.signals:
            leads.setdefault(signal, []).append(clause)
    return Page(standards, shown, screener.profile, _seen(screener), leads, _grid(screener), _units(screener.lexicon))


def _seen(screener: Screener) -> dict[str, Seen]:
    counted = Counter((rule.signal, rule.status) for rule in screener.lexicon.rules)
    models = {one.name: getattr(one, "manifest", None) for one in screener.detectors}
    return {
        signal: Seen(
            counted[signal, "active"],
            counted[signal, "shadow"],
            tuple(name for name, manifest in models.items() if manifest is not None and signal in manifest.signals),
            signal in CONDUCT,
        )
        for signal in SIGNALS
    }


def _grid(screener: Screener) -> dict[str, list[Cell]]:
    own: dict[tuple[str, str], float] = {
        (one.signal, channel): one.value for one in screener.profile.overrides for channel in one.channels
    }
    known = profiles.limits(screener.profile, screener.lexicon)
    limits: dict[tuple[str, str], tuple[Limit, ...]] = {(signal, channel): found for (signal, channel), found in known.items()}
    return {
        signal: [Cell(limits.get((signal, channel), ()), own.get((signal, channel))) for channel in CHANNELS]
        for signal in SIGNALS
        if signal in _units(screener.lexicon)
    }


def _units(lexicon: Lexicon) -> dict[str, str]:
    thresholds: list[Threshold] = [one for standard in lexicon.standards.values() for one in standard.thresholds]
    return {one.signal: one.unit for one in thresholds}


def _versions(service: Service, principal: Principal) -> tuple[ProfileInForce, list[VersionView], dict[int, ProfileDiff]]:
    listed = routes.list_profile_versions(service, principal, limit=10).versions
    diffs = {one.id: routes.diff_profile(one.id, service, principal) for one in listed}
    return routes.profile_in_force(service, principal), listed, diffs


def _changed(service: Service, principal: Principal, given: Mapping[str, Any]) -> dict[str, Any]:
    """The profile in force with the thresholds of the form; raises 422 for what is no number."""
    channels: dict[tuple[str, float], list[str]] = {}
    for name, text in given.items():
        if not name.startswith(_LIMIT) or not str(text).strip():
            continue
        _, signal, channel = name.split(":", 2)
        try:
            value = float(str(text).strip())
        except ValueError:
            raise ApiError(422, "invalid", f"{signal}, {channel}: {str(text)[:40]!r} is no number", f"/{name}") from None
        channels.setdefault((signal, value), []).append(channel)
    present = dict(routes.profile_in_force(service, principal).profile)
    overrides = [{"signal": signal, "channels": list_, "value": value} for (signal, value), list_ in channels.items()]
    return present | {"overrides": overrides}
