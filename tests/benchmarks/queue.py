"""The review queue with very many candidates: time of a page for each filter, and how the database finds it.

python -m tests.benchmarks.queue sqlite:///queue.db 1000000        (or a postgresql:// URL of an empty database)
"""

import random
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import event, text
from sqlalchemy.orm import Session

from api.access import ACTIONS, Principal
from api.results import priority
from api.review import queue
from api.review.filters import Filters
from api.settings import Settings
from api.store import migrations, search
from api.store.engine import Store
from api.store.tables import StoredCandidate

LEAD = Principal("user:lead", 1, "lead", ACTIONS["lead"], None)
VENDOR = Principal("user:vendor", 2, "vendor", ACTIONS["vendor"], "v3")
DAY = 86_400_000_000
START = 1_772_000_000_000_000
DAYS = 180
PHRASES = (
    "加我微信",
    "稍后给您回电",
    "不是跟您说过了吗",
    "去别的平台买",
    "这不归我管",
    "保证永远不坏",
    "您好请讲",
    "还有别的问题吗",
    "祝您生活愉快",
)
RARE = "琉璃瓦"
CLAUSES = {
    "A": (("A.diversion", "diversion.private_contact"), ("A.abuse", "rudeness.abuse"), ("A.leak", "leak.customer_data")),
    "B": (("B.shirking", "shirking"), ("B.hangup", "forced_end.hangup"), ("B.claims", "false_claim.guarantee")),
    "C": (("C.impatience", "rudeness.impatience"), ("C.slow", "response.slow"), ("C.promise", "promise.vague")),
}
CHANNELS = ("online",) * 70 + ("phone",) * 25 + ("social",) * 4 + ("email",)
STATUS = ("open",) * 90 + ("decided",) * 9 + ("claimed",)


class _Rows(NamedTuple):
    conversations: tuple[Any, ...]
    revisions: tuple[Any, ...]
    screenings: tuple[Any, ...]
    search_index: tuple[Any, ...]
    candidates: list[tuple[Any, ...]]
    candidate_signals: list[tuple[Any, ...]]


_COLUMNS = {
    "conversations": "id external_id revision vendor_id agent_id customer_id channel started_at created_at updated_at",
    "revisions": "id conversation_id number content_hash body created_at",
    "screenings": "id conversation_id revision_id versions lexicon_hash cause level incomplete latest body created_at",
    "candidates": "id screening_id conversation_id n standard clause level title severe points score flags vendor_id agent_id "
    "channel occurred_at created_at priority status assignee_id claimed_until",
    "candidate_signals": "candidate_id signal status priority",
}


def fill(store: Store, count: int) -> None:
    """Make `count` candidates, two a conversation: real shapes, few distinct scores, nine in ten open."""
    with store.write() as session:
        session.execute(
            text(
                "INSERT INTO users (id, name, password_hash, role, active, created_at, password_changed_at) "
                "VALUES (1, 'lead', '-', 'lead', true, 1, 1), (2, 'anna', '-', 'reviewer', true, 1, 1)"
            )
        )
        session.execute(text("INSERT INTO version_sets (digest, body) VALUES ('sha256:v', '{}')"))
    generated = _generated(count)
    while rows := list(islice(generated, 20_000)):
        with store.write() as session:
            for table in ("conversations", "revisions", "screenings"):
                _insert(session, table, _COLUMNS[table].split(), [getattr(row, table) for row in rows])
            for table in ("candidates", "candidate_signals"):
                _insert(session, table, _COLUMNS[table].split(), [one for row in rows for one in getattr(row, table)])
            columns = ["rowid" if store.is_sqlite else "revision_id", "grams"]
            _insert(session, "search_index", columns, [_grams(store, *row.search_index) for row in rows])
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA optimize" if store.is_sqlite else "VACUUM ANALYZE")


def _grams(store: Store, revision: int, words: str) -> tuple[int, str]:
    grams = search.bigrams([words])
    if store.is_sqlite:
        return revision, " ".join(grams)
    return revision, search._vector(grams)


def _insert(session: Session, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    names = ", ".join(columns)
    driver: Any = session.connection().connection.driver_connection
    if session.get_bind().dialect.name == "sqlite":
        driver.executemany(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})", rows)
        return
    quoted = ", ".join(f'"{name}"' for name in columns)
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({quoted}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _generated(count: int) -> Iterator[_Rows]:
    chance = random.Random(7)
    settings = Settings(demo=True)
    candidate = 0
    for number in range(1, count // 2 + 1):
        agent = chance.randrange(2_000)
        vendor, channel = f"v{agent % 20}", chance.choice(CHANNELS)
        at = START + chance.randrange(DAYS * DAY)
        candidates, signals = [], []
        for n in range(2):
            candidate += 1
            level = chance.choices("ABC", (5, 25, 70))[0]
            clause, signal = chance.choice(CLAUSES[level])
            score = round(chance.choice((0.31, 0.52, 0.655, 0.731, 0.8, 0.88, 0.913, 0.97)) + chance.choice((0, 0, 0, 0.004)), 3)
            status = chance.choice(STATUS)
            holder = 2 if status == "claimed" or chance.random() < 0.01 else None
            until = START + 2 * DAYS * DAY if status == "claimed" else None
            value = priority(settings, level, score)
            candidates.append(
                (
                    *(candidate, number, number, n, "jd-zhitongche", clause, level, clause, False, None, score, "[0]"),
                    *(vendor, f"a{agent}", channel, at, at, value, status, holder, until),
                )
            )
            signals.append((candidate, signal, status, value))
        words = "，".join(chance.choices(PHRASES, k=6)) + (RARE if number % 25_000 == 1 else "")
        yield _Rows(
            (number, f"c-{number}", 1, vendor, f"a{agent}", f"u{number % 90_000}", channel, at, at, at),
            (number, number, 1, "sha256:c", b"x", at),
            (number, number, number, "sha256:v", "sha256:l", "ingest", "A", False, True, b"x", at),
            (number, words),
            candidates,
            signals,
        )


def cases() -> dict[str, tuple[Principal, Filters]]:
    """The filters that are measured: each alone, pairs, and what matches nothing."""
    wide = Filters(occurred_from=START + 10 * DAY, occurred_to=START + 170 * DAY)
    narrow = Filters(occurred_from=START + 90 * DAY, occurred_to=START + 90 * DAY + DAY // 4)
    alone = {
        "all": Filters(),
        "decided": Filters(status="decided"),
        "level A": Filters(level="A"),
        "level C": Filters(level="C"),
        "clause": Filters(clause="C.promise"),
        "signal": Filters(signal="rudeness.abuse"),
        "vendor": Filters(vendor_id="v7"),
        "agent": Filters(agent_id="a77"),
        "channel online": Filters(channel="online"),
        "channel email": Filters(channel="email"),
        "held by one": Filters(status="claimed", assignee_id=2),
        "assigned to one": Filters(assignee_id=2),
        "free": Filters(unassigned=True),
        "six hours": narrow,
        "a day": narrow._replace(occurred_to=START + 91 * DAY),
        "160 days": wide,
        "high scores": Filters(score_from=0.97),
        "low scores": Filters(score_to=0.32),
        "words, common": Filters(words="加我微信"),
        "words, two characters": Filters(words="微信"),
        "words, rare": Filters(words=RARE),
        "words, none": Filters(words="豆腐脑"),
    }
    pairs = {
        "level C, low scores": Filters(level="C", score_to=0.32),
        "vendor, level A": Filters(vendor_id="v7", level="A"),
        "vendor, e-mail": Filters(vendor_id="v7", channel="email"),
        "vendor, a day": narrow._replace(vendor_id="v7", occurred_to=START + 91 * DAY),
        "agent, signal": Filters(agent_id="a77", signal="shirking"),
        "signal, vendor": Filters(signal="shirking", vendor_id="v7"),
        "clause, e-mail": Filters(clause="A.leak", channel="email"),
        "free, level C": Filters(unassigned=True, level="C"),
        "words, vendor": Filters(words="加我微信", vendor_id="v7"),
        "nothing: vendor": Filters(vendor_id="v99"),
        "nothing: level of a clause": Filters(clause="C.promise", level="A"),
        "nothing: agent of a vendor": Filters(agent_id="a77", vendor_id="v1"),
    }
    found = {name: (LEAD, filters) for name, filters in (alone | pairs).items()}
    return found | {"vendor's own": (VENDOR, Filters())}


class Timing(NamedTuple):
    """Milliseconds of a first page and of the fifth (None where there is none)."""

    name: str
    first: float
    later: float | None
    rows: int


def measure(store: Store, repetitions: int = 5) -> Iterator[Timing]:
    """The median time of a page of 50 for each case, session and all."""
    for name, (principal, filters) in cases().items():
        first, shown = _timed(store, principal, filters, None, repetitions)
        cursor = shown.cursor
        for _ in range(3):
            if cursor is not None:
                with store.read() as session:
                    cursor = queue.page(session, principal, filters, limit=50, cursor=cursor).cursor
        later = None if cursor is None else _timed(store, principal, filters, cursor, repetitions)[0]
        yield Timing(name, first, later, len(shown.items))


def _timed(
    store: Store, principal: Principal, filters: Filters, cursor: str | None, repetitions: int
) -> tuple[float, queue.Page]:
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        with store.read() as session:
            shown = queue.page(session, principal, filters, limit=50, cursor=cursor)
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times), shown


def plans(store: Store) -> Iterator[tuple[str, list[str]]]:
    """How the database finds each first page."""
    explain = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "

    def ask_for_the_plan(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        return explain + statement, parameters

    for name, (principal, filters) in cases().items():
        with store.read() as session:
            statement = queue.matching(session, principal, queue.seen_by(principal, filters))
            statement = statement.with_only_columns(StoredCandidate.id, maintain_column_froms=True).limit(51)
            event.listen(store.engine, "before_cursor_execute", ask_for_the_plan, retval=True)
            try:
                lines = [str(line[-1]) for line in session.connection().execute(statement)]
            finally:
                event.remove(store.engine, "before_cursor_execute", ask_for_the_plan)
        yield name, lines


def main(arguments: Iterable[str]) -> None:
    """Fill the database where it is empty, then measure."""
    url, count = arguments
    store = Store(url)
    if migrations.current(store) is None:
        migrations.upgrade(store)
        begin = time.perf_counter()
        fill(store, int(count))
        print(f"filled in {time.perf_counter() - begin:.0f} s")
    for timing in measure(store):
        later = "-" if timing.later is None else f"{timing.later:8.1f}"
        print(f"{timing.name:28} {timing.rows:3} rows {timing.first:8.1f} ms   fifth page {later}")
    for name, lines in plans(store):
        print(name, *lines, sep="\n    ")
    with store.read() as session:
        begin = time.perf_counter()
        found = queue.counts(session, LEAD, Filters())
        print(f"counts {1000 * (time.perf_counter() - begin):.1f} ms: {found}")


if __name__ == "__main__":
    main(sys.argv[1:])
