from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from api.overlay import versions
from api.store import migrations
from api.store.engine import Store
from api.store.tables_access import User
from api.store.tables_rules import Overlay
from lexicons import load, lock
from lexicons.schema import Rule
from tests.conftest import SECRET
from tests.ruling import COUNTER

import msgspec  # isort: skip


@pytest.mark.slow
def test_a_published_version_is_written_back_as_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENING_SECRET", SECRET)
    url = f"sqlite:///{tmp_path / 'x.db'}"
    store = Store(url)
    migrations.upgrade(store)
    shipped = load.packaged()
    other = next(rule for rule in shipped.rules if rule.after)
    changed = msgspec.structs.replace(other, version=other.version + 1, title='mit "Zeichen"')
    rules = [msgspec.convert(COUNTER, Rule), changed]
    judged = {changed.id: (changed.version, 19, 2)}
    text = versions.canonical(versions.content(rules, judged))
    with store.write() as session:
        session.add(User(name="a", password_hash="-", role="lead", created_at=1, password_changed_at=1))
        session.flush()
        row = Overlay(digest=versions.address(text), title="x", state="published", body=text, author_id=1, created_at=1)
        session.add(row)
    store.close()
    to = tmp_path / "out"
    done = CliRunner().invoke(app, ["lexicon", "export", str(to), "--database", url])
    assert done.exit_code == 0, done.output
    made = load.load(to)
    assert {rule.id: rule for rule in made.rules} == {rule.id: rule for rule in (*shipped.rules, *rules)}
    assert made.judged == judged and made.version != load.load(load.PACKAGED).version
    assert lock.problems(made.rules, made.sets, lock.read(to)) == []
    again = CliRunner().invoke(app, ["lexicon", "export", str(to), "--database", url])
    assert again.exit_code == 2 and "not empty" in again.output
    missing = CliRunner().invoke(app, ["lexicon", "export", str(tmp_path / "y"), "--version", "9", "--database", url])
    assert missing.exit_code == 2 and "no version 9" in missing.output
