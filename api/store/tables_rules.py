"""Rules and settings edited in the service: versions under their content address, and back-tests of them."""

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from api.store.base import Base, Body, Digest, Id, Json, Name, Time, Word, one_of, refers_to

VERSION_STATES = ("draft", "shadow", "published", "superseded", "rolled_back")


def _one_published(table: str) -> Index:
    condition = text("state = 'published'")
    return Index(f"uq_{table}_published", "state", unique=True, sqlite_where=condition, postgresql_where=condition)


class Overlay(Base):
    """One version of the rules over the shipped lexicon. `body` (JSON) never changes; only `state` and its dates do.

    `lexicon_hash` is the version of the whole lexicon with this overlay on, known once it was linted.
    """

    __tablename__ = "overlays"
    __table_args__ = (
        CheckConstraint(one_of("state", *VERSION_STATES), name="state"),
        CheckConstraint("publisher_id IS NULL OR publisher_id <> author_id", name="second_person"),
        Index(None, "state", "published_at"),
        _one_published("overlays"),
    )

    id: Mapped[Id]
    digest: Mapped[Digest] = mapped_column(unique=True)
    parent: Mapped[Digest | None]
    title: Mapped[Name]
    state: Mapped[Word]
    body: Mapped[Json]
    lexicon_hash: Mapped[Digest | None]
    author_id: Mapped[int] = refers_to("users.id")
    publisher_id: Mapped[int | None] = refers_to("users.id")
    note: Mapped[str | None] = mapped_column(String(4000))
    created_at: Mapped[Time]
    published_at: Mapped[Time | None]
    ended_at: Mapped[Time | None]


class SettingsVersion(Base):
    """One version of the profiles, the thresholds and the vendors' assignment to profiles (`body`, JSON)."""

    __tablename__ = "settings_versions"
    __table_args__ = (
        CheckConstraint(one_of("state", *VERSION_STATES), name="state"),
        CheckConstraint("publisher_id IS NULL OR publisher_id <> author_id", name="second_person"),
        Index(None, "state", "published_at"),
        _one_published("settings_versions"),
    )

    id: Mapped[Id]
    digest: Mapped[Digest] = mapped_column(unique=True)
    parent: Mapped[Digest | None]
    title: Mapped[Name]
    state: Mapped[Word]
    body: Mapped[Json]
    author_id: Mapped[int] = refers_to("users.id")
    publisher_id: Mapped[int | None] = refers_to("users.id")
    note: Mapped[str | None] = mapped_column(String(4000))
    created_at: Mapped[Time]
    published_at: Mapped[Time | None]
    ended_at: Mapped[Time | None]


class BackTest(Base):
    """What an overlay would have changed on stored conversations; `report` is packed JSON (its samples hold text)."""

    __tablename__ = "back_tests"
    __table_args__ = (Index(None, "overlay_id", "id"),)

    id: Mapped[Id]
    overlay_id: Mapped[int] = refers_to("overlays.id")
    job_id: Mapped[int] = refers_to("jobs.id", unique=True)
    created_by: Mapped[Name]
    created_at: Mapped[Time]
    finished_at: Mapped[Time | None]
    report: Mapped[Body | None]
