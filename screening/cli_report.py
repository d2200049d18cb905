"""`screening demo` and `screening report`: a screened file as an HTML page, with a summary in the terminal."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screening.cli import Columns, Format, Roles
from screening.cli_options import Classifier, LexiconFolder, ProfileFile, Refusals, open_lexicon, open_screener, refuse

if TYPE_CHECKING:
    from screening.pipeline import Screener
    from screening.readers.records import Refused
    from screening.report.data import Report
    from screening.types import Conversation


def demo(
    report: Annotated[Path, typer.Option(help="Where the HTML report is written.", dir_okay=False)] = Path(
        "screening-report.html"
    ),
    no_report: Annotated[bool, typer.Option("--no-report", help="Print the summary only.")] = False,
) -> None:
    """Screen the sample archive, print a summary and write the HTML report."""
    from screening.readers import files
    from screening.samples import ARCHIVE

    output = None if no_report else _writable(report)
    screener = open_screener(None, None, None)
    _finish(_collected(screener, files.read(str(ARCHIVE)), "示例档案 sample archive"), output)


Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Of an archive: only days from / up to this one.")]


def report(
    file: Annotated[str, typer.Argument(help="A file of conversations, - for JSON Lines, or the folder of a scored archive.")],
    output: Annotated[Path, typer.Option("--output", help="Where the HTML report is written.", dir_okay=False)],
    xlsx: Annotated[
        Path | None, typer.Option("--xlsx", help="Of an archive: write the figures as a workbook, too.", dir_okay=False)
    ] = None,
    vendor: Annotated[str | None, typer.Option(help="Of an archive: only this vendor's conversations.")] = None,
    since: Day = None,
    until: Day = None,
    profile: ProfileFile = None,
    lexicon: LexiconFolder = None,
    classifier: Classifier = None,
    columns: Columns = None,
    roles: Roles = None,
    format_: Format = None,
) -> None:
    """Screen conversations into an HTML report, or make the period's report of an archive that `screening batch` scored.

    Exit status: 0 all screened, 1 some inputs were refused, 2 unusable call.
    """
    from screening.errors import InputError
    from screening.readers import files

    if "://" in file or Path(file).is_dir():
        _of_archive(file, (output, xlsx), (vendor, since, until), profile, lexicon)
        return
    if xlsx or vendor is not None or since or until:
        refuse(ValueError("--xlsx, --vendor, --since and --until are for the folder of a scored archive (screening batch)"))
    try:
        items = files.read(file, columns=columns, roles=roles, format_=format_)
        target = _writable(output)
        screener = open_screener(lexicon, profile, classifier)
        result = _collected(screener, items, "标准输入 standard input" if file == "-" else Path(file).name)
    except InputError as error:
        refuse(error)
    _finish(result, target)
    if result.totals.refused:
        typer.echo(f"{result.totals.refused} inputs were refused", err=True)
        raise typer.Exit(1)


def _of_archive(
    root: str,
    targets: tuple[Path, Path | None],
    chosen: tuple[str | None, datetime | None, datetime | None],
    profile: Path | None,
    lexicon: Path | None,
) -> None:
    from screening.batch.period import Asked, collect
    from screening.errors import InputError
    from screening.profile import Profile, check, load
    from screening.report import period_html, period_xlsx

    html, xlsx = _writable(targets[0]), None if targets[1] is None else _writable(targets[1])
    vendor, since, until = chosen
    if since and until and since > until:
        refuse(ValueError(f"--since {since:%Y-%m-%d} is after --until {until:%Y-%m-%d}"))
    opened = open_lexicon(lexicon)
    try:
        own = Profile() if profile is None else load(profile)
        check(own, opened)
        period = collect(Asked(root, vendor, since and since.date(), until and until.date()), own, opened)
        html.write_text(period_html.render(period), encoding="utf-8", newline="\n")
        if xlsx is not None:
            xlsx.write_bytes(period_xlsx.workbook(period))
    except (InputError, OSError) as error:
        refuse(error)
    t = period.levels
    span = f"{period.first} to {period.last}" if period.first else "without times"
    typer.echo(f"{t.conversations} conversations, {span}: A {t.a}, B {t.b}, C {t.c}, incomplete {t.incomplete}; see {html}")


def _writable(output: Path) -> Path:
    # Told before the screening: a long run must not end in a wrong path.
    if not output.absolute().parent.is_dir():
        refuse(NotADirectoryError(f"{output}: there is no folder {output.absolute().parent}"))
    return output


def _collected(screener: "Screener", items: Iterable["Conversation | Refused"], source: str) -> "Report":
    from datetime import UTC
    from zoneinfo import ZoneInfo

    from screening.report.data import Collector, RefusedInput

    standards = [screener.lexicon.standards[name] for name in screener.profile.standards]
    collector = Collector(standards, ZoneInfo(screener.profile.timezone))
    ahead: deque[Conversation] = deque()  # the screener reads a batch before it answers

    refusals = Refusals()

    def conversations() -> Iterator["Conversation"]:
        for item in refusals.without(items):
            ahead.append(item)
            yield item

    for screening in screener.screen_many(conversations()):
        collector.add(ahead.popleft(), screening)
    for item in refusals.all:
        collector.refuse(RefusedInput(item.source, item.row, item.reason, item.id))
    return collector.report(source, datetime.now(UTC), screener.versions)


def _finish(result: "Report", output: Path | None) -> None:
    from rich.console import Console

    from screening.report.summary import print_summary

    if output is not None:
        from screening.report.html import render

        try:
            output.write_text(render(result), encoding="utf-8", newline="\n")
        except OSError as error:
            refuse(error)
    print_summary(result, Console(highlight=False), output)
