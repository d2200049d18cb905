"""The whole road with a base of two layers and some sixty turns: train, export, calibrate, serve."""

import json
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from api.cli import app
from models import artefact
from models.artefact import CARD, MANIFEST
from models.cascade import Cascade
from models.dataset import DATA, Example, load
from models.encoder import ENCODER, TOKENIZER, Encoder, row_maker
from models.rows import SIGNALS, labelled, row
from models.settings import Student, Teacher, Training
from screening.errors import InputError
from screening.pipeline import Screener
from screening.replay import encode
from tests.tiny import CLOSING, OPENING, picked, save_base

pytestmark = pytest.mark.train
TRAINED, CALIBRATION = ("b13", "b14"), ("b15", "b17")


class Road(NamedTuple):
    """What one run was made of and left behind."""

    settings: Training
    data: Path
    work: Path
    folder: Path
    said: list[str]


@pytest.fixture(scope="module")
def road(tmp_path_factory, one_thread) -> Road:
    from models import calibrate, export, train

    root = tmp_path_factory.mktemp("road")
    data = root / "data"
    data.mkdir()
    for brief in (*TRAINED, *CALIBRATION):
        (data / f"{brief}.jsonl").write_text(picked(brief, 8), encoding="utf-8")
    base = save_base(root / "base", [example.text for example in load(data)])
    teacher, student = Teacher(layers=None, epochs=2, rate=2e-3), Student(layers=1, epochs=1, rate=2e-3)
    settings = Training(base, 5, CALIBRATION, teacher, student)
    said: list[str] = []
    train.train(settings, root / "work", said.append, data=data)
    export.export(settings, root / "work", root / "tiny", "tiny", 4)
    calibrate.calibrate(root / "tiny", data)
    return Road(settings, data, root / "work", root / "tiny", said)


def states(work: Path) -> dict[str, bytes]:
    """Every tensor of the checkpoints, and the linear tier."""
    import torch

    found = {}
    for path in sorted(work.glob("*.pt")):
        for name, own in torch.load(path, weights_only=True)["network"].items():
            found[f"{path.name} {name}"] = own.numpy().tobytes()
    with np.load(work / "linear.npz") as stored:
        return found | {name: stored[name].tobytes() for name in stored}


def opened(road: Road):
    """The student as it was trained."""
    import torch

    from models import train

    network, _ = train.open_network(road.settings, road.settings.student.layers)
    network.load_state_dict(torch.load(road.work / train.STUDENT, weights_only=True)["network"])
    return network


def rows_of(road: Road, examples: list[Example]):
    maker = row_maker(road.folder, OPENING, CLOSING)
    turns = [labelled(example) for example in examples]
    served = [maker.rows(own.roles, [*own.context, "".join(own.turn.chars)], len(own.context)) for own in turns]
    return [row(own, maker) for own in turns], served


def test_the_road_ends_in_an_artefact(road):
    manifest, version = artefact.read(road.folder)
    assert (manifest.name, manifest.version, manifest.signals) == ("tiny", 4, SIGNALS)
    assert {*manifest.files} == {ENCODER, TOKENIZER, "linear.npz"} and manifest.training == road.settings
    assert {*manifest.clear} == {"agent", "customer"} and {*manifest.stack.thresholds} == {*SIGNALS}
    assert all(0.3 <= own.flag <= 0.95 and own.look == 0.3 for own in manifest.stack.thresholds.values())
    _, _, cells, low, high = manifest.metrics["signals"]["all"]["recall"]
    assert cells == 2 * len(SIGNALS) and low <= high
    card = (road.folder / CARD).read_text(encoding="utf-8")
    assert card.startswith("# tiny, version 4") and all(f"| {signal} " in card for signal in SIGNALS)
    assert version == Cascade(road.folder).version
    assert {path.name for path in road.work.iterdir()} == {"linear.npz", "teacher.pt", "student.pt", "texts.json"}
    assert any("labelled turns" in line for line in road.said)


def test_nothing_is_trained_on_the_calibration_briefs(road):
    from models import train

    parts = train.split(road.settings, load(road.data))
    assert {own.brief for own in parts.trained} == {*TRAINED} and {own.brief for own in parts.calibration} == {*CALIBRATION}
    assert f"linear tier: {len(parts.trained)} examples" in road.said


class PowerCutError(Exception):
    pass


def test_an_interrupted_road_ends_at_the_same_weights(road, tmp_path, monkeypatch):
    """The power fails after each step: whenever something was said, and whenever an epoch was kept."""
    from models import fit, train

    keep, cuts = fit.Checkpoint.keep, []

    def say(line):
        if line not in cuts:
            cuts.append(line)
            raise PowerCutError

    def kept(self, epoch):
        keep(self, epoch)
        cuts.append(f"{self._path.name} {epoch}")
        raise PowerCutError

    monkeypatch.setattr(fit.Checkpoint, "keep", kept)
    for _ in range(12):
        try:
            train.train(road.settings, tmp_path, say, data=road.data)
            break
        except PowerCutError:
            continue
    assert [cut for cut in cuts if ".pt" in cut] == ["teacher.pt 1", "teacher.pt 2", "student.pt 1"]
    assert len(cuts) == 6 and states(tmp_path) == states(road.work)


def test_what_is_done_is_not_done_twice(road):
    from models import train

    before = {path.name: path.stat().st_mtime_ns for path in road.work.iterdir()}
    said: list[str] = []
    train.train(road.settings, road.work, said.append, data=road.data)
    assert {path.name: path.stat().st_mtime_ns for path in road.work.iterdir()} == before
    assert not any("linear tier" in line or "epoch" in line for line in said)


def test_the_student_of_no_epochs_is_the_teacher_s_first_layers_also_when_the_teacher_is_another(road, tmp_path):
    from models import train

    for rate in (1e-3, 5e-3):
        teacher, student = Teacher(layers=None, epochs=1, rate=rate), Student(layers=1, epochs=0)
        settings = msgspec.structs.replace(road.settings, teacher=teacher, student=student)
        train.train(settings, tmp_path, lambda line: None, data=road.data)
        found = states(tmp_path)
        taught = {name.removeprefix("student.pt "): own for name, own in found.items() if name.startswith("student.pt ")}
        assert taught and all(own == found[f"teacher.pt {name}"] for name, own in taught.items())


def test_targets_lie_between_the_labels_and_the_teacher_s_scores(road):
    from models import train

    examples = train.split(road.settings, load(road.data)).trained
    teacher = opened(road)

    def targets(label_weight):
        student = Student(label_weight=label_weight)
        return train.distilled(msgspec.structs.replace(road.settings, student=student), teacher, examples, lambda line: None)

    labels, scores, mixed = targets(1.0), targets(0.0), targets(0.25)
    shown = train.shows(examples)
    assert len(labels) == train.VERSIONS and len(labels[0]) > len(examples)
    for k, own in enumerate(labels[0][: len(examples)]):
        assert np.array_equal(own.shows, shown[k])
        assert np.allclose(mixed[0][k].shows, 0.25 * own.shows + 0.75 * scores[0][k].shows, atol=1e-6)
        assert np.allclose(mixed[0][k].marked, 0.25 * own.marked + 0.75 * scores[0][k].marked, atol=1e-6)
    assert labels[0][0].ids == mixed[0][0].ids
    around = len(examples)
    assert all(np.array_equal(one.shows, other.shows) for one, other in zip(mixed[0][around:], scores[0][around:], strict=True))
    assert any(one.ids != other.ids for one, other in zip(*mixed, strict=True))  # the second text is augmented


def test_int8_scores_are_close_to_what_was_trained(road):
    from models import fit

    rows, served = rows_of(road, load(road.data))
    encoder = Encoder(road.folder / ENCODER)
    trained, exported = fit.scores(opened(road), rows), [encoder.judge(own) for own in served]
    turns = np.array([own.turn for own in trained]), np.array([own.turn for own in exported])
    assert np.abs(turns[0] - turns[1]).max() < 0.5 and np.corrcoef(turns[0].ravel(), turns[1].ravel())[0, 1] > 0.98
    tokens = np.concatenate([own.tokens for own in trained]), np.concatenate([own.tokens for own in exported])
    assert tokens[0].shape == tokens[1].shape and np.corrcoef(tokens[0].ravel(), tokens[1].ravel())[0, 1] > 0.98


def test_rows_of_any_length_are_read(road):
    encoder, maker = Encoder(road.folder / ENCODER), row_maker(road.folder, OPENING, CLOSING)
    for length in (1, 2, 43, 44, 200):
        judged = encoder.judge(maker.rows(["agent"], ["您" * length], 0))
        assert judged.turn.shape == (len(SIGNALS),) and np.isfinite(judged.turn).all()
        assert judged.tokens.shape == (len(judged.places), len(SIGNALS))


def test_training_sees_of_a_turn_what_serving_sees(road):
    from lexicons.load import packaged
    from models import train
    from models.features import turn_text
    from screening.detect.reading import Batch
    from screening.detect.vocabulary import Vocabulary

    vocabulary, examples = Vocabulary(packaged()), load(road.data)
    served = []
    for reading in Batch([own.record.conversation for own in examples], vocabulary).readings():
        turns = reading.conversation.turns
        cleans = [reading.clean(i) for i in range(len(turns))]
        served.append(turn_text([turn.role for turn in turns], cleans, len(turns) - 1, reading.folded(len(turns) - 1)))
    assert train.texts(examples, vocabulary.folder) == served


def test_it_serves_as_a_detector_with_the_same_bytes_alone_as_in_a_batch(road, archive):
    few = archive[:6]
    together = [encode(own) for own in Screener(detectors=[Cascade(road.folder)]).screen_many(few)]
    alone = Screener(detectors=[Cascade(road.folder)])
    assert together == [encode(alone.screen(own)) for own in few]
    manifest, version = artefact.read(road.folder)
    assert alone.versions.models == {manifest.name: version} and "onnxruntime" in alone.versions.engine
    assert all(alone.screen(own).complete for own in few)


def test_calibration_gives_the_same_manifest_again(road, tmp_path):
    from models import calibrate

    for path in road.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    calibrate.calibrate(tmp_path, road.data)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {p.name: p.read_bytes() for p in road.folder.iterdir()}


def test_one_calibration_brief_is_not_enough(road, tmp_path):
    from models import calibrate

    (tmp_path / "b15.jsonl").write_bytes((road.data / "b15.jsonl").read_bytes())
    with pytest.raises(InputError, match="calibration briefs b15, b17: at least two must have labelled turns"):
        calibrate.calibrate(road.folder, tmp_path)


def test_the_digest_of_the_training_text_changes_with_it(road, tmp_path):
    from models import train

    assert train.data_digest(road.data) != train.data_digest(DATA)
    for path in road.data.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert train.data_digest(tmp_path) == train.data_digest(road.data)
    (tmp_path / "b13.jsonl").rename(tmp_path / "b99.jsonl")
    assert train.data_digest(tmp_path) != train.data_digest(road.data)


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_three_commands_walk_the_same_road(road, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(
        f"base = {json.dumps(road.settings.base)}\nseed = 5\ncalibration = {json.dumps(CALIBRATION)}\n"
        "[teacher]\nlayers = 2\nepochs = 1\n[student]\nlayers = 1\n",
        encoding="utf-8",
    )
    work, out = tmp_path / "work", tmp_path / "own"
    trained = run("train", "--config", config, "--work", work, "--data", road.data, "--threads", 1)
    assert trained.exit_code == 0 and f"next: screening export --work {work}" in trained.stdout
    exported = run("export", "--config", config, "--work", work, "--out", out, "--version", 2)
    assert exported.exit_code == 0 and exported.stdout.startswith("3 files in")
    calibrated = run("calibrate", "--out", out, "--data", road.data)
    assert calibrated.exit_code == 0 and calibrated.stdout.startswith("precision [")
    manifest, _ = artefact.read(out)
    assert (manifest.name, manifest.version, manifest.training.teacher.layers) == ("own", 2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--config", "{}/nothing.toml"], "nothing.toml"),
        (["train", "--config", "{}/wrong.toml"], "unknown field `sed`"),
        (["train", "--config", "{}/base.toml"], "cannot be loaded"),
        (["train", "--data", "{}"], r"no *.jsonl with labelled turns"),
        (["export", "--work", "{}/nothing"], "nothing was trained there"),
        (["train", "--feedback", "{}/wrong.toml"], "never replaces the packaged one"),
        (["calibrate", "--out", "{}"], "no readable manifest of a classifier"),
    ],
)
def test_an_unusable_call_gives_status_2(road, tmp_path, arguments, message):
    (tmp_path / "wrong.toml").write_text("sed = 1\n", encoding="utf-8")
    (tmp_path / "base.toml").write_text(f'base = "{tmp_path}/nothing"\n', encoding="utf-8")
    extra = {"train": ["--work", tmp_path / "w", "--threads", 1], "export": ["--out", tmp_path / "out"], "calibrate": []}[
        arguments[0]
    ]
    if "{}/base.toml" in arguments:
        extra += ["--data", road.data]
    result = run(*(argument.format(tmp_path) for argument in arguments), *extra)
    assert result.exit_code == 2 and message in result.stderr
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_labels_of_the_examples_are_among_the_signals(road):
    from models import train

    examples = load(road.data)
    for example, shown in zip(examples, train.shows(examples), strict=True):
        assert {*compress(SIGNALS, shown)} == {label.signal for label in example.record.labels}
