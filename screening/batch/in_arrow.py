"""Screening as a function from Arrow batches to Arrow batches, for engines that bring their own workers (Spark's `mapInArrow`)."""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from screening.batch.score import Opened, screened
from screening.detect.conduct.facts import Facts
from screening.errors import InputError
from screening.readers.records import from_json
from screening.replay import encode
from screening.types import Conversation, Screening

SCREENED = pa.schema(
    [
        pa.field("conversation_id", pa.string()),
        pa.field("level", pa.string()),
        pa.field("complete", pa.bool_()),
        pa.field("screening", pa.string()),  # the contract's JSON; null where the conversation was refused
        pa.field("refused", pa.string()),  # why
    ]
)


def screener_in_arrow(opened: Opened) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: batches with a text column `conversation` (the contract's JSON) in, batches of `SCREENED` out, row for row.

    Each call builds one screener, so give the engine few large partitions.
    """

    def of_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        screener = opened()
        for batch in batches:
            given = [_read(text) for text in batch.column("conversation").to_pylist()]
            good = [one for one in given if isinstance(one, Conversation)]
            outcomes = iter(screened(screener, good))
            rows = [_row(one, next(outcomes)) if isinstance(one, Conversation) else _refused(None, one) for one in given]
            yield pa.RecordBatch.from_pylist(rows, SCREENED)

    return of_partition


def _read(text: str | None) -> Conversation | InputError:
    try:
        return from_json(text or "")
    except InputError as error:
        return error


def _row(conversation: Conversation, outcome: tuple[Screening, Facts] | InputError) -> dict[str, object]:
    if isinstance(outcome, InputError):
        return _refused(conversation.id, outcome)
    own = outcome[0]
    return {
        "conversation_id": own.conversation_id,
        "level": own.level,
        "complete": own.complete,
        "screening": encode(own).decode(),
        "refused": None,
    }


def _refused(id_: str | None, error: InputError) -> dict[str, object]:
    return {"conversation_id": id_, "level": None, "complete": None, "screening": None, "refused": str(error)}
