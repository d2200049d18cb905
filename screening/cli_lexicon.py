"""`screening lexicon …` and `screening standard …`: what is looked for, shown, tested and explained."""

from typing import TYPE_CHECKING, Annotated

import typer

from screening.cli_options import LexiconFolder, ProfileFile, finish, open_lexicon, open_screener, refuse

if TYPE_CHECKING:
    from lexicons.load import Lexicon

lexicon_app = typer.Typer(no_args_is_help=True, help="Check, test and explain the lexicon.")
standard_app = typer.Typer(no_args_is_help=True, help="The written standards and how each clause is seen.")


@lexicon_app.command("check")
def check(folder: LexiconFolder = None) -> None:
    """Lint the lexicon: schema, duplicates, phrases inside common words, patterns, lock."""
    from lexicons import lock
    from lexicons.load import PACKAGED
    from screening import lint

    lexicon = open_lexicon(folder)
    problems = [*lint.problems(lexicon), *lock.problems(lexicon.rules, lexicon.sets, lock.read(folder or PACKAGED))]
    finish(problems, f"{len(lexicon.rules)} rules, {len(lexicon.cues)} cues, {len(lexicon.standards)} standards: no problem")


@lexicon_app.command("test")
def test(
    only: Annotated[list[str] | None, typer.Argument(help="Beginnings of rule ids or signals; all when left out.")] = None,
    folder: LexiconFolder = None,
) -> None:
    """Run the examples of rules and cues: every hit at its mark, every miss quiet, every phrase and branch shown."""
    from screening.examples import ExampleRunner

    lexicon = open_lexicon(folder)
    rules = [r for r in lexicon.rules if not only or any(r.id.startswith(o) or r.signal.startswith(o) for o in only)]
    if only and not rules:
        refuse(ValueError(f"no rule id or signal begins with {' or '.join(only)}"))
    runner = ExampleRunner(lexicon)
    problems = list(runner.problems(rules))
    if not only:
        problems += runner.cue_problems()
    finish(problems, f"{len(rules)} rules: every example holds")


@lexicon_app.command("lock")
def lock_rules(folder: LexiconFolder = None) -> None:
    """Renew the lock after rules were changed on purpose."""
    from lexicons import lock
    from lexicons.load import PACKAGED

    lexicon = open_lexicon(folder)
    lock.write(lexicon.rules, lexicon.sets, folder or PACKAGED)
    typer.echo(f"{len(lexicon.rules)} rules locked")


@lexicon_app.command("coverage")
def coverage(folder: LexiconFolder = None) -> None:
    """Count rules, slot patterns and phrases per text signal, and the distinct surface forms of all."""
    from rich.console import Console
    from rich.table import Table

    from screening import evaluate
    from screening.examples import surface_forms

    lexicon = open_lexicon(folder)
    table = Table("signal", "active rules", "slot patterns", "phrases")
    totals = [0, 0, 0]
    for signal, counts in evaluate.coverage(lexicon).items():
        table.add_row(signal, *map(str, counts))
        totals = [a + b for a, b in zip(totals, counts, strict=True)]
    table.add_section()
    table.add_row("all", *map(str, totals))
    console = Console()
    console.print(table)
    active = [rule for rule in lexicon.rules if rule.status == "active"]
    console.print(f"{len(surface_forms(active, lexicon))} distinct surface forms")


@lexicon_app.command("explain")
def explain(
    text: Annotated[str, typer.Argument(help="What was said.")],
    role: Annotated[str, typer.Option(help="Who said it: agent or customer.")] = "agent",
    after: Annotated[list[str] | None, typer.Option(help="What stood before, as 客户：… or 客服：…, oldest first.")] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="Try the rules that are drafts, too.")] = False,
    folder: LexiconFolder = None,
    profile: ProfileFile = None,
) -> None:
    """Show how a text is read: its views, every hit, what excuses it, and where it leads."""
    from rich.console import Console

    from screening.errors import InputError
    from screening.explain import explanation

    screener = open_screener(folder, profile, drafts=drafts)
    if role not in ("agent", "customer"):
        raise typer.BadParameter("role is agent or customer")
    console = Console(highlight=False, soft_wrap=True)
    try:
        for line in explanation(screener, text, role, after or []):
            console.print(line, markup=False)
    except InputError as error:
        refuse(error)


@standard_app.command("list")
def list_standards(folder: LexiconFolder = None) -> None:
    """List the standards."""
    for standard in open_lexicon(folder).standards.values():
        house = "levels are ours (house)" if standard.house else "levels of the document"
        typer.echo(f"{standard.id}\t{standard.title}\t{len(standard.clauses)} clauses, {house}")


@standard_app.command("show")
def show_standard(name: Annotated[str, typer.Argument(metavar="ID")], folder: LexiconFolder = None) -> None:
    """Show a standard's clauses, thresholds and facts for the ledger."""
    lexicon = open_lexicon(folder)
    standard = lexicon.standards.get(name)
    if standard is None:
        typer.echo(f"screening: no standard {name!r}; there are: {', '.join(lexicon.standards)}", err=True)
        raise typer.Exit(2)
    typer.echo(f"{standard.id}: {standard.title} ({standard.source}), version {standard.version}")
    for clause in standard.clauses:
        points = f", {clause.points} points" if clause.points is not None else ""
        typer.echo(f"\n[{clause.level}] {clause.id} {clause.title}{points}\n    {clause.text}\n    place: {clause.place}")
        typer.echo(f"    seen by: {', '.join(clause.detect)}; signals: {', '.join(clause.signals) or '-'}")
        if clause.human_reason:
            typer.echo(f"    a person only: {clause.human_reason}")
    for threshold in standard.thresholds:
        typer.echo(
            f"\nlimit {threshold.signal} ({', '.join(threshold.channels)}): {threshold.value:g} {threshold.unit} - {threshold.place}"
        )
    for fact in standard.ledger:
        value = "" if fact.value is None else f": {fact.value:g} {fact.unit or ''}"
        typer.echo(f"ledger {fact.id}: {fact.title}{value}")


@standard_app.command("coverage")
def standard_coverage(folder: LexiconFolder = None) -> None:
    """For every clause: how it is seen, and by how many active rules."""
    lexicon = open_lexicon(folder)
    for standard in lexicon.standards.values():
        typer.echo(f"\n{standard.id}")
        for clause in standard.clauses:
            typer.echo(f"  {clause.level} {clause.id:<28} {_seen_by(lexicon, standard.id, clause.id)}")


def _seen_by(lexicon: "Lexicon", standard: str, name: str) -> str:
    clause = next(c for c in lexicon.standards[standard].clauses if c.id == name)
    if not clause.signals:
        return f"person: {clause.human_reason}" if clause.human_reason else "ledger: " + ", ".join(clause.ledger_signals)
    rules = [r for r in lexicon.rules if r.status == "active" and r.signal in clause.signals]
    cited = sum(f"{standard}/{name}" in r.references for r in rules)
    return f"{', '.join(clause.detect)}: {', '.join(clause.signals)} ({len(rules)} rules, {cited} cite the clause)"
