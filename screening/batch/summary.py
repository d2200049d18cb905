"""The summary of a scored archive: JSON for machines, one HTML page for people. Written last: it says that the archive is whole."""

import msgspec

from screening.batch.counts import Counts
from screening.batch.work import Manifest, Work
from screening.types import Versions

PAGE = "summary.html"


class Timings(msgspec.Struct, frozen=True):
    """Wall seconds of the steps, and what the scoring of this call covered."""

    read: float
    scored: float
    merged: float
    rows: int
    agent_turns: int


class InputFile(msgspec.Struct, frozen=True):
    """A file that was read."""

    name: str
    bytes: int


class Summary(msgspec.Struct, frozen=True):
    """What `summary.json` holds; only `timings` differ between two runs over the same input with the same versions."""

    versions: Versions
    zone: str
    inputs: tuple[InputFile, ...]
    counts: Counts
    timings: Timings

    @classmethod
    def of(cls, manifest: Manifest, counts: Counts, timings: Timings) -> "Summary":
        """The summary of a finished run."""
        inputs = tuple(InputFile(source.name, source.bytes) for source in manifest.sources)
        return cls(manifest.versions, manifest.zone, inputs, counts, timings)


def finish(work: Work, summary: Summary) -> None:
    """Write the summary and let go of the run's unfinished state."""
    work.out.write("summary.json", msgspec.json.format(msgspec.json.encode(summary, order="sorted"), indent=1) + b"\n")
    work.state.remove("")
