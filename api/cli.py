"""The `screening` command: the commands of the lower packages, wired together."""

import typer

from api import classifiers, cli_archive, cli_batch, cli_rules, cli_service, cli_worker
from models import cli as cli_models
from screening import cli, cli_lexicon, cli_options, cli_report

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Screen Chinese customer-service conversations against written service standards.",
)
app.command("demo")(cli_report.demo)
app.command("screen")(cli.screen)
app.command("report")(cli_report.report)
app.command("replay")(cli.replay)
app.command("evaluate")(cli.evaluate)
app.command("train")(cli_models.train)
app.command("export")(cli_models.export)
app.command("calibrate")(cli_models.calibrate)
app.command("ingest")(cli_archive.ingest)
app.command("worker")(cli_worker.worker)
app.command("serve")(cli_service.serve)
app.add_typer(cli_service.db_app, name="db")
app.add_typer(cli_service.user_app, name="user")
app.add_typer(cli_service.key_app, name="key")
app.add_typer(cli_service.audit_app, name="audit")
cli.batch_app.command("run")(cli_batch.run)
app.add_typer(cli.batch_app, name="batch", cls=cli_batch.RunByDefault)
app.add_typer(cli.measure_app, name="measure")
cli_lexicon.lexicon_app.command("export")(cli_rules.export)
app.add_typer(cli_lexicon.lexicon_app, name="lexicon")
app.add_typer(cli_lexicon.standard_app, name="standard")


def main() -> None:
    """Entry point of the console script."""
    cli_options.wire_classifiers(classifiers.opened)
    app()


if __name__ == "__main__":
    main()
