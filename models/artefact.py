"""A trained classifier on disk: models/artefacts/<name>/ with manifest.json, card.md, and files whose hashes the manifest names."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from models.settings import Training
from models.stack import Stack
from screening.errors import InputError

ARTEFACTS = Path(__file__).parent / "artefacts"
DEFAULT = ARTEFACTS / "cascade"
MANIFEST, CARD = "manifest.json", "card.md"


class Clear(msgspec.Struct, frozen=True):
    """What the linear tier must say at least for a turn to be read by the encoder.

    `any`: the log-odds of any signal; `both`: those and the highest of a single signal, added.
    """

    any: float
    both: float


class Manifest(msgspec.Struct, frozen=True):
    """What a classifier was made of and how it decides.

    `files`: sha256 of each; `clear`: for agents' and customers' turns; `data`: sha256 of the training text; `training`: settings of every step; `metrics`: what was measured;
    `feedback`: sha256 of the verdicts it learned from, None where there were none.
    """

    name: str
    version: int
    signals: tuple[str, ...]
    opening: int
    closing: int
    clear: Mapping[str, Clear]
    stack: Stack
    files: Mapping[str, str]
    data: str
    training: Training
    metrics: Mapping[str, Any]
    feedback: str | None = None


def read(folder: Path, *, unreported: bool = False) -> tuple[Manifest, str]:
    """(manifest, its sha256); raises `InputError` where a file is missing or is not the one the manifest names.

    A classifier that learned from verdicts is refused without a good report (`models.feedback`), unless it is opened to write that.
    """
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: no readable manifest of a classifier: {error}") from None
    if manifest.feedback is not None and not unreported:
        _refuse_unproved(folder, manifest)
    for name, wanted in manifest.files.items():
        try:
            got = digest(folder / name)
        except OSError as error:
            raise InputError(f"{folder / name}: named by the manifest, but not readable: {error.strerror}") from None
        if got != wanted:
            raise InputError(f"{folder / name}: sha256 {got[:12]}, the manifest says {wanted[:12]}; export the classifier again")
    return manifest, f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _refuse_unproved(folder: Path, manifest: Manifest) -> None:
    report = manifest.metrics.get("feedback")
    if report is None:
        raise InputError(f"{folder}: it learned from verdicts and has no report; let `screening train --feedback` finish")
    if falling := [change["name"] for change in report["changes"] if change["falls"]]:
        raise InputError(f"{folder}: its report says that it got worse on {', '.join(falling)}; keep the one before")


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, for people too: indented, keys in a fixed order."""
    text = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1)
    (folder / MANIFEST).write_bytes(text + b"\n")


def digest(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
