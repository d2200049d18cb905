import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from fastapi import Request
from fastapi.testclient import TestClient
from sqlalchemy import text as sql
from sqlalchemy.exc import OperationalError

from api import logs
from api.app import create_app
from api.engine import ScreeningEngine
from api.openapi import CONVERSATION
from api.settings import Settings
from api.store.bodies import BodyError
from api.wiring import Service
from screening.pipeline import Screener
from screening.types import Screening
from tests.conftest import TurnedClock, refused

Headers = Callable[..., dict[str, str]]


def test_alive_and_ready_with_versions(client: TestClient, as_key: Headers, screener: Screener) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    client.post("/v1/screen", json=CONVERSATION, headers=as_key("screen"))  # the lexicon is there by now
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["problems"] == []
    assert ready.json()["versions"]["lexicon"] == screener.versions.lexicon


def test_not_ready_without_migrations_or_lexicon(tmp_path: Path, clock: TurnedClock) -> None:
    def broken() -> Screener:
        raise ValueError("rules/x.toml: rule 'y' is wrong")

    settings = Settings(demo=True, database=f"sqlite:///{tmp_path / 'empty.db'}")
    with TestClient(create_app(settings, clock, ScreeningEngine(broken, queue_turns=10))) as client:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        lexicon, migration = answer.json()["problems"]
        assert "rule 'y' is wrong" in lexicon
        assert "screening db upgrade" in migration
        assert client.get("/healthz").status_code == 200
        message = refused(client.get("/v1/me", headers={"Authorization": "Bearer ss_x"}), 503, "store_unavailable")
        assert "store" in message


def test_metrics_count_requests_flags_and_failures(client: TestClient, as_key: Headers) -> None:
    client.post("/v1/screen", json=CONVERSATION, headers=as_key("screen"))
    client.post("/v1/screen", json={}, headers=as_key("screen"))
    client.request("BREW", "/v1/screen")
    text = client.get("/metrics").text
    assert 'screening_requests_total{method="POST",route="/v1/screen",status="200"}' in text
    assert 'screening_requests_total{method="POST",route="/v1/screen",status="422"}' in text
    assert 'screening_flags_total{signal="diversion.private_contact",status="active"}' in text
    assert 'method="other"' in text
    assert "BREW" not in text
    assert "screening_queue_turns 0.0" in text
    assert 'screening_request_seconds_bucket{le="0.025",route="/v1/screen"}' in text


def test_metrics_tell_what_waits_in_the_store(client: TestClient, as_key: Headers, service: Service) -> None:
    headers = as_key("ingest", "jobs") | {"Content-Type": "application/x-ndjson"}
    assert "screening_jobs{" not in client.get("/metrics").text
    for _ in range(2):
        assert client.post("/v1/jobs/conversations", content=b'{"id": "c", "turns": []}', headers=headers).status_code == 202
    text = client.get("/metrics").text
    assert 'screening_jobs{state="queued"} 2.0' in text and 'screening_job_blocks{state="queued"} 2.0' in text
    assert "screening_store_up 1.0" in text
    with service.store.write() as session:
        session.execute(sql("ALTER TABLE jobs RENAME TO jobs_gone"))
    away = client.get("/metrics")
    assert away.status_code == 200 and "screening_store_up 0.0" in away.text and "screening_requests_total" in away.text


def test_every_answer_carries_its_request_id(client: TestClient) -> None:
    given = client.get("/healthz", headers={"X-Request-ID": "desk-17.a"})
    assert given.headers["x-request-id"] == "desk-17.a"
    made = client.get("/healthz", headers={"X-Request-ID": "a b"}).headers["x-request-id"]
    assert len(made) == 32
    refused(client.get("/nowhere"), 404, "not_found")
    refused(client.get("/v1/screen"), 405, "method_not_allowed")


@pytest.fixture
def failing(client: TestClient) -> Callable[[Exception], object]:
    """Asks an endpoint that raises this error."""

    def ask(error: Exception) -> object:
        async def endpoint(_: Request) -> None:
            raise error

        client.app.router.add_route("/failing", endpoint)
        try:
            return client.get("/failing")
        finally:
            client.app.router.routes.pop()

    return ask


def test_faults_of_our_own_say_nothing_of_the_inside(failing: Callable[[Exception], object]) -> None:
    secret = "SELECT 您好我的电话"
    gone = OperationalError(secret, {"text": secret}, ConnectionError("down"))
    for error, status, code in (
        (ZeroDivisionError(secret), 500, "internal"),
        (BodyError("key 'k1'"), 500, "internal"),
        (gone, 503, "store_unavailable"),
    ):
        answer = failing(error)
        assert secret not in refused(answer, status, code)


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, object]]]]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_logs_are_json_with_request_id_and_without_text(
    logged: Callable[[], list[dict[str, object]]],
    client: TestClient,
    as_key: Headers,
    failing: Callable[[Exception], object],
) -> None:
    logs.configure("debug")
    client.post("/v1/screen", json=CONVERSATION, headers={**as_key("screen"), "X-Request-ID": "r-1"})
    client.post("/v1/screen", json={"id": "x", "turns": "加我微信"}, headers=as_key("screen"))
    failing(ZeroDivisionError("加我微信"))
    logging.getLogger("library").error("failed with %s", "nothing")
    lines = logged()
    line = next(entry for entry in lines if entry.get("request_id") == "r-1")
    assert (line["event"], line["route"], line["status"], line["level"]) == ("request", "/v1/screen", 200, "info")
    failed = next(entry for entry in lines if entry["event"] == "request_failed")
    assert failed["error"] == "ZeroDivisionError"
    assert str(failed["place"]).startswith("test_app.py:")
    assert "微信" not in json.dumps(lines, ensure_ascii=False)
    assert any(entry["event"] == "failed with nothing" for entry in lines)


def test_the_document_holds_the_cores_types_and_its_example_holds(client: TestClient, as_key: Headers) -> None:
    document = client.get("/openapi.json").json()
    assert {"Conversation", "Screening", "ErrorEnvelope"} <= set(document["components"]["schemas"])
    body = document["paths"]["/v1/screen"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Conversation"}
    screening = client.post("/v1/screen", json=body["example"], headers=as_key("screen"))
    assert set(screening.json()) == set(document["components"]["schemas"]["Screening"]["properties"])
    assert set(screening.json()) == set(Screening.__struct_fields__)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation.get("description"), path
            if path.startswith("/v1"):
                assert {"401", "422"} <= set(operation["responses"]), path


def test_the_document_can_be_switched_off(settings: Settings, clock: TurnedClock) -> None:
    app = create_app(settings.model_copy(update={"docs": False}), clock)
    assert app.openapi_url is None
    app.state.service.store.close()
