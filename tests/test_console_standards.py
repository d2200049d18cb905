"""The standards page: clauses and how they are seen, limits changed by one person and published by another."""

import pytest

from tests.console import Console

pytestmark = pytest.mark.browser


def test_clauses_and_mapping_in_both_languages(console: Console) -> None:
    page = console.page("/standards", role="reviewer")
    assert page.inner_text(".standard-head h2") == "京东直通车服务事故界定标准"
    row = page.inner_text(".clauses-table tr:has-text('A.forced_end')")
    for word in ("强行结束沟通或转接", "看先后与时间", "过程检测", "条"):
        assert word in row
    assert "承诺未兑现" in page.inner_text(".leads div:has-text('promise.unkept')")
    assert page.query_selector("#limits") is None  # a reviewer reads only
    page.click("text=腾讯众创空间服务商服务标准")
    page.wait_for_url("**standard=tencent-zhongchuang")
    page.wait_for_selector(".standard-head")
    assert "60 秒" in page.inner_text("table:has(caption:text('数值要求')) tr:has-text('首次响应慢')")
    english = console.page("/standards", role="reviewer", language="en")
    assert "course of the conversation" in english.inner_text(".clauses-table tr:has-text('A.forced_end')")


def test_a_limit_is_drafted_by_one_and_published_by_another(console: Console) -> None:
    anna, bert = console.user("admin", name="anna"), console.user("lead", name="bert")
    page = console.page("/standards", token=anna)
    field = "[name='limit:response.unattended_emotion:online']"
    assert page.get_attribute(field, "placeholder") == "30"
    page.fill(field, "soon")
    page.fill("[name=title]", "情绪安抚放宽到 45 秒")
    page.click("#limits button[type=submit]")
    page.wait_for_selector("#limits .problem >> text=no number")
    assert page.input_value(field) == "soon"  # nothing typed is lost
    page.fill(field, "45")
    page.click("#limits button[type=submit]")
    page.wait_for_selector("#limits >> text=等另一个人发布")
    assert page.query_selector("[data-act=publish]") is None
    other = console.page("/standards", token=bert)
    assert '"value": 45' in other.inner_text(".changes")
    other.click("[data-act=publish]")
    other.click("dialog .primary")
    other.wait_for_selector("#limits >> text=生效中")
    assert "情绪安抚放宽" in other.inner_text("#limits tbody >> nth=1")


def test_an_unknown_standard_and_a_role_that_may_not(console: Console) -> None:
    page = console.page("/standards?standard=nothing", role="reviewer")
    assert "找不到这项内容" in page.inner_text("main")
    desk = console.page("/standards", role="agent_desk")
    assert "您的角色不能进行这项操作" in desk.inner_text("main")
