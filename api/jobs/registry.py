"""The kinds of jobs that this service does."""

from api.jobs import ingest, reencrypt, rescreen
from api.jobs.kind import Kind

KINDS: dict[str, Kind] = {
    "ingest": ingest.KIND,
    "rescreen": rescreen.KIND,
    "reencrypt": reencrypt.KIND,
}
