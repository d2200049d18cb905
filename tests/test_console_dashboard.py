"""The dashboard page: charts over real conversations, filters in the address, exports; empty, error, role."""

from pathlib import Path

import pytest

from api import ingest, wiring
from screening.types import Conversation
from tests.console import Console

pytestmark = pytest.mark.browser


@pytest.fixture
def archived(console: Console, archive: list[Conversation]) -> Console:
    screener = console.service.engine.screener
    work = [(one, screener.screen(one)) for one in archive[:30]]
    with console.service.store.write() as session:
        ingest.keep(session, work, wiring.keeping(console.service), console.service.clock())
    return console


def test_charts_filters_and_exports(archived: Console) -> None:
    page = archived.page("/dashboard", size=(1920, 1080))
    page.wait_for_selector("[data-chart=rates] canvas")
    assert "confirmation" in [one.get_attribute("data-chart") for one in page.query_selector_all(".card")]
    total = int(page.inner_text(".figures dd >> nth=0"))
    assert total > 0
    with page.expect_download() as download:
        page.click("[data-chart=incidents_by_vendor] >> text=CSV")
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert lines[0] == "供应商,A 级,B 级,C 级,累计占比"
    assert sum(int(cell) for line in lines[1:] for cell in line.split(",")[1:4]) == total
    with page.expect_download() as download:
        page.click("[data-chart=incidents_by_day] >> text=PNG")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    vendor = lines[1].split(",")[0]
    page.fill("[name=vendor]", vendor)
    page.keyboard.press("Enter")
    page.wait_for_function(
        f"Number(document.querySelector('.figures dd').textContent) === {sum(map(int, lines[1].split(',')[1:4]))}"
    )
    assert f"vendor={vendor}" in page.url
    page.go_back()
    page.wait_for_function(f"Number(document.querySelector('.figures dd').textContent) === {total}")


def test_nothing_in_the_period_and_a_period_too_long(archived: Console) -> None:
    page = archived.page("/dashboard?since=2001-01-01&until=2001-01-05", language="en")
    page.wait_for_selector("#charts .empty")
    assert "No conversation from 2001-01-01 to 2001-01-05 fits" in page.inner_text("#charts")
    archived.open(page, "/dashboard?since=2001-01-01&until=2025-01-05")
    page.wait_for_selector("#problem:not([hidden])")
    assert "366 days" in page.inner_text("#problem")
    archived.problems.clear()  # the browser reports the refused request itself
    page.click("text=Clear")
    page.wait_for_selector("[data-chart=rates] canvas")
    assert page.is_hidden("#problem")


def test_who_may_not_review_is_told_so(console: Console) -> None:
    page = console.page("/dashboard", role="agent_desk")
    assert "您的角色不能进行这项操作" in page.inner_text("main")
    assert page.query_selector("#dashboard") is None
