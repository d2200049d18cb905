"""The dashboard's statistics over very many candidates: with the index of the period against without it, side by side.

python -m tests.benchmarks.dashboard sqlite:///dashboard.db 1000000        (or a postgresql:// URL of an empty database)
"""

import statistics
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import text

from api.statistics import incidents, service
from api.statistics.chosen import Chosen
from api.store import migrations
from api.store.engine import Store
from lexicons.load import packaged
from tests.benchmarks.queue import DAY, DAYS, LEAD, START, fill

ZONE = ZoneInfo("Asia/Shanghai")
_MEASURES = """
INSERT INTO measures (conversation_id, vendor_id, agent_id, channel, occurred_at, rating, solved, first_seconds, mean_seconds)
SELECT id, vendor_id, agent_id, channel, started_at, CASE id % 3 WHEN 0 THEN 'satisfied' WHEN 1 THEN 'neutral' END,
id % 7 > 0, id % 90, id % 45 FROM conversations
"""


class Timing(NamedTuple):
    """Median milliseconds of a question, with the index and without."""

    name: str
    indexed: float
    plain: float | None


def cases() -> dict[str, Chosen]:
    """Periods and filters that are measured."""
    whole = Chosen(START, START + DAYS * DAY)
    month = whole._replace(start=START + 90 * DAY, end=START + 120 * DAY)
    return {
        "180 days": whole,
        "30 days": month,
        "30 days, a vendor": month._replace(vendor_id="v7"),
        "7 days": month._replace(end=START + 97 * DAY),
        "7 days, an agent": month._replace(end=START + 97 * DAY, agent_id="a77"),
    }


def measured(store: Store, chosen: Chosen, repetitions: int = 3) -> tuple[float, float]:
    """Median milliseconds of the incidents' and of the service's figures."""
    lexicon = packaged()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repetitions):
        with store.read() as session:
            begin = time.perf_counter()
            incidents.count(session, chosen, LEAD, ZONE)
            middle = time.perf_counter()
            service.responses(session, chosen, LEAD, {})
            service.rates(session, chosen, LEAD, lexicon)
            times[0].append(1000 * (middle - begin))
            times[1].append(1000 * (time.perf_counter() - middle))
    return statistics.median(times[0]), statistics.median(times[1])


def measure(store: Store) -> Iterator[Timing]:
    """Each case with the index; then the index is dropped and each is measured again."""
    indexed = {name: measured(store, chosen) for name, chosen in cases().items()}
    with store.write() as session:
        session.execute(text("DROP INDEX ix_candidates_period"))
    for name, chosen in cases().items():
        yield Timing(f"incidents, {name}", indexed[name][0], measured(store, chosen)[0])
        yield Timing(f"service, {name}", indexed[name][1], None)


def main(url: str, count: int) -> None:
    """Fill an empty database and print the table."""
    store = Store(url)
    migrations.upgrade(store)
    fill(store, count)
    with store.write() as session:
        session.execute(text(_MEASURES))
    for one in measure(store):
        against = "" if one.plain is None else f"{one.plain:10.1f} ms without the index, {one.plain / one.indexed:5.1f} times"
        print(f"{one.name:34}{one.indexed:10.1f} ms{against}")
    store.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]))
