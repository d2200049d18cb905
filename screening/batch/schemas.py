"""The Arrow schemas of a scored archive; column names are stable, columns may be added.

A scored archive is a folder: `screenings/`, `flags/`, `candidates/` (and `conversations/` where asked for) lie as
`day=YYYY-MM-DD/part-N.parquet`, `refused/` as `part-N.parquet`; `summary.json` and `summary.html` stand beside them. The day is that of the
conversation's beginning in the profile's zone; without any time it is `__HIVE_DEFAULT_PARTITION__`. Rows are ordered by `place`.
"""

import pyarrow as pa

NO_DAY = "__HIVE_DEFAULT_PARTITION__"
TIME = pa.timestamp("us", "UTC")

_PLACE = [
    pa.field("place", pa.int64(), False),  # number of the conversation's first input row: order of the input, key of the joins
    pa.field("conversation_id", pa.string(), False),
]
_WHO = [
    pa.field("channel", pa.string(), False),
    pa.field("vendor_id", pa.string()),
    pa.field("agent_id", pa.string()),
    pa.field("customer_id", pa.string()),
    pa.field("started_at", TIME),  # `started_at`, or the first time of a turn
]

_PROMISE = pa.struct(
    [pa.field("turn", pa.int32()), pa.field("said_at", TIME), pa.field("due_at", TIME), pa.field("done_at", TIME)]
)
_MAIL = pa.struct([pa.field("turn", pa.int32()), pa.field("at", TIME), pa.field("replied_at", TIME)])

SCREENINGS = pa.schema(
    [
        *_PLACE,
        *_WHO,
        pa.field("ended_at", TIME),  # `ended_at`, or the last time of a turn
        pa.field("ended_by", pa.string()),
        pa.field("turns", pa.int32(), False),
        pa.field("agent_turns", pa.int32(), False),
        pa.field("customer_turns", pa.int32(), False),
        pa.field("level", pa.string()),
        pa.field("complete", pa.bool_(), False),
        pa.field("not_checked", pa.list_(pa.string()), False),
        # The detectors that failed, as the contract writes them.
        pa.field(
            "failures",
            pa.list_(
                pa.struct([pa.field("detector", pa.string()), pa.field("error", pa.string()), pa.field("turn", pa.int32())])
            ),
            False,
        ),
        pa.field("active_flags", pa.int32(), False),
        pa.field("candidates", pa.int32(), False),
        # What later conversations and reports need (`screening.detect.conduct.facts.Facts`): null where times are missing.
        pa.field("first_response_seconds", pa.float64()),
        pa.field("mean_response_seconds", pa.float64()),
        pa.field("responses", pa.int32()),
        pa.field("first_agent_at", TIME),
        pa.field("agent_opened", pa.bool_(), False),
        pa.field("on_shift", pa.bool_()),
        pa.field("entry_errors", pa.int32(), False),
        pa.field("complaint_cause", pa.string()),
        pa.field("promises", pa.list_(_PROMISE), False),
        pa.field("mails", pa.list_(_MAIL), False),
        pa.field("rating", pa.string()),
        pa.field("answered", pa.bool_()),
        pa.field("solved", pa.bool_()),
        pa.field("queue_seconds", pa.float64()),
        pa.field("attributes", pa.string(), False),  # all attributes, JSON
        pa.field("source", pa.string(), False),
        pa.field("row", pa.int64(), False),  # as the file's own tool counts it, from 1
        pa.field("versions", pa.string(), False),  # digest; what it stands for is `versions` in summary.json
    ]
)

FLAGS = pa.schema(
    [
        *_PLACE,
        pa.field("flag", pa.int32(), False),  # its number in the screening's list, from 0
        pa.field("signal", pa.string(), False),
        pa.field("turn", pa.int32()),
        pa.field("start", pa.int32()),  # code points of the turn's original text, half-open
        pa.field("end", pa.int32()),
        pa.field("quote", pa.string(), False),
        pa.field("score", pa.float64(), False),
        pa.field("status", pa.string(), False),
        pa.field("source_kind", pa.string(), False),
        pa.field("source_id", pa.string(), False),
        pa.field("source_version", pa.int32(), False),
        pa.field("source_prior", pa.bool_(), False),
        pa.field("why", pa.string(), False),
        pa.field("suggestion", pa.string()),
        pa.field("excused_by", pa.string()),
        pa.field("at", TIME),  # of the turn
        *_WHO,
    ]
)

CANDIDATES = pa.schema(
    [
        *_PLACE,
        pa.field("candidate", pa.int32(), False),  # its number in the screening's list, from 0
        pa.field("standard", pa.string(), False),
        pa.field("clause", pa.string(), False),
        pa.field("level", pa.string(), False),
        pa.field("title", pa.string(), False),
        pa.field("score", pa.float64(), False),
        pa.field("flags", pa.list_(pa.int32()), False),
        pa.field("severe", pa.bool_(), False),
        pa.field("points", pa.int32()),
        *_WHO,
    ]
)

REFUSED = pa.schema(
    [
        pa.field("place", pa.int64(), False),
        pa.field("source", pa.string(), False),
        pa.field("row", pa.int64(), False),  # 0: the file as a whole
        pa.field("reason", pa.string(), False),
        pa.field("conversation_id", pa.string()),
    ]
)

CONVERSATIONS = pa.schema([*_PLACE, pa.field("conversation", pa.string(), False)])  # the contract's JSON, as it was screened

LINES = pa.schema([pa.field("place", pa.int64(), False), pa.field("line", pa.binary(), False)])  # with --format jsonl

DATASETS = {
    "screenings": SCREENINGS,
    "flags": FLAGS,
    "candidates": CANDIDATES,
    "conversations": CONVERSATIONS,
    "refused": REFUSED,
    "lines": LINES,
}

ROWS = pa.schema(
    [
        # Input rows on their way to a chunk. Of `body` (a conversation, JSON), `reason` (a refusal) and `role`/`text` (a message) one speaks.
        pa.field("place", pa.int64(), False),
        pa.field("source", pa.int32(), False),
        pa.field("row", pa.int64(), False),
        pa.field("id", pa.string()),
        pa.field("body", pa.binary()),
        pa.field("reason", pa.string()),
        *(
            pa.field(name, pa.string())
            for name in (
                *("role", "text", "at", "ends_at", "kind"),
                *("channel", "vendor_id", "agent_id", "customer_id", "started_at", "ended_at", "ended_by"),
                *("attributes", "extras"),  # JSON: cells that name attributes, and those of columns that name nothing
            )
        ),
    ]
)
