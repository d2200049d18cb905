"""Which classifiers stand beside the rules: the one place where models meet the pipeline."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.encoder import Judge
    from screening.detect.detector import Detector

NONE = "none"
CPU = "cpu"


def opened(folder: Path | None = None, device: str = CPU) -> "Sequence[Detector]":
    """The classifier of an artefact folder, or the packaged one; raises `InputError` where its files are not what they should be.

    On another `device` than the CPU the encoder runs by torch.
    """
    from models.artefact import DEFAULT  # noqa: PLC0415 - ONNX Runtime loads only where something is screened
    from models.cascade import Cascade  # noqa: PLC0415

    own = DEFAULT if folder is None else folder
    return [Cascade(own, None if device == CPU else _by_torch(own, device))]


def _by_torch(folder: Path, device: str) -> "Judge":
    from models.artefact import read  # noqa: PLC0415
    from models.encoder import ENCODER  # noqa: PLC0415
    from screening.errors import InputError  # noqa: PLC0415

    read(folder)
    try:
        import torch  # noqa: PLC0415 - an extra

        from models.encoder_torch import TorchEncoder  # noqa: PLC0415
    except ImportError as error:
        raise InputError(f"--device {device} needs the extra: pip install 'conversation-screening[train]' ({error})") from None
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU here; leave --device out to run on the CPU")
    return TorchEncoder(folder / ENCODER, device)


def named(setting: str | None, device: str = CPU) -> "Sequence[Detector]":
    """The classifiers that a setting names: a folder, `none`, or None for the packaged one."""
    return () if setting == NONE else opened(None if setting is None else Path(setting), device)
