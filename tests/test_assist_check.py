import json
from collections.abc import Callable

import msgspec
import pytest
from fastapi.testclient import TestClient

from api.assist import policy
from api.assist.policy import WHOLE
from api.engine import ScreeningEngine
from api.openapi import DRAFT
from api.settings import Settings
from api.wiring import Service
from lexicons.signals import TEXT_SIGNALS
from screening.errors import InputError
from screening.pipeline import Screener
from screening.profile import Assist, Profile, check
from screening.types import Conversation
from tests.conftest import refused

Headers = Callable[..., dict[str, str]]
PATIENT = 60_000


@pytest.fixture
def desk(client: TestClient, as_key: Headers) -> Callable[..., dict]:
    headers = as_key("screen")

    def asked(draft: str, *turns: tuple[str, str], deadline_ms: int = PATIENT, **fields: object) -> dict:
        conversation = {"id": "c-1", "turns": [{"role": role, "text": text} for role, text in turns], **fields}
        body = {"conversation": conversation, "draft": draft, "deadline_ms": deadline_ms}
        answer = client.post("/v1/assist/check", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return asked


def test_level_a_blocks_b_and_c_advise_the_rest_passes(desk: Callable[..., dict]) -> None:
    blocked = desk("您加我微信吧", ("customer", "能便宜点吗"))
    assert (blocked["verdict"], blocked["may_send"]) == ("block", False)
    (flag,) = blocked["flags"]
    assert (flag["signal"], flag["quote"], flag["level"], flag["action"]) == (
        "diversion.private_contact",
        "加我微信",
        "A",
        "block",
    )
    assert flag["reference"] == "jd-zhitongche/A.diversion"
    advised = desk("自己不会看吗", ("customer", "这个怎么用"))
    assert (advised["verdict"], advised["may_send"]) == ("advise", True)
    assert {flag["level"] for flag in advised["flags"]} == {"B"}
    passed = desk("好的，我帮您查一下，请稍等", ("customer", "我的快递到哪了"))
    assert (passed["verdict"], passed["may_send"], passed["flags"], passed["suggestions"]) == ("pass", True, [], [])


def test_only_the_draft_counts(desk: Callable[..., dict]) -> None:
    found = desk("好的，我帮您查一下", ("agent", "滚，加我微信"), ("customer", "我要打12315投诉你们"))
    assert found["verdict"] == "pass"


def test_a_vendor_s_drafts_are_judged_under_its_own_profile(
    desk: Callable[..., dict], service: Service, screener: Screener
) -> None:
    mild = Profile(name="mild", assist=Assist(signals={"diversion.private_contact": "advise"}))
    service.engine.swap(Screener(screener.lexicon, vendors={"v9": mild}))
    own = desk("您加我微信吧", vendor_id="v9")
    assert (own["verdict"], own["versions"]["assist"]) == ("advise", mild.assist_digest())
    assert own["versions"]["settings"] == mild.digest()
    for vendor in ("v8", None):
        other = desk("您加我微信吧", vendor_id=vendor)
        assert (other["verdict"], other["versions"]["assist"]) == ("block", Profile().assist_digest())


def test_whole_conversation_signals_are_not_checked_and_versions_are_told(desk: Callable[..., dict], screener: Screener) -> None:
    found = desk("好的")
    assert tuple(found["not_checked"]) == WHOLE
    assert {*WHOLE, *TEXT_SIGNALS} >= {"response.slow", "shirking"}
    own = msgspec.to_builtins(screener.versions)
    assert found["versions"] == {**own, "assist": screener.profile.assist_digest()}
    assert found["timing_ms"] > 0


def test_text_signals_equal_those_of_the_batch(
    desk: Callable[..., dict], screener: Screener, archive: list[Conversation]
) -> None:
    """Every agent turn of the archive that the batch flags, and some that it does not, asked as drafts behind eight turns."""
    asked = flagged = 0
    for number, conversation in enumerate(archive):
        screening = screener.screen(conversation)
        for i, turn in enumerate(conversation.turns):
            if turn.role != "agent":
                continue
            batch = [
                (f.signal, f.start, f.end, f.quote, f.score)
                for f in screening.flags
                if f.turn == i and f.status == "active" and f.signal in TEXT_SIGNALS and f.source.kind != "conduct"
            ]
            if not batch and (number + i) % 24:
                continue
            before = [(t.role, t.text) for t in conversation.turns[max(0, i - 8) : i]]
            found = desk(turn.text, *before, channel=conversation.channel)
            own = [(f["signal"], f["start"], f["end"], f["quote"], f["score"]) for f in found["flags"]]
            assert own == batch, (conversation.id, i)
            asked += 1
            flagged += bool(batch)
    assert asked > flagged >= 20


BODY = {"conversation": {"id": "c-1", "turns": [{"role": "customer", "text": "在吗"}]}, "draft": "您好"}


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"draft": "  "}, "/draft", "the draft is empty"),
        ({"draft": None}, "/draft", "must be a text"),
        ({"draft": 5}, "/draft", "must be a text"),
        ({"draft": "好" * 700}, "/draft", "max_text_length"),
        ({"text": "x"}, "/text", "unknown field `text`"),
        ({"deadline_ms": 0}, "/deadline_ms", "between 1 and 60000"),
        ({"deadline_ms": "soon"}, "/deadline_ms", "between 1 and 60000"),
        ({"conversation": []}, "/conversation", "expected an object"),
        ({"conversation": {"id": "c"}}, "/conversation/turns", "`turns` is missing"),
        ({"conversation": {"id": "c", "turns": 5}}, "/conversation/turns", "must be a list"),
        ({"conversation": {"id": "", "turns": []}}, "/conversation/id", "`id` is empty"),
        ({"conversation": {"id": "c", "turns": ["x"]}}, "/conversation/turns/0", "turn 0 must be an object"),
        ({"conversation": {"id": "c", "turns": [{"role": "x", "text": ""}]}}, "/conversation/turns/0/role", "unknown role"),
        ({"conversation": {"id": "c", "turns": [{"role": "bot", "text": ""}] * 9}}, "/conversation/turns", "send the last 8"),
        ({"conversation": {"id": "c\n", "turns": []}}, "/conversation/id", "control character"),
    ],
)
def test_bad_bodies_are_refused_with_the_field(
    client: TestClient, as_key: Headers, settings: Settings, change: dict, field: str, message: str
) -> None:
    code = "over_limit" if "limit" in message or "last 8" in message or "max_text" in message else "invalid"
    assert message in refused(client.post("/v1/assist/check", json=BODY | change, headers=as_key("screen")), 422, code, field)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_text_length": 600})


def test_what_is_no_json_and_half_characters(client: TestClient, as_key: Headers) -> None:
    headers = as_key("screen")
    for body in (b"", b"{", b"[" * 5000, b"\xff"):
        assert "not JSON" in refused(client.post("/v1/assist/check", content=body, headers=headers), 422, "invalid")
    lone = json.dumps(BODY).replace('"\\u60a8\\u597d"', '"\\ud83d"')
    refused(client.post("/v1/assist/check", content=lone, headers=headers), 422, "invalid")


def test_unknown_fields_of_the_conversation_are_attributes(desk: Callable[..., dict]) -> None:
    assert desk("好的", ("customer", "在吗"), queue="gold", id=17)["verdict"] == "pass"


def test_who_may_ask(client: TestClient, as_key: Headers, as_user: Headers) -> None:
    ask = lambda headers, **c: client.post(  # noqa: E731
        "/v1/assist/check", json=BODY | {"conversation": BODY["conversation"] | c}, headers=headers
    )
    assert ask(as_user("agent_desk")).status_code == 200
    assert ask(as_key("screen", vendor="v1"), vendor_id="v1").status_code == 200
    assert ask(as_key("screen", vendor="v1")).status_code == 200
    refused(ask(as_key("screen", vendor="v1"), vendor_id="v2"), 403, "other_vendor", "/vendor_id")
    refused(ask(as_key("read")), 403, "forbidden")
    refused(ask({}), 401, "unauthenticated")
    limited = as_key("screen", per_minute=6)
    assert ask(limited).status_code == 200
    refused(ask(limited), 429, "too_many_requests")


def test_the_documented_example_is_answered(client: TestClient, as_key: Headers) -> None:
    answer = client.post("/v1/assist/check", json=DRAFT | {"deadline_ms": PATIENT}, headers=as_key("screen")).json()
    assert answer["verdict"] == "block"
    (suggestion,) = answer["suggestions"]
    place = suggestion["replaces"]
    assert DRAFT["draft"][place["start"] : place["end"]] == "您加我微信，我给您便宜一百。"
    assert suggestion["text"].startswith("王女士，")


def test_the_profile_says_what_blocks(screener: Screener) -> None:
    own = Assist(signals={"rudeness.impatience": "block", "promise.vague": "off"}, fail={"leak.internal": "closed"})
    made = policy.of(screener.lexicon, Profile(assist=own), screener.versions)
    assert made.ranks["rudeness.impatience"].action == "block"
    assert made.ranks["promise.vague"].action == "off"
    assert made.ranks["rudeness.abuse"] == policy.Rank("block", "A", "jd-zhitongche/A.attitude")
    assert made.ranks["shirking"].action == "advise"
    assert made.closed == {"leak.internal"}
    default = policy.of(screener.lexicon, screener.profile, screener.versions)
    assert (default.deadline_ms, default.closed, default.slots) == (150, frozenset(), {"时限": "24小时内"})
    assert default.versions.assist != made.versions.assist
    assert Profile(assist=own).digest() == Profile().digest()  # it decides nothing in a screening


@pytest.mark.parametrize(
    ("assist", "message"),
    [
        (Assist(signals={"response.slow": "block"}), "signals names 'response.slow'"),
        (Assist(fail={"rude": "closed"}), "fail names 'rude'"),
        (Assist(deadline_ms=0), "deadline_ms must be between 1 and"),
        (Assist(slots={"名字": "x"}), "must be one of 称呼, 商户名, 时限"),
        (Assist(slots={"时限": " "}), "with a text"),
    ],
)
def test_a_profile_that_cannot_hold_is_refused(screener: Screener, assist: Assist, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(Profile(assist=assist), screener.lexicon)


def test_a_signal_that_is_off_is_not_shown_and_new_settings_hold_at_once(
    desk: Callable[..., dict], service: Service, screener: Screener
) -> None:
    assert desk("您加我微信吧")["verdict"] == "block"
    off = Profile(assist=Assist(signals={"diversion.private_contact": "off"}))
    service.engine.swap(Screener(screener.lexicon, off))
    found = desk("您加我微信吧")
    assert (found["verdict"], found["flags"]) == ("pass", [])
    assert found["versions"]["assist"] == off.assist_digest()


def test_before_the_lexicon_is_there_the_answer_is_503(settings: Settings, clock: Callable[[], int], screener: Screener) -> None:
    from threading import Event

    from api.app import create_app

    loaded = Event()

    def open_slowly() -> Screener:
        loaded.wait(20)
        return screener

    with TestClient(create_app(settings, clock, ScreeningEngine(open_slowly, queue_turns=100))) as client:
        from api import access

        with client.app.state.service.store.write() as session:
            _, token = access.add_key(
                session, name="k", scopes=["screen"], vendor_id=None, per_minute=None, expires_at=None, by="t", at=clock()
            )
        refused(client.post("/v1/assist/check", json=BODY, headers={"Authorization": f"Bearer {token.shown}"}), 503, "not_ready")
        loaded.set()
