"""The Ray engine on a real local cluster of several processes."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from screening.batch import local, on_ray, shuffle
from screening.batch.reading import Options
from screening.batch.run import Asked, Progress, run
from screening.batch.sources import expand
from screening.batch.summary import finish
from screening.batch.work import Work
from screening.errors import InputError
from screening.pipeline import Screener
from screening.types import Conversation
from tests.test_batch_run import SILENT, contents, written

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # Ray's own remarks on its future


def telling(folder: Path) -> Screener:
    """A screener whose process leaves its number."""
    (folder / str(os.getpid())).touch()
    return Screener()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's own name
    ray.init(num_cpus=2, object_store_memory=on_ray.OBJECT_STORE, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def scored(tmp_path: Path, out: str, engine: object, progress: Progress = SILENT) -> Path:
    (tmp_path / "workers").mkdir(exist_ok=True)
    asked = Asked(
        out=str(tmp_path / out),
        sources=expand([str(tmp_path / "a.jsonl")]),
        options=Options(),
        format="parquet",
        keep=False,
        resume=False,
        memory=1 << 26,
    )
    summary = run(asked, partial(telling, tmp_path / "workers"), engine, progress)
    finish(Work.at(asked.out), summary)
    return tmp_path / out


def test_ray_writes_what_the_local_engine_writes_and_survives_a_killed_worker(
    cluster: None, tmp_path: Path, archive: list[Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shuffle, "CHUNK_BYTES", 40_000)
    written(tmp_path / "a.jsonl", [msgspec.structs.replace(c, id=f"{c.id}-{n}") for n in range(3) for c in archive])
    expected = contents(scored(tmp_path, "local", local.alone))
    (tmp_path / "workers" / str(os.getpid())).unlink()
    killed: list[int] = []

    def scoring(rows: int, total: int, counts: object) -> None:
        workers = {int(path.name) for path in (tmp_path / "workers").iterdir()} - {os.getpid()}
        if 0 < rows < total and workers and not killed:
            killed.append(min(workers))
            os.kill(killed[0], signal.SIGKILL)

    out = scored(tmp_path, "ray", partial(on_ray.run, workers=2, address=None), SILENT._replace(scoring=scoring))
    assert contents(out) == expected
    assert killed and len({int(path.name) for path in (tmp_path / "workers").iterdir()} - {os.getpid()}) >= 3


def failing() -> Screener:
    raise InputError("no such lexicon here")


def test_a_worker_that_cannot_begin_ends_the_run_with_its_reason(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="what is done is kept"):
        list(on_ray.run(str(tmp_path), [0], failing, 1, None))
