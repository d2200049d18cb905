"""`screening serve --processes N` as it is started: several processes behind one socket."""

import os
import signal
import threading
import time
import urllib.error
from pathlib import Path

import pytest

from api import access, processes
from api.clock import system_clock
from api.settings import Settings
from api.store.engine import Store
from screening.pipeline import Screener
from tests.conftest import SECRET
from tests.test_serving import Running

BODY = {
    "conversation": {"id": "c", "turns": [{"role": "customer", "text": "能便宜点吗"}]},
    "draft": "好的，我帮您查一下",
    "deadline_ms": 30_000,
}


def children(pid: int) -> list[int]:
    return [int(line) for line in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def test_the_socket_is_shared_and_a_taken_address_is_refused() -> None:
    settings = Settings(secret=SECRET, database="sqlite:///none.db", port=0)
    with processes.listening(settings) as taken, pytest.raises(OSError, match="in use"):
        processes.listening(settings.model_copy(update={"port": taken.getsockname()[1]}))


def test_every_pattern_can_be_compiled_before_it_is_needed(screener: Screener) -> None:
    assert not screener.vocabulary.compile(lambda: False)
    assert screener.vocabulary.compile()
    assert all(slot._compiled is not None for e in screener.vocabulary.entries for slot in (e.slot, *e.unless) if slot)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed by /proc")
def test_a_killed_process_costs_its_own_requests_and_is_replaced(migrated: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'store.db'}"
    (tmp_path / "store.db").write_bytes(migrated.read_bytes())
    store = Store(database)
    with store.write() as session:
        _, token = access.add_key(
            session, name="k", scopes=["screen"], vendor_id=None, per_minute=None, expires_at=None, by="t", at=system_clock()
        )
    store.close()
    running = Running(
        "--processes",
        "2",
        environment={"SCREENING_SECRET": SECRET, "SCREENING_DATABASE": database, "SCREENING_LOG_LEVEL": "error"},
    )
    served, lost, stop = [], [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                status, found = running.ask("/v1/assist/check", BODY, token.shown)
                (served if (status, found.get("verdict")) == (200, "pass") else lost).append((status, found))
            except (OSError, urllib.error.URLError) as error:
                lost.append(error)

    try:
        first = children(running.process.pid)
        assert len(first) == 2
        until = time.monotonic() + 60
        while running.ask("/readyz")[0] != 200:
            assert time.monotonic() < until
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        os.kill(first[0], signal.SIGKILL)
        before = len(served)
        while len(served) < before + 20 or len(set(children(running.process.pid)) - {first[0]}) < 2:
            assert time.monotonic() < until
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()
        assert len(lost) <= len(threads), lost  # at most what each had under way in the killed one
    finally:
        stop.set()
        code, _ = running.stop()
    assert code == 0
    assert not Path(f"/proc/{first[1]}").exists()
