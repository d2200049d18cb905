"""The audit log: each line's hash covers the line before, so that a changed, missing or reordered line is found."""

import hashlib
from collections.abc import Iterator

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from api.store.tables_access import AuditEntry

FIRST = "sha256:" + "0" * 64
_LOCK = 0x5C4EE42


def record(session: Session, *, at: int, actor: str, action: str, subject: str, detail: dict[str, object] | None = None) -> None:
    """Add a line in a writing session, as the last thing it does: other writers of the log wait until it commits."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    last = session.execute(select(AuditEntry.seq, AuditEntry.hash).order_by(AuditEntry.seq.desc()).limit(1)).first()
    seq, previous = (1, FIRST) if last is None else (last.seq + 1, last.hash)
    packed = msgspec.json.encode(detail or {}, order="deterministic").decode()
    line = _hash(seq, at, actor, action, subject, packed, previous)
    session.add(
        AuditEntry(seq=seq, at=at, actor=actor, action=action, subject=subject, detail=packed, previous_hash=previous, hash=line)
    )
    session.flush()


def _hash(*parts: object) -> str:
    return "sha256:" + hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def verify(session: Session) -> Iterator[str]:
    """One line for each break of the chain, in order; nothing where it is whole.

    That lines are missing at the end only `head` can tell, compared with one that was noted elsewhere.
    """
    expected, previous = 1, FIRST
    for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.seq).execution_options(yield_per=1000)):
        if entry.seq != expected:
            missing = str(expected) if entry.seq == expected + 1 else f"{expected} to {entry.seq - 1}"
            yield f"line {missing} is missing"
        if entry.previous_hash != previous:
            yield f"line {entry.seq} does not follow the line before it"
        parts = (entry.seq, entry.at, entry.actor, entry.action, entry.subject, entry.detail, entry.previous_hash)
        if _hash(*parts) != entry.hash:
            yield f"line {entry.seq} was changed"
        expected, previous = entry.seq + 1, entry.hash


def head(session: Session) -> tuple[int, str]:
    """The number and the hash of the last line; note it elsewhere and a later cut at the end shows."""
    last = session.execute(select(AuditEntry.seq, AuditEntry.hash).order_by(AuditEntry.seq.desc()).limit(1)).first()
    return (0, FIRST) if last is None else (last.seq, last.hash)


def hash_of(session: Session, seq: int) -> str | None:
    """The hash of one line; None where there is no such line."""
    return session.scalar(select(AuditEntry.hash).where(AuditEntry.seq == seq))
