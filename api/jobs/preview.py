"""What an upload would become: its first rows as they stand, the mapping that would be used, its first conversations."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from api.jobs import ingest, spool
from api.jobs.ingest import Parameters
from api.wiring import Service
from screening.errors import InputError
from screening.readers import files, mapping, peek
from screening.readers.mapping import Column, ColumnProfile
from screening.readers.records import Refused
from screening.types import Conversation

ROWS = 6
INPUTS = 4
_CELL = 120
_TURNS = 12


class Preview(NamedTuple):
    """`rows` and `titles` are empty for formats that are no tables; `fields` and `attributes` map names to titles.

    `problem` says why nothing can be read this way; then there are no inputs. Long cells end in "…".
    """

    titles: list[str]
    rows: list[list[str]]
    sheets: list[str]
    ready: str | None
    profile: ColumnProfile | None
    fields: dict[str, str]
    attributes: dict[str, str]
    rest: list[str]
    inputs: list[Conversation | Refused]
    problem: str | None


def preview(service: Service, parameters: Parameters) -> Preview:
    """Read the beginning of an upload in the spool; raises `InputError` where it is gone."""
    place = spool.folder(service.settings)
    with spool.opened(place, parameters.upload, service.bodies) as path, ingest.options(parameters) as (columns, roles):
        head, profile, laid, problem = peek.Head([], [], []), None, None, None
        try:
            if parameters.format in peek.TABLES:
                given = None if columns is None else mapping.load(columns)
                head = _head(path, parameters, given)
                profile = given or mapping.choose(None, head.titles)
                laid = mapping.lay(profile, head.titles)
            items = files.read(
                str(path),
                columns=columns,
                roles=roles,
                format_=parameters.format,
                assemble=parameters.assemble,
                name=parameters.name,
            )
            inputs = list(islice(items, INPUTS))
            problem = None if inputs else "the file holds no conversations"
        except InputError as error:
            inputs, problem = [], str(error)
            profile = profile or _nearest(head.titles)
    return Preview(
        titles=head.titles,
        rows=[[_shown(cell) for cell in row] for row in head.rows],
        sheets=head.sheets,
        ready=None if problem else parameters.columns if parameters.columns in mapping.READY else _ready(profile),
        profile=profile,
        fields=_present({} if profile is None else profile.columns, head.titles),
        attributes=_present({} if profile is None else profile.attributes, head.titles),
        rest=[] if laid is None else list(laid.rest),
        inputs=inputs,
        problem=problem,
    )


def beginning(conversation: Conversation) -> tuple[list[tuple[str, str]], int]:
    """Role and text of the first turns, long texts ending in "…", and how many turns there are."""
    return [(turn.role, _shown(turn.text)) for turn in conversation.turns[:_TURNS]], len(conversation.turns)


def _head(path: Path, parameters: Parameters, profile: ColumnProfile | None) -> peek.Head:
    try:
        return peek.head(path, parameters.name, parameters.format, profile, ROWS)
    except InputError:
        if profile is None:
            raise
        return peek.head(path, parameters.name, parameters.format, None, ROWS)  # a wrong sheet or delimiter: show what is there


def _nearest(titles: Sequence[str]) -> ColumnProfile | None:
    """The ready profile that knows most of the titles: what it knows need not be chosen by hand."""
    known = {name: len(_present(profile.columns, titles)) for name in mapping.READY if (profile := mapping.load(name)).header}
    best = max(known, key=known.__getitem__)
    return mapping.load(best) if known[best] else None


def _ready(profile: ColumnProfile | None) -> str | None:
    return next((name for name in mapping.READY if profile is not None and mapping.load(name) == profile), None)


def _present(columns: Mapping[str, Sequence[Column]], titles: Sequence[str]) -> dict[str, str]:
    """The columns that are there, also where a required one is missing."""
    found = {}
    for field, options in columns.items():
        names = [titles[one - 1] if isinstance(one, int) and 0 < one <= len(titles) else one for one in options]
        place = next((one for one in names if one in titles), None)
        if place is not None:
            found[field] = str(place)
    return found


def _shown(value: Any) -> str:
    text = "" if value is None else str(mapping.cell(value) or "")
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"
