"""The profiles: which standards grade and whose thresholds hold, for all or for some vendors, in versions like the rules."""

import msgspec
from fastapi import APIRouter, Response
from sqlalchemy import select

from api import openapi
from api.dependencies import ServiceDep
from api.overlay import drafts, profiles, versions
from api.routes.rules import MISSING, MOVED, Editor, Limit, Publisher, names_of
from api.routes.rules_models import (
    Change,
    ProfileDiff,
    ProfileInForce,
    ProfileInput,
    ProfileVersionView,
    RollBackInput,
    State,
    VersionPage,
    VersionView,
)
from api.schemas import RowId
from api.store.tables_rules import SettingsVersion

router = APIRouter(prefix="/v1", tags=["rules"], responses=openapi.REFUSALS)


@router.get("/profiles")
def profile_in_force(service: ServiceDep, principal: Editor) -> ProfileInForce:
    """The profiles that screen here, and the version behind them."""
    del principal
    present = service.engine.screener
    with service.store.read() as session:
        row = versions.published(session, SettingsVersion)
        names = {} if row is None else names_of(session, row)
    return ProfileInForce(
        digest=present.profile.digest(),
        profile=msgspec.to_builtins(present.profile),
        vendors={vendor: one.name for vendor, one in present.vendors.items()},
        digests={vendor: one.digest() for vendor, one in present.vendors.items()},
        published=None if row is None else VersionView.of(row, names),
        problem=service.follower.problem,
    )


@router.post("/profiles/versions", status_code=201, responses=MOVED)
def draft_profile(body: ProfileInput, response: Response, service: ServiceDep, principal: Editor) -> ProfileVersionView:
    """Keep changed profiles as a new version, in the state draft."""
    shipped, own = service.follower.shipped
    assert principal.user_id is not None  # no key has the scope
    now = service.clock()
    with service.store.write() as session:
        present = versions.published(session, SettingsVersion)
        base = profiles.of(session, own, None if present is None else present.id)
        text = versions.canonical(drafts.profiles(base, body.profile, body.profiles, body.vendors, shipped))
        row = SettingsVersion(
            digest=versions.address(text),
            parent=None if present is None else present.digest,
            title=body.title,
            state="draft",
            body=text,
            author_id=principal.user_id,
            note=body.note,
            created_at=now,
        )
        versions.add(session, row, principal, now)
        names = names_of(session, row)
    response.headers["Location"] = f"/v1/profiles/versions/{row.id}"
    return ProfileVersionView.with_profile(row, names)


@router.get("/profiles/versions")
def list_profile_versions(
    service: ServiceDep, principal: Editor, state: State | None = None, before: RowId | None = None, limit: Limit = 50
) -> VersionPage:
    """All versions, from the newest on."""
    del principal
    with service.store.read() as session:
        rows = versions.page(session, SettingsVersion, state=state, before=before, limit=limit)
        names = names_of(session, *rows)
    return VersionPage(versions=[VersionView.of(row, names) for row in rows], next=rows[-1].id if len(rows) == limit else None)


@router.get("/profiles/versions/{version_id}", responses=MISSING)
def get_profile_version(version_id: RowId, service: ServiceDep, principal: Editor) -> ProfileVersionView:
    """One version with its content."""
    del principal
    with service.store.read() as session:
        row = versions.find(session, SettingsVersion, version_id)
        return ProfileVersionView.with_profile(row, names_of(session, row))


@router.get("/profiles/versions/{version_id}/diff", responses=MISSING)
def diff_profile(version_id: RowId, service: ServiceDep, principal: Editor, against: RowId | None = None) -> ProfileDiff:
    """What the version sets otherwise than its parent (without one: than the process's own profile) or another version.

    Fields of the common profile one by one, `profiles` and `vendors` each as a whole.
    """
    del principal
    _, own = service.follower.shipped
    with service.store.read() as session:
        row = versions.find(session, SettingsVersion, version_id)
        if against is None:
            other = session.scalars(select(SettingsVersion).where(SettingsVersion.digest == row.parent)).first()
        else:
            other = versions.find(session, SettingsVersion, against)
        sides = [profiles.of(session, own, None if one is None else one.id) for one in (other, row)]
    found = [*drafts.differences(sides[0].profile, sides[1].profile), *drafts.differences(*sides)]
    fields = [Change(**one._asdict()) for one in found if one.field != "profile"]
    return ProfileDiff(version=row.id, against=None if other is None else other.id, fields=fields)


@router.post("/profiles/versions/{version_id}/publish", responses=MOVED)
def publish_profile(version_id: RowId, service: ServiceDep, principal: Publisher) -> VersionView:
    """Put the version in force; its author cannot."""
    with service.store.write() as session:
        row = versions.find(session, SettingsVersion, version_id, lock=True)
        versions.publish(session, row, principal, service.clock())
        names = names_of(session, row)
    service.follower.wake()
    return VersionView.of(row, names)


@router.post("/profiles/rollback", responses=MOVED)
def roll_back_profile(body: RollBackInput, service: ServiceDep, principal: Publisher) -> ProfileInForce:
    """Go back to an earlier published version, or to the process's own profile."""
    with service.store.write() as session:
        versions.roll_back(session, SettingsVersion, body.to, principal, service.clock(), body.note)
    service.follower.wake()
    return profile_in_force(service, principal)
