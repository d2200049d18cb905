"""The second pass over a scored archive: signals over several conversations, into the dataset `history/`. No screening is changed.

Only conversations that bear on such a signal are put aside, in buckets by customer on disk; memory holds one part of the result at a time.
"""

import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexicons.load import Lexicon
from screening.batch.rows import days, rows
from screening.batch.schemas import TIME
from screening.batch.storage import Folder
from screening.detect.conduct.facts import Facts, Mail, Promise
from screening.history import rules
from screening.history.findings import Basis, HistoryFinding, Kind, bases
from screening.history.records import COMPLAINTS, DIVERSIONS, Occurrence, Record, complaint
from screening.profile import Profile

HISTORY = pa.schema(
    [
        pa.field("kind", pa.string(), False),  # entry_errors, diversion, promise, mail, repeated_complaint
        pa.field("outcome", pa.string(), False),  # counted, undated; kept, late, unkept, open; unanswered, open; repeated
        pa.field("signal", pa.string()),
        pa.field("standard", pa.string(), False),
        pa.field("clause", pa.string()),
        pa.field("level", pa.string()),
        pa.field("points", pa.int32()),
        pa.field("day", pa.date32()),  # the day it counts on, in the profile's zone
        pa.field("vendor_id", pa.string()),
        pa.field("agent_id", pa.string()),
        pa.field("customer_id", pa.string()),
        pa.field("count", pa.int32(), False),  # wrong entries, conversations with a diversion, complaints; else 1
        pa.field("conversations", pa.list_(pa.string()), False),  # ids in the order of time
        pa.field("turns", pa.list_(pa.int32()), False),  # beside them; null: the conversation as a whole
        pa.field("at", TIME),  # the moment that decides
        pa.field("due_at", TIME),  # until when something had to happen
        pa.field("why", pa.string(), False),
    ]
)
_BUCKETS = 64
_PART_RECORDS = 50_000
_WHO = ("place", "conversation_id", "vendor_id", "agent_id", "customer_id", "started_at", "ended_at", "solved")
_FACTS = ("first_agent_at", "agent_opened", "on_shift", "entry_errors", "complaint_cause", "promises", "mails", "attributes")
_FLAGS = ("place", "signal", "turn", "at", "status")
_TOLD = DIVERSIONS | COMPLAINTS | {"promise.unkept"}
_records = msgspec.json.Decoder(Record)


class _Flagged(NamedTuple):
    diversions: list[tuple[int, int | None]]
    unkept: list[int]
    complaint: bool


def write(folder: Folder, profile: Profile, lexicon: Lexicon) -> int:
    """Write the dataset `history/` of the scored datasets in a folder; gives its rows. The same datasets give the same bytes."""
    zone, held = ZoneInfo(profile.timezone), bases(profile, lexicon)
    folder.remove("history")
    with tempfile.TemporaryDirectory(prefix="screening-history-") as name, ExitStack() as stack:
        files = [stack.enter_context((Path(name) / str(bucket)).open("w+b")) for bucket in range(_BUCKETS)]
        errors, until = _put_aside(folder, files)
        found = [one for basis in held["entry_errors"] for one in rules.entry_errors(errors, basis, zone)]
        written = 0
        for part, records in enumerate(_parts(files)):
            found += _findings(records, held, zone, until)
            written += _write(folder, part, sorted(found, key=rules.order))
            found = []
    return written


def _put_aside(folder: Folder, files: Sequence[BinaryIO]) -> tuple[list[Occurrence], int]:
    """Spill the records that matter; gives the wrong entries and the last moment that the archive tells of."""
    errors: list[Occurrence] = []
    until = 0
    waiting: set[str] = set()
    every = days(folder)
    for day in every:
        flagged = _flagged(folder, day)
        places = pa.array(sorted(flagged), pa.int64())
        for batch in rows(folder, f"screenings/day={day}", (*_WHO, *_FACTS)):
            until = max(until, _latest(batch))
            for record in _read(batch.filter(_matters(batch, places)), flagged):
                _spill(record, files)
                if record.facts.promises or record.facts.mails:
                    waiting.add(_key(record.vendor_id, record.customer_id))
                if record.facts.entry_errors:
                    errors.append(record.occurrence(None, None, record.facts.entry_errors))
    if waiting:
        _put_contacts_aside(folder, every, waiting, files)
    return errors, until


def _put_contacts_aside(folder: Folder, every: Sequence[str], waiting: set[str], files: Sequence[BinaryIO]) -> None:
    """Spill the other conversations of customers who were promised something or whose mail was not answered."""
    wanted = pa.array(sorted(waiting))
    for day in every:
        flagged = _flagged(folder, day)
        places = pa.array(sorted(flagged), pa.int64())
        for batch in rows(folder, f"screenings/day={day}", (*_WHO, *_FACTS)):
            who = [pc.fill_null(batch[name], "") for name in ("vendor_id", "customer_id")]
            theirs = pc.is_in(pc.binary_join_element_wise(*who, "\x1f"), value_set=wanted)
            for record in _read(batch.filter(pc.and_not(theirs, _matters(batch, places))), {}):
                _spill(record, files)


def _flagged(folder: Folder, day: str) -> dict[int, _Flagged]:
    found: dict[int, _Flagged] = {}
    for batch in rows(folder, f"flags/day={day}", _FLAGS):
        told = pc.and_(pc.equal(batch["status"], "active"), pc.is_in(batch["signal"], value_set=pa.array(sorted(_TOLD))))
        for row in _plain(batch.filter(told)).to_pylist():
            own = found.get(row["place"]) or _Flagged([], [], complaint=False)
            if row["signal"] in DIVERSIONS:
                own.diversions.append((row["turn"], row["at"]))
            elif row["signal"] == "promise.unkept":
                own.unkept.append(row["turn"])
            else:
                own = own._replace(complaint=True)
            found[row["place"]] = own
    return found


def _matters(batch: pa.RecordBatch, places: pa.Array) -> Any:
    """Which rows bear on a signal by themselves."""
    told = pc.or_(pc.is_in(batch["place"], value_set=places), pc.greater(batch["entry_errors"], 0))
    listed = pc.or_(pc.greater(pc.list_value_length(batch["promises"]), 0), pc.greater(pc.list_value_length(batch["mails"]), 0))
    return pc.or_(pc.or_(told, listed), pc.is_valid(batch["complaint_cause"]))


def _latest(batch: pa.RecordBatch) -> int:
    ends = [pc.max(batch[name].cast(pa.int64())).as_py() for name in ("started_at", "ended_at", "first_agent_at")]
    return max((end for end in ends if end is not None), default=0)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its times as microseconds."""
    return batch.cast(pa.schema([field.with_type(_untimed(field.type)) for field in batch.schema]))


def _untimed(type_: pa.DataType) -> pa.DataType:
    if type_ == TIME:
        return pa.int64()
    if pa.types.is_list(type_):
        return pa.list_(_untimed(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([field.with_type(_untimed(field.type)) for field in type_])
    return type_


def _read(batch: pa.RecordBatch, flagged: dict[int, _Flagged]) -> Iterator[Record]:
    for row in _plain(batch).to_pylist():
        told = flagged.get(row["place"])
        complained = told is not None and told.complaint
        yield Record(
            conversation_id=row["conversation_id"],
            vendor_id=row["vendor_id"],
            agent_id=row["agent_id"],
            customer_id=row["customer_id"],
            began_at=row["started_at"],
            ended_at=row["ended_at"],
            solved=row["solved"],
            facts=Facts(
                first_agent_at=row["first_agent_at"],
                agent_opened=row["agent_opened"],
                on_shift=row["on_shift"],
                entry_errors=row["entry_errors"],
                complaint_cause=row["complaint_cause"],
                promises=tuple(Promise(**promise) for promise in row["promises"]),
                mails=tuple(Mail(**mail) for mail in row["mails"]),
            ),
            diversions=tuple(told.diversions) if told else (),
            unkept_turns=tuple(told.unkept) if told else (),
            complaint=complaint(row["complaint_cause"], _order_id(row["attributes"]) if complained else None, flagged=complained),
        )


def _order_id(attributes: str) -> str | None:
    order = msgspec.json.decode(attributes).get("order_id")
    return order if isinstance(order, str) else None


def _key(vendor_id: str | None, customer_id: str | None) -> str:
    return f"{vendor_id or ''}\x1f{customer_id or ''}"


def _spill(record: Record, files: Sequence[BinaryIO]) -> None:
    bucket = zlib.crc32(_key(record.vendor_id, record.customer_id).encode()) % len(files)
    files[bucket].write(msgspec.json.encode(record) + b"\n")


def _parts(files: Sequence[BinaryIO]) -> Iterator[list[Record]]:
    """The spilled records, whole buckets together up to about `_PART_RECORDS`; at least one part."""
    records: list[Record] = []
    for file in files:
        file.seek(0)
        records += map(_records.decode, file)
        if len(records) >= _PART_RECORDS:
            yield records
            records = []
    yield records


def _findings(records: Sequence[Record], held: dict[Kind, tuple[Basis, ...]], zone: ZoneInfo, until: int) -> list[HistoryFinding]:
    asked = {kind: basis if kind != "entry_errors" else () for kind, basis in held.items()}
    return rules.findings(records, asked, zone, until)


def _write(folder: Folder, part: int, found: Sequence[HistoryFinding]) -> int:
    if not found and part:
        return 0
    table = [msgspec.structs.asdict(one) | {"day": None if one.day is None else date.fromisoformat(one.day)} for one in found]
    with folder.sink(f"history/part-{part}.parquet") as sink:
        pq.write_table(pa.Table.from_pylist(table, HISTORY), sink, compression="zstd")
    return len(found)
