"""Verdicts of people as further labels: what is read, what they weigh, and the report without which nothing loads."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from api.cli import app
from models import artefact, feedback
from models.cascade import Cascade
from models.dataset import Example, load, load_file
from models.feedback import REPORT, Change
from models.rows import SIGNALS, counts, labelled, row
from screening.errors import InputError
from tests.tiny import example, picked, row_maker, save_base

TRAINED, CALIBRATION = ("b13", "b14"), ("b15", "b17")


def verdict(number: int, part: int, text: str, shown: str | None, judged: list[str]) -> str:
    labels = [] if shown is None else [{"signal": shown, "quote": text}]
    record = {"id": f"feedback-{number}-1", "kind": "turn", "brief": f"feedback-{part}", "channel": "online", "style": "feedback"}
    record |= {"context": [["customer", "在吗"]], "role": "agent", "text": text, "labels": labels}
    return json.dumps(record | {"near": [] if shown else judged, "judged": judged}, ensure_ascii=False) + "\n"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Five confirmed and five rejected flags, a few of them in the parts that are kept for the report."""
    path = tmp_path / "feedback.jsonl"
    lines = []
    for k in range(5):
        lines.append(
            verdict(2 * k, k, f"您加下面的号详聊吧，编号{k}", "diversion.private_contact", ["diversion.private_contact"])
        )
        lines.append(verdict(2 * k + 1, k, f"这款狗粮第{k}批已经到仓", None, ["rudeness.abuse"]))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_a_quarter_of_the_verdicts_is_kept_for_the_report(export: Path) -> None:
    verdicts = feedback.read(export)
    assert {own.brief for own in verdicts.held} == set(feedback.HELD)
    assert (len(verdicts.trained), len(verdicts.held)) == (6, 4)
    assert verdicts.trained[1].judged == {"rudeness.abuse"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"judged": None}, "feedback-0-1 has no `judged`"),
        ({"judged": ["rudeness"]}, "do not answer for rudeness"),
        ({"labels": [{"signal": "rudeness.abuse", "quote": "别处"}]}, "do not stand in the turn"),
        ({"judged": 3}, "feedback.jsonl:1: Expected `array"),
    ],
)
def test_what_is_no_verdict_is_refused(export: Path, change: dict[str, object], message: str) -> None:
    first, *rest = export.read_text(encoding="utf-8").splitlines()
    export.write_text("\n".join([json.dumps(json.loads(first) | change), *rest]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        feedback.read(export)


def test_an_empty_or_missing_export_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match="no verdicts yet"):
        feedback.read(tmp_path / "empty.jsonl")
    with pytest.raises(InputError, match="export verdicts with GET"):
        feedback.read(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="with --guard"):
        feedback.guard(tmp_path / "none.jsonl")


def test_only_what_people_decided_on_counts() -> None:
    own = example(("agent", "加我微信"), labels=[("diversion.private_contact", "微信")])
    assert set(counts(own, 3.0)) == {1.0}
    judged = own._replace(judged=frozenset({"diversion.private_contact"}))
    weights = dict(zip(SIGNALS, counts(judged, 3.0), strict=True))
    assert weights.pop("diversion.private_contact") == 3.0
    assert set(weights.values()) == {0.0}
    made = row(labelled(judged, 3.0), row_maker([own.text]))
    assert made.counts.tolist() == list(counts(judged, 3.0))


@pytest.mark.parametrize(
    ("only_old", "only_new", "doubt", "falls"),
    [(0, 0, 1.0, False), (5, 0, 1 / 32, True), (4, 0, 1 / 16, False), (2, 9, 0.9941, False)],
)
def test_worse_means_worse_beyond_chance(only_old: int, only_new: int, doubt: float, falls: bool) -> None:
    change = Change("guard", 100, 80, 80 - only_old + only_new, only_old, only_new)
    assert change.doubt == pytest.approx(doubt, abs=1e-4)
    assert change.falls is falls


@pytest.mark.train
def test_unjudged_signals_teach_the_linear_tier_nothing() -> None:
    from lexicons.load import packaged
    from models import fit_linear
    from models.train import shows, texts
    from screening.detect.vocabulary import Vocabulary

    examples: list[Example] = load()[::40]
    folder = Vocabulary(packaged()).folder
    turns, shown, agents = texts(examples, folder), shows(examples), np.ones(len(examples), dtype=bool)
    known = np.ones(shown.shape, dtype=np.float32)
    known[-50:] = 0
    hidden = shown.copy()
    hidden[-50:] = ~hidden[-50:]
    one = fit_linear.fit(turns, shown, SIGNALS, agents, known)
    other = fit_linear.fit(turns, hidden, SIGNALS, agents, known)
    assert np.array_equal(one.scores(turns[:20]), other.scores(turns[:20]))


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.train
def test_the_loop_closes_with_a_report(export: Path, tmp_path: Path, one_thread: None) -> None:
    data, out, work = tmp_path / "data", tmp_path / "own", tmp_path / "work"
    data.mkdir()
    for brief in (*TRAINED, *CALIBRATION):
        (data / f"{brief}.jsonl").write_text(picked(brief, 8), encoding="utf-8")
    base = save_base(tmp_path / "base", [own.text for own in [*load(data), *load_file(export)]])
    config = tmp_path / "run.toml"
    config.write_text(
        f"base = {json.dumps(base)}\ncalibration = {json.dumps(CALIBRATION)}\n[teacher]\nlayers = 1\nepochs = 1\n[student]\nlayers = 1\n",
        encoding="utf-8",
    )
    guard = data / "b15.jsonl"
    arguments = ["train", "--config", config, "--work", work, "--data", data, "--threads", 1, "--out", out, "--guard", guard]
    done = run(*arguments, "--feedback", export)
    assert (out / REPORT).read_text(encoding="utf-8") in done.stdout
    manifest, _ = artefact.read(out, unreported=True)
    told = manifest.metrics["feedback"]
    assert manifest.feedback == artefact.digest(export)
    assert told["verdicts"] == {"trained": 6, "held": 4}
    changes = {change["name"]: change for change in told["changes"]}
    assert changes["verdicts"]["cells"] >= 4
    assert changes["guard"]["cells"] >= len(SIGNALS)
    falling = [name for name, change in changes.items() if change["falls"]]
    assert done.exit_code == bool(falling)

    bare = msgspec.structs.replace(manifest, metrics={k: v for k, v in manifest.metrics.items() if k != "feedback"})
    artefact.write(out, bare)
    with pytest.raises(InputError, match="has no report"):
        Cascade(out)
    for falls in (True, False):
        told["changes"] = [{**changes["guard"], "falls": falls}]
        artefact.write(out, msgspec.structs.replace(manifest, metrics={**manifest.metrics, "feedback": told}))
        if falls:
            with pytest.raises(InputError, match="got worse on guard"):
                Cascade(out)
    assert Cascade(out).manifest.feedback == manifest.feedback

    again = run(*arguments)
    assert again.exit_code == 2
    assert "its models come from other text" in again.stderr
