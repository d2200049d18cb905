"""Users and their logins: adding and changing users, sessions, throttling of failed logins."""

import re
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from api import access, audit, passwords
from api.access import Token
from api.clock import SECOND
from api.errors import ApiError, conflict
from api.store.tables_access import ROLES, LoginFailure, User, UserSession
from api.wiring import Service

_NAME = re.compile(r"[\w.@-]{1,64}")
_BY_ADDRESS = 20  # an address may stand for a whole office


def add(session: Session, *, name: str, password: str, role: str, vendor_id: str | None, by: str, at: int) -> User:
    """Add a user in a writing session; raises `ApiError` naming the field that will not do."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise ApiError(422, "invalid", "a name is 1 to 64 letters, digits and . _ - @", "/name")
    _check_role(role, vendor_id)
    _check_password(password, name)
    if session.scalar(select(User.id).where(User.name == name)) is not None:
        raise conflict("name_taken", f"there is a user {name!r} already", "/name")
    hashed = passwords.hashed(password)
    user = User(name=name, password_hash=hashed, role=role, vendor_id=vendor_id, created_at=at, password_changed_at=at)
    session.add(user)
    session.flush()
    detail: dict[str, object] = {"role": role, "vendor_id": vendor_id}
    audit.record(session, at=at, actor=by, action="user_added", subject=f"user:{name}", detail=detail)
    return user


def put(session: Session, *, name: str, password: str, role: str, by: str, at: int) -> User:
    """Add a user, or give the one that is there this password and role."""
    user = session.scalar(select(User).where(User.name == name))
    if user is None:
        return add(session, name=name, password=password, role=role, vendor_id=None, by=by, at=at)
    change(session, user, {"password": password, "role": role, "active": True}, by=by, at=at)
    return user


def change(session: Session, user: User, values: dict[str, Any], *, by: str, at: int) -> None:
    """Change role, vendor, activity or password; whoever loses rights or gets a new password is logged out everywhere."""
    role, vendor_id = values.get("role", user.role), values.get("vendor_id", user.vendor_id)
    if role != "vendor" and "vendor_id" not in values:
        vendor_id = None
    _check_role(role, vendor_id)
    user.role, user.vendor_id = role, vendor_id
    user.active = values.get("active", user.active)
    if values.get("password") is not None:
        _check_password(values["password"], user.name)
        user.password_hash, user.password_changed_at = passwords.hashed(values["password"]), at
    end_sessions(session, user.id, at)
    detail: dict[str, object] = {name: value for name, value in values.items() if name != "password"}
    if "password" in values:
        detail["password"] = "changed"
    audit.record(session, at=at, actor=by, action="user_changed", subject=f"user:{user.name}", detail=detail)


def _check_role(role: str, vendor_id: str | None) -> None:
    if role not in ROLES:
        raise ApiError(422, "invalid", f"there is no role {role!r}; roles are {', '.join(ROLES)}", "/role")
    if (role == "vendor") != (vendor_id is not None):
        raise ApiError(422, "invalid", "a vendor_id belongs to the role vendor, and to no other", "/vendor_id")


def _check_password(password: str, name: str) -> None:
    problem = passwords.problem(password, name)
    if problem is not None:
        raise ApiError(422, "invalid", problem, "/password")


def login(service: Service, name: str, password: str, address: str) -> tuple[User, Token]:
    """Start a session; raises 401 where name or password are wrong, 429 after too many failures.

    A failure is noted before the password is looked at, so that many attempts at once do not slip through.
    """
    name, now = name.strip().lower()[:100], service.clock()
    attempt = _attempt(service, name, address, now)
    with service.store.read() as session:
        user = session.scalar(select(User).where(User.name == name, User.active))
    right = passwords.matches(None if user is None else user.password_hash, password)
    if user is None or not right:
        with service.store.write() as session:
            audit.record(session, at=now, actor=f"user:{name}", action="login_failed", subject=f"address:{address}")
        raise ApiError(401, "wrong_login", "name or password is wrong")
    token = access.new_session()
    with service.store.write() as session:
        session.execute(delete(LoginFailure).where(LoginFailure.id == attempt))
        session.execute(delete(LoginFailure).where(LoginFailure.name == name))
        if passwords.outdated(user.password_hash):
            session.get_one(User, user.id).password_hash = passwords.hashed(password)
        session.add(
            UserSession(
                user_id=user.id,
                token_hash=token.digest,
                created_at=now,
                expires_at=now + service.settings.session_hours * 3600 * SECOND,
                address=address,
            )
        )
        audit.record(session, at=now, actor=f"user:{name}", action="login", subject=f"address:{address}")
    return user, token


def _attempt(service: Service, name: str, address: str, now: int) -> int:
    settings = service.settings
    window = settings.login_window_minutes * 60 * SECOND
    with service.store.write() as session:
        session.execute(delete(LoginFailure).where(LoginFailure.at < now - window))
        for column, value, most in (
            (LoginFailure.name, name, settings.login_attempts),
            (LoginFailure.address, address, settings.login_attempts * _BY_ADDRESS),
        ):
            count, first = session.execute(select(func.count(), func.min(LoginFailure.at)).where(column == value)).one()
            if count >= most:
                wait = max(1, (first + window - now) // SECOND)
                message = f"too many failed logins; try again in {wait} s"
                raise ApiError(429, "too_many_logins", message, headers={"Retry-After": str(wait)})
        failure = LoginFailure(name=name, address=address, at=now)
        session.add(failure)
        session.flush()
        return failure.id


def end_sessions(session: Session, user_id: int, at: int, only: int | None = None) -> int:
    """End a user's sessions, or `only` one of them; how many ended."""
    statement = update(UserSession).where(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
    if only is not None:
        statement = statement.where(UserSession.id == only)
    ended = session.execute(statement.values(revoked_at=at).returning(UserSession.id))
    return len(ended.all())
