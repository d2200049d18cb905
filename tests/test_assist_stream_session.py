"""The stream's session: who may, what is refused, what survives a dropped connection, and how it ends."""

import json
import time
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from starlette.websockets import WebSocketDisconnect

from api import access
from api.access import COOKIE
from api.app import create_app
from api.engine import ScreeningEngine
from api.overlay.follow import FIRST
from api.store.tables_access import ApiKey
from lexicons.overlay import overlaid
from lexicons.schema import Rule
from screening.pipeline import Screener
from tests.conftest import TurnedClock
from tests.ruling import COUNTER, SAID, small, small_screener
from tests.streaming import PATH, Desk, desk
from tests.streaming import socket as opened


@pytest.fixture(autouse=True, scope="module")
def _warm(screener: Screener) -> None:
    screener.screen(FIRST)


def closed(socket: Any) -> tuple[dict[str, Any], int]:
    """The `closing` message, and the close code after it."""
    last: dict[str, Any] = {}
    while True:
        try:
            message = json.loads(socket.receive_text())
        except WebSocketDisconnect as error:
            return last, error.code
        last = message if message["type"] == "closing" else {}


def turned_away(client, headers: dict[str, str], first: Any, path: str = PATH) -> tuple[str, int]:
    with opened(client, path, headers) as socket:
        if first is not None:
            socket.send_text(first if isinstance(first, str) else json.dumps(first))
        closing, code = closed(socket)
        assert closing["message"]
        return closing["code"], code


HELLO = {"type": "hello"}


def test_who_may(client, as_key, as_user) -> None:
    assert turned_away(client, {}, HELLO) == ("unauthenticated", 4401)
    assert turned_away(client, {"Authorization": "Bearer sk_no"}, HELLO) == ("unauthenticated", 4401)
    assert turned_away(client, as_key("read"), HELLO) == ("forbidden", 4403)
    assert turned_away(client, {}, HELLO, PATH + "?token=sk_x") == ("token_in_url", 4400)
    key = as_key("screen")["Authorization"].removeprefix("Bearer ")
    with desk(client, {}, {"type": "hello", "token": key}) as own:
        assert own.turn("c1", "agent", "您好")["flags"] == []
    with desk(client, as_user("agent_desk")) as own:
        assert own.turn("c1", "agent", "您好")["flags"] == []


def test_a_cookie_counts_only_from_our_own_pages(client, as_user) -> None:
    cookie = {"Cookie": f"{COOKIE}={as_user('agent_desk')['Authorization'].removeprefix('Bearer ')}"}
    assert turned_away(client, cookie | {"Origin": "https://elsewhere.example"}, HELLO) == ("cross_origin", 4403)
    with desk(client, cookie | {"Origin": "http://testserver"}) as own:
        assert own.turn("c1", "agent", "您好")["flags"] == []


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("{", "invalid"),
        ({"type": "turn", "seq": 1, "conversation": "c", "role": "agent", "text": "x"}, "no_hello"),
        ([], "invalid"),
    ],
)
def test_the_first_message_greets(client, as_key, first, code: str) -> None:
    assert turned_away(client, as_key("screen"), first) == (code, 4400)


def turn(seq: int, conversation: str = "c1", **fields: Any) -> dict[str, Any]:
    return {"type": "turn", "seq": seq, "conversation": conversation, "role": "agent", "text": "您好"} | fields


BAD = [
    ({"role": "robot"}, "invalid", "/role"),
    ({"text": 5}, "invalid", "/text"),
    ({"nonsense": 1}, "invalid", "/nonsense"),
    ({"at": "gestern"}, "invalid", "/at"),
    ({"text": "长" * 20_001}, "over_limit", "/text"),
    ({"conversation": ""}, "invalid", "/id"),
    ({"conversation": "c" * 201}, "over_limit", "/id"),
    ({"about": {"channel": "pigeon"}}, "invalid", "/about/channel"),
    ({"about": {"vendor_id": "v2"}}, "other_vendor", "/vendor_id"),
    ({"type": "draft", "role": None}, "invalid", "/role"),
    ({"type": "end", "role": None, "text": None}, "invalid", "/role"),
    ({"type": "shout"}, "invalid", "/type"),
]


def test_a_bad_message_is_refused_alone(client, as_key) -> None:
    with desk(client, as_key("screen", vendor="v1")) as own:
        for fields, code, field in BAD:
            own.raw(turn(own.seq + 1) | fields)
            own.seq += 1
            error = own.hear("error")
            assert (error["of"], error["code"], error["field"]) == (own.seq, code, field), error
            assert error["message"]
        for raw, of in (('{"type":"turn","seq":1', None), ("[]", None), ('{"type":"turn"}', None), ('"turn"', None)):
            own.raw(raw)
            assert (own.hear("error")["of"], own.told("error")[-1]["code"]) == (of, "invalid")
        assert own.hear("error", of=own.say("typing", conversation="nowhere", role="agent"))["code"] == "not_found"
        assert own.hear("error", of=own.say("end", conversation="nowhere"))["code"] == "not_found"
        assert own.hear("error", of=own.say("draft", conversation="c1", text="  "))["field"] == "/draft"
        assert own.hear("error", of=own.say("draft", conversation="c1", text="好", deadline_ms=0))["field"] == "/deadline_ms"
        own.raw(HELLO)
        assert own.hear("error")["code"] == "session_stands"
        assert own.turn("c1", "agent", "您好")["turn"] == 0
        answer = own.hear("error", of=own.say("turn", conversation="c1", role="agent", text="您好", about={}))
        assert (answer["code"], answer["field"]) == ("open_already", "/about")


def test_a_message_that_comes_twice_counts_once_and_a_missing_one_closes(client, as_key) -> None:
    with desk(client, as_key("screen")) as own:
        own.turn("c1", "agent", "您好")
        own.raw(turn(1))
        assert own.hear("ack", of=1)
        own.raw(turn(2))
        assert own.hear("flags", of=2)["turn"] == 1
        own.raw(turn(4))
        closing, code = closed(own.socket)
        assert (closing["code"], closing["resume"], code) == ("gap", True, 4400)
        assert "message 3 is missing before 4" in closing["message"]


def test_a_dropped_connection_is_resumed_without_loss_or_doubles(client, as_key) -> None:
    headers = as_key("screen")
    with desk(client, headers) as own:
        own.turn("c1", "customer", "能便宜点吗")
        name, last = own.told("welcome")[0]["session"], own.heard[-1]["seq"]
        own.say("turn", conversation="c1", role="agent", text="你是不是脑子有病")  # its answer is never read
        own.socket.close(1006)
    for _ in range(2):  # the connection may drop again before anything was confirmed
        with desk(client, headers, {"type": "resume", "session": name, "received": last}) as own:
            welcome = own.heard[-1]
            assert (welcome["resumed"], welcome["received"], welcome["open"]) == (True, 2, {"c1": 2})
            own.seq = 2
            answer = own.hear("flags", of=2)
            assert (answer["seq"], answer["turn"], answer["level"]) == (last + 1, 1, "A")
            own.raw(turn(2))  # sent again, as nothing had acknowledged it
            own.hear("ack", of=2)
            own.socket.close(1006)
    with desk(client, headers, {"type": "resume", "session": name, "received": last + 1}) as own:
        own.seq = 2
        assert own.turn("c1", "customer", "你说什么")["seq"] == last + 2
        assert [flag["turn"] for flag in own.end("c1")["screening"]["flags"] if flag["source"]["kind"] == "rule"] == [1]


def test_what_cannot_be_resumed_says_what_to_do(client, as_key, clock: TurnedClock) -> None:
    headers = as_key("screen")
    with desk(client, headers) as own:
        own.turn("c1", "agent", "您好")
        name = own.told("welcome")[0]["session"]

        def resume(**fields: Any) -> dict[str, Any]:
            return {"type": "resume", "session": name, "received": 0} | fields

        assert turned_away(client, headers, resume(session="0badf00d-xyz")) == ("other_worker", 4404)
        assert turned_away(client, headers, resume(session=name[:-1])) == ("unknown_session", 4404)
        assert turned_away(client, as_key("screen"), resume()) == ("unknown_session", 4404)
        assert turned_away(client, headers, resume(received=99)) == ("invalid", 4400)
        with desk(client, headers, resume()) as second:  # the same session in another socket: the first one gives way
            assert second.hear("flags")["turn"] == 0
            assert closed(own.socket)[0]["code"] == "taken_over"
            second.socket.close(1006)
    clock.turn(seconds=121)
    time.sleep(0.5)
    with opened(client, PATH, headers) as socket:
        socket.send_text(json.dumps(resume()))
        closing, _ = closed(socket)
    assert closing["code"] == "unknown_session"
    assert "send the turns of your open conversations again" in closing["message"]
    assert closing["resume"] is False


def test_what_is_no_longer_kept_cannot_be_resumed(client, as_key, monkeypatch) -> None:
    monkeypatch.setattr("api.assist.session.OUTBOX", 3)
    headers = as_key("screen")
    with desk(client, headers) as own:
        for _ in range(6):
            own.turn("c1", "agent", "您好")
        name = own.told("welcome")[0]["session"]
        own.socket.close(1006)
    assert turned_away(client, headers, {"type": "resume", "session": name, "received": 1}) == ("outbox_gone", 4410)


def test_an_idle_socket_is_closed_and_can_be_resumed(client, as_key, clock: TurnedClock) -> None:
    headers = as_key("screen")
    with desk(client, headers) as own:
        own.turn("c1", "agent", "您好")
        clock.turn(seconds=599)
        time.sleep(0.3)
        own.turn("c1", "agent", "您好")
        clock.turn(seconds=601)
        closing, code = closed(own.socket)
        assert (closing["code"], closing["resume"], code) == ("idle", True, 4408)
    name = own.told("welcome")[0]["session"]
    with desk(client, headers, {"type": "resume", "session": name, "received": own.told("flags")[-1]["seq"]}) as own:
        assert own.heard[-1]["open"] == {"c1": 2}


def test_a_flood_is_closed_with_its_limit(client, as_key) -> None:
    with desk(client, as_key("screen")) as own:
        for _ in range(501):
            own.raw("{}")
        closing, code = closed(own.socket)
        assert (closing["code"], closing["resume"], code) == ("too_many_messages", True, 4429)
        assert "stream_messages_per_second" in closing["message"]


def test_a_desk_that_does_not_read_is_let_go_and_may_resume(client, as_key, monkeypatch) -> None:
    monkeypatch.setattr("api.assist.connection.BACKLOG", -1)
    with opened(client, PATH, as_key("screen")) as socket:
        own = Desk(socket)
        own.raw(HELLO)
        own.say("turn", conversation="c1", role="agent", text="您好")
        closing, code = closed(socket)
        assert (closing["code"], closing["resume"], code) == ("slow_reader", True, 4008)


def test_a_key_that_is_revoked_closes_its_socket(client, as_key, service, clock: TurnedClock) -> None:
    with desk(client, as_key("screen")) as own:
        own.turn("c1", "agent", "您好")
        with service.store.write() as session:
            session.execute(update(ApiKey).values(revoked_at=service.clock()))
        clock.turn(seconds=61)
        own.say("turn", conversation="c1", role="agent", text="您好")
        closing, code = closed(own.socket)
        assert (closing["code"], code) == ("unauthenticated", 4401)


def test_limits_of_a_session(settings, clock, screener, tmp_path) -> None:
    small = settings.model_copy(
        update={"stream_conversations": 2, "max_turns": 3, "stream_message_bytes": 2000, "stream_bytes": 3000}
    )
    engine = ScreeningEngine(lambda: screener, queue_turns=100)
    with TestClient(create_app(small, clock, engine)) as client, desk(client, key_of(client)) as own:
        assert own.told("welcome")[0]["limits"]["conversations"] == 2
        own.turn("c1", "agent", "您好")
        own.turn("c2", "agent", "您好")
        error = own.hear("error", of=own.say("turn", conversation="c3", role="agent", text="您好"))
        assert (error["code"], error["field"]) == ("over_limit", "/conversation")
        own.end("c2")
        own.turn("c3", "agent", "您好")
        own.turn("c1", "agent", "您好")
        own.turn("c1", "agent", "您好")
        error = own.hear("error", of=own.say("turn", conversation="c1", role="agent", text="您好"))
        assert "max_turns" in error["message"]
        error = own.hear("error", of=own.say("turn", conversation="c3", role="agent", text="长" * 2500))
        assert "stream_message_bytes" in error["message"]
        for _ in range(2):
            own.turn("c3", "agent", "a" * 1200)
        error = own.hear("error", of=own.say("turn", conversation="c4", role="agent", text="a" * 1200))
        assert "stream_bytes" in error["message"]


def key_of(client: TestClient) -> dict[str, str]:
    service = client.app.state.service
    with service.store.write() as session:
        _, token = access.add_key(
            session, name="t", scopes=("screen",), vendor_id=None, per_minute=None, expires_at=None, by="test", at=service.clock()
        )
    return {"Authorization": f"Bearer {token.shown}"}


def test_new_rules_are_taken_up_between_two_turns(client, as_key, service) -> None:
    newer = Screener(overlaid(small(), [msgspec.convert(COUNTER, Rule)]))
    service.engine.swap(small_screener())
    with desk(client, as_key("screen")) as own:
        own.turn("c1", "agent", "您好")
        for number in range(20):
            own.say("turn", conversation="c1", role="agent", text=f"第{number}次，{SAID}")
            if number == 9:
                service.engine.swap(newer)
        answers = [own.hear("flags", of=seq) for seq in range(2, 22)]
        whole = own.end("c1")
    shown = [[flag["source"]["id"] for flag in answer["flags"]] for answer in answers]
    assert [answer["turn"] for answer in answers] == list(range(1, 21))
    assert shown[-1] == [COUNTER["id"]]
    assert sorted(shown) == shown  # none before, each after
    assert whole["screening"]["versions"]["lexicon"] == newer.lexicon.version
    later = {whole["screening"]["flags"][i]["turn"] for i in whole["added"]}
    assert {
        turn for turn, own in enumerate(shown, 1) if not own
    } <= later  # what the new rules find in earlier turns is told as added
