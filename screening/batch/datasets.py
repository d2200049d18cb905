"""A scored archive opened for reading."""

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.dataset as ds

from screening.batch.schemas import DATASETS
from screening.batch.storage import Folder
from screening.batch.summary import Summary
from screening.batch.work import SUMMARY
from screening.errors import InputError

_DAYS = ds.partitioning(pa.schema([pa.field("day", pa.string())]), flavor="hive")


def summary(root: str) -> Summary:
    """The summary of a finished archive; raises `InputError` for a folder that holds none."""
    out = Folder(root)
    if not out.exists(SUMMARY):
        raise InputError(
            f"{root}: no finished archive ({SUMMARY} is missing); score into it with: screening batch INPUT... --out {root}"
        )
    try:
        return msgspec.json.decode(out.read(SUMMARY), type=Summary)
    except msgspec.DecodeError as error:
        raise InputError(f"{root}/{SUMMARY}: not of this version ({error})") from None


def dataset(root: str, name: str) -> Any:
    """A `pyarrow.dataset.Dataset` with the columns of `schemas` and, where it is partitioned, `day` (text); raises `InputError`."""
    out = Folder(root)
    if not out.exists(name):
        raise InputError(f"{root}: there is no {name} in this archive")
    schema = DATASETS[name]
    if name != "refused":
        schema = schema.append(pa.field("day", pa.string()))
    return ds.dataset(out.path(name), filesystem=out.system, schema=schema, partitioning=_DAYS if name != "refused" else None)
