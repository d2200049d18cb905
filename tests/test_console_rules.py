"""The rules workshop in a real browser: browse, edit with the live check, back-test, publish by two people, roll back."""

from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from api import ingest, wiring
from api.access import principal_for
from api.console import problems, rule_form, words
from api.console.pages.rules import Chosen
from api.errors import ApiError
from api.jobs import worker
from api.overlay import drafts
from api.routes.rules_models import ProblemView
from api.store.tables_access import User
from lexicons.load import packaged
from lexicons.schema import Rule
from screening.pipeline import Screener
from screening.types import Conversation, Turn
from tests.console import Console
from tests.ruling import COUNTER, SAID, small_screener

STATE = "#check-state"

expect.set_options(timeout=30_000)  # the machine may be busy


@pytest.fixture(scope="module")
def screener() -> Screener:
    return small_screener()


def as_given(form: dict[str, Any]) -> dict[str, Any]:
    """A filled form as the browser sends it."""

    def sent(value: object) -> Any:
        return list(value) if isinstance(value, tuple) else {True: "yes", None: ""}.get(value, str(value))  # type: ignore[arg-type]

    return {name: sent(value) for name, value in form.items()}


def test_every_shipped_rule_comes_back_from_its_form_as_it_was() -> None:
    for rule in packaged().rules:
        table = rule_form.table(as_given(rule_form.filled(rule)), rule.version)
        assert msgspec.convert(table, Rule) == rule


@pytest.mark.parametrize("written", ["zwei", "1e9", "nan"])
def test_numbers_that_are_none(written: str) -> None:
    given = as_given(rule_form.empty()) | {"position_first_turns": written}
    with pytest.raises(ApiError) as refused:
        rule_form.table(given, 1)
    assert (refused.value.status_code, refused.value.field) == (422, "/position")


def test_what_the_checks_say_is_said_in_chinese() -> None:
    t = words.words("zh-CN")
    assert problems.said("phrase '滚' is short; it needs `whole_word`, `unless` or a slot", t).startswith("“滚”太短")
    assert "推诿" in problems.said("its suggestion raises shirking by rule 'x-y'", t)
    assert problems.said("something new", t) == "something new"
    (shown,) = problems.shown([ProblemView(rule="x", field="hit", message="`hit` is empty; show each")], t)
    assert shown.field == "hit"


def test_addresses_of_the_list() -> None:
    chosen = Chosen.of({"signal": "shirking", "page": "3", "sort": "nonsense", "text": " x "})
    assert (chosen.page, chosen.sort, chosen.text) == (3, "hits", "x")
    assert chosen.link(signal="harassment") == "/console/rules?signal=harassment&text=x"
    assert chosen.link(page=4).endswith("page=4")


def keep(console: Console, *said: str) -> None:
    """Stored conversations in which an agent says these things."""
    service = console.service
    chats = [
        Conversation(
            id=f"c-{n}", turns=(Turn("customer", "在哪<b>退</b>"), Turn("agent", text)), agent_id=f"a{n}", vendor_id="v1"
        )
        for n, text in enumerate(said, 1)
    ]
    made = list(service.engine.screener.screen_many(chats))
    with service.store.write() as session:
        ingest.keep(session, list(zip(chats, made, strict=True)), wiring.keeping(service), service.clock())


def fill(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)


@pytest.mark.browser
def test_a_rule_is_written_back_tested_and_published_by_two_people(console: Console) -> None:
    keep(console, SAID, "您好", SAID)
    anna, ben = console.user("lead", name="anna"), console.user("lead", name="ben")
    page = console.page("/rules", token=anna)
    page.click("text=新建规则")
    expect(page.locator(STATE)).to_contain_text("还缺这些内容")
    page.select_option("[name=signal]", "shirking")
    fill(page, title=COUNTER["title"], id=COUNTER["id"], any_of="找隔壁柜台问去", suggestion=COUNTER["suggestion"])
    page.check("[value='jd-zhitongche/B.shirking']")
    fill(page, miss="隔壁柜台有样品\n您找隔壁柜台问去", hit="您找隔壁柜台问去")
    expect(page.locator("[data-problem=hit]")).to_contain_text("要用«»标出")
    page.evaluate("document.getElementById('f-hit').setSelectionRange(1, 8)")
    page.click("[data-marks]")
    assert page.input_value("#f-hit") == "您«找隔壁柜台问去»"
    expect(page.locator("[data-problem=miss]")).to_contain_text("命中了«找隔壁柜台问去»")
    page.reload()  # what was typed is back
    expect(page.locator("#restored")).to_be_visible()
    fill(page, miss="\n".join(COUNTER["miss"]))
    expect(page.locator(STATE)).to_contain_text("检查通过")
    page.click("text=保存草稿")  # the change has no name yet
    expect(page.locator("[data-problem=draft_title]")).not_to_be_empty()
    fill(page, draft_title="补充推诿说法")
    page.click("text=保存草稿")
    page.wait_for_url("**/rules/version?id=1")
    expect(page.locator(".rule-change")).to_contain_text("新增")
    expect(page.locator(".changes ins").first).to_be_visible()

    page.click("text=开始回测")
    page.wait_for_url("**/rules/back-test?id=1")
    expect(page.locator(".progress-panel")).to_be_visible()
    worker.drain(console.service)
    expect(page.locator(".tile b.plus")).to_have_text("+2")
    expect(page.locator(".report")).to_contain_text("a1")
    page.locator("text=看原句").first.click()
    expect(page.locator(".sample-turns mark").first).to_have_text("找隔壁柜台问去")
    expect(page.locator(".sample-turns").first).to_contain_text("在哪<b>退</b>")

    console.open(page, "/rules/version?id=1")
    page.click("text=放入影子试运行")
    expect(page.locator(".steps [aria-current]")).to_have_text("影子试运行")
    expect(page.locator("[data-act=publish]")).to_be_disabled()
    expect(page.locator(".version-head")).to_contain_text("要由另一位主管发布")

    second = console.page("/rules/version?id=1", token=ben)
    second.click("[data-act=publish]")
    second.click("dialog >> text=发布 >> nth=-1")
    expect(second.locator(".steps [aria-current]")).to_have_text("已发布")
    expect(second.locator(".version-head")).to_contain_text("ben 于")
    console.service.follower.follow()
    assert COUNTER["id"] in {rule.id for rule in console.service.engine.screener.lexicon.rules}
    console.open(second, "/rules?origin=overlay")
    expect(second.locator(".rule-table tbody tr")).to_have_count(1)

    console.open(second, "/rules/versions")
    second.click("text=退回出厂规则")
    second.click("dialog >> text=确定退回 >> nth=-1")
    expect(second.locator(".in-force")).to_contain_text("只有出厂规则")
    console.service.follower.follow()
    assert COUNTER["id"] not in {rule.id for rule in console.service.engine.screener.lexicon.rules}


@pytest.mark.browser
def test_an_existing_rule_is_changed_on_top_of_a_draft(console: Console) -> None:
    token = console.user("lead", name="anna")
    known = next(rule for rule in console.service.engine.screener.lexicon.rules if rule.any_of and rule.suggestion)
    with console.service.store.read() as session:
        anna = principal_for(session.scalars(select(User)).one())
    from fastapi import Response

    from api.routes import rules
    from api.routes.rules_models import DraftInput

    rules.draft_rules(DraftInput(rules=[COUNTER], title="x"), Response(), console.service, anna)
    page = console.page(f"/rules/edit?id={known.id}&version=1", token=token)
    expect(page.locator(STATE)).to_contain_text("检查通过")
    fill(page, title="改过的名称", draft_title="两条一起改")
    expect(page.locator(".editor-side .changes ins")).to_have_text(["改过的名称"])
    page.click("text=保存草稿")
    page.wait_for_url("**/rules/version?id=2")
    expect(page.locator(".rule-change")).to_have_count(2)
    with console.service.store.read() as session:
        assert len(drafts.base(session, 2).content.rules) == 2


@pytest.mark.browser
def test_nothing_found_no_rights_and_addresses_that_lead_nowhere(console: Console) -> None:
    page = console.page("/rules?text=没有这样的规则", role="lead")
    expect(page.locator(".empty")).to_contain_text("没有符合条件的规则")
    for path in ("/rules/version?id=99", "/rules/version?id=x", "/rules/back-test?id=7", "/rules/edit?id=nothing"):
        console.open(page, path)
        expect(page.locator(".empty.error")).to_be_visible()
    console.open(page, "/rules/versions")
    expect(page.locator(".empty")).to_contain_text("还没有版本")
    console.open(page, "/rules/back-tests")
    expect(page.locator(".empty")).to_contain_text("还没有回测")
    page = console.page("/rules", role="reviewer")
    expect(page.locator(".empty.error")).to_be_visible()
    assert page.locator("nav a[href='/console/rules']").count() == 0
