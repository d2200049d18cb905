"""Commands that need the pipeline but no service; `api.cli` mounts them. Heavy modules load inside the commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lexicons.load import Lexicon

lexicon_app = typer.Typer(no_args_is_help=True, help="Check, test and explain the lexicon.")

LexiconFolder = Annotated[
    Path | None, typer.Option("--lexicon", help="A lexicon folder instead of the packaged one.", file_okay=False, exists=True)
]


def open_lexicon(folder: Path | None) -> "Lexicon":
    """The lexicon in `folder` or the packaged one; a bad lexicon ends the command with its problems."""
    from lexicons.errors import LexiconError
    from lexicons.load import PACKAGED, load

    try:
        return load(folder or PACKAGED)
    except LexiconError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        typer.echo(f"{len(error.problems)} problems; the lexicon does not load", err=True)
        raise typer.Exit(2) from None


def _finish(problems: list[str], good: str) -> None:
    for problem in problems:
        typer.echo(problem)
    if problems:
        typer.echo(f"{len(problems)} problems", err=True)
        raise typer.Exit(1)
    typer.echo(good)


@lexicon_app.command("check")
def check(folder: LexiconFolder = None) -> None:
    """Lint the lexicon: schema, duplicates, phrases inside common words, patterns, lock."""
    from lexicons import lock
    from lexicons.load import PACKAGED
    from screening import lint

    lexicon = open_lexicon(folder)
    problems = [*lint.problems(lexicon), *lock.problems(lexicon.rules, lock.read(folder or PACKAGED))]
    _finish(problems, f"{len(lexicon.rules)} rules, {len(lexicon.cues)} cues, {len(lexicon.standards)} standards: no problem")


@lexicon_app.command("test")
def test(
    only: Annotated[list[str] | None, typer.Argument(help="Rule ids, signals or file prefixes; all when left out.")] = None,
    folder: LexiconFolder = None,
) -> None:
    """Run the examples of rules and cues: every hit at its mark, every miss quiet, every phrase and branch shown."""
    from screening.examples import ExampleRunner

    lexicon = open_lexicon(folder)
    rules = [r for r in lexicon.rules if not only or any(r.id.startswith(o) or r.signal.startswith(o) for o in only)]
    runner = ExampleRunner(lexicon)
    problems = list(runner.problems(rules))
    if not only:
        problems += runner.cue_problems()
    _finish(problems, f"{len(rules)} rules: every example holds")


@lexicon_app.command("lock")
def lock_rules(folder: LexiconFolder = None) -> None:
    """Renew the lock after rules were changed on purpose."""
    from lexicons import lock
    from lexicons.load import PACKAGED

    lexicon = open_lexicon(folder)
    lock.write(lexicon.rules, folder or PACKAGED)
    typer.echo(f"{len(lexicon.rules)} rules locked")
