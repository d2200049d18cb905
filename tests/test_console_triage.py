"""Triage: what the page is given, and the page itself in a browser, driven by its keys."""

import statistics
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page
from sqlalchemy import select

from api.access import Principal
from api.console import triage
from api.console.visitor import Visitor
from api.errors import ApiError
from api.review import history
from api.store.tables import StoredCandidate, StoredConversation
from api.store.tables_access import User
from api.store.tables_review import Decision, MissedReport
from api.wiring import Service
from screening.pipeline import Screener
from screening.types import Conversation, Turn
from tests.console import Console
from tests.reviewing import ABUSE, BEGIN, DIVERSION, IMPATIENCE, SHIRKING, chat, kept, person

HOSTILE = '<script>window.pwned=1</script><img src=x onerror="window.pwned=2"> {{ 7*7 }} ${7*7} </div><b>粗体</b>'
EMOJI = "👨‍👩‍👧 亲，" + DIVERSION + "，不是这里😀"
# Presses Enter: whether the next one is shown before anything else can happen; answers once it is painted.
SWITCH = """async () => {
  const name = () => document.querySelector("#facts h2")?.textContent;
  const before = name();
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  const atOnce = name() !== before;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  return atOnce;
}"""


def worked(devtools: CDPSession) -> float:
    """The milliseconds of processor time that the page's thread has used: what other processes take does not count."""
    return next(
        1000 * one["value"] for one in devtools.send("Performance.getMetrics")["metrics"] if one["name"] == "TaskDuration"
    )


@pytest.fixture
def reviewer(service: Service) -> Principal:
    return person(service.store, "rosa")


def numbers(service: Service) -> list[int]:
    with service.store.read() as session:
        return list(
            session.scalars(select(StoredCandidate.id).order_by(StoredCandidate.priority.desc(), StoredCandidate.id.desc()))
        )


def refusal(act: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as raised:
        act()
    return raised.value


def ready(page: Page) -> None:
    page.wait_for_selector("#decision form")


def shown(page: Page) -> str:
    return page.inner_text("#facts h2")


class TestOperations:
    def test_pieces_say_where_they_start_in_code_points(self, service: Service, screener: Screener, reviewer: Principal) -> None:
        kept(service.store, screener, [chat("c-1", EMOJI)])
        answer = triage.opened(service, reviewer, candidate=numbers(service)[0])
        pieces = answer["turns"][1]["pieces"]
        for piece in pieces:
            for start, text, label, title in piece["runs"]:
                assert EMOJI[start : start + len(text)] == text
                assert bool(label) == bool(title)
        assert "".join(run[1] for piece in pieces for run in piece["runs"]) == EMOJI
        flag = answer["flags"][0]
        own = [run for piece in pieces if flag["n"] in piece["flags"] for run in piece["runs"]]
        assert own[0][0] == flag["start"]
        assert "".join(run[1] for run in own) == flag["quote"]

    def test_normalised_text_keeps_its_marks(self, service: Service, screener: Screener, reviewer: Principal) -> None:
        (screening,) = kept(service.store, screener, [chat("c-1", "亲亲，加我微信，那邊便宜一百")])
        turn = triage.normalised(service, reviewer, screening)["turns"][1]
        assert "".join(run[1] for piece in turn["pieces"] for run in piece["runs"]) == "亲亲,加我微信,那边便宜一百"
        assert any(piece["flags"] for piece in turn["pieces"])
        assert turn["text"]

    def test_gaps_and_times_are_those_of_the_profile(self, service: Service, screener: Screener, reviewer: Principal) -> None:
        turns = (Turn("customer", "在吗", at=BEGIN), Turn("agent", ABUSE, at=BEGIN + timedelta(seconds=200)))
        kept(service.store, screener, [Conversation(id="c-1", turns=turns, started_at=BEGIN)])
        answer = triage.opened(service, reviewer, candidate=numbers(service)[0])
        assert [turn["gap"] for turn in answer["turns"]] == [None, 200.0]
        assert answer["turns"][0]["time"] == "08:00:00"
        assert answer["facts"]["started"] == "2026-03-02 08:00"

    def test_decide_holds_decides_and_undo_takes_back(self, service: Service, screener: Screener, reviewer: Principal) -> None:
        kept(service.store, screener, [chat("c-1", DIVERSION)])
        (number,) = numbers(service)
        view = triage.opened(service, reviewer, candidate=number)
        decision = {"screening_id": view["screening_id"], "verdict": "confirmed", "level": "B", "note": "确认"}
        decision["flags"] = [{"n": n, "verdict": "confirmed"} for n in view["candidates"][0]["flags"]]
        made = triage.decided(service, reviewer, candidate=number, decision=decision)["decisions"]
        with service.store.read() as session:
            assert session.get_one(StoredCandidate, number).decided_level == "B"
        triage.undone(service, reviewer, candidate=number, decisions=made)
        with service.store.read() as session:
            found = session.get_one(StoredCandidate, number)
            assert (found.status, found.decided_verdict) == ("claimed", None)
            assert all(entry.undone for entry in history.of_candidate(session, found) if entry.decision.kind != "undo")

    def test_unsure_goes_back_to_the_queue(self, service: Service, screener: Screener, reviewer: Principal) -> None:
        kept(service.store, screener, [chat("c-1", DIVERSION)])
        (number,) = numbers(service)
        view = triage.opened(service, reviewer, candidate=number)
        flags = [{"n": n, "verdict": "unsure"} for n in view["candidates"][0]["flags"]]
        triage.decided(service, reviewer, candidate=number, decision={"screening_id": view["screening_id"], "flags": flags})
        with service.store.read() as session:
            assert session.get_one(StoredCandidate, number).status == "open"
            assert session.scalars(select(Decision.verdict)).all() == ["unsure"] * len(flags)

    def test_what_another_holds_is_refused(self, service: Service, screener: Screener, reviewer: Principal) -> None:
        kept(service.store, screener, [chat("c-1", DIVERSION)])
        (number,) = numbers(service)
        triage.claimed(service, person(service.store, "paul"), candidate=number)
        view = triage.opened(service, reviewer, candidate=number)
        decision = {"screening_id": view["screening_id"], "verdict": "confirmed"}
        error = refusal(lambda: triage.decided(service, reviewer, candidate=number, decision=decision))
        assert (error.code, "paul" in error.message) == ("claimed", True)

    @pytest.mark.parametrize(
        ("name", "given"),
        [("queue", {"status": "nonsense"}), ("queue", {"limit": 10**6}), ("open", {}), ("open", {"candidate": 1, "more": 2})],
    )
    def test_messages_that_are_none(self, client: object, service: Service, name: str, given: dict[str, Any]) -> None:
        anna = person(service.store, "anna")
        token = _session(service, anna)
        visitor = Visitor(service, token, "zh-CN", None)
        error = refusal(lambda: _acted(visitor, name, given))
        assert error.status_code == 422

    def test_whoever_may_not_review_does_nothing(self, service: Service) -> None:
        for role, vendor in (("vendor", "v1"), ("agent_desk", None)):
            visitor = Visitor(service, _session(service, person(service.store, role, role, vendor)), "en", None)
            assert refusal(lambda visitor=visitor: _acted(visitor, "queue", {})).code == "forbidden"
        assert refusal(lambda: _acted(Visitor(service, "ss_none", "en", None), "queue", {})).code == "unauthenticated"


def _acted(visitor: Visitor, name: str, given: dict[str, Any]) -> Any:
    import asyncio

    return asyncio.run(visitor.act("review", triage.perform, name, given))


def _session(service: Service, principal: Principal) -> str:
    from api import access
    from api.store.tables_access import UserSession

    token, now = access.new_session(), service.clock()
    with service.store.write() as session:
        session.add(
            UserSession(user_id=principal.user_id, token_hash=token.digest, created_at=now, expires_at=now + 10**12, address="-")
        )
    return token.shown


def fill(console: Console, screener: Screener, conversations: Sequence[Conversation]) -> None:
    kept(console.service.store, screener, conversations, at=console.service.clock())


def decisions(console: Console) -> list[Decision]:
    with console.service.store.read() as session:
        return list(session.scalars(select(Decision).where(Decision.kind == "candidate").order_by(Decision.id)))


@pytest.mark.browser
@pytest.mark.slow
class TestInTheBrowser:
    def test_ten_by_keyboard_only(self, console: Console, screener: Screener) -> None:
        said = (DIVERSION, ABUSE, IMPATIENCE, SHIRKING)
        fill(console, screener, [chat(f"c-{i}", said[i % 4], agent_id=f"a{i}", hours=i) for i in range(12)])
        page = console.page("/")
        ready(page)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        seen, took = [], []
        for i in range(10):
            seen.append(shown(page))
            keys = ("y", "n3", "y2s", "y")[i % 4]
            for key in keys:
                page.keyboard.press(key)
            if i == 0:
                page.keyboard.press("e")
                page.keyboard.type("客户明确拒绝")
                page.keyboard.press("Escape")
            page.wait_for_timeout(1500)  # a reviewer reads; the next one is fetched meanwhile
            before = worked(devtools)
            assert page.evaluate(SWITCH)  # nobody waits for the service
            took.append(worked(devtools) - before)
        page.wait_for_function("JSON.parse(sessionStorage.triage_outbox).length === 0")
        made = decisions(console)
        assert len(seen) == len(set(seen)) == len(made) == 10
        assert [one.verdict for one in made] == [("confirmed", "rejected", "confirmed", "confirmed")[i % 4] for i in range(10)]
        assert {one.reason for one in made if one.verdict == "rejected"} == {"rule_too_wide"}
        assert all((one.level, one.severe) == ("B", True) for one in made[2::4])
        assert made[0].note == "客户明确拒绝"
        assert 0 < statistics.median(took) < 100, took
        page.keyboard.press("z")
        page.wait_for_function("(name) => document.querySelector('#facts h2').textContent === name", arg=seen[-1])
        page.wait_for_selector("#decision .standing.mine")

    def test_the_end_of_the_queue_says_what_to_do(self, console: Console, screener: Screener) -> None:
        fill(console, screener, [chat("c-1", DIVERSION)])
        page = console.page("/")
        ready(page)
        page.keyboard.press("y")
        page.keyboard.press("Enter")
        page.wait_for_selector("#turns .empty")
        assert "待审的都判完了" in page.inner_text("#turns")
        page.get_by_role("button", name="复查已判的").click()
        page.wait_for_selector(".standing.decided")

    def test_report_a_missed_incident(self, console: Console, screener: Screener) -> None:
        fill(console, screener, [chat("c-1", DIVERSION, "😀👨‍👩‍👧这句话有问题，您自己看着办")])
        page = console.page("/")
        ready(page)
        page.evaluate("""() => {
          const run = [...document.querySelectorAll(".text[data-turn='2'] [data-start]")].find((one) => one.textContent.includes("这句话"));
          const at = run.firstChild.data.indexOf("这句话");
          getSelection().setBaseAndExtent(run.firstChild, at, run.firstChild, at + 5);
        }""")
        page.keyboard.press("m")
        page.select_option("#marking select >> nth=0", index=1)
        page.click("#marking button[type=submit]")
        page.wait_for_selector(".notice-good")
        with console.service.store.read() as session:
            report = session.scalars(select(MissedReport)).one()
        text = "😀👨‍👩‍👧这句话有问题，您自己看着办"
        assert text[report.start : report.end] == "这句话有问"
        assert report.turn == 2

    def test_markup_in_a_conversation_stays_text(self, console: Console, screener: Screener) -> None:
        hostile = chat(
            "<img src=x onerror=alert(1)>", HOSTILE + DIVERSION, agent_id="<b>a1</b>", customer_id="<script>", vendor_id="<i>v"
        )
        fill(console, screener, [hostile])
        page = console.page("/")
        ready(page)
        page.keyboard.press("p")
        page.keyboard.press("v")
        page.keyboard.press("v")
        page.hover("#turns mark >> nth=0")
        assert page.inner_text(".text[data-turn='1']") == HOSTILE + DIVERSION
        assert shown(page) == "<img src=x onerror=alert(1)>"
        assert page.evaluate("window.pwned") is None
        assert page.locator("#triage b, #triage img, #triage i:not(.bar i)").count() == 0

    def test_long_lists_and_conversations_are_quick(self, console: Console, screener: Screener) -> None:
        fill(console, screener, [chat(f"q-{i}", DIVERSION, hours=i) for i in range(200)])
        long = [f"第{i}句，这边帮您看一下" for i in range(398)]
        fill(console, screener, [chat("long", *long, ABUSE, hours=300)])
        page = console.page("/?conversation=long")
        ready(page)
        page.wait_for_function("document.querySelectorAll('#rows [data-id]').length === 200")
        assert page.locator("#turns .turn").count() == 400
        redrawn = page.evaluate("""async () => {
          const started = performance.now();
          document.getElementById("only").click();
          document.getElementById("turns").getBoundingClientRect();
          document.getElementById("only").click();
          document.getElementById("turns").scrollTop = 5000;
          document.getElementById("turns").getBoundingClientRect();
          return performance.now() - started;
        }""")
        assert redrawn < 200, redrawn

    def test_nothing_typed_is_lost_when_the_connection_drops(self, console: Console, screener: Screener) -> None:
        fill(console, screener, [chat("c-1", DIVERSION), chat("c-2", ABUSE, hours=1)])
        page = console.page("/")
        ready(page)
        page.wait_for_timeout(800)  # the claim and the next conversation
        page.keyboard.press("y")
        page.evaluate("window.socket.disconnect()")
        page.wait_for_selector("#link-state:not([hidden])")
        page.fill("#note", "断线时写的备注")
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(200)
        assert decisions(console) == []
        page.fill("#note", "第二条的备注")
        page.evaluate("window.socket.connect()")
        page.wait_for_function("JSON.parse(sessionStorage.triage_outbox).length === 0")
        assert [one.note for one in decisions(console)] == ["断线时写的备注"]
        page.reload()
        ready(page)
        assert page.input_value("#note") == "第二条的备注"

    def test_rights_are_read_anew_on_every_action(self, console: Console, screener: Screener) -> None:
        fill(console, screener, [chat("c-1", DIVERSION)])
        page = console.page("/", token=console.user("reviewer", name="rosa"))
        ready(page)
        page.wait_for_timeout(700)
        with console.service.store.write() as session:
            session.scalars(select(User).where(User.name == "rosa")).one().role = "agent_desk"
        page.keyboard.press("y")
        page.keyboard.press("Enter")
        page.wait_for_selector(".notice-bad")
        assert decisions(console) == []
        with console.service.store.read() as session:
            assert session.scalars(select(StoredConversation)).one().external_id == "c-1"

    def test_english(self, console: Console, screener: Screener) -> None:
        fill(console, screener, [chat("c-1", DIVERSION)])
        page = console.page("/", language="en", theme="dark")
        ready(page)
        assert page.inner_text(".verdicts").startswith("Incident")
        assert page.evaluate("document.documentElement.lang").startswith("en")
        page.click("[data-do=language]")
        page.wait_for_function("document.querySelector('.verdicts')?.innerText.startsWith('违规')")
