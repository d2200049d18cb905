"""Users and API keys, for administrators; the audit log, for those who may read it."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, BaseModel, Field, SecretStr
from sqlalchemy import or_, select

from api import access, audit, openapi, users
from api.access import Principal, require
from api.clock import SECOND, from_datetime, to_datetime
from api.dependencies import ServiceDep
from api.errors import ApiError, ErrorEnvelope, conflict, not_found
from api.schemas import Input, RowId, Text
from api.store.tables_access import ApiKey, AuditEntry, User

router = APIRouter(prefix="/v1", tags=["administration"], responses=openapi.REFUSALS)
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorEnvelope, "description": "There is no such thing"}}
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": ErrorEnvelope, "description": "The state of things forbids it"}}
Role = Literal["agent_desk", "reviewer", "lead", "vendor", "admin"]
Scope = Literal["screen", "ingest", "read", "raw", "jobs", "export"]
Password = Annotated[SecretStr, Field(min_length=1, max_length=200)]
_PAGE = 100


class UserView(BaseModel):
    """A user, without the password."""

    name: str
    role: str
    vendor_id: str | None
    active: bool
    created_at: str

    @classmethod
    def of(cls, user: User) -> "UserView":
        """As a row is shown."""
        created = to_datetime(user.created_at).isoformat()
        return cls(name=user.name, role=user.role, vendor_id=user.vendor_id, active=user.active, created_at=created)


class NewUser(Input):
    """A user to add; `vendor_id` belongs to the role vendor."""

    name: Text
    password: Password
    role: Role
    vendor_id: Text | None = None


class UserChange(Input):
    """What to change; what is left out stays."""

    role: Role | None = None
    vendor_id: Text | None = None
    active: bool | None = None
    password: Password | None = None


class NewKey(Input):
    """An API key to make; it may do what its scopes say, on one vendor's data or on all."""

    name: Text
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(access.SCOPES))]
    vendor_id: Text | None = None
    per_minute: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    days: Annotated[int | None, Field(ge=1, le=3650, description="Days until it expires; never where left out.")] = None


class KeyView(BaseModel):
    """A key, without its secret."""

    id: int
    name: str
    prefix: str
    scopes: list[str]
    vendor_id: str | None
    per_minute: int | None
    created_by: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyView":
        """As a row is shown."""
        return cls(
            id=key.id,
            name=key.name,
            prefix=key.prefix,
            scopes=access.scopes_of(key),
            vendor_id=key.vendor_id,
            per_minute=key.per_minute,
            created_by=key.created_by,
            created_at=to_datetime(key.created_at).isoformat(),
            expires_at=_iso(key.expires_at),
            revoked_at=_iso(key.revoked_at),
            last_used_at=_iso(key.last_used_at),
        )


class MadeKey(KeyView):
    """A new key; `token` is shown this once."""

    token: str


class AuditLine(BaseModel):
    """One line of the audit log."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str


class AuditState(BaseModel):
    """What a check of the whole audit log found: a line for each break, the first hundred of them.

    `lines` and `head` name its end: noted elsewhere, they show a later cut.
    """

    lines: int
    head: str
    breaks: int
    problems: list[str]


class AuditPage(BaseModel):
    """Lines, newest first; `before` asks for the next page."""

    lines: list[AuditLine]
    before: int | None


MayUsers = Annotated[Principal, Depends(require("users"))]
MayKeys = Annotated[Principal, Depends(require("keys"))]


def _iso(micros: int | None) -> str | None:
    return None if micros is None else to_datetime(micros).isoformat()


@router.get("/users")
def list_users(service: ServiceDep, principal: MayUsers) -> list[UserView]:
    """All users by name."""
    del principal
    with service.store.read() as session:
        return [UserView.of(user) for user in session.scalars(select(User).order_by(User.name))]


@router.post("/users", status_code=201, responses=_CONFLICT)
def add_user(body: NewUser, service: ServiceDep, principal: MayUsers) -> UserView:
    """Add a user."""
    with service.store.write() as session:
        user = users.add(
            session,
            name=body.name,
            password=body.password.get_secret_value(),
            role=body.role,
            vendor_id=body.vendor_id,
            by=principal.actor,
            at=service.clock(),
        )
    return UserView.of(user)


@router.patch("/users/{name}", responses=_MISSING | _CONFLICT)
def change_user(name: str, body: UserChange, service: ServiceDep, principal: MayUsers) -> UserView:
    """Change a user, who is logged out everywhere by it."""
    values = body.model_dump(exclude_none=True)
    if not values:
        raise ApiError(422, "invalid", "nothing to change; give role, vendor_id, active or password")
    if body.password is not None:
        values["password"] = body.password.get_secret_value()
    with service.store.write() as session:
        user = session.scalar(select(User).where(User.name == name.lower()))
        if user is None:
            raise not_found(f"user {name!r}")
        if user.id == principal.user_id and (body.active is False or body.role not in (None, user.role)):
            raise conflict("yourself", "one cannot take away one's own rights; another administrator can")
        users.change(session, user, values, by=principal.actor, at=service.clock())
    return UserView.of(user)


@router.get("/keys")
def list_keys(service: ServiceDep, principal: MayKeys) -> list[KeyView]:
    """All API keys, the revoked ones too, newest first."""
    del principal
    with service.store.read() as session:
        return [KeyView.of(key) for key in session.scalars(select(ApiKey).order_by(ApiKey.id.desc()))]


@router.post("/keys", status_code=201)
def add_key(body: NewKey, service: ServiceDep, principal: MayKeys) -> MadeKey:
    """Make an API key; its token is in this answer and nowhere else."""
    now = service.clock()
    with service.store.write() as session:
        key, token = access.add_key(
            session,
            name=body.name,
            scopes=body.scopes,
            vendor_id=body.vendor_id,
            per_minute=body.per_minute,
            expires_at=None if body.days is None else now + body.days * 86_400 * SECOND,
            by=principal.actor,
            at=now,
        )
    return MadeKey(**KeyView.of(key).model_dump(), token=token.shown)


@router.delete("/keys/{key_id}", status_code=204, response_class=Response, responses=_MISSING)
def revoke_key(key_id: RowId, service: ServiceDep, principal: MayKeys) -> None:
    """Revoke an API key; other processes follow within five seconds."""
    now = service.clock()
    with service.store.write() as session:
        key = session.get(ApiKey, key_id)
        if key is None:
            raise not_found(f"key {key_id}")
        if key.revoked_at is None:
            key.revoked_at = now
            audit.record(session, at=now, actor=principal.actor, action="key_revoked", subject=f"key:{key.prefix}")
    service.remembered.clear()


@router.get("/audit")
def list_audit(
    service: ServiceDep,
    principal: Annotated[Principal, Depends(require("audit"))],
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    actor: Text | None = None,
    subject: Text | None = None,
    action: Text | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    text: Annotated[Text | None, Query(description="What actor, action, subject or detail holds, in any case")] = None,
) -> AuditPage:
    """The audit log, newest first, a hundred lines a page."""
    del principal
    statement = select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(_PAGE)
    if before is not None:
        statement = statement.where(AuditEntry.seq < before)
    for column, wanted in ((AuditEntry.actor, actor), (AuditEntry.subject, subject), (AuditEntry.action, action)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if since is not None:
        statement = statement.where(AuditEntry.at >= from_datetime(since))
    if until is not None:
        statement = statement.where(AuditEntry.at < from_datetime(until))
    if text is not None:
        searched = (AuditEntry.actor, AuditEntry.action, AuditEntry.subject, AuditEntry.detail)
        statement = statement.where(or_(*(column.icontains(text, autoescape=True) for column in searched)))
    with service.store.read() as session:
        lines = [
            AuditLine(
                seq=entry.seq,
                at=to_datetime(entry.at).isoformat(),
                actor=entry.actor,
                action=entry.action,
                subject=entry.subject,
                detail=msgspec.json.decode(entry.detail),
                hash=entry.hash,
            )
            for entry in session.scalars(statement)
        ]
    return AuditPage(lines=lines, before=lines[-1].seq if len(lines) == _PAGE else None)


@router.get("/audit/verification")
def verify_audit(service: ServiceDep, principal: Annotated[Principal, Depends(require("audit"))]) -> AuditState:
    """Check the chain of the audit log from its first line to its last."""
    del principal
    with service.store.read() as session:
        problems = list(audit.verify(session))
        seq, line = audit.head(session)
    return AuditState(lines=seq, head=line, breaks=len(problems), problems=problems[:_PAGE])
