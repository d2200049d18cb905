"""The summary of a scored archive: JSON for machines, one HTML page for people. Written last: it says that the archive is whole."""

from collections.abc import Mapping
from importlib import resources

import msgspec
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lexicons.load import Lexicon
from screening.batch.counts import Counts, Group
from screening.batch.schemas import NO_DAY
from screening.batch.work import SUMMARY, Manifest, Work
from screening.report.data import UNKNOWN, Tally
from screening.types import Level, Versions

PAGE = "summary.html"
_SHOWN = 200


class Timings(msgspec.Struct, frozen=True):
    """Wall seconds of the steps, and what the scoring of this call covered."""

    read: float
    scored: float
    merged: float
    rows: int
    agent_turns: int

    @property
    def rate(self) -> float:
        """Agent messages a second, workers' start included."""
        return self.agent_turns / self.scored if self.agent_turns else 0.0


class InputFile(msgspec.Struct, frozen=True):
    """A file that was read."""

    name: str
    bytes: int


class ClauseCount(msgspec.Struct, frozen=True):
    """How often a clause was nominated."""

    standard: str
    clause: str
    level: Level
    title: str
    candidates: int


class Summary(msgspec.Struct, frozen=True):
    """What `summary.json` holds; only `timings` differ between two runs over the same input with the same versions."""

    versions: Versions
    zone: str
    inputs: tuple[InputFile, ...]
    clauses: tuple[ClauseCount, ...]
    counts: Counts
    timings: Timings

    @classmethod
    def of(cls, manifest: Manifest, lexicon: Lexicon, counts: Counts, timings: Timings) -> "Summary":
        """The summary of a finished run; clauses by level, then by how often."""
        inputs = tuple(InputFile(source.name, source.bytes) for source in manifest.sources)
        clauses = []
        for key, count in counts.clauses.items():
            standard, _, id_ = key.partition("/")
            clause = next(own for own in lexicon.standards[standard].clauses if own.id == id_)
            clauses.append(ClauseCount(standard, id_, clause.level, clause.title, count))
        clauses.sort(key=lambda own: (own.level, -own.candidates, own.standard, own.clause))
        return cls(manifest.versions, manifest.zone, inputs, tuple(clauses), counts, timings)


def finish(work: Work, summary: Summary) -> None:
    """Write both files and let go of the run's unfinished state."""
    work.out.write(PAGE, page(summary).encode())
    work.out.write(SUMMARY, msgspec.json.format(msgspec.json.encode(summary, order="sorted"), indent=1) + b"\n")
    work.state.remove("")


def page(summary: Summary) -> str:
    """The page; it asks for nothing from anywhere."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("screening.batch"), PackageLoader("screening.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = summary.counts
    style = (resources.files("screening.report") / "templates" / "report.css").read_text(encoding="utf-8")
    return environment.get_template("summary.html.j2").render(
        summary=summary,
        total=_tally("", counts.total),
        bytes=sum(file.bytes for file in summary.inputs),
        most=max((clause.candidates for clause in summary.clauses), default=0),
        groups=[
            ("vendors", "供应商", "Vendors", _by_size(counts.vendors)),
            ("agents", "客服", "Agents", _by_size(counts.agents)),
            ("days", "日期", "Days", [_tally("" if day == NO_DAY else day, own) for day, own in sorted(counts.days.items())]),
        ],
        shown=_SHOWN,
        rate=summary.timings.rate,
        style=Markup(style),
    )


def _by_size(groups: Mapping[str, Group]) -> list[Tally]:
    return [_tally(key, own) for key, own in sorted(groups.items(), key=lambda item: (-item[1].conversations, item[0]))]


def _tally(key: str, own: Group) -> Tally:
    return Tally(key, key or UNKNOWN, own.conversations, own.a, own.b, own.c, own.incomplete)
