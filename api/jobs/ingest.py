"""Uploads as jobs: the file is read once and cut into blocks of conversations; each block is screened and stored together."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sqlalchemy.orm import Session

from api import ingest, inputs, wiring
from api.engine import screened
from api.errors import ApiError
from api.jobs import found, spool
from api.jobs.kind import Block, Commit, Kind, Outcome, Refusal, Task
from screening.errors import InputError
from screening.readers import files, mapping
from screening.readers.records import Refused
from screening.types import Conversation, Screening

BLOCK = 200
_BLOCK_TURNS = 4096


class Parameters(msgspec.Struct, frozen=True):
    """How an upload is read: its name in the spool, what it is called, its format and the reader's options (TOML texts)."""

    upload: str
    name: str
    format: str
    columns: str | None = None
    roles: str | None = None
    assemble: bool = False


class _Input(msgspec.Struct, frozen=True):
    place: int
    conversation: Conversation


_inputs = msgspec.json.Decoder(_Input)


def plan(task: Task, after: int) -> Iterator[Block]:
    """Read the upload and give its conversations in blocks; what lies up to `after` is read over."""
    service = task.service
    parameters = msgspec.json.decode(task.parameters, type=Parameters)
    place = spool.folder(service.settings)
    with spool.opened(place, parameters.upload, service.bodies) as path, options(parameters) as (columns, roles):
        items = files.read(
            str(path),
            columns=columns,
            roles=roles,
            format_=parameters.format,
            assemble=parameters.assemble,
            name=parameters.name,
        )
        yield from _blocks(items, after)


@contextmanager
def options(parameters: Parameters) -> Iterator[tuple[str | None, Path | None]]:
    """The reader's options as it takes them: a column profile by name or as a file, role words as a file."""
    with tempfile.TemporaryDirectory(prefix="screening-upload-") as folder:
        columns, roles = parameters.columns, None
        if columns is not None and columns not in mapping.READY:
            file = Path(folder) / "columns.toml"
            file.write_text(columns, encoding="utf-8")
            columns = str(file)
        if parameters.roles is not None:
            roles = Path(folder) / "roles.toml"
            roles.write_text(parameters.roles, encoding="utf-8")
        yield columns, roles


def _blocks(items: Iterator[Conversation | Refused], after: int) -> Iterator[Block]:
    block = Block([], after + 1, after, [])
    turns = 0
    for place, item in enumerate(items, 1):
        if place <= after:
            continue
        if isinstance(item, Refused):
            block.refusals.append(Refusal(place, "invalid", item.reason, item.row, item.id))
        else:
            block.inputs.append(msgspec.json.encode(_Input(place, item)))
            turns += len(item.turns)
        block = block._replace(last=place)
        if len(block.inputs) + len(block.refusals) >= BLOCK or turns >= _BLOCK_TURNS:
            yield block
            block, turns = Block([], place + 1, place, []), 0
    if block.inputs or block.refusals:
        yield block


def perform(task: Task, raw: Sequence[msgspec.Raw]) -> Commit:
    """Screen the conversations that are not stored yet; what is stored already under the same content is left alone."""
    service = task.service
    refusals: list[Refusal] = []
    usable: list[_Input] = []
    for one in map(_inputs.decode, raw):
        try:
            conversation = _owned(one.conversation, task.vendor_id)
            usable.append(_Input(one.place, inputs.checked(conversation, service.settings)))
        except (InputError, ApiError) as error:
            refusals.append(_refusal(one, error))
    with service.store.read() as session:
        known = ingest.known(session, [one.conversation for one in usable])
    fresh = [one for one, there in zip(usable, known, strict=True) if there is None]
    results = screened(service.engine.screener, [one.conversation for one in fresh])
    work: list[tuple[Conversation, Screening]] = []
    for one, result in zip(fresh, results, strict=True):
        if isinstance(result, InputError):
            refusals.append(_refusal(one, result))
        else:
            work.append((one.conversation, result))
    keeping = wiring.keeping(service)

    def commit(session: Session, at: int) -> Outcome:
        others = _others(session, usable, task.vendor_id)
        mine = [(conversation, screening) for conversation, screening in work if conversation.id not in others]
        kept = ingest.keep(session, mine, keeping, at)
        outcomes = Counter[str](stored.outcome for stored in kept)
        same = [there for there in known if there is not None and there.external_id not in others]
        outcomes["unchanged"] += len(same)
        taken = [_refusal(one, _TAKEN) for one in usable if one.conversation.id in others]
        held = found.packed([stored.screening_id for stored in (*kept, *same)])
        return Outcome(dict(+outcomes), refusals + taken, held)

    return commit


def _owned(conversation: Conversation, vendor_id: str | None) -> Conversation:
    if vendor_id is None or conversation.vendor_id == vendor_id:
        return conversation
    if conversation.vendor_id is None:
        return msgspec.structs.replace(conversation, vendor_id=vendor_id)
    raise ApiError(403, "other_vendor", f"the job brings data of vendor {vendor_id!r} only, this one names another's")


_TAKEN = ApiError(409, "other_vendor", "another vendor's conversation is stored under this id; use another one")


def _others(session: Session, usable: Sequence[_Input], vendor_id: str | None) -> set[str]:
    """The ids among these that belong to another vendor."""
    if vendor_id is None:
        return set()
    present = ingest.in_force(session, [one.conversation.id for one in usable], lock=True)
    return {id_ for id_, entry in present.items() if entry.vendor_id != vendor_id}


def _refusal(one: _Input, error: InputError | ApiError) -> Refusal:
    known = inputs.item_error(error)
    return Refusal(one.place, known.code, known.message, external_id=one.conversation.id)


def clear(task: Task) -> None:
    """The upload is not needed any more."""
    parameters = msgspec.json.decode(task.parameters, type=Parameters)
    spool.remove(spool.folder(task.service.settings), parameters.upload)


def named(raw: msgspec.Raw) -> tuple[int, str | None]:
    """The place of an input in the file, and its id."""
    one = _inputs.decode(raw)
    return one.place, one.conversation.id


KIND = Kind(plan, perform, named, clear=clear)
