"""Commands that screen, replay and measure; `api.cli` mounts them. Heavy modules load inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from screening.cli_options import Classifier, LexiconFolder, ProfileFile, Refusals, open_screener, refuse

batch_app = typer.Typer(no_args_is_help=True, help="Prepare archives.")
measure_app = typer.Typer(no_args_is_help=True, help="Measure on traffic.")

Columns = Annotated[str | None, typer.Option(help="Column profile: a ready one's name or a TOML file.")]
Roles = Annotated[Path | None, typer.Option(help="TOML file with role words for plain chat text.")]
Format = Annotated[str | None, typer.Option("--format", help="The file's format where its name does not tell.")]


def screen(
    file: Annotated[str, typer.Argument(help="A file of conversations, or - for JSON Lines on standard input.")],
    profile: ProfileFile = None,
    lexicon: LexiconFolder = None,
    classifier: Classifier = None,
    columns: Columns = None,
    roles: Roles = None,
    format_: Format = None,
) -> None:
    """Screen conversations; screenings go to standard output as JSON Lines, refusals to standard error.

    Exit status: 0 all screened, 1 some inputs were refused, 2 unusable call.
    """
    import sys

    from screening.errors import InputError
    from screening.readers import files
    from screening.replay import encode

    refusals = Refusals()
    try:
        items = files.read(file, columns=columns, roles=roles, format_=format_)
        screener = open_screener(lexicon, profile, classifier)
        out = sys.stdout.buffer
        for screening in screener.screen_many(refusals.without(items)):
            out.write(encode(screening) + b"\n")
        out.flush()
    except InputError as error:
        refuse(error)
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(1) from None
    refusals.finish()


def replay(
    screening_file: Annotated[Path, typer.Argument(metavar="SCREENING.json", exists=True, dir_okay=False)],
    conversation: Annotated[Path, typer.Option("--conversation", help="The conversation (JSON).", exists=True, dir_okay=False)],
    profile: ProfileFile = None,
    lexicon: LexiconFolder = None,
    classifier: Classifier = None,
) -> None:
    """Screen a conversation again and compare with a screening: "identical", or what differs and which version changed."""
    import msgspec

    from screening.errors import InputError
    from screening.readers.records import from_json
    from screening.replay import differences
    from screening.types import Screening

    try:
        before = msgspec.json.decode(screening_file.read_bytes(), type=Screening)
        after = open_screener(lexicon, profile, classifier).screen(from_json(conversation.read_bytes()))
    except (InputError, msgspec.DecodeError) as error:
        refuse(error)
    found = list(differences(before, after))
    for line in found:
        typer.echo(line)
    if found:
        raise typer.Exit(1)
    typer.echo("identical")


def evaluate(
    file: Annotated[Path, typer.Argument(help="A labelled set, such as tests/data/test.jsonl.", exists=True, dir_okay=False)],
    profile: ProfileFile = None,
    lexicon: LexiconFolder = None,
    classifier: Classifier = None,
    mistakes: Annotated[bool, typer.Option("--mistakes", help="Name every wrong decision (ids, no text).")] = False,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write the tables to a Markdown file, too.")] = None,
    write_scores: Annotated[bool, typer.Option("--write-scores", help="Keep the counts as the rules' prior scores.")] = False,
) -> None:
    """Print precision and recall per signal, style and clause with Wilson intervals, and what each rule file adds."""
    from screening import evaluate as evaluation_
    from screening import evaluate_tables
    from screening.errors import InputError

    try:
        turns, conversations = evaluation_.read(file)
    except InputError as error:
        refuse(error)
    evaluation = evaluation_.Evaluation(open_screener(lexicon, profile, classifier), turns, conversations)
    evaluate_tables.print_tables(evaluation)
    if markdown is not None:
        markdown.write_text(evaluate_tables.markdown(evaluation), encoding="utf-8")
    if mistakes:
        for record, kind, signal, sources in evaluation.mistakes():
            typer.echo(f"{record}\t{kind}\t{signal}\t{','.join(sources)}")
        for record, missing, extra in evaluation.clause_mistakes():
            typer.echo(f"{record}\tmissed {','.join(sorted(missing)) or '-'}\tfalse {','.join(sorted(extra)) or '-'}")
    if write_scores:
        from lexicons.load import PACKAGED

        typer.echo(f"scores written to {evaluation_.write_scores(evaluation, lexicon or PACKAGED)}")


@batch_app.command("assemble")
def assemble(
    file: Annotated[str, typer.Argument(help="A table (CSV, XLSX, Parquet) whose conversations are scattered over rows.")],
    output: Annotated[Path, typer.Option("--output", help="Where to write the conversations (JSON Lines).", dir_okay=False)],
    columns: Columns = None,
    roles: Roles = None,
    format_: Format = None,
) -> None:
    """Bring the messages of each conversation together and write conversations as JSON Lines.

    Exit status as `screening screen`.
    """
    import msgspec

    from screening.errors import InputError
    from screening.readers import files

    refusals, count = Refusals(), 0
    if file != "-" and output.resolve() == Path(file).resolve():
        refuse(ValueError(f"--output {output} is the input itself; name another file"))
    unfinished = output.with_name(output.name + ".unfinished")
    try:
        items = files.read(file, columns=columns, roles=roles, format_=format_, assemble=True)
        with unfinished.open("wb") as out:
            for conversation in refusals.without(items):
                count += 1
                out.write(msgspec.json.encode(conversation) + b"\n")
        unfinished.replace(output)
    except (InputError, OSError) as error:
        unfinished.unlink(missing_ok=True)
        refuse(error)
    typer.echo(f"{count} conversations written to {output}", err=True)
    refusals.finish()


@measure_app.command("false-alarms")
def false_alarms(
    file: Annotated[str, typer.Argument(help="A file of conversations believed clean.")],
    profile: ProfileFile = None,
    lexicon: LexiconFolder = None,
    classifier: Classifier = None,
    columns: Columns = None,
    roles: Roles = None,
    format_: Format = None,
    show: Annotated[bool, typer.Option("--show", help="Print each alarm with the words around it.")] = False,
) -> None:
    """Count active flags that do not rest on times, per 1,000 agent turns of clean traffic."""
    from screening import measure
    from screening.errors import InputError
    from screening.evaluate import share_text
    from screening.readers import files

    refusals = Refusals()
    try:
        items = files.read(file, columns=columns, roles=roles, format_=format_)
        result = measure.false_alarms(open_screener(lexicon, profile, classifier), refusals.without(items))
    except InputError as error:
        refuse(error)
    if show:
        for alarm in result.alarms:
            typer.echo(f"{alarm.conversation}\t{alarm.flag.signal}\t{alarm.flag.source.id}\t{alarm.around}")
    for signal, count in result.by_signal.most_common():
        typer.echo(f"{signal}\t{count}")
    typer.echo(f"{len(result.alarms)} alarms in {result.agent_turns} agent turns: {result.per_thousand:.2f} per 1,000")
    typer.echo(f"share of turns {share_text(len(result.alarms), result.agent_turns)}; {len(refusals.all)} inputs refused")
