"""Versions of the rules overlay and of the profile: drafted by one person, published by another, kept for good.

A version's content never changes and stands under its digest; only its state moves. At most one of each is published.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api import audit
from api.access import Principal
from api.errors import conflict, not_found
from api.overlay.follow import Content
from api.overlay.profiles import Profiles
from api.store.tables_rules import Overlay, SettingsVersion
from lexicons.schema import Rule

_V = TypeVar("_V", Overlay, SettingsVersion)
Move = Callable[[Session, Overlay, Principal, int], None]
"""A change of an overlay's state at a time; raises 409."""
_NOUN = {"overlays": "rules", "settings_versions": "profile"}


def canonical(body: msgspec.Struct) -> str:
    """The text that a version keeps and is addressed by."""
    return msgspec.json.encode(body, order="deterministic").decode()


def address(text: str) -> str:
    """The content address of a version's text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def content(rules: Sequence[Rule], judged: dict[str, tuple[int, int, int]] | None = None) -> Content:
    """The content of an overlay with these rules and scores."""
    return Content(tuple(sorted(rules, key=lambda rule: rule.id)), judged or {})


def decoded(version: Overlay | SettingsVersion) -> Content | Profiles:
    """What a version holds."""
    if isinstance(version, Overlay):
        return msgspec.json.decode(version.body, type=Content)
    return msgspec.json.decode(version.body, type=Profiles)


def rules_in(version: Overlay) -> tuple[Rule, ...]:
    """All rules of an overlay."""
    return msgspec.json.decode(version.body, type=Content).rules


def find(session: Session, table: type[_V], id_: int, *, lock: bool = False) -> _V:
    """The version with this number; raises 404."""
    row = session.get(table, id_, with_for_update=lock)
    if row is None:
        raise not_found(f"version {id_} of the {_NOUN[table.__tablename__]}")
    return row


def page(session: Session, table: type[_V], *, state: str | None, before: int | None, limit: int) -> Sequence[_V]:
    """Versions from the newest on, older than number `before`."""
    statement = select(table).order_by(table.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(table.state == state)
    if before is not None:
        statement = statement.where(table.id < before)
    return session.scalars(statement).all()


def published(session: Session, table: type[_V], *, lock: bool = False) -> _V | None:
    """The version in force, if any."""
    statement = select(table).where(table.state == "published")
    return session.scalars(statement.with_for_update() if lock else statement).first()


def ran(session: Session) -> list[tuple[Rule, ...]]:
    """The rules of all overlays that ran, in the shadow or graded."""
    bodies = session.scalars(select(Overlay.body).where(Overlay.state != "draft"))
    return [msgspec.json.decode(body, type=Content).rules for body in bodies]


def add(session: Session, row: _V, principal: Principal, at: int) -> _V:
    """Keep a new draft; raises 409 where the same content is kept already."""
    known = session.scalar(select(type(row).id).where(type(row).digest == row.digest))
    if known is not None:
        raise conflict("same_version", f"this is version {known} of the {_NOUN[row.__tablename__]} already")
    session.add(row)
    _record(session, row, principal, at, "draft")
    return row


def to_shadow(session: Session, row: Overlay, principal: Principal, at: int) -> None:
    """Let an overlay run beside the rules in force, found and shown but never graded; raises 409."""
    if row.state in ("shadow", "published"):
        raise conflict("wrong_state", f"version {row.id} is {row.state} already")
    row.state, row.ended_at = "shadow", None
    _record(session, row, principal, at, "shadow")


def withdraw(session: Session, row: Overlay, principal: Principal, at: int) -> None:
    """Take an overlay out of the shadow; raises 409."""
    if row.state != "shadow":
        raise conflict("wrong_state", f"version {row.id} is {row.state}; only one in the shadow can be withdrawn")
    row.state, row.ended_at = "rolled_back", at
    _record(session, row, principal, at, "withdraw")


def publish(session: Session, row: _V, principal: Principal, at: int) -> None:
    """Put a version in force in place of the present one; raises 409 where it must not be, and for its author."""
    present = published(session, type(row), lock=True)
    noun = _NOUN[row.__tablename__]
    first = "shadow" if isinstance(row, Overlay) else "draft"
    if row.state != first:
        raise conflict("wrong_state", f"version {row.id} is {row.state}; only one in the state {first} can be published")
    if row.author_id == principal.user_id:
        raise conflict("second_person", f"you wrote version {row.id}; another person must publish it")
    if row.parent != (None if present is None else present.digest):
        now = "nothing" if present is None else f"version {present.id}"
        raise conflict(
            "outdated_parent",
            f"version {row.id} was not drafted over what is in force ({now}): draft its changes again over that",
        )
    _replace(session, present, "superseded", at)
    row.state, row.publisher_id, row.published_at, row.ended_at = "published", principal.user_id, at, None
    _record(session, row, principal, at, "publish", {"noun": noun, "before": None if present is None else present.id})


def roll_back(session: Session, table: type[_V], to: int | None, principal: Principal, at: int, note: str) -> _V | None:
    """Go back to a version that was published before, or (None) to what ships; whoever may publish may do so alone."""
    present = published(session, table, lock=True)
    if present is None:
        raise conflict("wrong_state", f"nothing is published over the shipped {_NOUN[table.__tablename__]}")
    row = None if to is None else find(session, table, to, lock=True)
    if row is not None and (row is present or row.published_at is None or row.state == "shadow"):
        raise conflict("wrong_state", f"version {row.id} is {row.state}; one can go back to an earlier published version only")
    _replace(session, present, "rolled_back", at)
    if row is not None:
        row.state, row.published_at, row.ended_at = "published", at, None
    _record(session, present, principal, at, "rollback", {"to": to, "note": note})
    return row


def _replace(session: Session, present: Overlay | SettingsVersion | None, state: str, at: int) -> None:
    if present is not None:
        present.state, present.ended_at = state, at
        session.flush()  # before the next one is: only one may be published


def _record(
    session: Session,
    row: Overlay | SettingsVersion,
    principal: Principal,
    at: int,
    action: str,
    detail: dict[str, object] | None = None,
) -> None:
    try:
        session.flush()
    except IntegrityError:  # somebody else kept or published one between our look and our write
        raise conflict("changed_meanwhile", "somebody changed the versions at the same moment; look and try again") from None
    noun = _NOUN[row.__tablename__]
    given = {"digest": row.digest, "parent": row.parent} | (detail or {})
    audit.record(session, at=at, actor=principal.actor, action=f"{noun}.{action}", subject=f"{noun} {row.id}", detail=given)
