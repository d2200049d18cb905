"""The command that runs workers; `api.cli` mounts it. Heavy modules load inside the command."""

from typing import Annotated

import typer

from api.cli_service import Database, open_settings
from screening.cli_options import refuse


def worker(
    database: Database = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Worker processes to keep alive.")] = 1,
) -> None:
    """Do the service's jobs: uploads, re-screenings, back-tests. Stops gracefully on SIGTERM or Ctrl+C.

    Any number may run, on any host that reaches the store and the spool folder.
    """
    import signal
    import threading

    from api import logs
    from api.jobs import worker as worker_
    from lexicons.errors import LexiconError
    from screening.errors import InputError

    settings = open_settings(database)
    if processes == 1:
        try:
            worker_.main(settings)
        except (LexiconError, InputError, OSError, ValueError) as error:
            refuse(error)
        return
    logs.configure(settings.log_level)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    worker_.supervise(settings, processes, stopping)
