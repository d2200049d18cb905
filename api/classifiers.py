"""Which classifiers stand beside the rules: the one place where models meet the pipeline."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from screening.detect.detector import Detector

NONE = "none"


def opened(folder: Path | None = None) -> "Sequence[Detector]":
    """The classifier of an artefact folder, or the packaged one; raises `InputError` where its files are not what they should be."""
    from models.artefact import DEFAULT  # noqa: PLC0415 - ONNX Runtime loads only where something is screened
    from models.cascade import Cascade  # noqa: PLC0415

    return [Cascade(DEFAULT if folder is None else folder)]


def named(setting: str | None) -> "Sequence[Detector]":
    """The classifiers that a setting names: a folder, `none`, or None for the packaged one."""
    return () if setting == NONE else opened(None if setting is None else Path(setting))
