"""`screening ingest`: a scored archive into the service's store. Heavy modules load inside the command."""

from typing import Annotated

import typer

from api.cli_service import Database, open_settings, open_store
from screening.cli_options import refuse

SHOWN_REFUSALS = 100


def ingest(
    archive: Annotated[str, typer.Argument(metavar="DIR", help="A scored archive with --keep-conversations.")],
    database: Database = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the archive's screening where the stored one was made by other versions.")
    ] = False,
) -> None:
    """Load a scored archive into the store for review; nothing is screened again. May be repeated: what is there stays.

    Exit status: 0 all loaded, 1 some conversations were refused (each named on standard error), 2 unusable call.
    """
    import time
    from collections import Counter

    from sqlalchemy.exc import SQLAlchemyError

    from api import archive as archives
    from api.clock import system_clock
    from screening.errors import InputError

    settings = open_settings(database)
    store = open_store(settings)
    outcomes, refused, told = Counter[str](), 0, time.monotonic()
    try:
        for step in archives.load(archive, store, settings, system_clock, replace=replace):
            outcomes.update(step.outcomes)
            for place, id_, reason in step.refused[: max(0, SHOWN_REFUSALS - refused)]:
                typer.echo(f"{archive}: place {place}, {id_!r}: {reason}", err=True)
            refused += len(step.refused)
            if time.monotonic() - told >= 5:
                told = time.monotonic()
                typer.echo(f"{sum(outcomes.values()) - outcomes['other versions'] + refused} conversations so far", err=True)
    except (InputError, OSError) as error:
        refuse(error)
    except SQLAlchemyError as error:
        refuse(RuntimeError(f"the store refuses ({type(error).__name__}); is it there and upgraded (screening db upgrade)?"))
    except KeyboardInterrupt:
        typer.echo("stopped; what is loaded stays: run it again to go on", err=True)
        raise typer.Exit(130) from None
    finally:
        store.close()
    said = ", ".join(f"{outcomes[name]} {name}" for name in ("created", "revised", "replaced", "unchanged") if outcomes[name])
    typer.echo(f"{said or 'no conversations'}; {refused} refused", err=True)
    if outcomes["other versions"]:
        typer.echo(
            f"{outcomes['other versions']} of the unchanged were screened by other versions; --replace takes the archive's",
            err=True,
        )
    if refused:
        raise typer.Exit(1)
