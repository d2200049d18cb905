"""The state of a run in its output folder: what was asked, which chunks are done. A run killed at any moment can be gone on with."""

from typing import Literal, NamedTuple

import msgspec

from screening.batch.reading import Options
from screening.batch.schemas import DATASETS
from screening.batch.shuffle import RUNS
from screening.batch.sources import Source
from screening.batch.storage import Folder
from screening.errors import InputError
from screening.types import Versions

MANIFEST, PLAN, SUMMARY = "manifest.json", "plan.json", "summary.json"
WORK, PARTS = "_work", "parts"
Format = Literal["parquet", "jsonl"]


class Manifest(msgspec.Struct, frozen=True):
    """What decides the output: inputs, versions, and how they are read and written."""

    sources: tuple[Source, ...]
    options: Options
    versions: Versions
    zone: str
    chunks: int
    format: Format
    keep: bool


class Plan(msgspec.Struct, frozen=True):
    """The input as it was laid out: run files, and the rows of each chunk."""

    runs: int
    rows: tuple[int, ...]


class Work(NamedTuple):
    """A run's output folder and the folder of its unfinished state."""

    out: Folder
    state: Folder

    @classmethod
    def at(cls, root: str) -> "Work":
        """The run that writes to `root`."""
        return cls(Folder(root), Folder(f"{root.rstrip('/')}/{WORK}"))

    def manifest(self) -> Manifest:
        """What this run was asked to do."""
        return msgspec.json.decode(self.state.read(MANIFEST), type=Manifest)

    def done(self) -> set[int]:
        """The chunks that are finished."""
        return {int(name[: -len(".json")]) for name in self.state.names(PARTS) if name.endswith(".json")}

    def plan(self) -> Plan | None:
        """How the input was laid out, when that is finished."""
        return msgspec.json.decode(self.state.read(PLAN), type=Plan) if self.state.exists(PLAN) else None


def finished(work: Work) -> bool:
    """Whether the folder holds a finished archive."""
    return work.out.exists(SUMMARY)


def begin(work: Work, manifest: Manifest, *, resume: bool) -> None:
    """Claim the folder for a run, or find it to be the same run; raises `InputError` that says what is in the way."""
    root = work.out.root
    if not work.state.exists(MANIFEST):
        taken = [name for name in (*DATASETS, "history", SUMMARY, "screenings.jsonl", "refused.jsonl") if work.out.exists(name)]
        if taken:
            raise InputError(f"{root}: {taken[0]} is there already; give a folder without an archive")
        work.state.write(MANIFEST, msgspec.json.encode(manifest))
        return
    if not resume:
        raise InputError(f"{root}: an unfinished run lies here; go on with it by --resume, or remove {WORK} to begin anew")
    try:
        before = work.manifest()
    except msgspec.DecodeError as error:
        raise InputError(f"{root}: {WORK}/{MANIFEST} is not of this version ({error}); remove {WORK} to begin anew") from None
    changes = list(_changes(before, manifest))
    if changes:
        raise InputError(f"{root}: not the same run, so it cannot be gone on with: {'; '.join(changes)}")


def _changes(before: Manifest, now: Manifest) -> list[str]:
    found = []
    old, new = ({source.name: source for source in manifest.sources} for manifest in (before, now))
    found += [f"input {name} is gone" for name in old if name not in new]
    found += [f"input {name} is new" for name in new if name not in old]
    found += [f"input {name} has changed" for name in old if name in new and old[name] != new[name]]
    if not found and before.sources != now.sources:
        found.append("the inputs stand in another order")
    for field in Versions.__struct_fields__:
        was, is_ = getattr(before.versions, field), getattr(now.versions, field)
        if was != is_:
            found.append(f"version of {field} was {was}, is {is_}")
    for field in ("options", "zone", "format", "keep"):
        was, is_ = getattr(before, field), getattr(now, field)
        if was != is_:
            found.append(f"{field} was {was}, is {is_}")
    return found


def lay_out_anew(work: Work) -> None:
    """Forget what an interrupted laying out left."""
    work.state.remove(RUNS)
    work.state.remove(PARTS)
