"""Migrations by Alembic, shipped inside the package: `screening db upgrade` runs them."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.schema import SchemaItem

from api.store import tables, tables_access, tables_assist, tables_jobs, tables_measures, tables_review, tables_rules
from api.store.base import Base
from api.store.engine import Store

METADATA = Base.metadata
MODULES = (tables, tables_access, tables_assist, tables_jobs, tables_measures, tables_review, tables_rules)
_LOCK = 0x5C4EE41


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The revision that this code needs."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None
    return found


def current(store: Store) -> str | None:
    """The revision that the database is at; None where it is empty."""
    with store.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(store: Store) -> None:
    """Bring the database to `head`, in one transaction: a crash in the middle leaves it as it was.

    Two upgrades at once wait for each other.
    """
    with store.write() as session:
        connection = session.connection()
        if not store.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        command.upgrade(_config(connection), "head")


def ours(item: SchemaItem, name: str | None, kind: str, *_: object) -> bool:
    """Whether a table belongs to the metadata: the search index is made by the migrations alone."""
    del item
    return not (kind == "table" and (name or "").startswith("search_index"))


def differences(store: Store) -> list[object]:
    """What the database lacks or has too much against the metadata; nothing after an upgrade."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        return list(compare_metadata(context, METADATA))
