"""The jobs page: upload, mapping, progress, results, refusals; who may see it."""

import io
from pathlib import Path

import pytest

from api.jobs import worker
from tests.console import Console
from tests.test_jobs import RUDE

pytestmark = pytest.mark.browser
ROWS = [
    ["单号", "谁说的", "说了什么", "几点", "打分"],
    ["t-1", "买方", "能便宜点吗", "2026-03-02 10:00:00", "满意"],
    ["t-1", "卖方", RUDE, "2026-03-02 10:00:20", ""],
    ["t-2", "买方", "在吗", "2026-03-02 11:00:00", ""],
    ["t-2", "卖方", "在的，<b onclick=alert(1)>您请讲</b>", "2026-03-02 11:00:05", ""],
    ["t-3", "路人", "我是谁", "2026-03-02 12:00:00", ""],
]


def workbook() -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        for name in ("三月", "说明"):
            sheet = book.add_worksheet(name)
            for row, cells in enumerate(ROWS if name == "三月" else [["这里没有会话"]]):
                sheet.write_row(row, 0, cells)
    return out.getvalue()


def test_an_xlsx_is_mapped_by_hand_screened_and_its_results_opened(console: Console, tmp_path: Path) -> None:
    page = console.page("/jobs", role="lead")
    page.wait_for_selector("#job-list .empty")
    assert "还没有任务" in page.inner_text("#job-list")
    file = tmp_path / "三月.xlsx"
    file.write_bytes(workbook())
    page.set_input_files("#job-file", file)
    page.wait_for_selector(".preview")
    assert "表里有：单号，谁说的，说了什么，几点，打分" in page.inner_text(".preview-problem")  # the columns that exist
    assert page.is_disabled(".start")
    for field, title in (("id", "单号"), ("role", "谁说的"), ("text", "说了什么"), ("at", "几点")):
        page.select_option(f"#map-{field}", title)
        page.wait_for_function(f"document.activeElement?.id === 'map-{field}'")
    page.click(".mapping summary")
    page.select_option("#map-rating", "打分")
    page.wait_for_function("document.activeElement?.id === 'map-rating'")
    for role, word in (("agent", "卖方"), ("customer", "买方")):
        page.fill(f"#role-{role}", word)
        page.keyboard.press("Tab")
        page.wait_for_function(f"document.activeElement?.id === 'role-{role}'")
    page.wait_for_selector(".sample")
    assert "<b onclick=alert(1)>您请讲</b>" in page.inner_text(".samples")  # shown as it stands, not run
    assert "第 6 行会被拒收" in page.inner_text(".samples")
    page.click(".start")
    page.wait_for_selector(".job")
    worker.drain(console.service)
    page.wait_for_selector(".job .tag-warn")
    assert page.inner_text(".job-came").split() == ["新增", "2", "拒收", "1"]
    assert page.get_attribute(".job .bar", "aria-valuenow") == "100"
    with page.expect_download() as download:
        page.click("text=下载拒收清单")
    assert "'路人'" in Path(download.value.path()).read_text("utf-8-sig")
    page.click("text=结果")
    assert page.inner_text(".job-found tbody td:nth-child(2)") == "t-1"
    assert page.get_attribute(".job-found a", "href") == "/console/?conversation=t-1"


def test_bad_files_and_cancelling(console: Console, tmp_path: Path) -> None:
    page = console.page("/jobs", role="lead", language="en")
    page.wait_for_selector(".drop")
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    page.set_input_files("#job-file", empty)
    assert page.inner_text(".note-bad") == "“empty.csv” is empty"
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"no workbook")
    page.set_input_files("#job-file", broken)
    page.wait_for_selector(".preview-problem:not([hidden])")
    assert "save it again as XLSX" in page.inner_text(".preview-problem")
    page.click("text=Discard")
    good = tmp_path / "chat.txt"
    good.write_text("客户：在吗\n客服：在的\n", encoding="utf-8")
    page.set_input_files("#job-file", good)
    page.click(".start:enabled")
    page.click(".job >> text=Cancel")
    page.wait_for_selector(".job >> text=Cancelled")
    assert page.is_hidden(".job >> text=Results")


def test_a_reviewer_is_told_that_jobs_are_not_his(console: Console) -> None:
    page = console.page("/jobs", role="reviewer")
    assert "您的角色不能进行这项操作" in page.inner_text("main")
    assert page.query_selector("#jobs") is None
