"""The command that writes rules edited in the service back as a lexicon; `api.cli` mounts it. Heavy modules load inside."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli_service import Database, open_settings, open_store
from screening.cli_options import refuse


def export(
    to: Annotated[Path, typer.Argument(help="A new or empty folder.", file_okay=False)],
    version: Annotated[int | None, typer.Option(help="Number of a version; the published one when left out.")] = None,
    database: Database = None,
) -> None:
    """Write the shipped lexicon with a version of the service's rules merged in, as TOML; `lexicon check` takes it."""
    from sqlalchemy.exc import SQLAlchemyError

    from api.overlay import follow
    from api.store.tables_rules import Overlay
    from lexicons import overlay
    from lexicons.errors import LexiconError
    from lexicons.load import PACKAGED

    settings = open_settings(database)
    store = open_store(settings)
    try:
        with store.read() as session:
            chosen = follow.in_force(session).published if version is None else version
            if chosen is not None and session.get(Overlay, chosen) is None:
                raise ValueError(f"there is no version {chosen} of the rules")
            content = follow.content_of(session, chosen)
        to.mkdir(parents=True, exist_ok=True)
        if any(to.iterdir()):
            raise ValueError(f"the folder {to} is not empty")
        overlay.write(settings.lexicon or PACKAGED, content.rules, to, content.judged)
    except SQLAlchemyError as error:
        refuse(RuntimeError(f"the store cannot be read ({type(error).__name__}); is it there, and upgraded?"))
    except (LexiconError, OSError, ValueError) as error:
        refuse(error)
    finally:
        store.close()
    typer.echo(f"{len(content.rules)} rules merged into {to}")
