"""Who may: users, sessions, API keys, failed logins, and the audit log."""

from sqlalchemy import CheckConstraint, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from api.store.base import Base, BigInt, Digest, Id, Json, Name, Time, Word, one_of, refers_to

ROLES = ("agent_desk", "reviewer", "lead", "vendor", "admin")


class User(Base):
    """A person. `name` is the login, in lower case; `vendor_id` is set for the role vendor and only there."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(one_of("role", *ROLES), name="role"),
        CheckConstraint("(role = 'vendor') = (vendor_id IS NOT NULL)", name="vendor"),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[Word]
    vendor_id: Mapped[Name | None]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Time]
    password_changed_at: Mapped[Time]


class UserSession(Base):
    """A login. Only the digest of the token is kept; `revoked_at` ends it early."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id", "revoked_at"),)

    id: Mapped[Id]
    user_id: Mapped[int] = refers_to("users.id", cascade=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[Time]
    expires_at: Mapped[Time]
    revoked_at: Mapped[Time | None]
    address: Mapped[str] = mapped_column(String(60))


class ApiKey(Base):
    """A key for programs: `prefix` is public and names it, `secret_hash` is the digest of the part shown once.

    `scopes` is a JSON list; `vendor_id` narrows the key to one vendor's data.
    """

    __tablename__ = "api_keys"

    id: Mapped[Id]
    name: Mapped[Name]
    prefix: Mapped[str] = mapped_column(String(20), unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    scopes: Mapped[Json]
    vendor_id: Mapped[Name | None]
    per_minute: Mapped[int | None]
    created_by: Mapped[Name]
    created_at: Mapped[Time]
    expires_at: Mapped[Time | None]
    revoked_at: Mapped[Time | None]
    last_used_at: Mapped[Time | None]


class LoginFailure(Base):
    """A failed login, for throttling by name and by address."""

    __tablename__ = "login_failures"
    __table_args__ = (Index(None, "name", "at"), Index(None, "address", "at"))

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(100))
    address: Mapped[str] = mapped_column(String(60))
    at: Mapped[Time]


class AuditEntry(Base):
    """One line of the append-only log; `hash` covers the line and `previous_hash`, so a change breaks the chain."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "subject", "seq"), Index(None, "actor", "seq"))

    seq: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    at: Mapped[Time]
    actor: Mapped[Name]
    action: Mapped[Word]
    subject: Mapped[Name]
    detail: Mapped[Json]
    previous_hash: Mapped[Digest]
    hash: Mapped[Digest]
