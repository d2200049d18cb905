"""Logging in and out, and who one is."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, SecretStr

from api import access, audit, openapi, users
from api.access import Caller, Principal
from api.dependencies import ServiceDep
from api.errors import ApiError, ErrorEnvelope
from api.schemas import Input, Text

router = APIRouter(prefix="/v1", tags=["access"], responses=openapi.REFUSALS)
_USERS_ONLY: dict[int | str, dict[str, Any]] = {409: {"model": ErrorEnvelope, "description": "A key has no session"}}


class Me(BaseModel):
    """Who acts and what is allowed."""

    actor: str
    role: str | None
    actions: list[str]
    vendor_id: str | None

    @classmethod
    def of(cls, principal: Principal) -> "Me":
        """As a principal is shown."""
        return cls(actor=principal.actor, role=principal.role, actions=sorted(principal.actions), vendor_id=principal.vendor_id)


class Login(Input):
    """Name and password."""

    name: Text
    password: Annotated[SecretStr, Field(min_length=1, max_length=200)]


class LoggedIn(Me):
    """A new session: the token for programs (`Authorization: Bearer`); browsers get it as a cookie as well."""

    token: str


class LoggedOut(BaseModel):
    """How many sessions ended."""

    ended: int


@router.get("/me")
async def me(principal: Caller) -> Me:
    """Who the caller is, and what he may do."""
    return Me.of(principal)


@router.post("/login")
def login(body: Login, request: Request, response: Response, service: ServiceDep) -> LoggedIn:
    """Log in with name and password; throttled by name and by address."""
    address = request.client.host[:60] if request.client else "-"
    user, token = users.login(service, body.name, body.password.get_secret_value(), address)
    response.set_cookie(
        access.COOKIE,
        token.shown,
        max_age=service.settings.session_hours * 3600,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return LoggedIn(**Me.of(access.principal_for(user)).model_dump(), token=token.shown)


@router.post("/logout", responses=_USERS_ONLY)
def logout(principal: Caller, response: Response, service: ServiceDep, everywhere: bool = False) -> LoggedOut:
    """End this session, or all sessions of the user (`everywhere`)."""
    if principal.user_id is None:
        raise ApiError(409, "no_session", "an API key has no session; revoke it instead")
    now = service.clock()
    with service.store.write() as session:
        ended = users.end_sessions(session, principal.user_id, now, None if everywhere else principal.session_id)
        detail: dict[str, object] = {"everywhere": everywhere, "ended": ended}
        audit.record(session, at=now, actor=principal.actor, action="logout", subject=principal.actor, detail=detail)
    response.delete_cookie(access.COOKIE)
    return LoggedOut(ended=ended)
