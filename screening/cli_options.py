"""Options and endings that all commands share. Heavy modules load inside the functions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from lexicons.load import Lexicon
    from screening.detect.detector import Detector
    from screening.pipeline import Screener
    from screening.readers.records import Refused
    from screening.types import Conversation

LexiconFolder = Annotated[
    Path | None, typer.Option("--lexicon", help="A lexicon folder instead of the packaged one.", file_okay=False, exists=True)
]
ProfileFile = Annotated[Path | None, typer.Option("--profile", help="A settings profile (TOML): standards, thresholds, zone.")]


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


Classifier = Annotated[
    str | None,
    typer.Option("--classifier", help="Folder of a trained classifier instead of the packaged one; none: rules alone."),
]
_classifiers: "list[Callable[[Path | None], Sequence[Detector]]]" = []


def wire_classifiers(opened: "Callable[[Path | None], Sequence[Detector]]") -> None:
    """Let the commands use classifiers: `opened(folder)` gives those of a folder, `opened(None)` the packaged ones.

    Called by the console script; this package never imports what classifiers are made of.
    """
    _classifiers[:] = [opened]


def _detectors(classifier: str | None) -> "Sequence[Detector]":
    if classifier == "none":
        return ()
    folder = None if classifier is None else Path(classifier)
    return [detector for opened in _classifiers for detector in opened(folder)]


def open_screener(
    lexicon: Path | None, profile: Path | None, classifier: str | None = "none", *, drafts: bool = False
) -> "Screener":
    """A screener from the command's options; ends the command with a message where they do not fit.

    `drafts`: let draft rules run, too, as shadow rules do.
    """
    from screening.errors import InputError
    from screening.pipeline import Screener
    from screening.profile import Profile, load

    try:
        opened = open_lexicon(lexicon)
        own = Profile() if profile is None else load(profile)
        return Screener(opened.with_drafts() if drafts else opened, own, _detectors(classifier))
    except InputError as error:
        refuse(error)


class Refusals:
    """Takes the refused inputs out of what a reader gives, names each on standard error, and keeps them."""

    def __init__(self) -> None:
        self.all: list[Refused] = []

    def without(self, items: "Iterable[Conversation | Refused]") -> "Iterator[Conversation]":
        """The conversations among the items, in order."""
        from screening.readers.records import Refused

        for item in items:
            if isinstance(item, Refused):
                self.all.append(item)
                typer.echo(f"{item.source}:{item.row}: {item.reason}", err=True)
            else:
                yield item

    def finish(self) -> None:
        """End the command with status 1 where inputs were refused."""
        if self.all:
            typer.echo(f"{len(self.all)} inputs were refused", err=True)
            raise typer.Exit(1)


def refuse(error: Exception) -> NoReturn:
    """End the command: the call is unusable."""
    typer.echo(f"screening: {error}", err=True)
    raise typer.Exit(2) from None


def finish(problems: list[str], good: str) -> None:
    """End a check: the problems and status 1, or the good word."""
    for problem in problems:
        typer.echo(problem)
    if problems:
        typer.echo(f"{len(problems)} problems", err=True)
        raise typer.Exit(1)
    typer.echo(good)
