"""`screening batch`: archives scored over all cores or on a cluster. Heavy modules load inside the command."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from screening.cli import Columns, Roles
from screening.cli_options import Classifier, LexiconFolder, ProfileFile, refuse

if TYPE_CHECKING:
    from screening.batch.run import Asked, Engine
    from screening.batch.score import Opened
    from screening.batch.summary import Summary

SHOWN_REFUSALS = 100


class OutputFormat(StrEnum):
    """What a run writes."""

    parquet = "parquet"
    jsonl = "jsonl"


class EngineName(StrEnum):
    """Where a run is scored."""

    local = "local"
    ray = "ray"


class Device(StrEnum):
    """Where the encoder runs."""

    cpu = "cpu"
    cuda = "cuda"


class RunByDefault(TyperGroup):
    """`screening batch INPUT...` is `screening batch run INPUT...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What begins with no command's name is a run."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def run(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Files, globs or directories of conversations.")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Where the scored archive is written.")],
    format_: Annotated[
        OutputFormat, typer.Option("--format", help="Parquet datasets, or the contract's lines.")
    ] = OutputFormat.parquet,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes; one a core unless given.")] = None,
    memory: Annotated[int, typer.Option(min=16, max=65536, help="MB of input that laying out holds at once.")] = 64,
    keep: Annotated[
        bool, typer.Option("--keep-conversations", help="Write the conversations, too: `screening ingest` needs them.")
    ] = False,
    engine: Annotated[EngineName, typer.Option(help="This machine's processes, or a Ray cluster.")] = EngineName.local,
    ray_address: Annotated[
        str | None, typer.Option(help="The Ray cluster, as ray://HOST:10001 or auto; one is started here unless given.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where the classifier's encoder runs; cuda needs torch and a GPU.")] = Device.cpu,
    profile: ProfileFile = None,
    lexicon: LexiconFolder = None,
    classifier: Classifier = None,
    columns: Columns = None,
    roles: Roles = None,
    input_format: Annotated[str | None, typer.Option(help="The inputs' format where their names do not tell.")] = None,
) -> None:
    """Score archived conversations into Parquet datasets and a summary; refusals are named on standard error.

    Exit status: 0 all scored, 1 some inputs were refused, 2 unusable call, 130 stopped by Ctrl-C (go on with --resume).
    """
    from functools import partial

    from api.batch import opened
    from lexicons.errors import LexiconError
    from screening.batch.reading import Options
    from screening.batch.run import Asked
    from screening.batch.sources import expand
    from screening.errors import InputError

    try:
        asked = Asked(
            out=out,
            sources=expand(inputs, input_format, out),
            options=Options(columns, None if roles is None else str(roles)),
            format=format_.value,
            keep=keep,
            resume=resume,
            memory=memory << 20,
        )
        # Absolute: workers may stand elsewhere.
        own = partial(opened, lexicon and lexicon.absolute(), profile and profile.absolute(), _absolute(classifier), device.value)
        summary = _run(asked, own, _engine(engine, workers, ray_address))
    except LexiconError as error:
        refuse(ValueError("; ".join(error.problems)))
    except (InputError, OSError) as error:
        refuse(error)
    except KeyboardInterrupt:
        typer.echo("stopped; what is done is kept: go on with --resume", err=True)
        raise typer.Exit(130) from None
    _finish(summary, out)


def _absolute(classifier: str | None) -> str | None:
    return classifier if classifier in (None, "none") else str(Path(classifier).absolute())


def _engine(engine: EngineName, workers: int | None, ray_address: str | None) -> "Engine":
    from functools import partial

    if engine is EngineName.ray:
        from screening.batch import on_ray

        return partial(on_ray.run, workers=workers, address=ray_address)
    if ray_address is not None:
        refuse(ValueError("--ray-address goes with --engine ray"))
    from screening.batch import local

    count = workers or os.cpu_count() or 1
    return local.alone if count == 1 else partial(local.run, workers=count)


def _run(asked: "Asked", opened: "Opened", engine: "Engine") -> "Summary":
    from screening.batch import run, summary
    from screening.batch.progress import shown
    from screening.batch.work import Work

    with shown([source.name for source in asked.sources]) as progress:
        found = run.run(asked, opened, engine, progress)
    summary.finish(Work.at(asked.out), found)
    return found


def _finish(summary: "Summary", out: str) -> None:
    """Say what was done, name refusals, and end with the contract's status."""
    from screening.batch.refusals import first

    counts, timings = summary.counts, summary.timings
    total = counts.total
    typer.echo(
        f"{total.conversations} conversations, {counts.agent_turns} agent messages: A {total.a}, B {total.b}, C {total.c}, "
        f"incomplete {total.incomplete}; {timings.rate:,.0f} agent messages/s; see {out}",
        err=True,
    )
    if counts.refused:
        for line in first(out, SHOWN_REFUSALS):
            typer.echo(line, err=True)
        typer.echo(f"{counts.refused} inputs were refused; all of them are named in {out}/refused", err=True)
        raise typer.Exit(1)
