"""Rules workshop: all versions, and one of them - what it changes, who wrote it, its way into force."""

from typing import Any, NamedTuple

from nicegui import ui

from api.access import Principal
from api.console import drafting, rule_form, shell
from api.console.live import Live
from api.console.pages.back_tests import started
from api.console.pages.rules import tabs
from api.console.visitor import Visitor
from api.errors import ApiError
from api.routes import back_tests, rules
from api.routes.rules_models import BackTestView, RollBackInput, RulesDiff, RulesInForce, RulesVersionView
from api.wiring import Service

STEPS = ("draft", "shadow", "published")


class Shown(NamedTuple):
    """A version with what it changes over its parent, what holds now, its back-tests, and the shipped rules that it touches."""

    version: RulesVersionView
    diff: RulesDiff
    now: RulesInForce
    outdated: bool
    tests: list[BackTestView]
    titles: dict[str, str]


@shell.page("/rules/versions", "rules", "rules", styles=("rules.css", "rule_edit.css"))
async def versions(visitor: Visitor, principal: Principal) -> None:
    """The list, and the way back to an earlier one."""

    async def roll_back(given: dict[str, Any]) -> None:
        body = RollBackInput(to=rule_form.number(given.get("to")))
        await visitor.act("publish", lambda service, who: rules.roll_back_rules(body, service, who))
        await draw()
        shell.notify(visitor.words("versions.rolled_back"), "good")

    async def draw() -> None:
        query = ui.context.client.request.query_params
        page = await visitor.act(
            "rules", lambda service, who: rules.list_rules_versions(service, who, before=rule_form.number(query.get("before")))
        )
        now = await visitor.act("rules", rules.rules_in_force)
        content.set_content(
            shell.template("rule_versions.html", t=visitor.words, page=page, now=now, may="publish" in principal.actions)
        )

    Live(visitor, {"roll_back": roll_back})
    tabs(visitor, "versions")
    content = ui.html("", sanitize=False)
    await draw()


@shell.page("/rules/version", "rules", "rules", styles=("rules.css", "rule_edit.css"))
async def version(visitor: Visitor, principal: Principal) -> None:
    """`?id=`: one version."""
    version_id = rule_form.number(ui.context.client.request.query_params.get("id")) or 0
    t = visitor.words
    tabs(visitor, "versions")

    async def draw() -> None:
        shown = await visitor.act("rules", found, version_id)
        mine = shown.version.author == principal.actor.partition(":")[2]
        content.set_content(
            shell.template(
                "rule_version.html", t=t, s=shown, v=shown.version, steps=STEPS, mine=mine, may="publish" in principal.actions
            )
        )

    def moving(move: Any, said: str) -> Any:
        async def moved(given: dict[str, Any]) -> None:
            del given
            await visitor.act("publish", lambda service, who: move(version_id, service, who))
            await draw()
            shell.notify(t(said), "good")

        return moved

    async def back_test(given: dict[str, Any]) -> None:
        made = await visitor.act("rules", started, version_id, given)
        ui.navigate.to(f"/rules/back-test?id={made.id}")

    async def redraft(given: dict[str, Any]) -> None:
        del given
        made = await visitor.act("rules", drafting.redrafted, version_id)
        ui.navigate.to(f"/rules/version?id={made.id}")

    acts = {
        "shadow": moving(rules.shadow_rules, "versions.now_shadow"),
        "withdraw": moving(rules.withdraw_rules, "versions.now_withdrawn"),
        "publish": moving(rules.publish_rules, "versions.now_published"),
        "back_test": back_test,
        "redraft": redraft,
    }
    Live(visitor, acts)
    content = ui.html("", sanitize=False)
    try:
        await draw()
    except ApiError as error:
        if error.status_code == 401:
            raise
        content.delete()
        shell.failure(visitor, error)


def found(service: Service, principal: Principal, version_id: int) -> Shown:
    """One version with all about it."""
    shown = rules.get_rules_version(version_id, service, principal)
    now = rules.rules_in_force(service, principal)
    present = None if now.published is None else now.published.digest
    titles = {rule.id: rule.title for rule in service.engine.screener.lexicon.rules}
    titles |= {rule["id"]: rule["title"] for rule in shown.rules}
    return Shown(
        shown,
        rules.diff_rules(version_id, service, principal),
        now,
        shown.state != "published" and shown.parent != present,
        back_tests.list_back_tests(service, principal, version=version_id, limit=20).back_tests,
        titles,
    )
