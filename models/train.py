"""The road from training text to weights: linear tier, teacher, student; what is done is not done twice.

Distillation (G. Hinton et al. 2015): the student starts as the teacher's first layers and learns from labels and from the
teacher's scores, which are worked out once.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from lexicons.load import packaged
from models import base, fit, fit_linear
from models import feedback as verdicts
from models.artefact import digest
from models.dataset import DATA, Example, load
from models.features import TurnText, turn_text
from models.inputs import RowMaker
from models.linear import LinearModel
from models.network import Network
from models.rows import SIGNALS, LabelledRow, changed, counts, labelled, other_forms, row, unlabelled
from models.settings import Training
from screening.detect.vocabulary import Vocabulary
from screening.errors import InputError
from screening.normalise.clean import clean_text
from screening.normalise.fold import Folder

LINEAR, TEACHER, STUDENT, TEXTS = "linear.npz", "teacher.pt", "student.pt", "texts.json"
VERSIONS = 2
"""Texts of each example that the student sees: as written, and augmented."""
Say = Callable[[str], None]


class Split(NamedTuple):
    """Examples to train on, and those of the calibration briefs."""

    trained: list[Example]
    calibration: list[Example]


def split(settings: Training, examples: Sequence[Example]) -> Split:
    """The examples by the settings' calibration briefs."""
    kept = set(settings.calibration)
    return Split([e for e in examples if e.brief not in kept], [e for e in examples if e.brief in kept])


class Texts(msgspec.Struct, frozen=True):
    """What a work folder was trained on: sha256 of the training text, and of the verdicts where there were some."""

    data: str
    feedback: str | None = None


def data_digest(folder: Path = DATA) -> str:
    """sha256 over the files of the training text."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("*.jsonl")):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def texts_of(work: Path) -> Texts:
    """What the models of `work` were trained on; raises `InputError` where nothing was trained there."""
    try:
        return msgspec.json.decode((work / TEXTS).read_bytes(), type=Texts)
    except OSError:
        raise InputError(f"{work}: nothing was trained there; run `screening train --work {work}` first") from None


def _claim(work: Path, texts: Texts) -> None:
    """Checkpoints of other text must not be taken for this one's."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / TEXTS).exists():
        (work / TEXTS).write_bytes(msgspec.json.encode(texts))
    elif texts_of(work) != texts:
        raise InputError(f"{work}: its models come from other text; give another --work, or remove it")


def shows(examples: Sequence[Example]) -> npt.NDArray[np.bool_]:
    """Which signals each example shows, examples x signals."""
    return np.array([[any(label.signal == s for label in e.record.labels) for s in SIGNALS] for e in examples], dtype=bool)


def texts(examples: Sequence[Example], folder: Folder) -> list[TurnText]:
    """What the linear tier sees of each example."""
    found = []
    for example in examples:
        turns = example.record.conversation.turns
        cleans = [clean_text(turn.text).clean for turn in turns]
        found.append(turn_text([turn.role for turn in turns], cleans, len(turns) - 1, folder.text(cleans[-1])))
    return found


def train_linear(examples: Sequence[Example], weight: float, work: Path, say: Say) -> LinearModel:
    """The linear tier, into `work`; a turn from review counts `weight` times."""
    agents = np.array([e.record.conversation.turns[-1].role == "agent" for e in examples])
    counted = np.array([counts(e, weight) for e in examples], dtype=np.float32)
    model = fit_linear.fit(texts(examples, Vocabulary(packaged()).folder), shows(examples), SIGNALS, agents, counted)
    model.save(work / LINEAR)
    say(f"linear tier: {len(examples)} examples")
    return model


def open_network(settings: Training, layers: int | None = None) -> tuple[Network, base.Base]:
    """An untrained network over the base encoder, cut to its first `layers` layers where given."""
    torch.manual_seed(settings.seed)
    opened = base.load(settings.base)
    network = Network(opened.encoder, len(SIGNALS), opened.padding)
    if layers is not None:
        network.keep_layers(layers)
    return network, opened


def row_maker(opened: base.Base) -> RowMaker:
    """Rows with the tokenizer of a base."""
    return RowMaker(opened.tokenizer, opened.opening, opened.closing)


def train_teacher(settings: Training, examples: Sequence[Example], work: Path, say: Say, device: str = "cpu") -> Network:
    """The base encoder fine-tuned on the labels, each epoch on newly augmented text."""
    network, opened = open_network(settings, settings.teacher.layers)
    turns = [labelled(e, settings.feedback_weight) for e in examples]
    maker, forms = row_maker(opened), other_forms(packaged().writings)

    def rows_of(epoch: int) -> list[LabelledRow]:
        random = Random(settings.seed + epoch)
        return [row(changed(turn, settings.teacher.augmented, random, forms), maker) for turn in turns]

    own = settings.teacher
    schedule = fit.Schedule(own.epochs, own.batch, own.rate, settings.seed)
    fit.fit(network, rows_of, fit.class_weights(shows(examples)), schedule, work / TEACHER, _named("teacher", say), device)
    return network


def distilled(
    settings: Training, teacher: Network, examples: Sequence[Example], say: Say, device: str = "cpu"
) -> list[list[LabelledRow]]:
    """For each of `VERSIONS` texts the rows that the student learns: targets between labels and the teacher's scores.

    Agents' turns of the context come in as well, with the teacher's scores alone: nobody labelled them.
    """
    _, opened = open_network(settings)
    maker, forms, random = row_maker(opened), other_forms(packaged().writings), Random(settings.seed)
    turns = [labelled(e, settings.feedback_weight) for e in examples]
    around = [turn for own in turns for turn in unlabelled(own)]
    found = []
    for k in range(VERSIONS):
        say(f"the teacher's scores, text {k + 1} of {VERSIONS}: {len(turns)} labelled turns, {len(around)} others")
        rows = [row(changed(turn, float(k > 0), random, forms), maker) for turn in (*turns, *around)]
        shares = [settings.student.label_weight] * len(turns) + [0.0] * len(around)
        found.append([_softened(*own) for own in zip(rows, fit.scores(teacher, rows, device), shares, strict=True)])
    return found


def train_student(
    settings: Training, teacher: Network, rows: Sequence[Sequence[LabelledRow]], work: Path, say: Say, device: str = "cpu"
) -> Network:
    """The teacher's first layers, trained on what `distilled` gives."""
    student, _ = open_network(settings, settings.student.layers)
    weights = teacher.state_dict()
    student.load_state_dict({name: weights[name] for name in student.state_dict()})
    own = settings.student
    schedule = fit.Schedule(own.epochs, own.batch, own.rate, settings.seed)
    fit.fit(student, lambda epoch: rows[epoch % VERSIONS], None, schedule, work / STUDENT, _named("student", say), device)
    return student


def _softened(own: LabelledRow, scored: fit.Scored, label_weight: float) -> LabelledRow:
    """Targets between the labels and what the teacher thinks, which alone speaks where nobody judged."""
    known = own.counts > 0
    share = np.where(known, label_weight, 0.0).astype(np.float32)
    return own._replace(
        shows=share * own.shows + (1 - share) * _sigmoid(scored.turn),
        marked=share * own.marked + (1 - share) * _sigmoid(scored.tokens),
        counts=np.where(known, own.counts, 1).astype(np.float32),
    )


def _sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


def _named(step: str, say: Say) -> Say:
    return lambda line: say(f"{step}: {line}")


def train(settings: Training, work: Path, say: Say, device: str = "cpu", data: Path = DATA, feedback: Path | None = None) -> None:
    """Every step into the folder `work`; an interrupted run goes on after the last epoch it finished.

    `feedback`: an export of verdicts to learn from as well. Raises `InputError`.
    """
    trained = split(settings, load(data)).trained
    if feedback is not None:
        trained += verdicts.read(feedback).trained
    _claim(work, Texts(data_digest(data), None if feedback is None else digest(feedback)))
    if not (work / LINEAR).exists():
        train_linear(trained, settings.feedback_weight, work, say)
    teacher = train_teacher(settings, trained, work, say, device)
    rows = distilled(settings, teacher, trained, say, device) if settings.student.epochs else []
    train_student(settings, teacher, rows, work, say, device)
