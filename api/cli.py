"""The `screening` command: the sub-apps of the lower packages, wired together."""

import typer

from screening.cli import lexicon_app

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
app.add_typer(lexicon_app, name="lexicon")


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
