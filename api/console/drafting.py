"""What the rule's form asks of the service: the rule it begins with, the check while one types, the draft."""

from typing import Any, NamedTuple

from fastapi import Response
from sqlalchemy import select

from api.access import Principal
from api.console import rule_form
from api.errors import ApiError, not_found
from api.overlay import drafts, versions
from api.overlay.drafts import Difference
from api.review import precision
from api.review.precision import Judged
from api.routes import rules
from api.routes.rules_models import Change, DraftInput, ProblemView, RulesInput, RulesVersionView
from api.store.tables_rules import Overlay
from api.wiring import Service
from lexicons import lock
from lexicons.schema import Rule, Standard


class Opened(NamedTuple):
    """What the form shows. `beside`: other rules of the draft that it continues; `judged`: what people said, per version."""

    form: dict[str, Any]
    known: Rule | None
    shipped: Rule | None
    beside: list[str]
    draft: RulesVersionView | None
    standards: list[Standard]
    hits: dict[str, int]
    judged: list[Judged]


class Checked(NamedTuple):
    """What a check found: problems, what differs from what runs and from what ships, and the rule's version number."""

    problems: list[ProblemView]
    running: list[Change] | None
    shipped: list[Change] | None
    version: int
    unchanged: bool


def opened(service: Service, principal: Principal, rule_id: str, version_id: int | None) -> Opened:
    """The form for a rule as it is in a draft, else as it runs; of a new rule where the id is empty. Raises 404."""
    shipped = next((rule for rule in service.follower.shipped[0].rules if rule.id == rule_id), None)
    draft, changed, _ = _draft(service, version_id)
    known = next((rule for rule in changed if rule.id == rule_id), None) or _running(service, rule_id)
    if rule_id and known is None:
        raise not_found(f"rule {rule_id!r}")
    with service.store.read() as session:
        hits = precision.hits(session, principal.vendor_id).get(rule_id, {})
        judged = [one for one in precision.judged(session, vendor_id=principal.vendor_id) if rule_id and one.rule == rule_id]
    return Opened(
        form=rule_form.empty() if known is None else rule_form.filled(known),
        known=known,
        shipped=shipped,
        beside=[rule.id for rule in changed if rule.id != rule_id],
        draft=draft,
        standards=list(service.engine.screener.lexicon.standards.values()),
        hits=hits,
        judged=sorted(judged, key=lambda one: -(one.version or 0)),
    )


def checked(service: Service, principal: Principal, given: rule_form.Given, version_id: int | None) -> Checked:
    """Lint and test what the form holds, as a draft of it would be."""
    body, rule = _body(service, given, version_id)
    shipped = next((one for one in service.follower.shipped[0].rules if one.id == rule.id), None)
    running = _running(service, rule.id)
    differ = None if running is None else _changes(drafts.differences(running, rule))
    try:
        problems = rules.check_rules(body, service, principal).problems
    except ApiError as error:
        if error.field != "/rules":
            raise
        return Checked([], [], None, rule.version, unchanged=True)
    mine = [one for one in problems if one.rule == rule.id]
    return Checked(mine, differ, None if shipped is None else _changes(drafts.differences(shipped, rule)), rule.version, False)


def drafted(service: Service, principal: Principal, given: rule_form.Given, version_id: int | None) -> RulesVersionView:
    """Keep it as a draft; with the other changes of the draft that it continues."""
    body, _ = _body(service, given, version_id)
    title, note = rule_form.text(given, "draft_title"), rule_form.text(given, "note")
    return rules.draft_rules(DraftInput(rules=body.rules, drop=body.drop, title=title, note=note), Response(), service, principal)


def redrafted(service: Service, principal: Principal, version_id: int) -> RulesVersionView:
    """The changes of a version drafted again, over what is in force now."""
    row, changed, drop = _draft(service, version_id)
    assert row is not None
    body = DraftInput(rules=[rule_form.as_table(rule) for rule in changed], drop=drop, title=row.title, note=row.note)
    return rules.draft_rules(body, Response(), service, principal)


def _body(service: Service, given: rule_form.Given, version_id: int | None) -> tuple[RulesInput, Rule]:
    (rule,) = drafts.rules([rule_form.table(given, 1)])
    rule, table = _numbered(service, rule, given)
    _, changed, drop = _draft(service, version_id)
    beside = [rule_form.as_table(one) for one in changed if one.id != rule.id]
    return RulesInput(rules=[*beside, table], drop=[name for name in drop if name != rule.id]), rule


def _numbered(service: Service, rule: Rule, given: rule_form.Given) -> tuple[Rule, dict[str, Any]]:
    """The rule with its version: the number under which it behaved like this before, else the next."""
    lexicon, _ = service.follower.shipped
    with service.store.read() as session:
        ran = versions.ran(session)
    known = [one for held in (lexicon.rules, *ran) for one in held if one.id == rule.id]
    wanted = lock.digest(rule, lexicon.sets)
    same = [one.version for one in known if lock.digest(one, lexicon.sets) == wanted]
    number = max(same) if same else max((one.version for one in known), default=0) + 1
    table = rule_form.table(given, number)
    return drafts.rules([table])[0], table


def _draft(service: Service, version_id: int | None) -> tuple[RulesVersionView | None, list[Rule], list[str]]:
    """A version, the rules it changes over its parent, and those changes of what is in force that it drops."""
    if version_id is None:
        return None, [], []
    with service.store.read() as session:
        row = versions.find(session, Overlay, version_id)
        parent = session.scalars(select(Overlay).where(Overlay.digest == row.parent)).first()
        present = versions.published(session, Overlay)
        before = {} if parent is None else {rule.id: rule for rule in versions.rules_in(parent)}
        now = {rule.id: rule for rule in versions.rules_in(row)}
        in_force = set() if present is None else {rule.id for rule in versions.rules_in(present)}
        view = RulesVersionView.with_rules(row, rules.names_of(session, row))
    changed = [rule for name, rule in now.items() if before.get(name) != rule]
    return view, changed, sorted((before.keys() - now.keys()) & in_force)


def _running(service: Service, rule_id: str) -> Rule | None:
    """The rule as it is graded now; the one on trial where there is no other."""
    return next((rule for rule in service.engine.screener.lexicon.rules if rule.id == rule_id), None)


def _changes(found: list[Difference]) -> list[Change]:
    return [Change(**one._asdict()) for one in found]
