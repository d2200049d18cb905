"""What a kind of job is: how its blocks are planned, how one is done, what is cleaned up. `registry` lists the kinds."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy.orm import Session

from api.wiring import Service


class Refusal(NamedTuple):
    """An input that could not be used. `place` counts the job's inputs from 1, `row` is its row where the reader names one."""

    place: int
    code: str
    message: str
    row: int | None = None
    external_id: str | None = None


class Task(NamedTuple):
    """A job as its functions see it. `vendor_id`: whose data it may touch, None is everyone's."""

    service: Service
    job_id: int
    parameters: str
    vendor_id: str | None


class Block(NamedTuple):
    """Inputs (each one JSON value) that are done together, and what was refused up to the place `last`."""

    inputs: list[bytes]
    first: int
    last: int
    refusals: list[Refusal]


class Outcome(NamedTuple):
    """What came of a block: how many inputs ended how, which were refused, and what the job's end needs (`result`)."""

    counts: dict[str, int]
    refusals: list[Refusal]
    result: bytes | None = None


Commit = Callable[[Session, int], Outcome]
"""Writes a block's results in the session that also marks the block as done; may be called again after a rollback."""


class Kind(NamedTuple):
    """The functions of a kind.

    `plan(task, after)` gives the blocks of all inputs beyond the place `after`, the same ones each time; it raises `InputError`
    where the job cannot be done at all. `perform(task, inputs)` works without a session. `named` gives an input's place and the
    id of its conversation. `finish` writes what the job as a whole gives, in the session that ends it; `clear` takes away what
    planning needed outside the store.
    """

    plan: Callable[[Task, int], Iterator[Block]]
    perform: Callable[[Task, Sequence[msgspec.Raw]], Commit]
    named: Callable[[msgspec.Raw], tuple[int, str | None]]
    finish: Callable[[Task, Session, int], None] | None = None
    clear: Callable[[Task], None] | None = None
