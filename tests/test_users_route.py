from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.openapi import CONVERSATION
from api.settings import Settings
from api.store.tables_access import ApiKey, User, UserSession
from api.wiring import Service
from tests.conftest import TurnedClock, refused

Headers = Callable[..., dict[str, str]]
PASSWORD = "correct horse battery"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"login_attempts": 3, "login_window_minutes": 10, "session_hours": 2})


@pytest.fixture
def admin(as_user: Headers) -> dict[str, str]:
    return as_user("admin", name="root")


@pytest.fixture
def anna(client: TestClient, admin: dict[str, str]) -> str:
    body = {"name": "Anna", "password": PASSWORD, "role": "reviewer"}
    assert client.post("/v1/users", json=body, headers=admin).status_code == 201
    return "anna"


def login(client: TestClient, name: str = "anna", password: str = PASSWORD) -> dict[str, str]:
    answer = client.post("/v1/login", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    client.cookies.clear()
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def test_login_gives_a_session_by_token_and_cookie(client: TestClient, anna: str) -> None:
    answer = client.post("/v1/login", json={"name": " ANNA ", "password": PASSWORD})
    assert (answer.json()["actor"], answer.json()["role"]) == ("user:anna", "reviewer")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/v1/me").json()["actions"] == ["raw", "read", "review", "screen"]  # by the cookie
    token = answer.json()["token"]
    client.cookies.clear()
    assert client.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).json()["actor"] == "user:anna"


def test_a_cookie_from_another_site_changes_nothing(client: TestClient, anna: str) -> None:
    client.post("/v1/login", json={"name": "anna", "password": PASSWORD})
    refused(client.post("/v1/logout", headers={"Origin": "https://evil.example"}), 403, "cross_origin")
    assert client.get("/v1/me", headers={"Origin": "https://evil.example"}).status_code == 200
    assert client.post("/v1/logout", headers={"Origin": "http://testserver"}).json() == {"ended": 1}
    client.cookies.clear()


def test_neither_password_nor_token_is_kept(client: TestClient, anna: str, service: Service) -> None:
    token = login(client)["Authorization"].removeprefix("Bearer ")
    with service.store.read() as session:
        stored = session.scalars(select(User.password_hash).where(User.name == "anna")).one()
        assert stored.startswith("$argon2id$")
        assert PASSWORD not in stored
        assert token.encode() not in session.scalars(select(UserSession.token_hash)).all()


def test_wrong_logins_look_alike_and_are_throttled(client: TestClient, anna: str, clock: TurnedClock) -> None:
    for name in ("anna", "nobody"):
        message = refused(client.post("/v1/login", json={"name": name, "password": "wrong"}), 401, "wrong_login")
        assert message == "name or password is wrong"
    for _ in range(2):
        refused(client.post("/v1/login", json={"name": "anna", "password": "wrong"}), 401, "wrong_login")
    answer = client.post("/v1/login", json={"name": "anna", "password": PASSWORD})
    assert "600 s" in refused(answer, 429, "too_many_logins")
    assert answer.headers["retry-after"] == "600"
    clock.turn(seconds=601)
    login(client)
    for _ in range(2):  # the successful login forgot the failures
        refused(client.post("/v1/login", json={"name": "anna", "password": "wrong"}), 401, "wrong_login")
    login(client)


def test_sessions_end_by_time_logout_and_everywhere(client: TestClient, anna: str, clock: TurnedClock) -> None:
    one, two, three = login(client), login(client), login(client)
    assert client.post("/v1/logout", headers=one).json() == {"ended": 1}
    refused(client.get("/v1/me", headers=one), 401, "unauthenticated")
    assert client.get("/v1/me", headers=two).status_code == 200
    assert client.post("/v1/logout?everywhere=true", headers=two).json() == {"ended": 2}
    refused(client.get("/v1/me", headers=three), 401, "unauthenticated")
    late = login(client)
    clock.turn(seconds=2 * 3600)
    refused(client.get("/v1/me", headers=late), 401, "unauthenticated")


def test_a_key_has_no_session(client: TestClient, as_key: Headers) -> None:
    refused(client.post("/v1/logout", headers=as_key("screen")), 409, "no_session")


@pytest.mark.parametrize(
    ("change", "code", "status", "field"),
    [
        ({"name": "a b"}, "invalid", 422, "/name"),
        ({"name": "a\x00"}, "invalid", 422, "/name"),
        ({"name": "anna"}, "name_taken", 409, "/name"),
        ({"role": "boss"}, "invalid", 422, "/role"),
        ({"role": "vendor"}, "invalid", 422, "/vendor_id"),
        ({"vendor_id": "v1"}, "invalid", 422, "/vendor_id"),
        ({"password": "short"}, "invalid", 422, "/password"),
        ({"password": "aaaaaaaaaaaaaaaa"}, "invalid", 422, "/password"),
        ({"password": "xx-ben-xx-secret"}, "invalid", 422, "/password"),
        ({"colour": "red"}, "invalid", 422, "/colour"),
    ],
)
def test_users_that_cannot_be_added(
    client: TestClient, admin: dict[str, str], anna: str, change: dict[str, str], code: str, status: int, field: str
) -> None:
    body = {"name": "ben", "password": PASSWORD, "role": "reviewer"} | change
    refused(client.post("/v1/users", json=body, headers=admin), status, code, field)


def test_a_changed_user_is_logged_out(client: TestClient, admin: dict[str, str], anna: str) -> None:
    headers = login(client)
    changed = client.patch("/v1/users/anna", json={"role": "vendor", "vendor_id": "v7"}, headers=admin).json()
    assert (changed["role"], changed["vendor_id"]) == ("vendor", "v7")
    refused(client.get("/v1/me", headers=headers), 401, "unauthenticated")
    assert client.get("/v1/me", headers=login(client)).json()["vendor_id"] == "v7"
    client.patch("/v1/users/anna", json={"password": "another long password"}, headers=admin)
    refused(client.post("/v1/login", json={"name": "anna", "password": PASSWORD}), 401, "wrong_login")
    login(client, password="another long password")
    client.patch("/v1/users/anna", json={"active": False}, headers=admin)
    refused(client.post("/v1/login", json={"name": "anna", "password": "another long password"}), 401, "wrong_login")
    names = {user["name"]: user["active"] for user in client.get("/v1/users", headers=admin).json()}
    assert names == {"anna": False, "root": True}


def test_changes_of_users_that_are_refused(client: TestClient, admin: dict[str, str], anna: str) -> None:
    refused(client.patch("/v1/users/nobody", json={"active": False}, headers=admin), 404, "not_found")
    refused(client.patch("/v1/users/anna", json={}, headers=admin), 422, "invalid")
    refused(client.patch("/v1/users/anna", json={"role": "vendor"}, headers=admin), 422, "invalid", "/vendor_id")
    refused(client.patch("/v1/users/root", json={"active": False}, headers=admin), 409, "yourself")
    refused(client.patch("/v1/users/root", json={"role": "lead"}, headers=admin), 409, "yourself")


def test_keys_are_made_shown_once_used_and_revoked(
    client: TestClient, admin: dict[str, str], service: Service, clock: TurnedClock
) -> None:
    body = {"name": "shop desk", "scopes": ["screen"], "days": 30}
    made = client.post("/v1/keys", json=body, headers=admin)
    assert made.status_code == 201
    token = made.json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.post("/v1/screen", json=CONVERSATION, headers=headers).status_code == 200
    assert client.get("/v1/me", headers=headers).json()["actor"] == f"key:{made.json()['prefix']}"
    (listed,) = client.get("/v1/keys", headers=admin).json()
    assert "token" not in listed
    assert listed["last_used_at"] is not None
    with service.store.read() as session:
        row = session.scalars(select(ApiKey)).one()
        assert token.encode() not in (row.secret_hash, row.prefix.encode())
    assert client.delete(f"/v1/keys/{listed['id']}", headers=admin).status_code == 204
    refused(client.post("/v1/screen", json=CONVERSATION, headers=headers), 401, "unauthenticated")
    refused(client.delete("/v1/keys/99", headers=admin), 404, "not_found")


def test_keys_expire(client: TestClient, admin: dict[str, str], clock: TurnedClock, as_user: Headers) -> None:
    made = client.post("/v1/keys", json={"name": "k", "scopes": ["screen"], "days": 1}, headers=admin).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("/v1/me", headers=headers).status_code == 200
    clock.turn(seconds=86_400)
    refused(client.get("/v1/me", headers=headers), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["users"]}, "/scopes/0"),
        ({"days": 0}, "/days"),
        ({"per_minute": -1}, "/per_minute"),
        ({"name": ""}, "/name"),
    ],
)
def test_keys_that_cannot_be_made(client: TestClient, admin: dict[str, str], change: dict[str, object], field: str) -> None:
    refused(client.post("/v1/keys", json={"name": "k", "scopes": ["screen"]} | change, headers=admin), 422, "invalid", field)


def test_who_may_administer(client: TestClient, as_user: Headers, as_key: Headers) -> None:
    user = {"name": "x", "password": PASSWORD, "role": "reviewer"}
    requests: list[tuple[str, str, object]] = [
        ("GET", "/v1/users", None),
        ("POST", "/v1/users", user),
        ("PATCH", "/v1/users/x", {"active": True}),
        ("GET", "/v1/keys", None),
        ("POST", "/v1/keys", {"name": "k", "scopes": ["screen"]}),
        ("DELETE", "/v1/keys/1", None),
        ("GET", "/v1/audit", None),
    ]
    others = [as_user("agent_desk"), as_user("reviewer"), as_user("vendor", vendor="v1"), as_key("read", "raw", "export")]
    lead = as_user("lead")
    for method, path, body in requests:
        refused(client.request(method, path, json=body), 401, "unauthenticated")
        for headers in (*others, *([] if path == "/v1/audit" else [lead])):
            refused(client.request(method, path, json=body, headers=headers), 403, "forbidden")
    assert client.get("/v1/audit", headers=lead).status_code == 200


def test_rates_are_per_key_and_refill(client: TestClient, as_key: Headers, clock: TurnedClock) -> None:
    slow, other = as_key("screen", per_minute=12), as_key("screen")
    answers = [client.get("/v1/me", headers=slow).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    answer = client.get("/v1/me", headers=slow)
    assert "12 requests a minute" in refused(answer, 429, "too_many_requests")
    assert 1 <= int(answer.headers["retry-after"]) <= 6
    assert client.get("/v1/me", headers=other).status_code == 200
    clock.turn(seconds=6)
    assert client.get("/v1/me", headers=slow).status_code == 200


def test_a_clock_set_back_locks_nobody_out(client: TestClient, as_key: Headers, clock: TurnedClock) -> None:
    headers = as_key("screen")
    assert client.get("/v1/me", headers=headers).status_code == 200
    clock.turn(seconds=-86_400)
    assert client.get("/v1/me", headers=headers).status_code == 200


def test_the_audit_log_tells_what_was_done(client: TestClient, admin: dict[str, str], anna: str) -> None:
    login(client)
    client.post("/v1/login", json={"name": "anna", "password": "wrong"})
    client.post("/v1/keys", json={"name": "k", "scopes": ["screen"]}, headers=admin)
    page = client.get("/v1/audit", headers=admin).json()
    assert [line["action"] for line in page["lines"]] == ["key_added", "login_failed", "login", "user_added"]
    assert page["before"] is None
    assert page["lines"][-1]["actor"] == "user:root"
    (mine,) = client.get("/v1/audit?actor=user:root&subject=user:anna", headers=admin).json()["lines"]
    assert mine["detail"] == {"role": "reviewer", "vendor_id": None}
    older = client.get(f"/v1/audit?before={page['lines'][1]['seq']}", headers=admin).json()["lines"]
    assert [line["seq"] for line in older] == [2, 1]
    refused(client.get("/v1/audit?before=0", headers=admin), 422, "invalid")
