"""The kinds of jobs that this service does."""

from api.jobs import back_test, ingest, reencrypt, rescreen
from api.jobs.kind import Kind

KINDS: dict[str, Kind] = {
    "ingest": ingest.KIND,
    "rescreen": rescreen.KIND,
    "back_test": back_test.KIND,
    "reencrypt": reencrypt.KIND,
}
