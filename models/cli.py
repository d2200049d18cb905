"""Commands that train, export and calibrate the classifiers; `api.cli` mounts them. Heavy modules load inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from screening.cli_options import refuse

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings of the run (TOML); see docs/training.md.", dir_okay=False)
]
Work = Annotated[
    Path, typer.Option("--work", help="Folder for checkpoints; an interrupted run goes on from it.", file_okay=False)
]
Folder = Annotated[Path, typer.Option("--out", help="Folder of the artefact.", file_okay=False)]
_WORK = Path("training.local.d")


def train(
    config: Config = None,
    work: Work = _WORK,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of labelled turns instead of the repository's.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, or cuda where there is one.")] = "cpu",
    threads: Annotated[int, typer.Option("--threads", help="Threads on the CPU.", min=1)] = 2,
) -> None:
    """Train linear tier, teacher, middle tier and student from the labelled text; needs the `train` extra."""
    from screening.errors import InputError

    try:
        import torch

        from models import settings
        from models import train as training
        from models.dataset import DATA
    except ImportError as error:
        refuse(ImportError(f"{error.name} is not installed; pip install '.[train]'"))
    torch.set_num_threads(threads)
    try:
        training.train(settings.load(config), work, typer.echo, device, DATA if data is None else data)
    except InputError as error:
        refuse(error)
    typer.echo(f"trained; next: screening export --work {work}")


def export(config: Config = None, work: Work = _WORK, out: Folder = Path("models/artefacts/cascade"), version: int = 1) -> None:
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
    out: Folder = Path("models/artefacts/cascade"),
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
