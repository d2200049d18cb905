"""Every endpoint under generated requests: no 5xx, and every answer is one that the document names."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis import checks

from api import access
from api.app import create_app
from api.engine import ScreeningEngine
from api.settings import Settings
from api.store import migrations
from api.store.tables_access import User, UserSession
from screening.pipeline import Screener
from tests.conftest import SECRET, TurnedClock

pytestmark = pytest.mark.slow


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: object, value: object) -> bytes:
    lines = value if isinstance(value, list) else [value]
    return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def document(screener: Screener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    database = f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'fuzz.db'}"
    clock = TurnedClock()
    app = create_app(
        Settings(secret=SECRET, database=database, workers=0), clock, ScreeningEngine(lambda: screener, queue_turns=65_536)
    )
    service = app.state.service
    migrations.upgrade(service.store)
    token = access.new_session()
    with service.store.write() as session:
        user = User(name="root", password_hash="-", role="admin", created_at=1, password_changed_at=1)
        session.add(user)
        session.flush()
        session.add(
            UserSession(user_id=user.id, token_hash=token.digest, created_at=1, expires_at=clock.now + 10**13, address="test")
        )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.01)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    loaded = schemathesis.openapi.from_url(f"{address}/openapi.json")
    loaded.config.update(headers={"Authorization": f"Bearer {token.shown}"})
    yield loaded.exclude(path="/v1/logout")  # it ends the session that everything else needs
    server.should_exit = True
    thread.join()


EXAMPLES = 15
CHECKS = [checks.not_a_server_error, checks.content_type_conformance, checks.response_schema_conformance]


def test_no_request_brings_the_service_down(document: Any) -> None:
    wrong: dict[str, str] = {}
    operations = [result.ok() for result in document.get_all_operations()]
    assert len(operations) >= 15
    for operation in operations:

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
        @given(case=operation.as_strategy())
        def holds(case: Any) -> None:
            response = case.call()
            assert response.status_code < 500, response.text
            case.validate_response(response, checks=CHECKS)

        try:
            holds()
        except (AssertionError, checks.Failure, checks.FailureGroup) as error:
            wrong[operation.label] = str(error)
    assert not wrong
