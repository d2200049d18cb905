"""Who works on which candidate: claims with a time limit, and work that a lead hands out.

A candidate is free (open, nobody's), assigned (open, somebody's), held (claimed, until a time), decided or outdated. A claim whose
time is over is free again for all: work never gets stuck with somebody who went home.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from api.access import ACTIONS, Principal, visible
from api.clock import SECOND, to_datetime
from api.errors import ApiError, conflict, not_found
from api.review.filters import Filters, matching
from api.store.engine import Store
from api.store.tables import StoredCandidate, StoredScreening
from api.store.tables_access import User

_SWEPT = 500


def person(principal: Principal) -> int:
    """The id of the acting user; raises 403 for an API key: only people review."""
    if principal.user_id is None:
        raise ApiError(403, "forbidden", f"{principal.actor} is no person; only people review")
    return principal.user_id


def free_expired(store: Store, now: int, minutes: int) -> None:
    """Give back the candidates whose claims are over; costs two looks into an index where there are none."""
    until = StoredCandidate.claimed_until
    over = (StoredCandidate.status == "claimed") & or_(until <= now, until > _furthest(now, minutes))
    with store.read() as session:
        if session.scalar(select(StoredCandidate.id).where(over).limit(1)) is None:
            return
    with store.write() as session:
        found = select(StoredCandidate.id).where(over).limit(_SWEPT).with_for_update(skip_locked=True)
        ids = session.scalars(found).all()
        freed = update(StoredCandidate).where(StoredCandidate.id.in_(ids))
        session.execute(freed.values(status="open", assignee_id=None, claimed_until=None))


def _furthest(now: int, minutes: int) -> int:
    """A claim that ends beyond this was made before the clock was set back, and is over."""
    return now + 2 * minutes * 60 * SECOND


def claim_next(session: Session, principal: Principal, filters: Filters, *, now: int, minutes: int) -> StoredCandidate | None:
    """Hold the first matching candidate: of those assigned to the user, else of the free ones. None where there is none."""
    user = person(principal)
    open_ = filters._replace(status="open")
    for own in (open_._replace(assignee_id=user, unassigned=False), open_._replace(assignee_id=None, unassigned=True)):
        statement = matching(session, principal, own).limit(1).with_for_update(of=StoredCandidate, skip_locked=True)
        found = session.scalar(statement)
        if found is not None:
            hold(found, user, now, minutes)
            return found
    return None


def claim(session: Session, principal: Principal, candidate_id: int, *, now: int, minutes: int) -> StoredCandidate:
    """Hold this candidate, or hold it for longer; raises 404, or 409 where it is decided, outdated or somebody else's.

    Who may assign may also take what is assigned to another, never what another holds.
    """
    user = person(principal)
    found = locked(session, principal, candidate_id)
    if found.status in ("decided", "outdated"):
        raise over(session, found)
    others = found.assignee_id not in (None, user)
    if others and found.status == "claimed" and now < (found.claimed_until or 0) <= _furthest(now, minutes):
        until = to_datetime(found.claimed_until or 0).isoformat(timespec="seconds")
        raise conflict("claimed", f"candidate {found.id} is held by {_name(session, found.assignee_id)} until {until}")
    if others and found.status == "open" and "assign" not in principal.actions:
        raise conflict("assigned", f"candidate {found.id} is assigned to {_name(session, found.assignee_id)}")
    hold(found, user, now, minutes)
    return found


def release(session: Session, principal: Principal, candidate_id: int) -> StoredCandidate:
    """Give a candidate back that one holds or that was assigned; a lead may do so for anybody. Raises 404 or 409."""
    user = person(principal)
    found = locked(session, principal, candidate_id)
    if found.status in ("decided", "outdated"):
        raise over(session, found)
    if found.assignee_id is None or (found.assignee_id != user and "assign" not in principal.actions):
        holder = "nobody" if found.assignee_id is None else _name(session, found.assignee_id)
        raise conflict("not_claimed", f"candidate {found.id} is with {holder}, not with you")
    found.status, found.assignee_id, found.claimed_until = "open", None, None
    return found


def locked(session: Session, principal: Principal, candidate_id: int) -> StoredCandidate:
    """The candidate, kept from other writers until the session ends; raises 404 where the principal may not see it."""
    found = session.get(StoredCandidate, candidate_id, with_for_update=True, populate_existing=True)
    if found is None or not visible(principal, found.vendor_id):
        raise not_found(f"candidate {candidate_id}")
    return found


def over(session: Session, candidate: StoredCandidate) -> ApiError:
    """The 409 for a candidate that nobody can work on: decided, or outdated, then with the screening that replaced its own."""
    if candidate.status == "decided":
        return conflict("decided", f"candidate {candidate.id} is decided; undo that decision first")
    return outdated(session, candidate.conversation_id, candidate.screening_id)


def outdated(session: Session, conversation_id: int, screening_id: int) -> ApiError:
    """The 409 for a screening that is not the latest; header and message name the latest."""
    own = (StoredScreening.conversation_id == conversation_id) & StoredScreening.latest
    latest = session.scalar(select(StoredScreening.id).where(own))
    message = f"screening {screening_id} is outdated: screening {latest} is newer; look at that one"
    return ApiError(409, "outdated", message, "/screening_id", headers={"X-Latest-Screening": str(latest)})


def hold(candidate: StoredCandidate, user: int, now: int, minutes: int) -> None:
    """Let the user hold a candidate for this long from now."""
    candidate.status, candidate.assignee_id = "claimed", user
    candidate.claimed_until = now + minutes * 60 * SECOND


def _name(session: Session, user_id: int | None) -> str | None:
    return session.scalar(select(User.name).where(User.id == user_id))


class Share(NamedTuple):
    """A person, and how many in a hundred of the candidates are for them (None: all get the same number in turn)."""

    name: str
    percent: float | None = None


def assign(session: Session, principal: Principal, filters: Filters, shares: Sequence[Share], *, limit: int) -> dict[str, int]:
    """Deal the first `limit` free candidates that match to people: in turn, or by percentage; what is left of 100 stays free.

    Each person's share comes from the whole length of the queue, not from its top or end. Gives how many each got.
    """
    people = [_reviewer(session, share.name, i) for i, share in enumerate(shares)]
    if len({share.name for share in shares}) < len(shares):
        raise ApiError(422, "invalid", "a person is named twice", "/to")
    wanted = filters._replace(status="open", assignee_id=None, unassigned=True)
    statement = matching(session, principal, wanted).limit(limit).with_for_update(of=StoredCandidate, skip_locked=True)
    ids = [found.id for found in session.scalars(statement)]
    dealt = _dealt(len(ids), [share.percent for share in shares])
    given = dict.fromkeys((share.name for share in shares), 0)
    rows = []
    for candidate, to in zip(ids, dealt, strict=True):
        if to is not None:
            rows.append({"id": candidate, "assignee_id": people[to]})
            given[shares[to].name] += 1
    if rows:
        session.execute(update(StoredCandidate), rows)
    return given


def _reviewer(session: Session, name: str, place: int) -> int:
    found = session.scalar(select(User).where(User.name == name, User.active))
    if found is None or "review" not in ACTIONS[found.role]:
        raise ApiError(422, "invalid", f"{name!r} is no active user who may review", f"/to/{place}/user")
    return found.id


def _dealt(count: int, percents: Sequence[float | None]) -> list[int | None]:
    """For each of `count` places, whose it is: always the one who is furthest behind their share."""
    if all(percent is None for percent in percents):
        return [to for _, to in zip(range(count), cycle(range(len(percents))), strict=False)]
    shares = [(percent or 0) / 100 for percent in percents]
    shares.append(1 - sum(shares))
    given = [0] * len(shares)
    dealt: list[int | None] = []
    for done in range(1, count + 1):
        to = max(range(len(shares)), key=lambda i: (shares[i] * done - given[i], -i))
        given[to] += 1
        dealt.append(to if to < len(percents) else None)
    return dealt
