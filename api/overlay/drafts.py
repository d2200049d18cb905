"""Edited rules and profiles on their way in: read, laid over their parent, checked, compared."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.orm import Session

from api.errors import ApiError, conflict
from api.overlay import checks, versions
from api.overlay.checks import Problem
from api.overlay.follow import Content
from api.overlay.profiles import Profiles
from api.review import precision
from api.review.precision import Judged
from api.store.tables_rules import Overlay
from lexicons import overlay
from lexicons.load import Lexicon
from lexicons.schema import Rule
from screening import profile as core
from screening.errors import InputError
from screening.profile import Profile


class Draft(NamedTuple):
    """A version to be: its content, its parent's digest, the whole lexicon's version with it, and what is wrong with it."""

    content: Content
    parent: str | None
    lexicon: str
    problems: list[Problem]


class Difference(NamedTuple):
    """A field that differs."""

    field: str
    before: object
    after: object


class Base(NamedTuple):
    """What a draft is laid over: the parent's digest and content, and the rules of all versions that ran."""

    digest: str | None
    content: Content
    ran: list[tuple[Rule, ...]]


def rules(tables: Sequence[dict[str, Any]]) -> list[Rule]:
    """Rules from JSON objects; raises 422 with the place."""
    made = []
    for i, table in enumerate(tables):
        try:
            made.append(msgspec.convert(table, Rule))
        except msgspec.ValidationError as error:
            message, field = _place(error)
            named = f" {table['id']!r}" if isinstance(table.get("id"), str) else ""
            raise ApiError(422, "invalid", f"rule{named}: {message}", f"/rules/{i}{field}") from None
    return made


def profiles(
    present: Profiles,
    common: dict[str, Any] | None,
    named: Sequence[dict[str, Any]] | None,
    vendors: Mapping[str, str] | None,
    lexicon: Lexicon,
) -> Profiles:
    """The present profiles with what is given (not None) in place of theirs; raises 422 with the place."""
    made = Profiles(
        present.profile if common is None else _profile(common, "/profile", lexicon),
        present.profiles if named is None else tuple(_named(named, lexicon)),
        dict(present.vendors if vendors is None else vendors),
    )
    names = {one.name for one in made.profiles}
    for vendor, name in made.vendors.items():
        if name not in names:
            there = ", ".join(sorted(names)) or "none"
            message = f"vendor {vendor!r} is assigned to {name!r}, which is not among `profiles`; there are: {there}"
            raise ApiError(422, "invalid", message, "/vendors")
    return made


def _named(tables: Sequence[dict[str, Any]], lexicon: Lexicon) -> Iterator[Profile]:
    seen: set[str] = set()
    for i, table in enumerate(tables):
        made = _profile(table, f"/profiles/{i}", lexicon)
        if "name" not in table or made.name in seen:
            problem = "is the name of an earlier one, too" if made.name in seen else "is missing; vendors are assigned by it"
            raise ApiError(422, "invalid", f"profile: `name` {problem}", f"/profiles/{i}/name")
        seen.add(made.name)
        yield made


def _profile(table: dict[str, Any], place: str, lexicon: Lexicon) -> Profile:
    try:
        made = msgspec.convert(table, Profile)
        core.check(made, lexicon)
    except msgspec.ValidationError as error:
        message, field = _place(error)
        raise ApiError(422, "invalid", f"profile: {message}", place + field) from None
    except InputError as error:
        raise ApiError(422, "invalid", str(error), place) from None
    return made


def _place(error: msgspec.ValidationError) -> tuple[str, str]:
    """The message without its path, and the path as a JSON pointer."""
    message, _, path = str(error).partition(" - at `$")
    pointer = path.rstrip("`").replace("[...]", "").replace("[", "/").replace("]", "").replace(".", "/")
    return message, pointer


def base(session: Session, parent: int | None) -> Base:
    """What a draft over version `parent` (else the published one) starts from; raises 404."""
    row = versions.published(session, Overlay) if parent is None else versions.find(session, Overlay, parent)
    if row is None:
        return Base(None, Content(), versions.ran(session))
    return Base(row.digest, msgspec.json.decode(row.body, type=Content), versions.ran(session))


def drafted(changed: Sequence[Rule], drop: Iterable[str], over: Base, shipped: Lexicon) -> Draft:
    """Changes laid over their base; raises 422 where there is nothing to change, 409 where a dropped id is not there."""
    before = over.content
    present = {rule.id: rule for rule in before.rules}
    for i, name in enumerate(drop):
        if present.pop(name, None) is None:
            raise conflict("not_changed", f"the parent version does not change rule {name!r}", f"/drop/{i}")
    present |= {rule.id: rule for rule in changed}
    content = versions.content(list(present.values()), before.judged)
    if content == before:
        raise ApiError(422, "invalid", "`rules` and `drop` change nothing", "/rules")
    found = checks.problems(changed, overlay.overlaid(shipped, before.rules), shipped, over.ran)
    return Draft(content, over.digest, overlay.overlaid(shipped, content.rules, judged=content.judged).version, found)


def scored(counted: Iterable[Judged], over: Base, shipped: Lexicon) -> Draft:
    """The rules of the base with scores estimated from all decisions; raises 409 where nothing was judged since."""
    rules = over.content.rules
    running = overlay.overlaid(shipped, rules).rules
    content = versions.content(rules, precision.scores(counted, {rule.id: rule.version for rule in running}))
    if content == over.content:
        raise conflict("nothing_judged", "no flag was confirmed or rejected since these scores were estimated")
    return Draft(content, over.digest, overlay.overlaid(shipped, rules, judged=content.judged).version, [])


def refusal(draft: Draft, changed: Sequence[Rule]) -> ApiError:
    """The answer to a draft that does not pass its checks: the first problem with its place, and how many more there are."""
    first = draft.problems[0]
    place = next((i for i, rule in enumerate(changed) if rule.id == first.rule), None)
    field = "/rules" if place is None else f"/rules/{place}" + (f"/{first.field}" if first.field else "")
    lines = [f"rule {one.rule!r}: {one.message}" for one in draft.problems[:20]]
    more = len(draft.problems) - len(lines)
    return ApiError(422, "rules_invalid", "; ".join(lines) + (f"; and {more} more" if more else ""), field)


def differences(before: msgspec.Struct | None, after: msgspec.Struct | None) -> list[Difference]:
    """The fields that differ, in the type's order; a side that is missing has null everywhere."""
    old, new = ({} if one is None else msgspec.to_builtins(one) for one in (before, after))
    return [Difference(name, old.get(name), new.get(name)) for name in (new or old) if old.get(name) != new.get(name)]


def changes(before: Sequence[Rule], after: Sequence[Rule], shipped: Lexicon) -> list[tuple[str, str, list[Difference]]]:
    """(rule, added | removed | changed, fields) between two overlays, each over the shipped rules."""
    sides = [{rule.id: rule for rule in overlay.overlaid(shipped, side).rules} for side in (before, after)]
    found = []
    for name in sorted({rule.id for rule in (*before, *after)}):
        old, new = sides[0].get(name), sides[1].get(name)
        if old != new:
            kind = "added" if old is None else "removed" if new is None else "changed"
            found.append((name, kind, differences(old, new)))
    return found
