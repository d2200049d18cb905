from collections.abc import Iterator

import pytest
from sqlalchemy import text

from api import audit
from api.store.engine import Store


def record(store: Store, count: int) -> None:
    for i in range(count):
        with store.write() as session:
            audit.record(session, at=i, actor="user:anna", action="login", subject=f"s{i}", detail={"n": i, "名": "值"})


def tamper(store: Store, *statements: str) -> list[str]:
    """Change the log as somebody with the database in his hands could, and verify it."""
    with store.write() as session:
        if store.is_sqlite:
            for verb in ("update", "delete"):
                session.execute(text(f"DROP TRIGGER IF EXISTS audit_log_no_{verb}"))
        else:
            session.execute(text("ALTER TABLE audit_log DISABLE TRIGGER ALL"))
        for statement in statements:
            session.execute(text(statement))
    with store.read() as session:
        return list(audit.verify(session))


def test_a_whole_chain_verifies(store: Store) -> None:
    with store.read() as session:
        assert audit.head(session) == (0, audit.FIRST)
    record(store, 5)
    with store.read() as session:
        assert list(audit.verify(session)) == []
        seq, line = audit.head(session)
        assert (seq, line) == (5, audit.hash_of(session, 5))


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE audit_log SET actor = 'user:ben' WHERE seq = 3"], ["line 3 was changed"]),
        (["UPDATE audit_log SET detail = '{}' WHERE seq = 1"], ["line 1 was changed"]),
        (["UPDATE audit_log SET at = 9 WHERE seq = 5"], ["line 5 was changed"]),
        (["DELETE FROM audit_log WHERE seq = 2"], ["line 2 is missing", "line 3 does not follow the line before it"]),
        (["DELETE FROM audit_log WHERE seq < 4"], ["line 1 to 3 is missing", "line 4 does not follow the line before it"]),
        (
            [
                "UPDATE audit_log SET seq = 9 WHERE seq = 2",
                "UPDATE audit_log SET seq = 2 WHERE seq = 3",
                "UPDATE audit_log SET seq = 3 WHERE seq = 9",
            ],
            [
                *("line 2 does not follow the line before it", "line 2 was changed"),
                *("line 3 does not follow the line before it", "line 3 was changed"),
                "line 4 does not follow the line before it",
            ],
        ),
    ],
)
def test_changed_missing_and_reordered_lines_are_found(store: Store, statements: list[str], found: list[str]) -> None:
    record(store, 5)
    assert tamper(store, *statements) == found


def test_a_cut_at_the_end_shows_against_a_noted_head(store: Store) -> None:
    record(store, 5)
    with store.read() as session:
        seq, noted = audit.head(session)
    assert tamper(store, "DELETE FROM audit_log WHERE seq = 5") == []
    with store.read() as session:
        assert audit.hash_of(session, seq) is None
    record(store, 1)
    with store.read() as session:
        assert audit.hash_of(session, seq) not in (None, noted)


def test_a_write_that_fails_leaves_no_line(store: Store) -> None:
    def failing() -> Iterator[None]:
        with store.write() as session:
            audit.record(session, at=1, actor="a", action="b", subject="c")
            yield
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(failing())
    record(store, 1)
    with store.read() as session:
        assert list(audit.verify(session)) == []
        assert audit.head(session)[0] == 1
