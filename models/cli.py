"""Commands that train, export and calibrate the classifiers; `api.cli` mounts them. Heavy modules load inside the commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.cli_options import refuse

if TYPE_CHECKING:
    from models.settings import Training

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings of the run (TOML); see docs/training.md.", dir_okay=False)
]
Work = Annotated[
    Path, typer.Option("--work", help="Folder for checkpoints; an interrupted run goes on from it.", file_okay=False)
]
Folder = Annotated[Path, typer.Option("--out", help="Folder of the artefact.", file_okay=False)]
_WORK = Path("training.local.d")
_DEFAULT = Path("models/artefacts/cascade")
_GUARD = Path("tests/data/test.jsonl")


def train(
    config: Config = None,
    work: Work = _WORK,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of labelled turns instead of the repository's.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, or cuda where there is one.")] = "cpu",
    threads: Annotated[int, typer.Option("--threads", help="Threads on the CPU.", min=1)] = 2,
    feedback: Annotated[
        Path | None,
        typer.Option(
            "--feedback", help="Verdicts of people to learn from as well: what GET /v1/feedback/export gives.", dir_okay=False
        ),
    ] = None,
    guard: Annotated[
        Path, typer.Option("--guard", help="Labelled turns on which the new classifier must not get worse.", dir_okay=False)
    ] = _GUARD,
    against: Annotated[Path, typer.Option("--against", help="Folder of the classifier before.", file_okay=False)] = _DEFAULT,
    out: Folder = _DEFAULT,
) -> None:
    """Train linear tier, teacher and student from the labelled text; needs the `train` extra.

    With --feedback it goes on to export and calibrate into --out, and prints what changed beside the classifier of --against.
    """
    from screening.errors import InputError

    if feedback is not None and out == _DEFAULT:
        refuse(InputError("give --out: a classifier that learned from verdicts never replaces the packaged one"))

    try:
        import torch

        from models import settings
        from models import train as training
        from models.dataset import DATA
    except ImportError as error:
        refuse(ImportError(f"{error.name} is not installed; pip install '.[train]'"))
    torch.set_num_threads(threads)
    try:
        chosen, texts = settings.load(config), DATA if data is None else data
        training.train(chosen, work, typer.echo, device, texts, feedback)
        if feedback is not None:
            _report(chosen, work, texts, feedback, guard, against, out)
            return
    except (InputError, OSError) as error:
        refuse(error)
    typer.echo(f"trained; next: screening export --work {work}")


def _report(chosen: "Training", work: Path, texts: Path, verdicts: Path, guard: Path, against: Path, out: Path) -> None:
    from models import artefact, calibrate, export, feedback

    version = artefact.read(against)[0].version + 1
    kept = feedback.read(verdicts)
    guarding = feedback.guard(guard)
    export.export(chosen, work, out, out.name, version)
    calibrate.calibrate(out, texts)
    changes = feedback.compared(against, out, guarding, kept.held)
    feedback.report(out, changes, {"trained": len(kept.trained), "held": len(kept.held)})
    typer.echo((out / feedback.REPORT).read_text(encoding="utf-8"))
    if any(change.falls for change in changes):
        raise typer.Exit(1)


def export(config: Config = None, work: Work = _WORK, out: Folder = _DEFAULT, version: int = 1) -> None:
    """Write what was trained as ONNX int8 with manifest; needs the `train` extra."""
    from screening.errors import InputError

    try:
        from models import export as exporting
        from models import settings
    except ImportError as error:
        refuse(ImportError(f"{error.name} is not installed; pip install '.[train]'"))
    try:
        manifest = exporting.export(settings.load(config), work, out, out.name, version)
    except (InputError, OSError) as error:
        refuse(error)
    typer.echo(f"{len(manifest.files)} files in {out}; next: screening calibrate --out {out}")


def calibrate(
    out: Folder = _DEFAULT,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of labelled turns instead of the repository's.")] = None,
) -> None:
    """Fit stack, thresholds and what counts as clear on the calibration briefs; needs the `train` extra."""
    from screening.errors import InputError

    try:
        from models.calibrate import calibrate as fit
        from models.dataset import DATA
    except ImportError as error:
        refuse(ImportError(f"{error.name} is not installed; pip install '.[train]'"))
    try:
        manifest = fit(out, DATA if data is None else data)
    except InputError as error:
        refuse(error)
    whole = manifest.metrics["signals"]["all"]
    typer.echo(f"precision {whole['precision'][:3]}, recall {whole['recall'][:3]}, error {manifest.metrics['calibration error']}")
