"""Commands that run the service and keep its store; `api.cli` mounts them. Heavy modules load inside the commands."""

from typing import TYPE_CHECKING, Annotated

import typer

from screening.cli_options import refuse

if TYPE_CHECKING:
    from api.settings import Settings
    from api.store.engine import Store

db_app = typer.Typer(no_args_is_help=True, help="Keep the store's tables.")

Database = Annotated[str | None, typer.Option("--database", help="Database URL instead of the setting's, as sqlite:///FILE.")]


def open_settings(database: str | None = None) -> "Settings":
    """The settings of this process; ends the command with a message where they do not hold."""
    from api.settings import SettingsError, load

    try:
        return load(**({"database": database} if database else {}))
    except SettingsError as error:
        refuse(error)


def open_store(settings: "Settings") -> "Store":
    """The store of the settings; ends the command with a message where it cannot be opened."""
    from api.store.engine import Store

    try:
        return Store(settings.database)
    except (ValueError, OSError) as error:
        refuse(error)


@db_app.command("upgrade")
def upgrade(database: Database = None) -> None:
    """Bring the store's tables to what this version needs; safe to run again, and at any time."""
    from sqlalchemy.exc import SQLAlchemyError

    from api.store import migrations

    store = open_store(open_settings(database))
    try:
        migrations.upgrade(store)
    except SQLAlchemyError as error:
        refuse(RuntimeError(f"db upgrade: {str(error).splitlines()[0]}; nothing was changed"))
    finally:
        store.close()
    typer.echo(f"the store is at {migrations.head()}")
