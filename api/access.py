"""Who may do what, and whose data: the one place that turns a session or an API key into allowed actions and scoped queries."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args

import msgspec
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.models import HTTPBearer
from fastapi.requests import HTTPConnection
from fastapi.security.base import SecurityBase
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api import audit
from api.clock import SECOND
from api.dependencies import service_of
from api.errors import ApiError
from api.store.tables_access import ApiKey, User, UserSession
from api.wiring import Service

Action = Literal[
    "screen",
    "ingest",
    "read",
    "raw",
    "review",
    "assign",
    "jobs",
    "export",
    "rules",
    "publish",
    "users",
    "keys",
    "audit",
]
Scope = Literal["screen", "ingest", "read", "raw", "jobs", "export"]
ALL: frozenset[str] = frozenset(get_args(Action))
SCOPES: frozenset[str] = frozenset(get_args(Scope))
_REVIEWER = frozenset({"screen", "read", "raw", "review"})
ACTIONS: dict[str, frozenset[str]] = {
    "agent_desk": frozenset({"screen"}),
    "vendor": frozenset({"read"}),
    "reviewer": _REVIEWER,
    "lead": _REVIEWER | {"ingest", "assign", "jobs", "export", "rules", "publish", "audit"},
    "admin": ALL,
}
COOKIE = "screening_session"
_KEY_PREFIX, _SESSION_PREFIX = "sk_", "ss_"
_REMEMBERED_SECONDS = 5
_REMEMBERED = 10_000
_USE_NOTED_SECONDS = 600
_Statement = TypeVar("_Statement", bound=Select[*tuple[Any, ...]])


class Principal(NamedTuple):
    """Who acts: a person or a key, with the allowed actions. `vendor_id` narrows all data to one vendor's."""

    actor: str
    user_id: int | None
    role: str | None
    actions: frozenset[str]
    vendor_id: str | None
    session_id: int | None = None


class Token(NamedTuple):
    """A new secret: `shown` goes to its owner once, only `digest` is kept; `prefix` names it in lists."""

    shown: str
    prefix: str
    digest: bytes


def new_key() -> Token:
    """A fresh API key."""
    prefix = _KEY_PREFIX + secrets.token_hex(4)
    shown = f"{prefix}_{secrets.token_urlsafe(32)}"
    return Token(shown, prefix, digest(shown))


def new_session() -> Token:
    """A fresh session token."""
    shown = _SESSION_PREFIX + secrets.token_urlsafe(32)
    return Token(shown, _SESSION_PREFIX, digest(shown))


def digest(token: str) -> bytes:
    """What is kept of a token; tokens hold 256 random bits, so a fast digest is enough."""
    return hashlib.sha256(token.encode()).digest()


def scoped(statement: _Statement, principal: Principal, vendor: InstrumentedAttribute[Any] | ColumnElement[Any]) -> _Statement:
    """The statement over the principal's own data only; `vendor` is the column that says whose a row is."""
    return statement if principal.vendor_id is None else statement.where(vendor == principal.vendor_id)


def visible(principal: Principal, vendor_id: str | None) -> bool:
    """Whether a row of this vendor may be seen; what may not be seen is answered as not found."""
    return principal.vendor_id is None or principal.vendor_id == vendor_id


def owned(principal: Principal, vendor_id: str | None) -> str | None:
    """The vendor that new data of the principal belongs to; raises 403 where it names another's."""
    if principal.vendor_id is None or vendor_id == principal.vendor_id:
        return vendor_id
    if vendor_id is None:
        return principal.vendor_id
    raise ApiError(403, "other_vendor", f"this key brings data of vendor {principal.vendor_id!r} only", "/vendor_id")


class Door(SecurityBase):
    """The dependency that gives the principal where it may do `action` (None: whoever is logged in).

    It is a security scheme itself, so that the OpenAPI document names it without dependencies of their own for token and cookie:
    FastAPI spends as much on each of these as the login costs.
    """

    model = HTTPBearer(description="An API key (sk_...) or a session's token (ss_...).")
    scheme_name = "HTTPBearer"

    def __init__(self, action: Action | None = None):
        self._action = action

    async def __call__(self, request: Request) -> Principal:
        """Raises 401 or 403, and what `principal_of` raises."""
        principal = await principal_of(request)
        if self._action is not None:
            check(principal, self._action)
        return principal


async def principal_of(request: Request) -> Principal:
    """The acting principal; raises 401 without a valid login, 403 for a cookie sent from another site, 429 beyond the rate."""
    service = await service_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            raise _unauthenticated("log in, or send an API key: Authorization: Bearer sk_...")
        _same_site(request)
        token = cookie
    return await authenticated(service, token)


async def authenticated(service: Service, token: str) -> Principal:
    """The principal of an API key or a session's token; raises 401, 429 beyond the rate."""
    now = service.clock()
    key = digest(token)
    remembered = service.remembered.get(key)
    if remembered is not None and remembered[1] <= now < remembered[2]:
        found = remembered[0]
    elif token.startswith(_KEY_PREFIX):
        found = await run_in_threadpool(_by_key, service, token, key, now)
    else:
        found = await run_in_threadpool(by_session, service, key, now)
    if found.user_id is None:
        service.rates.take(found.actor, now)
    return found


Caller = Annotated[Principal, Depends(Door())]


def require(action: Action) -> Door:
    """A dependency that gives the principal where it may do this; raises 401 or 403."""
    return Door(action)


def from_another_site(connection: HTTPConnection) -> bool:
    """Whether a browser says that a page of another site asks."""
    origin = connection.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != connection.headers.get("host", "")


def forbidden(principal: Principal, action: Action) -> ApiError:
    """The refusal of what the principal may not do."""
    return ApiError(403, "forbidden", f"{principal.actor} may not {action}; that needs {_who(action)}")


def check(principal: Principal, action: Action) -> None:
    """Raise 403 where the principal may not do this."""
    if action not in principal.actions:
        raise forbidden(principal, action)


def _who(action: str) -> str:
    roles = [role for role, actions in ACTIONS.items() if action in actions]
    return f"the role {' or '.join(roles)}" + (f", or a key with the scope {action}" if action in SCOPES else "")


def _unauthenticated(message: str) -> ApiError:
    return ApiError(401, "unauthenticated", message, headers={"WWW-Authenticate": "Bearer"})


def _same_site(request: Request) -> None:
    """A browser sends the cookie along from anywhere; what changes something must come from our own pages."""
    if request.method not in ("GET", "HEAD", "OPTIONS") and from_another_site(request):
        origin = request.headers["origin"]
        raise ApiError(403, "cross_origin", f"a request with the session's cookie must not come from {origin}")


def _by_key(service: Service, token: str, key: bytes, now: int) -> Principal:
    prefix = token[: len(_KEY_PREFIX) + 8]
    with service.store.read() as session:
        row = session.scalar(select(ApiKey).where(ApiKey.prefix == prefix))
    if row is None or not hmac.compare_digest(row.secret_hash, key):
        raise _unauthenticated("the API key is unknown")
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise _unauthenticated(f"the API key {prefix} was revoked or has expired")
    found = Principal(f"key:{prefix}", None, None, frozenset(scopes_of(row)), row.vendor_id)
    if len(service.remembered) >= _REMEMBERED:
        service.remembered.clear()
    until = now + _REMEMBERED_SECONDS * SECOND
    service.remembered[key] = (found, now, until if row.expires_at is None else min(until, row.expires_at))
    service.rates.limit(found.actor, row.per_minute)
    if row.last_used_at is None or now - row.last_used_at > _USE_NOTED_SECONDS * SECOND:
        with service.store.write() as session:
            session.get_one(ApiKey, row.id).last_used_at = now
    return found


def by_session(service: Service, key: bytes, now: int) -> Principal:
    """Who the session with this token's digest belongs to now; raises 401."""
    statement = select(UserSession.id, UserSession.expires_at, User).join(User, User.id == UserSession.user_id)
    with service.store.read() as session:
        row = session.execute(statement.where(UserSession.token_hash == key, UserSession.revoked_at.is_(None))).first()
    if row is None or row.expires_at <= now or not row.User.active:
        raise _unauthenticated("the session is unknown or over; log in again")
    return principal_for(row.User, row.id)


def principal_for(user: User, session_id: int | None = None) -> Principal:
    """The principal that a user acts as."""
    return Principal(f"user:{user.name}", user.id, user.role, ACTIONS[user.role], user.vendor_id, session_id)


def scopes_of(key: ApiKey) -> list[str]:
    """The scopes of a key."""
    return msgspec.json.decode(key.scopes, type=list[str])


def add_key(
    session: Session,
    *,
    name: str,
    scopes: Iterable[str],
    vendor_id: str | None,
    per_minute: int | None,
    expires_at: int | None,
    by: str,
    at: int,
) -> tuple[ApiKey, Token]:
    """Keep a new API key; the token's `shown` cannot be had again."""
    token = new_key()
    row = ApiKey(
        name=name,
        prefix=token.prefix,
        secret_hash=token.digest,
        scopes=msgspec.json.encode(sorted(set(scopes))).decode(),
        vendor_id=vendor_id,
        per_minute=per_minute,
        created_by=by,
        created_at=at,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    detail: dict[str, object] = {"name": name, "scopes": sorted(set(scopes)), "vendor_id": vendor_id}
    audit.record(session, at=at, actor=by, action="key_added", subject=f"key:{token.prefix}", detail=detail)
    return row, token
