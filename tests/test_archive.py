"""A scored archive into the store: as it was scored, once, and again without harm."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from api import archive as archives
from api import audit
from api.cli import app
from api.settings import Settings
from api.store.engine import Store
from api.store.tables import Revision, StoredCandidate, StoredConversation, StoredScreening, VersionSet
from api.store.tables_access import AuditEntry
from lexicons.load import packaged
from screening.batch import datasets
from screening.pipeline import Screener
from screening.profile import Override, Profile
from screening.replay import encode
from screening.types import Conversation
from tests.conftest import SECRET, TurnedClock
from tests.scored import scored_archive


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, screener: Screener, archive: list[Conversation]) -> str:
    return scored_archive(tmp_path_factory.mktemp("scored"), screener, archive)


def loaded(root: str, store: Store, **given: object) -> Counter[str]:
    settings = given.pop("settings", None) or Settings(secret=SECRET, workers=0)
    total = Counter[str]()
    for step in archives.load(root, store, settings, TurnedClock(), **given):
        total.update(step.outcomes)
        total["refused"] += len(step.refused)
    return +total


def count(store: Store, table: type) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_screenings_come_out_of_the_archive_to_the_byte(root, screener, archive):
    by_id = {conversation.id: conversation for conversation in archive}
    found = list(archives.scored(root, datasets.summary(root)))
    assert {one.conversation.id for one in found} == set(by_id)
    for one in found:
        assert one.conversation == by_id[one.conversation.id]
        assert encode(one.screening) == encode(screener.screen(one.conversation))


def test_an_archive_is_loaded_once(root, store, archive):
    assert loaded(root, store) == {"created": len(archive)}
    before = {table: count(store, table) for table in (StoredConversation, Revision, StoredScreening, StoredCandidate)}
    assert before[StoredConversation] == before[Revision] == before[StoredScreening] == len(archive)
    assert before[StoredCandidate] > 50
    assert loaded(root, store) == {"unchanged": len(archive)}
    assert before == {table: count(store, table) for table in before}


def test_what_is_stored_is_what_was_scored(root, store, screener, archive):
    loaded(root, store)
    settings = Settings(secret=SECRET)
    bodies = archives.Bodies(settings.keys(), settings.encryption_key)
    statement = select(StoredConversation.external_id, StoredScreening.body, StoredScreening.cause).join(
        StoredScreening, StoredScreening.conversation_id == StoredConversation.id
    )
    expected = {one.conversation_id: encode(one) for one in screener.screen_many(archive)}
    with store.read() as session:
        stored = session.execute(statement).all()
        versions = session.scalars(select(VersionSet.body)).all()
    assert {row.external_id: bodies.unpack(row.body) for row in stored} == expected
    assert {row.cause for row in stored} == {"ingest"}
    assert [msgspec.json.decode(body)["lexicon"] for body in versions] == [screener.versions.lexicon]


def test_a_load_that_was_broken_off_is_gone_on_with(root, store, archive, monkeypatch):
    monkeypatch.setattr(archives, "BLOCK", 20)
    steps = archives.load(root, store, Settings(secret=SECRET), TurnedClock())
    next(steps)
    steps.close()
    assert count(store, StoredConversation) == 20
    assert loaded(root, store) == {"created": len(archive) - 20, "unchanged": 20}


def test_the_audit_log_tells_of_it(root, store, archive):
    loaded(root, store)
    with store.read() as session:
        assert list(audit.verify(session)) == []
        lines = session.execute(select(AuditEntry.action, AuditEntry.subject, AuditEntry.detail).order_by(AuditEntry.seq)).all()
    assert [line.action for line in lines] == ["archive_begun", "archive_ingested"]
    assert msgspec.json.decode(lines[1].detail)["outcomes"] == {"created": len(archive)}


def test_another_content_is_a_revision_and_other_versions_are_left_or_taken(root, store, tmp_path, archive, screener):
    loaded(root, store)
    changed = [msgspec.structs.replace(archive[0], agent_id="a99"), *archive[1:5]]
    strict = Screener(packaged(), Profile(overrides=(Override("response.slow_first", ("online",), 1.0),)))
    other = scored_archive(tmp_path, strict, changed)
    assert loaded(other, store) == {"revised": 1, "unchanged": 4, "other versions": 4}
    assert loaded(other, store, replace=True) == {"unchanged": 1, "replaced": 4}
    assert loaded(other, store, replace=True) == {"unchanged": 5}
    with store.read() as session:
        causes = Counter(session.scalars(select(StoredScreening.cause).where(StoredScreening.latest)))
    assert causes == {"ingest": len(archive) - 5, "revision": 1, "rescreen": 4}


def test_what_is_over_a_limit_is_refused_alone(root, store, archive):
    most = sorted(len(conversation.turns) for conversation in archive)[-3]
    over = sum(len(conversation.turns) > most for conversation in archive)
    settings = Settings(secret=SECRET, max_turns=most)
    assert loaded(root, store, settings=settings) == {"created": len(archive) - over, "refused": over}


def cli(*words: str, database: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["ingest", *words, "--database", database], env={"SCREENING_SECRET": SECRET})
    return result.exit_code, result.stderr


def test_the_command_says_what_it_did(root, settings, archive):
    assert cli(root, database=settings.database) == (0, f"{len(archive)} created; 0 refused\n")
    assert cli(root, database=settings.database) == (0, f"{len(archive)} unchanged; 0 refused\n")


def test_folders_that_are_no_archive_are_refused(tmp_path: Path, settings, screener, archive):
    code, message = cli(str(tmp_path), database=settings.database)
    assert code == 2
    assert "no finished archive" in message
    without = scored_archive(tmp_path, screener, archive[:2], keep=False)
    code, message = cli(without, database=settings.database)
    assert code == 2
    assert "--keep-conversations" in message


def test_a_store_that_was_not_upgraded_is_named(root, tmp_path):
    code, message = cli(root, database=f"sqlite:///{tmp_path / 'new.db'}")
    assert code == 2
    assert "screening db upgrade" in message
