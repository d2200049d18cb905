"""The rules: those that run, and the versions of what the service lays over the shipped ones."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import openapi
from api.access import Principal, require
from api.dependencies import ServiceDep
from api.errors import not_found
from api.overlay import drafts, versions
from api.overlay.follow import Content, in_force
from api.review import precision
from api.routes.rules_models import (
    Change,
    Checked,
    DraftInput,
    Origin,
    ProblemView,
    RollBackInput,
    RuleChange,
    RulePage,
    RulesDiff,
    RulesInForce,
    RulesInput,
    RulesVersionView,
    RuleView,
    ScoresInput,
    State,
    VersionPage,
    VersionView,
)
from api.schemas import RowId, Text
from api.store.tables_access import User
from api.store.tables_rules import Overlay, SettingsVersion
from api.wiring import Service
from lexicons.schema import Rule

router = APIRouter(prefix="/v1", tags=["rules"], responses=openapi.REFUSALS)
Editor = Annotated[Principal, Depends(require("rules"))]
Publisher = Annotated[Principal, Depends(require("publish"))]
Limit = Annotated[int, Query(ge=1, le=200)]
MISSING: dict[int | str, dict[str, Any]] = {404: openapi.REFUSALS[422] | {"description": "There is no such thing"}}
MOVED: dict[int | str, dict[str, Any]] = MISSING | {
    409: openapi.REFUSALS[422] | {"description": "The version's state forbids it"}
}


def names_of(session: Session, *rows: Overlay | SettingsVersion) -> dict[int, str]:
    """The names of those who wrote and published versions."""
    ids = {id_ for row in rows for id_ in (row.author_id, row.publisher_id) if id_ is not None}
    return {user.id: user.name for user in session.scalars(select(User).where(User.id.in_(ids)))}


@router.get("/rules")
def rules_in_force(service: ServiceDep, principal: Editor) -> RulesInForce:
    """What screens here, and the versions behind it."""
    del principal
    shipped, _ = service.follower.shipped
    with service.store.read() as session:
        wanted = in_force(session)
        published = None if wanted.published is None else session.get_one(Overlay, wanted.published)
        shadow = [session.get_one(Overlay, id_) for id_ in wanted.shadow]
        names = names_of(session, *shadow, *([published] if published else []))
    return RulesInForce(
        shipped=shipped.version,
        lexicon=service.engine.screener.lexicon.version,
        published=None if published is None else VersionView.of(published, names),
        shadow=[VersionView.of(row, names) for row in shadow],
        problem=service.follower.problem,
    )


@router.get("/rules/lexicon")
def list_rules(
    service: ServiceDep,
    principal: Editor,
    signal: Text | None = None,
    origin: Origin | None = None,
    clause: Annotated[Text | None, Query(description="standard/clause that the rule refers to or its signal leads to")] = None,
    text: Annotated[Text | None, Query(description="What the id, the title, a phrase or the pattern holds")] = None,
    after: Text | None = None,
    limit: Limit = 50,
) -> RulePage:
    """The rules that this process has, by id."""
    del principal
    found = chosen_rules(service, signal=signal, origin=origin, clause=clause, text=text)
    chosen = [(where, rule) for where, rule in found if after is None or rule.id > after]
    # the two sides of a rule on trial stay on one page
    last = chosen[limit - 1][1].id if len(chosen) > limit else None
    shown = [(where, rule) for where, rule in chosen if last is None or rule.id <= last]
    views = [RuleView(origin=where, rule=msgspec.to_builtins(rule)) for where, rule in shown]
    return RulePage(rules=views, next=last if len(shown) < len(chosen) else None)


@router.get("/rules/lexicon/{rule_id}", responses=MISSING)
def get_rule(rule_id: Text, service: ServiceDep, principal: Editor) -> RulePage:
    """One rule as it runs; a second entry where a version of it is on trial in the shadow."""
    del principal
    found = [RuleView(origin=where, rule=msgspec.to_builtins(rule)) for where, rule in _rules(service) if rule.id == rule_id]
    if not found:
        raise not_found(f"rule {rule_id!r}")
    return RulePage(rules=found, next=None)


def chosen_rules(
    service: Service,
    *,
    signal: str | None = None,
    origin: Origin | None = None,
    clause: str | None = None,
    text: str | None = None,
) -> list[tuple[Origin, Rule]]:
    """The rules of this process that fit, by id, with where they come from."""
    standards = service.engine.screener.lexicon.standards.values()
    under = {name for one in standards for part in one.clauses if f"{one.id}/{part.id}" == clause for name in part.signals}
    return sorted(
        (
            (where, rule)
            for where, rule in _rules(service)
            if (signal is None or rule.signal == signal)
            and (origin is None or where == origin)
            and (clause is None or clause in rule.references or rule.signal in under)
            and (text is None or any(text in held for held in (rule.id, rule.title, rule.pattern or "", *rule.any_of)))
        ),
        key=lambda entry: (entry[1].id, entry[0]),
    )


def _rules(service: Service) -> list[tuple[Origin, Rule]]:
    """All rules of this process with where they come from."""
    shipped, _ = service.follower.shipped
    own = {rule.id: rule for rule in shipped.rules}
    seen: set[str] = set()
    found: list[tuple[Origin, Rule]] = []
    known = service.engine.screener.lexicon.files
    for rule in service.engine.screener.lexicon.rules:
        trial = rule.id in seen or rule.id not in known
        found.append(("shadow" if trial else "shipped" if own.get(rule.id) == rule else "overlay", rule))
        seen.add(rule.id)
    return found


@router.post("/rules/check", responses=MISSING)
def check_rules(body: RulesInput, service: ServiceDep, principal: Editor) -> Checked:
    """Lint and test changes like shipped rules, all problems with their place; nothing is kept."""
    del principal
    draft = _drafted(body, service, drafts.rules(body.rules))
    return Checked(problems=[ProblemView.of(problem) for problem in draft.problems])


@router.post("/rules/versions", status_code=201, responses=MOVED)
def draft_rules(body: DraftInput, response: Response, service: ServiceDep, principal: Editor) -> RulesVersionView:
    """Keep changes as a new version, in the state draft; they are linted and tested like shipped rules first."""
    changed = drafts.rules(body.rules)
    draft = _drafted(body, service, changed)
    if draft.problems:
        raise drafts.refusal(draft, changed)
    return _kept(draft, body, response, service, principal)


@router.post("/rules/scores", status_code=201, responses=MOVED)
def draft_scores(body: ScoresInput, response: Response, service: ServiceDep, principal: Editor) -> RulesVersionView:
    """Keep the same rules as a new version, in the state draft, with scores estimated anew from all verdicts on flags."""
    shipped, _ = service.follower.shipped
    with service.store.read() as session:
        draft = drafts.scored(precision.judged(session), drafts.base(session, body.parent), shipped)
    return _kept(draft, body, response, service, principal)


def _kept(
    draft: drafts.Draft, body: DraftInput | ScoresInput, response: Response, service: Service, principal: Principal
) -> RulesVersionView:
    assert principal.user_id is not None  # no key has the scope
    text = versions.canonical(draft.content)
    now = service.clock()
    row = Overlay(
        digest=versions.address(text),
        parent=draft.parent,
        title=body.title,
        state="draft",
        body=text,
        lexicon_hash=draft.lexicon,
        author_id=principal.user_id,
        note=body.note,
        created_at=now,
    )
    with service.store.write() as session:
        versions.add(session, row, principal, now)
        names = names_of(session, row)
    response.headers["Location"] = f"/v1/rules/versions/{row.id}"
    return RulesVersionView.with_rules(row, names)


def _drafted(body: RulesInput, service: Service, changed: list[Rule]) -> drafts.Draft:
    shipped, _ = service.follower.shipped
    with service.store.read() as session:
        over = drafts.base(session, body.parent)
    return drafts.drafted(changed, body.drop, over, shipped)


@router.get("/rules/versions")
def list_rules_versions(
    service: ServiceDep, principal: Editor, state: State | None = None, before: RowId | None = None, limit: Limit = 50
) -> VersionPage:
    """All versions, from the newest on."""
    del principal
    with service.store.read() as session:
        rows = versions.page(session, Overlay, state=state, before=before, limit=limit)
        names = names_of(session, *rows)
    return VersionPage(versions=[VersionView.of(row, names) for row in rows], next=rows[-1].id if len(rows) == limit else None)


@router.get("/rules/versions/{version_id}", responses=MISSING)
def get_rules_version(version_id: RowId, service: ServiceDep, principal: Editor) -> RulesVersionView:
    """One version with all its rules."""
    del principal
    with service.store.read() as session:
        row = versions.find(session, Overlay, version_id)
        return RulesVersionView.with_rules(row, names_of(session, row))


@router.get("/rules/versions/{version_id}/diff", responses=MISSING)
def diff_rules(version_id: RowId, service: ServiceDep, principal: Editor, against: RowId | None = None) -> RulesDiff:
    """What the version changes, field by field: over its parent, or against another version."""
    del principal
    shipped, _ = service.follower.shipped
    with service.store.read() as session:
        row = versions.find(session, Overlay, version_id)
        if against is None:
            other = session.scalars(select(Overlay).where(Overlay.digest == row.parent)).first()
        else:
            other = versions.find(session, Overlay, against)
    before, after = (Content() if one is None else msgspec.json.decode(one.body, type=Content) for one in (other, row))
    changes = [
        RuleChange(rule=name, change=kind, fields=[Change(**one._asdict()) for one in fields])  # type: ignore[arg-type]
        for name, kind, fields in drafts.changes(before.rules, after.rules, shipped)
    ]
    judged = [
        Change(field=name, before=before.judged.get(name), after=after.judged.get(name))
        for name in sorted(before.judged | after.judged)
        if before.judged.get(name) != after.judged.get(name)
    ]
    return RulesDiff(version=row.id, against=None if other is None else other.id, changes=changes, judged=judged)


@router.post("/rules/versions/{version_id}/shadow", responses=MOVED)
def shadow_rules(version_id: RowId, service: ServiceDep, principal: Publisher) -> VersionView:
    """Let the version's rules run beside those in force: found and shown as shadow flags, never graded."""
    return _moved(service, version_id, principal, versions.to_shadow)


@router.post("/rules/versions/{version_id}/withdraw", responses=MOVED)
def withdraw_rules(version_id: RowId, service: ServiceDep, principal: Publisher) -> VersionView:
    """Take the version out of the shadow."""
    return _moved(service, version_id, principal, versions.withdraw)


@router.post("/rules/versions/{version_id}/publish", responses=MOVED)
def publish_rules(version_id: RowId, service: ServiceDep, principal: Publisher) -> VersionView:
    """Put the version in force; its author cannot. Workers and API processes take it up within seconds."""
    return _moved(service, version_id, principal, versions.publish)


@router.post("/rules/rollback", responses=MOVED)
def roll_back_rules(body: RollBackInput, service: ServiceDep, principal: Publisher) -> RulesInForce:
    """Go back to an earlier published version, or to what ships."""
    with service.store.write() as session:
        versions.roll_back(session, Overlay, body.to, principal, service.clock(), body.note)
    service.follower.wake()
    return rules_in_force(service, principal)


def _moved(service: Service, version_id: int, principal: Principal, move: versions.Move) -> VersionView:
    with service.store.write() as session:
        row = versions.find(session, Overlay, version_id, lock=True)
        move(session, row, principal, service.clock())
        names = names_of(session, row)
    service.follower.wake()
    return VersionView.of(row, names)
