import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from api.cli import app
from tests.conftest import SECRET

Call = Callable[..., Result]
PASSWORD = "correct horse battery\n"


@pytest.fixture
def call(tmp_path: Path) -> Call:
    runner = CliRunner(env={"SCREENING_SECRET": SECRET, "SCREENING_DATABASE": f"sqlite:///{tmp_path / 'cli.db'}"})

    def called(*arguments: str, stdin: str | None = None, upgrade: bool = True) -> Result:
        if upgrade:
            assert runner.invoke(app, ["db", "upgrade"]).exit_code == 0
        return runner.invoke(app, list(arguments), input=stdin)

    return called


def test_users_and_keys_are_added(call: Call) -> None:
    added = call("user", "add", "Anna", "--role", "reviewer", stdin=PASSWORD)
    assert (added.exit_code, added.stdout) == (0, "user anna with the role reviewer\n")
    vendor = call("user", "add", "shop", "--role", "vendor", "--vendor", "v1", stdin=PASSWORD)
    assert vendor.exit_code == 0
    key = call("key", "create", "import", "--scope", "ingest", "--scope", "read", "--vendor", "v1", "--days", "30")
    assert key.stdout.startswith("sk_")
    verified = call("audit", "verify")
    assert verified.stdout.startswith("3 lines, whole; head 3:sha256:")


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("user", "add", "anna", "--role", "boss"), PASSWORD, "roles are agent_desk"),
        (("user", "add", "anna", "--role", "vendor"), PASSWORD, "vendor_id"),
        (("user", "add", "anna", "--role", "lead"), "short\n", "12 to 200 characters"),
        (("key", "create", "k", "--scope", "users"), None, "scopes are export, ingest"),
        (("serve", "--database", "mysql://localhost/x"), None, "is no database this service knows"),
    ],
)
def test_what_is_refused_says_why(call: Call, arguments: tuple[str, ...], stdin: str | None, message: str) -> None:
    answer = call(*arguments, stdin=stdin)
    assert answer.exit_code == 2
    assert message in answer.stderr
    assert "Traceback" not in answer.output


def test_a_store_that_was_not_upgraded_is_named(call: Call) -> None:
    answer = call("user", "add", "anna", "--role", "lead", stdin=PASSWORD, upgrade=False)
    assert answer.exit_code == 2
    assert "screening db upgrade" in answer.stderr


def test_the_service_does_not_start_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCREENING_SECRET", raising=False)
    answer = CliRunner().invoke(app, ["serve"])
    assert answer.exit_code == 2
    assert "secret (SCREENING_SECRET): is not set" in answer.stderr


def test_a_tampered_audit_log_is_found(call: Call, tmp_path: Path) -> None:
    call("user", "add", "anna", "--role", "reviewer", stdin=PASSWORD)
    call("user", "add", "ben", "--role", "reviewer", stdin=PASSWORD)
    head = call("audit", "verify").stdout.split("head ")[1].strip()
    assert call("audit", "verify", "--expect", head).exit_code == 0
    connection = sqlite3.connect(tmp_path / "cli.db")
    connection.execute("DROP TRIGGER audit_log_no_delete")
    connection.execute("DELETE FROM audit_log WHERE seq = 2")
    connection.commit()
    connection.close()
    assert call("audit", "verify").exit_code == 0  # a cut at the end leaves a whole chain ...
    cut = call("audit", "verify", "--expect", head)
    assert cut.exit_code == 1  # ... which does not hold what was noted
    assert "line 2 is not the one that was noted" in cut.stdout


def test_screening_on_the_command_line_loads_no_web_and_no_store() -> None:
    heavy = "{'fastapi', 'sqlalchemy', 'alembic', 'uvicorn', 'pydantic_settings', 'structlog', 'argon2', 'prometheus_client'}"
    code = f"import sys, api.cli\ntry: api.cli.app(['screen', '-'])\nexcept SystemExit: print(sorted({heavy} & set(sys.modules)))"
    line = b'{"id": "x", "turns": [{"role": "agent", "text": "hello"}]}\n'
    done = subprocess.run([sys.executable, "-c", code], input=line, capture_output=True, check=True)
    screening, loaded = done.stdout.splitlines()
    assert json.loads(screening)["complete"] is True
    assert loaded == b"[]"
