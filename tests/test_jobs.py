import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select, update

from api import wiring
from api.access import Principal
from api.clock import SECOND
from api.ingest import content_hash
from api.jobs import ingest, leases, records, rescreen, spool, upload, worker
from api.jobs.kind import Outcome
from api.jobs.leases import LeaseLostError
from api.settings import Settings
from api.store.tables import Revision, StoredCandidate, StoredConversation, StoredScreening
from api.store.tables_jobs import Job, JobError, JobItem
from api.wiring import Service
from screening.pipeline import Screener
from screening.readers.records import from_json
from screening.replay import encode
from screening.types import Conversation, Screening
from tests.conftest import SECRET, TurnedClock

LEAD = Principal("user:lead", None, "lead", frozenset({"ingest", "jobs"}), None)
RUDE = "你是不是傻，脑子有病吧"


@pytest.fixture
def service(database: str, clock: TurnedClock, screener: Screener, tmp_path: Path) -> Iterator[Service]:
    made = wiring.build(Settings(secret=SECRET, database=database, spool=tmp_path / "spool", workers=0), clock)
    made.engine.swap(screener)
    yield made
    made.store.close()


def line(n: int, text: str = "您好，很高兴为您服务", **fields: object) -> bytes:
    turns = [{"role": "customer", "text": f"订单{n}怎么还没到"}, {"role": "agent", "text": text}]
    return json.dumps({"id": f"c-{n}", "turns": turns} | fields, ensure_ascii=False).encode()


def upload_job(service: Service, data: bytes, name: str = "a.jsonl", by: Principal = LEAD, **fields: str) -> int:
    """A job over an upload, as the endpoint makes it."""
    taken = spool.Upload(spool.folder(service.settings), service.bodies)
    taken.write(data)
    taken.finish()
    parameters = msgspec.structs.replace(upload.parameters(name, fields), upload=taken.name)
    with service.store.write() as session:
        return records.create(session, "ingest", parameters, by, service.clock()).id


def job_of(service: Service, job_id: int) -> Job:
    with service.store.read() as session:
        return session.get_one(Job, job_id)


def errors_of(service: Service, job_id: int) -> list[JobError]:
    with service.store.read() as session:
        return list(session.scalars(select(JobError).where(JobError.job_id == job_id).order_by(JobError.place)))


def count(service: Service, table: type) -> int:
    with service.store.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def spooled(service: Service) -> list[str]:
    place = spool.folder(service.settings)
    return [path.name for path in place.iterdir()] if place.is_dir() else []


def blocks(service: Service, job_id: int) -> list[JobItem]:
    with service.store.read() as session:
        return list(session.scalars(select(JobItem).where(JobItem.job_id == job_id).order_by(JobItem.n)))


def test_an_upload_is_screened_and_stored_as_one_by_one(
    service: Service, archive: list[Conversation], screener: Screener
) -> None:
    data = b"\n".join(msgspec.json.encode(conversation) for conversation in archive)
    job_id = upload_job(service, data)
    worker.drain(service)
    job = job_of(service, job_id)
    assert (job.state, job.total, job.done, job.refused) == ("done", len(archive), len(archive), 0)
    assert json.loads(job.counts) == {"created": len(archive)}
    assert spooled(service) == []
    held = [json.loads(service.bodies.unpack(item.body)) for item in blocks(service, job_id) if item.body is not None]
    assert sorted(id_ for ids in held for id_ in ids) == list(range(1, len(archive) + 1))  # the screenings, no text
    with service.store.read() as session:
        rows = session.execute(
            select(StoredConversation.external_id, Revision.body, Revision.content_hash, StoredScreening.body)
            .join(Revision, Revision.conversation_id == StoredConversation.id)
            .join(StoredScreening, StoredScreening.revision_id == Revision.id)
        ).all()
    found = {row[0]: row[1:] for row in rows}
    assert len(rows) == len(found) == len(archive)
    for conversation in archive:
        body, hash_, screening = found[conversation.id]
        assert msgspec.json.decode(service.bodies.unpack(body), type=Conversation) == conversation
        assert hash_ == content_hash(conversation)
        assert service.bodies.unpack(screening) == encode(screener.screen(conversation))


def test_the_same_again_changes_nothing_and_other_content_is_a_revision(service: Service) -> None:
    first = upload_job(service, b"\n".join(line(n) for n in range(5)))
    worker.drain(service)
    again = upload_job(service, b"\n".join([*(line(n) for n in range(4)), line(4, RUDE), line(5)]))
    worker.drain(service)
    assert json.loads(job_of(service, first).counts) == {"created": 5}
    assert json.loads(job_of(service, again).counts) == {"created": 1, "revised": 1, "unchanged": 4}
    assert (count(service, StoredConversation), count(service, Revision), count(service, StoredScreening)) == (6, 7, 7)


def test_refused_inputs_are_named_and_the_rest_is_stored(service: Service) -> None:
    lines = [line(1), b"{", line(2), line(1, "再来一次"), b'{"id": "x", "turns": []}', b"", line(3, turns="no"), line(4)]
    job_id = upload_job(service, b"\n".join(lines))
    worker.drain(service)
    job = job_of(service, job_id)
    assert (job.state, job.total, job.done, job.refused) == ("done", 7, 3, 4)
    errors = errors_of(service, job_id)
    assert [(error.place, error.row) for error in errors] == [(2, 2), (4, 4), (5, 5), (6, 7)]
    assert ["not JSON" in errors[0].message, errors[1].external_id, "empty" in errors[2].message] == [True, "c-1", True]
    assert count(service, StoredConversation) == 3


def test_limits_and_foreign_vendors_refuse_single_conversations(service: Service) -> None:
    with service.store.write() as session:
        session.add(
            StoredConversation(external_id="c-9", revision=1, vendor_id="v2", channel="online", created_at=1, updated_at=1)
        )
        session.flush()
        row = session.scalars(select(StoredConversation)).one()
        session.add(Revision(conversation_id=row.id, number=1, content_hash="sha256:x", body=b"x", created_at=1))
    theirs = LEAD._replace(actor="key:abc", vendor_id="v1")
    long = line(3, "您" * (service.settings.max_text_length + 1))
    lines = [line(1, vendor_id="v1"), line(2), long, line(4, vendor_id="v2"), line(9)]
    job_id = upload_job(service, b"\n".join(lines), by=theirs)
    worker.drain(service)
    assert [(error.place, error.external_id, error.code) for error in errors_of(service, job_id)] == [
        (3, "c-3", "over_limit"),
        (4, "c-4", "other_vendor"),
        (5, "c-9", "other_vendor"),
    ]
    assert "max_text_length" in errors_of(service, job_id)[0].message
    with service.store.read() as session:
        vendors = dict(session.execute(select(StoredConversation.external_id, StoredConversation.vendor_id)).all())
    assert vendors == {"c-9": "v2", "c-1": "v1", "c-2": "v1"}


def xlsx(rows: list[list[object]], path: Path) -> bytes:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return path.read_bytes()


def parquet(rows: list[list[object]], path: Path) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    titles, *cells = rows
    pq.write_table(pa.table({str(title): [row[i] for row in cells] for i, title in enumerate(titles)}), path)
    return path.read_bytes()


def as_csv(rows: list[list[object]], path: Path) -> bytes:
    with path.open("w", newline="", encoding="gb18030") as out:
        csv.writer(out).writerows(rows)
    return path.read_bytes()


ROWS: list[list[object]] = [
    ["会话ID", "角色", "内容"],
    *[[f"t-{n}", role, text] for n in range(3) for role, text in (("客户", "在吗"), ("客服", RUDE if n else "您好"))],
]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("t.csv", as_csv),
        ("t.xlsx", xlsx),
        ("t.parquet", parquet),
        ("t.json", lambda _, __: b"[" + b",".join(line(n) for n in range(3)) + b"]"),
        ("t.jsonl", lambda _, __: b"\n".join(line(n) for n in range(3))),
        ("t.txt", lambda _, __: "\n===\n".join(f"客户：在吗{n}\n客服：您好" for n in range(3)).encode()),
    ],
)
def test_every_format_becomes_conversations(
    service: Service, tmp_path: Path, name: str, make: Callable[[list[list[object]], Path], bytes]
) -> None:
    job_id = upload_job(service, make(ROWS, tmp_path / name), name)
    worker.drain(service)
    job = job_of(service, job_id)
    assert (job.state, job.total, json.loads(job.counts), job.error) == ("done", 3, {"created": 3}, None)
    if name == "t.txt":
        with service.store.read() as session:
            assert session.scalars(select(StoredConversation.external_id).order_by("id")).all() == ["t-1", "t-2", "t-3"]


def test_column_profile_roles_and_assembling_are_options(service: Service, tmp_path: Path) -> None:
    rows = [["k", "w", "t"], ["a", "甲", "在吗"], ["b", "甲", "您好吗"], ["a", "乙", "您好"], ["b", "乙", "在的"]]
    columns = 'shape = "messages"\n[columns]\nid = "k"\nrole = "w"\ntext = "t"\n[roles]\ncustomer = ["甲"]\nagent = ["乙"]\n'
    data = as_csv(rows, tmp_path / "scattered.csv")
    scattered = upload_job(service, data, "scattered.csv", columns=columns)
    together = upload_job(service, data, "scattered.csv", columns=columns, assemble="true")
    roles = upload_job(service, "老王：在吗\n小二：您好".encode(), "chat.txt", roles='[roles]\ncustomer=["老王"]\nagent=["小二"]')
    worker.drain(service)
    assert job_of(service, scattered).refused == 2
    assert "do not lie together" in errors_of(service, scattered)[0].message
    assert (job_of(service, together).refused, job_of(service, together).done) == (0, 2)
    assert (job_of(service, roles).refused, job_of(service, roles).done) == (0, 1)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("bad.xlsx", b"no workbook", "bad.xlsx: not a readable workbook"),
        ("bad.csv", "甲,乙\n1,2\n".encode(), "no ready column profile fits"),
        ("bad.json", b"[1,", "bad.json: not JSON"),
        ("bad.jsonl", b"\x80\xff\xff\x81", "neither UTF-8 nor GB18030"),
    ],
)
def test_a_file_that_cannot_be_read_fails_the_job_with_the_reason(service: Service, name: str, data: bytes, reason: str) -> None:
    job_id = upload_job(service, data, name)
    worker.drain(service)
    job = job_of(service, job_id)
    assert job.state == "failed"
    assert reason in (job.error or "")
    assert "/dev/fd" not in (job.error or "")
    assert (job.finished_at, spooled(service)) == (service.clock(), [])


def test_a_cancelled_job_keeps_what_it_has_and_adds_nothing(service: Service) -> None:
    job_id = upload_job(service, b"\n".join(line(n) for n in range(3 * ingest.BLOCK)))
    for _ in range(2):  # planning and the first block
        assert worker.step(service, "w1", worker.NEVER)
    held = leases.claim(service.store, "w2", service.clock(), 60 * SECOND)
    assert held is not None
    with service.store.write() as session:
        records.cancel(session, records.find(session, job_id, LEAD, lock=True), LEAD, service.clock())
    with pytest.raises(LeaseLostError), service.store.write() as session:
        leases.complete(session, held, Outcome({"created": 1}, []), service.clock())
    assert not worker.step(service, "w1", worker.NEVER)
    job = job_of(service, job_id)
    assert (job.state, job.done, count(service, StoredConversation)) == ("cancelled", ingest.BLOCK, ingest.BLOCK)


def test_an_expired_lease_is_taken_over_and_the_first_holder_writes_nothing(service: Service, clock: TurnedClock) -> None:
    job_id = upload_job(service, b"\n".join(line(n) for n in range(10)))
    assert worker.step(service, "w1", worker.NEVER)
    length = service.settings.lease_seconds * SECOND
    first = leases.claim(service.store, "w1", clock(), length)
    assert first is not None
    assert leases.claim(service.store, "w2", clock(), length) is None
    clock.turn(seconds=service.settings.lease_seconds / 2)
    assert leases.renew(service.store, first, clock() + length)
    clock.turn(seconds=service.settings.lease_seconds - 1)
    assert leases.claim(service.store, "w2", clock(), length) is None
    clock.turn(seconds=2)
    second = leases.claim(service.store, "w2", clock(), length)
    assert second is not None
    assert (second.item_id, second.attempt) == (first.item_id, 2)
    assert not leases.renew(service.store, first, clock() + length)
    from api.jobs import work

    work.do(service, first, lambda: False)  # as if it had only been slow
    assert (count(service, StoredConversation), job_of(service, job_id).state) == (0, "running")
    work.do(service, second, lambda: False)
    job = job_of(service, job_id)
    assert (count(service, StoredConversation), job.state, job.done) == (10, "done", 10)


def test_a_clock_set_back_does_not_keep_a_dead_workers_lease(service: Service, clock: TurnedClock) -> None:
    upload_job(service, line(1))
    length = service.settings.lease_seconds * SECOND
    assert leases.claim(service.store, "dead", clock(), length) is not None
    clock.turn(seconds=-7200)
    assert leases.claim(service.store, "w2", clock(), length) is not None


def test_planning_goes_on_where_it_was_broken_off(service: Service, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [b"{" if n % 7 == 3 else line(n) for n in range(ingest.BLOCK * 12)]
    job_id = upload_job(service, b"\n".join(lines))
    plan, calls = leases.plan, []

    def broken(*args: object) -> None:
        plan(*args)  # type: ignore[arg-type]
        calls.append(len(calls))
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(leases, "plan", broken)
    with pytest.raises(KeyboardInterrupt):
        worker.step(service, "dies", worker.NEVER)
    assert job_of(service, job_id).total is None
    clock.turn(seconds=service.settings.lease_seconds + 1)
    worker.drain(service)
    job = job_of(service, job_id)
    bad = sum(one == b"{" for one in lines)
    assert (job.state, job.total, job.refused, job.done) == ("done", len(lines), bad, len(lines) - bad)
    assert [error.place - 1 for error in errors_of(service, job_id)] == [n for n, one in enumerate(lines) if one == b"{"]
    assert count(service, StoredConversation) == len(lines) - bad


class Poisoned:
    """A screener that is at fault with one conversation as only a fault in the store can be: outside of a screening."""

    def __init__(self, screener: Screener, poison: str):
        self._screener, self._poison = screener, poison
        self.versions, self.profile = screener.versions, screener.profile
        self.versions_of, self.profile_of, self.vendors = screener.versions_of, screener.profile_of, screener.vendors

    def screen_many(self, conversations: list[Conversation]) -> Iterator[Screening]:
        for screening in self._screener.screen_many(conversations):
            level = "Z" if screening.conversation_id == self._poison else screening.level
            broken = msgspec.structs.replace(screening, level=level)
            if level == "Z":  # a level that no table takes
                found = tuple(msgspec.structs.replace(candidate, level="Z") for candidate in screening.candidates)
                broken = msgspec.structs.replace(broken, candidates=found)
            yield broken


def test_a_poisoned_input_fails_alone_and_is_named(service: Service, screener: Screener) -> None:
    service.engine.swap(Poisoned(screener, "c-7"))  # type: ignore[arg-type]
    job_id = upload_job(service, b"\n".join(line(n, RUDE) for n in range(12)))
    worker.drain(service)
    job = job_of(service, job_id)
    assert (job.state, job.total, job.done, job.refused) == ("done", 12, 11, 1)
    (error,) = errors_of(service, job_id)
    assert (error.place, error.external_id, error.code) == (8, "c-7", "failed")
    assert RUDE not in error.message
    assert count(service, StoredConversation) == 11
    assert count(service, StoredCandidate) >= 11


def test_an_input_that_kills_its_workers_fails_alone(service: Service, clock: TurnedClock) -> None:
    job_id = upload_job(service, b"\n".join(line(n) for n in range(3)))
    assert worker.step(service, "w", worker.NEVER)
    for _ in range(service.settings.max_attempts):
        assert leases.claim(service.store, "dies", clock(), SECOND) is not None
        clock.turn(seconds=2)
    assert worker.step(service, "w", worker.NEVER)  # cut into three
    for _ in range(service.settings.max_attempts):
        assert leases.claim(service.store, "dies", clock(), SECOND) is not None
        clock.turn(seconds=2)
        with service.store.write() as session:  # the other two wait meanwhile
            session.execute(update(JobItem).where(JobItem.state == "queued", JobItem.n > 2).values(lease_until=0))
    with service.store.write() as session:
        session.execute(update(JobItem).where(JobItem.state == "queued").values(lease_until=None))
    worker.drain(service)
    job = job_of(service, job_id)
    assert (job.state, job.done, job.refused) == ("done", 2, 1)
    (error,) = errors_of(service, job_id)
    assert (error.external_id, "workers died" in error.message) == ("c-0", True)


def test_rescreening_makes_new_screenings_only_where_the_rules_changed(service: Service, screener: Screener) -> None:
    upload_job(service, b"\n".join(line(n, RUDE if n % 2 else "您好", vendor_id=f"v{n % 3}") for n in range(30)))
    worker.drain(service)
    with service.store.write() as session:
        same = records.create(session, "rescreen", rescreen.Parameters(), LEAD, service.clock()).id
    worker.drain(service)
    assert json.loads(job_of(service, same).counts) == {"unchanged": 30}
    other = Screener(screener.lexicon, msgspec.structs.replace(screener.profile, timezone="Asia/Tokyo"))
    assert other.versions != screener.versions
    service.engine.swap(other)
    with service.store.write() as session:
        some = records.create(session, "rescreen", rescreen.Parameters(vendor_id="v1", level="A"), LEAD, service.clock()).id
        theirs = LEAD._replace(vendor_id="v2")
        scoped = records.create(session, "rescreen", rescreen.Parameters(vendor_id="v1"), theirs, service.clock()).id
    worker.drain(service)
    with service.store.read() as session:
        levels = session.execute(
            select(StoredScreening.level, StoredScreening.cause, StoredScreening.latest, StoredConversation.vendor_id)
            .join(StoredConversation, StoredConversation.id == StoredScreening.conversation_id)
            .order_by(StoredScreening.id)
        ).all()
    wanted = [row for row in levels if row.vendor_id == "v1" and row.level == "A" and row.cause == "ingest"]
    assert len(wanted) == job_of(service, some).done == 5
    assert [row for row in levels if row.cause == "rescreen"] == [("A", "rescreen", True, "v1")] * 5
    assert not any(row.latest for row in wanted)
    assert (job_of(service, scoped).total, job_of(service, scoped).state) == (0, "done")
    with service.store.read() as session:
        status = session.execute(select(StoredCandidate.status, func.count()).group_by(StoredCandidate.status)).all()
    assert dict(map(tuple, status))["outdated"] >= 5
    assert from_json(line(1)).id == "c-1"


def test_uploads_left_by_crashes_are_swept_and_needed_ones_stay(service: Service) -> None:
    import os

    upload_job(service, line(1))
    unfinished = spool.Upload(spool.folder(service.settings), service.bodies)
    unfinished.write(b"x")
    finished = spool.Upload(spool.folder(service.settings), service.bodies)
    finished.write(b"x")
    finished.finish()
    fresh = spool.Upload(spool.folder(service.settings), service.bodies)
    for path in spool.folder(service.settings).iterdir():
        if not path.name.startswith(fresh.name):
            os.utime(path, (1, 1))
        else:
            os.utime(path, ns=(service.clock() * 1000,) * 2)
    worker.clean(service)
    left = spooled(service)
    assert len(left) == 2
    assert fresh.name + ".part" in left
    unfinished.discard()
    fresh.discard()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # a server's files are its own
def test_with_a_key_nothing_of_an_upload_lies_readable_on_disk(
    database: str, clock: TurnedClock, screener: Screener, tmp_path: Path
) -> None:
    import base64

    keys = {"k1": base64.b64encode(bytes(range(32))).decode()}
    settings = Settings(
        secret=SECRET, database=database, spool=tmp_path / "spool", workers=0, encryption_keys=keys, encryption_key="k1"
    )
    made = wiring.build(settings, clock)
    made.engine.swap(screener)

    def on_disk() -> bytes:
        with made.store.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    import zlib

    def readable(data: bytes) -> bool:
        """Whether the text stands there, as it is or compressed."""
        if RUDE.encode() in data:
            return True
        at = data.find(b"\x78\x5e")
        while at >= 0:
            try:
                if RUDE.encode() in zlib.decompressobj().decompress(data[at:]):
                    return True
            except zlib.error:
                pass
            at = data.find(b"\x78\x5e", at + 1)
        return False

    assert readable(zlib.compress(RUDE.encode(), 3))
    job_id = upload_job(made, b"\n".join(line(n, RUDE) for n in range(3)))
    assert not readable(on_disk())
    assert worker.step(made, "w", worker.NEVER)
    assert not readable(on_disk())
    worker.drain(made)
    assert not readable(on_disk())
    assert (job_of(made, job_id).done, made.bodies.encrypts) == (3, True)
    made.store.close()
