"""Rules workshop: one rule in a form, checked on its examples while one types, kept as a draft."""

import asyncio
from typing import Any

from nicegui import ui

from api.access import Principal
from api.console import drafting, problems, rule_form, shell
from api.console.drafting import Checked, Opened
from api.console.live import Live, Problem
from api.console.pages.rules import tabs
from api.console.visitor import Visitor
from api.errors import ApiError
from lexicons.signals import CUSTOMER_SIGNALS, SIGNALS


@shell.page("/rules/edit", "rules", "rules", styles=("rules.css", "rule_edit.css"))
async def page(visitor: Visitor, principal: Principal) -> None:
    """`?id=` opens a rule, none a new one; `?version=` goes on with a draft."""
    del principal
    query = ui.context.client.request.query_params
    rule_id = query.get("id", "")[:200]
    version_id = rule_form.number(query.get("version"))
    tabs(visitor, "list")
    try:
        opened = await visitor.act("rules", drafting.opened, rule_id, version_id)
    except ApiError as error:
        shell.failure(visitor, error)
        return
    t = visitor.words
    newest = 0
    one_by_one = asyncio.Lock()

    async def check(given: dict[str, Any]) -> None:
        nonlocal newest
        newest = asked = max(newest, rule_form.number(given.pop("number", "")) or 0)
        async with one_by_one:
            if asked != newest:
                return
            try:
                found = await visitor.act("rules", drafting.checked, given, version_id)
            except ApiError as error:
                if error.status_code in (401, 403):
                    raise
                found = None
                live.problems("check", [at_field(visitor, error)])
        if asked == newest:
            if found is not None:
                live.problems("check", shown(visitor, given, found))
            state.set_content(_state(visitor, given, found))

    async def draft(given: dict[str, Any]) -> None:
        try:
            found = await visitor.act("rules", drafting.checked, given, version_id)
            if found.problems:
                live.problems("draft", problems.shown(found.problems, t))
                shell.notify(t("rule.mend_first", count=len(found.problems)), "bad")
                return
            made = await visitor.act("rules", drafting.drafted, given, version_id)
        except ApiError as error:
            if error.field is None:
                raise
            live.problems("draft", [at_field(visitor, error)])
            return
        live.call("actForget")
        ui.navigate.to(f"/rules/version?id={made.id}")

    ui.add_head_html(shell.template("scripts.html", scripts=[shell.asset("rule_edit.js")]))
    live = Live(visitor, {"check": check, "draft": draft})
    with ui.element("div").classes("editor"):
        ui.html(_form(visitor, opened), sanitize=False)
        with ui.element("aside").classes("editor-side"):
            state = ui.html(_state(visitor, None, None), sanitize=False)
            ui.html(shell.template("rule_facts.html", t=t, opened=opened), sanitize=False)


def at_field(visitor: Visitor, error: ApiError) -> Problem:
    """A refusal beside the field that it names."""
    parts = (error.field or "").strip("/").split("/")
    name = next((part for part in reversed(parts) if not part.isdigit() and part != "rules"), "")
    return Problem("draft_title" if name == "title" and len(parts) == 1 else name, visitor.problem(error))


def shown(visitor: Visitor, given: dict[str, Any], found: Checked) -> list[Problem]:
    """The problems of what was filled in; what is still empty is no fault while one types."""
    return [one for one in problems.shown(found.problems, visitor.words) if not _is_empty(given, one.field)]


def _is_empty(given: dict[str, Any], field: str) -> bool:
    if field == "any_of":
        return not rule_form.text(given, "pattern" if given.get("kind") == "pattern" else "any_of")
    return not (rule_form.many(given, field) if field in ("references", "excuses") else rule_form.text(given, field))


def _state(visitor: Visitor, given: dict[str, Any] | None, found: Checked | None) -> str:
    missing: list[str] = []
    if given is not None and found is not None:
        wanting = [one.field or "" for one in found.problems if _is_empty(given, one.field or "")]
        wanting += ["title"] if not rule_form.text(given, "title") else []
        missing = [f"rule.field_{name}" for name in dict.fromkeys(wanting) if name]
    wrong = 0 if found is None or given is None else len(shown(visitor, given, found))
    return shell.template("rule_state.html", t=visitor.words, found=found, asked=given is not None, missing=missing, wrong=wrong)


def _form(visitor: Visitor, opened: Opened) -> str:
    return shell.template(
        "rule_form.html",
        t=visitor.words,
        f=opened.form,
        opened=opened,
        signals=SIGNALS,
        customer_signals=CUSTOMER_SIGNALS,
    )
