"""The report as one HTML file that asks for nothing from anywhere: style, script and charts stand in it."""

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from screening.report import names
from screening.report.data import Report


def render(report: Report) -> str:
    """The page; every text of a conversation is escaped."""
    environment = Environment(
        loader=PackageLoader("screening.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = packaged("report.js")
    return environment.get_template("report.html.j2").render(
        report=report,
        names=names,
        style=packaged("report.css") + packaged("case.css"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def packaged(name: str) -> Markup:
    """A style sheet or script of this package."""
    # Ours, not a conversation's: escaping would break it.
    return Markup((resources.files("screening.report") / "templates" / name).read_text(encoding="utf-8"))
