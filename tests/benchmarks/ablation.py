"""What each opinion is worth: rules, linear tier, encoder and all of them, beside a plain TF-IDF baseline and the teacher.

`python -m tests.benchmarks.ablation [--artefact FOLDER] [--work FOLDER] [--cold FILE]`; needs the `train` extra. On the calibration briefs
(no model was trained on them), each cell scored by a stack that never saw its brief, with thresholds chosen as `screening calibrate`
chooses them. --work: the training folder, for its teacher. --cold: test split of the COLD corpus (J. Deng et al. 2022), for rudeness of any kind.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from models import artefact, train
from models.calibrate import across_briefs, curve, thresholds
from models.cascade import Cascade
from models.dataset import Example, load
from models.opinions import Opinions, gather
from models.rows import SIGNALS, labelled, row
from models.settings import Training
from models.stack import OPINIONS
from screening.pipeline import Screener
from screening.types import Conversation, Turn

Array = npt.NDArray[np.float64]


def only(data: Opinions, kept: Sequence[str]) -> Opinions:
    """The opinions with all but these silenced."""
    cells = data.opinions.copy()
    cells[:, :, [k for k, name in enumerate(OPINIONS) if name not in kept]] = 0.0
    return data._replace(opinions=cells)


def instead(data: Opinions, odds: Array) -> Opinions:
    """One opinion, these log-odds, in place of all."""
    cells = np.zeros_like(data.opinions)
    cells[:, :, 0] = odds
    return data._replace(opinions=cells)


def figures(data: Opinions) -> tuple[str, ...]:
    """Mean average precision, precision and recall at the thresholds, calibration error."""
    sure = across_briefs(SIGNALS, data)
    asked = [data.asked[:, k] for k in range(len(SIGNALS))]
    precision = [average_precision_score(data.shows[a, k], sure[a, k]) for k, a in enumerate(asked)]
    chosen = thresholds(SIGNALS, sure, data.shows)
    flagged = (sure >= np.array([chosen[signal].flag for signal in SIGNALS])) & data.asked
    right = (flagged & data.shows).sum()
    error = curve(sure, data.shows, data.asked).error
    return (
        f"{np.mean(precision):.3f}",
        f"{right / max(1, flagged.sum()):.3f}",
        f"{right / data.shows.sum():.3f}",
        f"{error:.3f}",
    )


def baseline(trained: Sequence[Example], judged: Sequence[Example]) -> Array:
    """Log-odds of TF-IDF over character 1-3-grams of the last customer turn and the judged one, and logistic regression."""
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    features, asked = vectors.fit_transform([_plain(e) for e in trained]), vectors.transform([_plain(e) for e in judged])
    shown = train.shows(trained)
    odds = [
        LogisticRegression(C=10.0, solver="liblinear", class_weight="balanced")
        .fit(features, shown[:, k])
        .decision_function(asked)
        for k in range(len(SIGNALS))
    ]
    return np.stack(odds, axis=1)


def _plain(example: Example) -> str:
    turns = example.record.conversation.turns
    asked = next((turn.text for turn in reversed(turns[:-1]) if turn.role == "customer"), "")
    return f"{asked}\n{turns[-1].text}"


def teacher(settings: Training, work: Path, judged: Sequence[Example]) -> Array:
    """Log-odds of the teacher in a training folder, in floating point."""
    import torch

    from models import fit

    network, opened = train.open_network(settings, settings.teacher.layers)
    network.load_state_dict(torch.load(work / train.TEACHER, weights_only=True)["network"])
    maker = train.row_maker(opened)
    return np.array([own.turn for own in fit.scores(network, [row(labelled(e), maker) for e in judged])], dtype=np.float64)


def cold(cascade: Cascade, file: Path) -> str:
    """Offence as the surest rudeness signal: area under the curve, F1 at the thresholds."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    said = [Conversation(id=str(n), turns=(Turn("agent", own["TEXT"]),)) for n, own in enumerate(rows)]
    labels = np.array([int(own["label"]) for own in rows])
    surest, flagged = [], []
    for screening in Screener(detectors=[cascade]).screen_many(said):
        own_flags = [flag for flag in screening.flags if flag.signal.startswith("rudeness.") and flag.status != "excused"]
        surest.append(max((flag.score for flag in own_flags), default=0.0))
        flagged.append(any(flag.status == "active" for flag in own_flags))
    return f"{len(rows)} lines: AUC {roc_auc_score(labels, surest):.3f}, F1 {f1_score(labels, flagged):.3f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artefact", type=Path, default=artefact.DEFAULT)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--cold", type=Path)
    given = parser.parse_args()
    cascade = Cascade(given.artefact)
    settings = cascade.manifest.training
    parts = train.split(settings, load())
    data = gather(cascade, parts.calibration)
    table = Table("opinion", "mAP", "precision", "recall", "calibration error", title=f"{len(parts.calibration)} turns")
    for name, kept in (("rules", ["rule"]), ("linear tier", ["linear"]), ("encoder", ["encoder"]), ("all", OPINIONS)):
        table.add_row(name, *figures(only(data, kept)))
    table.add_row("TF-IDF baseline", *figures(instead(data, baseline(parts.trained, parts.calibration))))
    if given.work is not None:
        odds = teacher(settings, given.work, parts.calibration)
        table.add_row(f"teacher ({settings.teacher.layers or 'all'} layers)", *figures(instead(data, odds)))
        with_teacher = data.opinions.copy()
        with_teacher[:, :, OPINIONS.index("encoder")] = odds
        table.add_row("all, with the teacher as encoder", *figures(data._replace(opinions=with_teacher)))
    console = Console(width=110)
    console.print(table)
    if given.cold is not None:
        console.print(f"COLD, test split, {cold(cascade, given.cold)}")


if __name__ == "__main__":
    main()
