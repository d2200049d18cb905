import threading
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from api.store import migrations, search
from api.store.bodies import Bodies, BodyError
from api.store.engine import Store
from api.store.tables import CandidateSignal, Revision, StoredCandidate, StoredConversation, StoredScreening, VersionSet
from api.store.tables_access import AuditEntry
from screening.errors import InputError
from screening.normalise.clean import clean_text


def add_candidate(store: Store, **fields: object) -> int:
    """One conversation with one screening and one candidate; the candidate's id."""
    with store.write() as session:
        conversation = StoredConversation(
            external_id=f"c-{fields.get('n', 0)}", revision=1, channel="online", created_at=1, updated_at=1
        )
        session.add_all([conversation, VersionSet(digest="sha256:v", body="{}")])
        session.flush()
        revision = Revision(conversation_id=conversation.id, number=1, content_hash="sha256:c", body=b"x", created_at=1)
        session.add(revision)
        session.flush()
        screening = StoredScreening(
            conversation_id=conversation.id,
            revision_id=revision.id,
            versions="sha256:v",
            lexicon_hash="sha256:l",
            cause="ingest",
            incomplete=False,
            latest=True,
            body=b"x",
            created_at=1,
        )
        session.add(screening)
        session.flush()
        candidate = StoredCandidate(
            screening_id=screening.id,
            conversation_id=conversation.id,
            n=0,
            standard="jd-zhitongche",
            clause="A.diversion",
            level="A",
            title="引流",
            severe=False,
            score=0.9,
            flags="[0]",
            channel="online",
            occurred_at=1,
            created_at=1,
            priority=90.36,
            status="open",
        )
        session.add(candidate)
        session.flush()
        session.add(CandidateSignal(candidate_id=candidate.id, signal="diversion.platform", status="open", priority=90.36))
        return candidate.id


def test_migrations_make_exactly_the_metadata(store: Store) -> None:
    assert migrations.current(store) == migrations.head()
    assert migrations.differences(store) == []
    assert set(migrations.METADATA.tables) < set(inspect(store.engine).get_table_names())


def test_a_second_upgrade_changes_nothing(store: Store) -> None:
    add_candidate(store)
    migrations.upgrade(store)
    with store.read() as session:
        assert session.scalar(select(StoredCandidate.title)) == "引流"


def test_an_upgrade_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Store(f"sqlite:///{tmp_path / 'half.db'}")
    with opened.engine.connect() as connection:  # in the way of the last table
        connection.exec_driver_sql("CREATE TABLE search_index (x)")
        connection.commit()
    with pytest.raises(DBAPIError, match="search_index"):
        migrations.upgrade(opened)
    assert inspect(opened.engine).get_table_names() == ["search_index"]
    assert migrations.current(opened) is None
    opened.close()


def test_two_upgrades_at_once_wait_for_each_other(tmp_path: Path) -> None:
    stores = [Store(f"sqlite:///{tmp_path / 'two.db'}") for _ in range(2)]
    threads = [threading.Thread(target=migrations.upgrade, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [migrations.current(one) for one in stores] == [migrations.head()] * 2
    for one in stores:
        one.close()


def test_a_candidates_signals_follow_its_status_and_priority(store: Store) -> None:
    found = add_candidate(store)
    with store.write() as session:
        candidate = session.get_one(StoredCandidate, found)
        candidate.status, candidate.priority = "claimed", 10.0
    with store.read() as session:
        assert session.execute(select(CandidateSignal.status, CandidateSignal.priority)).all() == [("claimed", 10.0)]


def test_one_screening_is_the_latest(store: Store) -> None:
    add_candidate(store)
    with pytest.raises(IntegrityError), store.write() as session:
        first = session.scalars(select(StoredScreening)).one()
        fields = {c.name: getattr(first, c.name) for c in StoredScreening.__table__.columns if c.name != "id"}
        session.add(StoredScreening(**fields))


def test_words_outside_the_fixed_lists_are_refused(store: Store) -> None:
    with pytest.raises(IntegrityError), store.write() as session:
        session.add(StoredConversation(external_id="c", revision=1, channel="pigeon", created_at=1, updated_at=1))


def test_foreign_keys_hold(store: Store) -> None:
    with pytest.raises(IntegrityError), store.write() as session:
        session.add(Revision(conversation_id=77, number=1, content_hash="sha256:c", body=b"x", created_at=1))


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor = 'nobody'", "DELETE FROM audit_log"])
def test_the_audit_log_is_only_added_to(store: Store, statement: str) -> None:
    with store.write() as session:
        line = {"actor": "a", "action": "b", "subject": "c", "detail": "{}", "previous_hash": "", "hash": ""}
        session.add(AuditEntry(seq=1, at=1, **line))
    with pytest.raises(DBAPIError, match="only added"), store.write() as session:
        session.execute(text(statement))
    with store.read() as session:
        assert session.scalar(select(AuditEntry.actor)) == "a"


def test_a_write_that_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as session:
        session.add(VersionSet(digest="sha256:gone", body="{}"))
        session.flush()
        _ = 1 / 0
    with store.read() as session:
        assert session.scalar(select(VersionSet.digest)) is None


def test_writers_wait_for_each_other(store: Store) -> None:
    """Read, add one, write: with 8 threads no step is lost."""
    with store.write() as session:
        session.add(VersionSet(digest="sha256:count", body="0"))

    def step() -> None:
        for _ in range(10):
            with store.write() as session:
                row = session.scalars(select(VersionSet).with_for_update()).one()
                row.body = str(int(row.body) + 1)

    threads = [threading.Thread(target=step) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as session:
        assert session.scalar(select(VersionSet.body)) == "80"


@pytest.mark.parametrize("url", ["sqlite://", "mysql://localhost/x"])
def test_databases_that_do_not_serve_are_named(url: str) -> None:
    with pytest.raises(ValueError, match="store: "):
        Store(url)


TEXTS = {
    1: ("您好，請加我微信 abc123", "好的"),
    2: ("亲，我们的微波炉信得过",),
    3: ("今天", "天气不错"),
    4: ("退货运费由您承担",),
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("微信", {1}),
        ("请加", {1}),
        ("請加我", {1}),
        ("ＡＢＣ", {1}),
        ("bc12", {1}),
        ("退货 承担", {4}),
        ("退货，运费", {4}),
        ("退货承担", set()),
        ("天天气", set()),
        ("天气", {3}),
        ("OR", set()),
        ("微信 退货", set()),
    ],
)
def test_search_finds_two_characters_and_both_scripts(store: Store, words: str, expected: set[int]) -> None:
    with store.write() as session:
        search.add(session, {revision: [clean_text(one).clean for one in texts] for revision, texts in TEXTS.items()})
    with store.read() as session:
        assert set(session.scalars(search.revisions(session, words))) == expected


@pytest.mark.parametrize("words", ["", "微", "微信 a", "，。", "' \" * :"])
def test_search_refuses_what_it_cannot_find(store: Store, words: str) -> None:
    with store.read() as session, pytest.raises(InputError, match="two letters or characters"):
        search.revisions(session, words)


def test_long_conversations_can_be_indexed(store: Store) -> None:
    with store.write() as session:
        search.add(session, {1: ["".join(chr(0x4E00 + i % 20_000) for i in range(200_000))]})
    with store.read() as session:
        assert list(session.scalars(search.revisions(session, "一丁"))) == [1]


def test_bodies_come_back_plain_and_sealed() -> None:
    data = "您好".encode() * 1000
    old = Bodies({"k1": b"1" * 32}, "k1")
    new = Bodies({"k1": b"1" * 32, "k2": b"2" * 32}, "k2")
    plain, sealed = Bodies().pack(data), old.pack(data)
    assert len(plain) < len(data) / 10
    assert data not in sealed
    assert [new.unpack(plain), new.unpack(sealed), new.unpack(new.pack(data))] == [data] * 3
    assert [new.key_of(plain), new.key_of(sealed), new.key_of(new.pack(data))] == [None, "k1", "k2"]
    assert old.pack(data) != sealed  # a nonce is never used twice


def test_bodies_without_their_key_or_changed_are_named() -> None:
    sealed = Bodies({"k1": b"1" * 32}, "k1").pack(b"text")
    with pytest.raises(BodyError, match="'k1', which is not set"):
        Bodies().unpack(sealed)
    with pytest.raises(BodyError, match="changed"):
        Bodies({"k1": b"2" * 32}).unpack(sealed)
    with pytest.raises(BodyError, match="changed"):
        Bodies({"k1": b"1" * 32}).unpack(sealed[:-1] + bytes((sealed[-1] ^ 1,)))
    with pytest.raises(ValueError, match="k9"):
        Bodies({"k1": b"1" * 32}, "k9")
