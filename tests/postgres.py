"""A PostgreSQL of one's own in a temporary folder, from the machine's packages; never the one that may run there already.

python -m tests.postgres COMMAND...        runs the command with SCREENING_TEST_POSTGRES set, then stops and removes the server
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "screening"
ACCOUNT = "postgres"
"""The system's account that the packages bring: the server refuses to run as root."""
_PACKAGED = "/usr/lib/postgresql"


def programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`, of the newest version that is installed; None where there is none."""
    packaged = sorted(Path(_PACKAGED).glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = shutil.which("initdb")
    return packaged[-1].parent if packaged else Path(found).resolve().parent if found else None


class Server:
    """A server on a free port; `stop` and `start` may follow each other."""

    def __init__(self, folder: Path, bin_: Path):
        self._bin, self._folder = bin_, folder
        self._account = ACCOUNT if os.geteuid() == 0 else None
        if self._account:
            owner = pwd.getpwnam(self._account)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        """The URL of the database that every server has."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c max_connections=200 -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self._folder / 'log'}", f"--options={options}")

    def stop(self, mode: str = "fast") -> None:
        """Stop: `fast` ends all connections, `immediate` is a crash."""
        self._run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    def _run(self, program: str, *options: str) -> None:
        command = [str(self._bin / program), f"--pgdata={self._folder / 'data'}", *options]
        # no pipe: the server would keep it open
        with (self._folder / "said").open("wb") as said:
            group = self._account
            done = subprocess.run(
                command,
                check=False,
                cwd="/",
                stdout=said,
                stderr=said,
                user=self._account,
                group=group,
                extra_groups=group and [],
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {(self._folder / 'said').read_text(errors='replace')}")


@contextmanager
def server() -> Iterator[Server]:
    """A server that runs until the block ends; raises `RuntimeError` where PostgreSQL is not installed."""
    bin_ = programs()
    if bin_ is None:
        raise RuntimeError("PostgreSQL is not installed (Debian's package: postgresql)")
    with tempfile.TemporaryDirectory(prefix="screening-postgres-") as folder:
        made = Server(Path(folder), bin_)
        made.start()
        try:
            yield made
        finally:
            made.stop("immediate")


def main() -> int:
    """Run a command beside a server; its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with server() as running:
        return subprocess.run(sys.argv[1:], env=os.environ | {"SCREENING_TEST_POSTGRES": running.url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
