import hashlib

import msgspec
import pytest

from models import artefact
from models.artefact import MANIFEST, Clear, Manifest
from models.settings import Teacher, Training
from models.stack import OPINIONS, Stack, Thresholds
from screening.errors import InputError

FILES = {"encoder.onnx": b"weights", "tokenizer.json": b"{}"}
SIGNALS = ("rudeness.abuse", "shirking")


@pytest.fixture
def folder(tmp_path):
    """An artefact by hand, whose files hold nothing of use."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    artefact.write(
        tmp_path,
        Manifest(
            name="by-hand",
            version=3,
            signals=SIGNALS,
            opening=0,
            closing=2,
            clear={"customer": Clear(-1.0, -2.0), "agent": Clear(-3.0, -4.0)},
            stack=Stack((0.5,) * len(OPINIONS), dict.fromkeys(SIGNALS, 0.1), dict.fromkeys(SIGNALS, Thresholds(0.8, 0.3))),
            files={name: artefact.digest(tmp_path / name) for name in FILES},
            data="0" * 64,
            training=Training(seed=3, teacher=Teacher(epochs=1)),
            metrics={"signals": {}, "curve": [[0.5, 0.5, 10]]},
        ),
    )
    return tmp_path


def test_a_manifest_is_read_as_it_was_written(folder):
    manifest, version = artefact.read(folder)
    assert manifest.clear["agent"] == Clear(-3.0, -4.0) and manifest.signals == SIGNALS
    assert manifest.training == Training(seed=3, teacher=Teacher(epochs=1))
    assert version == "sha256:" + hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    before = (folder / MANIFEST).read_bytes()
    artefact.write(folder, manifest)
    assert (folder / MANIFEST).read_bytes() == before
    assert before.count(b"\n") > 20 and before.endswith(b"}\n")


def test_the_version_tells_two_artefacts_apart(folder):
    manifest, version = artefact.read(folder)
    artefact.write(folder, msgspec.structs.replace(manifest, clear={"agent": Clear(-3.0, -4.1)}))
    assert artefact.read(folder)[1] != version


def test_a_file_that_is_not_the_manifests_is_refused(folder):
    (folder / "encoder.onnx").write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"encoder.onnx: sha256 \w{12}, the manifest says \w{12}; export the classifier again"):
        artefact.read(folder)


def test_a_file_that_is_missing_is_named(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"tokenizer.json: named by the manifest, but not readable: No such file"):
        artefact.read(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: b"", "truncated"),
        (lambda raw: raw[: len(raw) // 2], "truncated"),
        (lambda raw: b"\xff\xfe", "malformed"),
        (lambda raw: raw.replace(b'"closing"', b'"closed"'), "missing required field `closing`"),
        (lambda raw: raw.replace(b'"version": 3', b'"version": "three"'), r"Expected `int`, got `str` - at `\$.version`"),
        (lambda raw: raw.replace(b'"seed"', b'"sead"'), "unknown field `sead`"),
    ],
)
def test_an_unreadable_manifest_is_refused_with_its_place_and_reason(folder, damage, message):
    path = folder / MANIFEST
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=f"{MANIFEST}: no readable manifest of a classifier: .*{message}"):
        artefact.read(folder)


def test_a_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"nothing/{MANIFEST}: no readable manifest of a classifier: .*No such file"):
        artefact.read(tmp_path / "nothing")
