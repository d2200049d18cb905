"""`screening batch` in processes of its own, as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from api.cli import app
from screening.samples import ARCHIVE
from screening.types import Conversation
from tests.test_batch_run import contents, written

COPIES = 14


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "api.cli", "batch", *map(str, arguments), "--classifier", "none"]


def batch(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, archive: list[Conversation]) -> Path:
    """An input of several chunks."""
    path = tmp_path_factory.mktemp("input") / "archive.jsonl"
    written(path, [msgspec.structs.replace(c, id=f"{c.id}-{copy}") for copy in range(COPIES) for c in archive])
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, large: Path) -> Path:
    """It scored by one process."""
    out = tmp_path_factory.mktemp("whole") / "out"
    result = batch(large, "--out", out, "--workers", "1")
    assert result.returncode == 0, result.stderr
    return out


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte_and_piped_progress_is_lines(large: Path, whole: Path, tmp_path: Path) -> None:
    result = batch(large, "--out", tmp_path / "out", "--workers", "2")
    assert result.returncode == 0, result.stderr
    assert contents(tmp_path / "out") == contents(whole)
    assert "\x1b" not in result.stderr and "\r" not in result.stderr
    assert f"scored {96 * COPIES} of {96 * COPIES} rows" in result.stderr and "agent messages/s" in result.stderr


def until_one_chunk_is_done(out: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if list(out.glob("_work/parts/*.json")):
            return
        assert process.poll() is None
        time.sleep(0.05)
    raise AssertionError("no chunk was ever done")


@pytest.mark.slow
def test_killed_in_the_middle_and_gone_on_with(large: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(command(large, "--out", out, "--workers", "2"), start_new_session=True, stderr=subprocess.DEVNULL)
    until_one_chunk_is_done(out, process)
    process.kill()  # the parent alone: its workers must see it
    process.wait()
    for _ in range(200):
        if subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True, check=False).returncode:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("workers outlive their parent")
    assert not (out / "summary.json").exists()
    refused = batch(large, "--out", out)
    assert refused.returncode == 2 and "--resume" in refused.stderr
    result = batch(large, "--out", out, "--workers", "2", "--resume")
    assert result.returncode == 0, result.stderr
    assert contents(out) == contents(whole)


@pytest.mark.slow
def test_ctrl_c_stops_and_says_how_to_go_on(large: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(large, "--out", out, "--workers", "2"), start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    until_one_chunk_is_done(out, process)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "go on with --resume" in told and "Traceback" not in told
    result = batch(large, "--out", out, "--workers", "1", "--resume")
    assert result.returncode == 0, result.stderr
    assert contents(out) == contents(whole)


def test_refusals_are_named_and_give_status_1(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(ARCHIVE.read_bytes().splitlines()[0] + b"\n{broken\n")
    arguments = ["batch", file, "--out", tmp_path / "out", "--format", "jsonl", "--workers", 1, "--classifier", "none"]
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 1, result.output
    assert "in.jsonl:2: not JSON" in result.stderr and "1 inputs were refused" in result.stderr
    (line,) = (tmp_path / "out" / "screenings.jsonl").read_bytes().splitlines()
    assert json.loads(line)["conversation_id"] == json.loads(ARCHIVE.read_bytes().splitlines()[0])["id"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.jsonl", "--out", "o"], "nothing.jsonl: no such file or directory"),
        ([str(ARCHIVE), "--out", "o", "--input-format", "docx"], "unknown format 'docx'"),
        ([str(ARCHIVE), "--out", "o", "--profile", "nothing.toml"], "nothing.toml"),
    ],
)
def test_an_unusable_call_gives_status_2(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["batch", *arguments])
    assert result.exit_code == 2 and message in result.output
    assert not (tmp_path / "o").exists()


def test_help_names_both_commands() -> None:
    result = CliRunner().invoke(app, ["batch", "--help"])
    assert result.exit_code == 0 and "run" in result.output and "assemble" in result.output
