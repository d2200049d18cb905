import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from api.jobs import spool, worker
from api.settings import Settings
from api.store.tables import StoredConversation
from api.store.tables_access import AuditEntry
from api.wiring import Service
from tests.conftest import TurnedClock, refused
from tests.test_jobs import ROWS, RUDE, as_csv, line, spooled

Headers = Callable[..., dict[str, str]]
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"spool": tmp_path / "spool", "max_upload_bytes": 200_000})


def ids(service: Service) -> list[str]:
    with service.store.read() as session:
        return list(session.scalars(select(StoredConversation.external_id).order_by(StoredConversation.id)))


def post(client: TestClient, headers: dict[str, str], *lines: bytes, name: str | None = None) -> dict[str, object]:
    query = {} if name is None else {"name": name}
    answer = client.post("/v1/jobs/conversations", content=b"\n".join(lines), headers=headers | NDJSON, params=query)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.json()


def test_a_bulk_upload_from_first_to_last(client: TestClient, service: Service, as_key: Headers, clock: TurnedClock) -> None:
    headers = as_key("ingest")
    job = post(client, headers, line(1), b"no json", line(2, RUDE), name="march.jsonl")
    assert (job["state"], job["total"], job["done"], job["name"], job["kind"]) == ("queued", None, 0, "march.jsonl", "ingest")
    assert worker.step(service, "w", worker.NEVER)
    clock.turn(seconds=2)
    running = client.get(f"/v1/jobs/{job['id']}", headers=headers).json()
    assert (running["state"], running["total"], running["done"], running["refused"]) == ("running", 3, 0, 1)
    worker.drain(service)
    done = client.get(f"/v1/jobs/{job['id']}", headers=headers).json()
    assert (done["state"], done["total"], done["done"], done["refused"], done["counts"]) == ("done", 3, 2, 1, {"created": 2})
    assert (done["per_second"], done["finished_at"] is None, done["error"]) == (1.5, False, None)
    (error,) = client.get(f"/v1/jobs/{job['id']}/errors", headers=headers).json()["errors"]
    assert (error["place"], error["row"], error["code"]) == (2, 2, "invalid")
    assert ids(service) == ["c-1", "c-2"]
    with service.store.read() as session:
        entries = session.execute(select(AuditEntry.action, AuditEntry.subject)).all()
    assert ("job.create", f"job {job['id']}") in [tuple(entry) for entry in entries]


def test_a_file_upload_with_options(client: TestClient, service: Service, as_user: Headers, tmp_path: Path) -> None:
    headers = as_user("lead")
    data = as_csv(ROWS, tmp_path / "t.csv")
    answer = client.post("/v1/jobs/files", files={"file": ("C:\\export\\t.csv", data)}, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.json()["name"] == "t.csv"
    fields = {"format": "csv", "columns": "messages-zh", "assemble": "true"}
    assert client.post("/v1/jobs/files", files={"file": ("export", data)}, data=fields, headers=headers).status_code == 202
    worker.drain(service)
    jobs = client.get("/v1/jobs", headers=headers).json()["jobs"]
    assert [job["counts"] for job in jobs] == [{"unchanged": 3}, {"created": 3}]
    assert ids(service) == ["t-0", "t-1", "t-2"]


@pytest.mark.parametrize(
    ("name", "fields", "field", "message"),
    [
        ("t.docx", {}, "/format", "unknown format .docx; name one of chat, csv, json, jsonl, parquet, xlsx"),
        ("t", {}, "/format", "unknown format (no suffix)"),
        ("t.csv", {"format": "pdf"}, "/format", "unknown format pdf"),
        ("t.csv", {"columns": "/etc/passwd"}, "/columns", "column profile `columns`"),
        ("t.csv", {"columns": 'shape = "messages"\n[columns]\nid = "k"'}, "/columns", "lacks role, text"),
        ("t.txt", {"roles": "[roles"}, "/roles", "role words `roles`"),
        ("t.csv", {"assemble": "maybe"}, "/assemble", "true or false"),
        ("t.csv", {"colour": "red"}, "/colour", "there is no field 'colour'"),
    ],
)
def test_unusable_options_are_refused_before_anything_is_taken(
    client: TestClient, service: Service, as_user: Headers, name: str, fields: dict[str, str], field: str, message: str
) -> None:
    answer = client.post("/v1/jobs/files", files={"file": (name, b"x")}, data=fields, headers=as_user("lead"))
    assert message in refused(answer, 422, "invalid", field)
    assert spooled(service) == []


def test_bad_uploads(client: TestClient, service: Service, as_user: Headers) -> None:
    headers = as_user("admin")
    bulk, files = "/v1/jobs/conversations", "/v1/jobs/files"
    assert "empty" in refused(client.post(bulk, content=b"", headers=headers | NDJSON), 422, "invalid")
    assert "application/x-ndjson" in refused(client.post(bulk, json={}, headers=headers), 415, "wrong_type")
    packed = headers | NDJSON | {"Content-Encoding": "gzip"}
    assert "gzip" in refused(client.post(bulk, content=b"x", headers=packed), 415, "wrong_type")
    large = b"x" * 200_001
    assert "max_upload_bytes" in refused(client.post(bulk, content=large, headers=headers | NDJSON), 413, "too_large")

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield large[:100_000]

    message = refused(client.post(bulk, content=chunks(), headers=headers | NDJSON), 413, "too_large")
    assert "200000 bytes" in message
    assert "file" in refused(
        client.post(files, data={"format": "csv"}, files={"other": b"x"}, headers=headers), 422, "invalid", "/file"
    )
    assert "multipart" in refused(client.post(files, content=b"x", headers=headers), 415, "wrong_type")
    broken = headers | {"Content-Type": "multipart/form-data"}
    refused(client.post(files, content=b"x", headers=broken), 400, "refused")
    assert "empty" in refused(client.post(files, files={"file": ("a.csv", b"")}, headers=headers), 422, "invalid")
    assert spooled(service) == []


def test_a_full_disk_is_named_and_leaves_nothing(
    client: TestClient, service: Service, as_user: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.Upload, "write", full)
    answer = client.post("/v1/jobs/conversations", content=line(1), headers=as_user("lead") | NDJSON)
    assert "no room" in refused(answer, 507, "no_room")
    assert spooled(service) == []


def test_an_upload_that_breaks_off_leaves_nothing(client: TestClient, service: Service, as_user: Headers) -> None:
    server = uvicorn.Server(uvicorn.Config(client.app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    token = as_user("lead")["Authorization"]
    head = f"POST /v1/jobs/conversations HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
    try:
        with socket.create_connection(server.servers[0].sockets[0].getsockname()) as peer:
            peer.sendall((head + "Content-Type: application/x-ndjson\r\nContent-Length: 150000\r\n\r\n").encode() + line(1))
            until = time.monotonic() + 20
            while not spooled(service):
                assert time.monotonic() < until
                time.sleep(0.01)
        while spooled(service):
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        server.should_exit = True
        thread.join()
    assert client.get("/v1/jobs", headers=as_user("lead")).json()["jobs"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/jobs/conversations"),
        ("POST", "/v1/jobs/files"),
        ("POST", "/v1/jobs/rescreen"),
        ("POST", "/v1/jobs/reencrypt"),
        ("GET", "/v1/jobs"),
        ("GET", "/v1/jobs/1"),
        ("GET", "/v1/jobs/1/errors"),
        ("POST", "/v1/jobs/1/cancel"),
    ],
)
def test_who_may_not(client: TestClient, as_user: Headers, as_key: Headers, method: str, path: str) -> None:
    refused(client.request(method, path), 401, "unauthenticated")
    for headers in (as_user("reviewer"), as_user("agent_desk"), as_user("vendor", vendor="v1"), as_key("screen", "read")):
        refused(client.request(method, path, headers=headers | NDJSON, content=b"{}"), 403, "forbidden")


def test_each_sees_what_concerns_him(client: TestClient, service: Service, as_user: Headers, as_key: Headers) -> None:
    first, second = as_key("ingest", vendor="v1"), as_key("ingest", vendor="v1")
    theirs, other = as_key("jobs", vendor="v1"), as_key("jobs", "ingest", vendor="v2")
    job = post(client, first, line(1), line(2, vendor_id="v1"), line(3, vendor_id="v2"))
    path = f"/v1/jobs/{job['id']}"
    assert job["vendor_id"] == "v1"
    for headers in (first, theirs, as_user("lead"), as_user("admin")):
        assert client.get(path, headers=headers).status_code == 200
        assert len(client.get("/v1/jobs", headers=headers).json()["jobs"]) == 1
    for headers in (second, other):
        assert client.get("/v1/jobs", headers=headers).json() == {"jobs": [], "next": None}
        for method, end in (("GET", ""), ("GET", "/errors"), ("POST", "/cancel")):
            refused(client.request(method, path + end, headers=headers), 404, "not_found")
    worker.drain(service)
    with service.store.read() as session:
        vendors = session.scalars(select(StoredConversation.vendor_id)).all()
    assert vendors == ["v1", "v1"]
    (error,) = client.get(path + "/errors", headers=first).json()["errors"]
    assert (error["code"], error["conversation_id"]) == ("other_vendor", "c-3")
    post(client, other, line(1), line(5))
    worker.drain(service)
    (latest, *_) = client.get("/v1/jobs", headers=other).json()["jobs"]
    assert (latest["counts"], latest["refused"]) == ({"created": 1}, 1)
    assert ids(service) == ["c-1", "c-2", "c-5"]


def test_cancelling(client: TestClient, service: Service, as_user: Headers) -> None:
    headers = as_user("lead")
    job = post(client, headers, line(1), line(2))
    assert len(spooled(service)) == 1
    path = f"/v1/jobs/{job['id']}/cancel"
    assert client.post(path, headers=headers).json()["state"] == "cancelled"
    assert "is cancelled already" in refused(client.post(path, headers=headers), 409, "job_over")
    worker.drain(service)
    assert (ids(service), spooled(service)) == ([], [])
    done = post(client, headers, line(1))
    worker.drain(service)
    assert "is done already" in refused(client.post(f"/v1/jobs/{done['id']}/cancel", headers=headers), 409, "job_over")
    refused(client.post("/v1/jobs/999/cancel", headers=headers), 404, "not_found")
    with service.store.read() as session:
        assert session.scalar(select(func.count()).where(AuditEntry.action == "job.cancel")) == 1


def test_pages(client: TestClient, service: Service, as_user: Headers) -> None:
    headers = as_user("lead")
    made = [post(client, headers, *[b"x"] * 5)["id"] for _ in range(5)]
    worker.drain(service)
    post(client, headers, line(1))
    found, before = [], {}
    while True:
        page = client.get("/v1/jobs", params={"limit": 2, "state": "done", "kind": "ingest"} | before, headers=headers).json()
        found += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert found == made[::-1]
    places, after = [], {}
    while True:
        page = client.get(f"/v1/jobs/{made[0]}/errors", params={"limit": 2} | after, headers=headers).json()
        places += [error["place"] for error in page["errors"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert places == [1, 2, 3, 4, 5]
    refused(client.get("/v1/jobs", params={"limit": 0}, headers=headers), 422, "invalid")
    refused(client.get("/v1/jobs", params={"state": "lost"}, headers=headers), 422, "invalid")
    refused(client.get("/v1/jobs/nine", headers=headers), 422, "invalid")
    refused(client.get(f"/v1/jobs/{2**70}", headers=headers), 422, "invalid")


def test_rescreening_is_asked_for_by_filter(client: TestClient, service: Service, as_user: Headers, as_key: Headers) -> None:
    headers = as_user("lead")
    post(client, headers, *(line(n, vendor_id=f"v{n % 2}", started_at=f"2026-03-0{n}T10:00:00+08:00") for n in range(1, 7)))
    worker.drain(service)
    body = {"vendor_id": "v1", "since": "2026-03-02T00:00:00+08:00", "until": "2026-03-05T10:00:00+08:00"}
    for given, who, total in (
        (body, headers, 1),
        ({}, headers, 6),
        ({}, as_key("jobs", vendor="v0"), 3),
        (body, as_key("jobs", vendor="v0"), 0),
    ):
        answer = client.post("/v1/jobs/rescreen", json=given, headers=who)
        assert answer.status_code == 202
        worker.drain(service)
        job = client.get(answer.headers["location"], headers=who).json()
        assert (job["kind"], job["state"], job["total"], job["done"], job["name"]) == ("rescreen", "done", total, total, None)
    refused(client.post("/v1/jobs/rescreen", json={"since": "2026-03-02T00:00:00"}, headers=headers), 422, "invalid", "/since")
    refused(client.post("/v1/jobs/rescreen", json={"sence": 1}, headers=headers), 422, "invalid", "/sence")
    refused(client.post("/v1/jobs/rescreen", json={"level": "D"}, headers=headers), 422, "invalid", "/level")


def test_sealing_anew_is_for_admins(client: TestClient, service: Service, as_user: Headers) -> None:
    headers = as_user("admin")
    post(client, headers, line(1), line(2))
    worker.drain(service)
    refused(client.post("/v1/jobs/reencrypt", headers=as_user("lead")), 403, "forbidden")
    answer = client.post("/v1/jobs/reencrypt", headers=headers)
    assert (answer.status_code, answer.json()["kind"]) == (202, "reencrypt")
    worker.drain(service)
    job = client.get(answer.headers["location"], headers=headers).json()
    assert (job["state"], job["counts"]) == ("done", {"unchanged": 2})
