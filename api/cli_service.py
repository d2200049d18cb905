"""Commands that run the service and keep its store; `api.cli` mounts them. Heavy modules load inside the commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.cli_options import finish, refuse

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from api.settings import Settings
    from api.store.engine import Store

user_app = typer.Typer(no_args_is_help=True, help="Keep the service's users.")
key_app = typer.Typer(no_args_is_help=True, help="Keep the service's API keys.")
audit_app = typer.Typer(no_args_is_help=True, help="Look after the audit log.")
db_app = typer.Typer(no_args_is_help=True, help="Keep the store's tables.")

Database = Annotated[str | None, typer.Option("--database", help="Database URL instead of the setting's, as sqlite:///FILE.")]


def open_settings(database: str | None = None, **given: object) -> "Settings":
    """The settings of this process; ends the command with a message where they do not hold."""
    from api.settings import SettingsError, load

    try:
        return load(**({"database": database} if database else {}), **given)
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


def serve(
    demo: Annotated[bool, typer.Option("--demo", help="Load the sample archive and print a reviewer's login.")] = False,
    database: Database = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on instead of the setting's.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, max=64, help="API processes instead of the setting's.")] = None,
) -> None:
    """Run the service. Stops gracefully on SIGTERM or Ctrl+C."""
    import tempfile

    given = {name: value for name, value in (("host", host), ("port", port), ("processes", processes)) if value is not None}
    if not demo:
        _serve(open_settings(database, **given))
        return
    with tempfile.TemporaryDirectory(prefix="screening-demo-") as folder:
        _serve_demo(open_settings(database or f"sqlite:///{Path(folder) / 'demo.db'}", **given, demo=True))


def _serve(settings: "Settings") -> None:
    from api import serving

    try:
        serving.serve(settings, ready=lambda address: typer.echo(f"listening on {address}", err=True))
    except ValueError as error:
        refuse(error)


def _serve_demo(settings: "Settings") -> None:
    import secrets

    from pydantic import SecretStr

    from api import serving
    from api.wiring import open_screener
    from lexicons.errors import LexiconError
    from screening.errors import InputError

    if not settings.secret.get_secret_value():
        settings = settings.model_copy(update={"secret": SecretStr(secrets.token_hex(32))})
    try:
        screener = open_screener(settings)
        made = serving.prepare_demo(settings, screener)
    except (LexiconError, InputError, ValueError, OSError) as error:
        refuse(error)

    def ready(address: str) -> None:
        typer.echo(f"{address}  {made.conversations} sample conversations; its documents: {address}/docs")
        if settings.console:
            typer.echo(f"console   {address}/console/")
        for name, password in made.passwords.items():
            typer.echo(f"login     demo-{name}  {password}")
        typer.echo(f"API key   {made.key}")

    serving.serve(settings, screener, ready)


@user_app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="The login.")],
    role: Annotated[str, typer.Option(help="agent_desk, reviewer, lead, vendor or admin.")],
    vendor: Annotated[str | None, typer.Option(help="The vendor whose items a user of the role vendor sees.")] = None,
    database: Database = None,
) -> None:
    """Add a user; the password is asked for, or read as one line from standard input."""
    import sys

    from api import users

    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    with _administering(database) as (session, at):
        user = users.add(session, name=name, password=password, role=role, vendor_id=vendor, by="command-line", at=at)
    typer.echo(f"user {user.name} with the role {user.role}")


@key_app.command("create")
def key_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[list[str], typer.Option(help="screen, ingest, read, raw, jobs or export; may be given again.")],
    vendor: Annotated[str | None, typer.Option(help="Narrow the key to one vendor's data.")] = None,
    per_minute: Annotated[int | None, typer.Option(min=1, help="Requests a minute instead of the setting's.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days until it expires.")] = None,
    database: Database = None,
) -> None:
    """Make an API key and print it; it is shown this once."""
    from api import access
    from api.clock import SECOND

    unknown = set(scope) - access.SCOPES
    if unknown:
        refuse(ValueError(f"no scope {sorted(unknown)[0]!r}; scopes are {', '.join(sorted(access.SCOPES))}"))
    with _administering(database) as (session, at):
        expires = None if days is None else at + days * 86_400 * SECOND
        _, token = access.add_key(
            session,
            name=name,
            scopes=scope,
            vendor_id=vendor,
            per_minute=per_minute,
            expires_at=expires,
            by="command-line",
            at=at,
        )
    typer.echo(token.shown)


@audit_app.command("verify")
def audit_verify(
    expect: Annotated[str | None, typer.Option(help="SEQ:HASH as an earlier run printed it: finds a cut at the end.")] = None,
    database: Database = None,
) -> None:
    """Check the chain of the audit log and print its head; exit status 1 where a line was changed, is missing or reordered."""
    from api import audit

    store = open_store(open_settings(database))
    try:
        with store.read() as session:
            problems = list(audit.verify(session))
            seq, line = audit.head(session)
            if expect is not None:
                number, _, noted = expect.partition(":")
                if not number.isdigit() or audit.hash_of(session, int(number)) != noted:
                    problems.append(f"line {number} is not the one that was noted")
    finally:
        store.close()
    finish(problems, f"{seq} lines, whole; head {seq}:{line}")


@contextmanager
def _administering(database: str | None) -> "Iterator[tuple[Session, int]]":
    """A writing session and the time; ends the command with a message where the change is refused."""
    from sqlalchemy.exc import SQLAlchemyError

    from api.clock import system_clock
    from api.errors import ApiError

    store = open_store(open_settings(database))
    try:
        with store.write() as session:
            yield session, system_clock()
    except ApiError as error:
        refuse(ValueError(error.message))
    except SQLAlchemyError as error:
        refuse(RuntimeError(f"the store refuses ({type(error).__name__}); is it there and upgraded (screening db upgrade)?"))
    finally:
        store.close()
