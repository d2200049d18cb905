"""No page of the console has a serious fault of accessibility, in either theme (axe-core: `npm install --prefix tests`)."""

from pathlib import Path

import pytest

from screening.pipeline import Screener
from tests.console import Console
from tests.reviewing import ABUSE, DIVERSION, chat, kept

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
PAGES = ("/login", "/", "/dashboard", "/rules", "/standards", "/jobs", "/users", "/audit")
RUN = """async () => {
  const found = await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] });
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.slice(0, 4).map((node) => node.html.slice(0, 160) + " " + node.failureSummary).join(" | ")}`);
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: npm install --prefix tests"),
]


def test_no_serious_fault_on_any_page(console: Console, screener: Screener) -> None:
    kept(console.service.store, screener, [chat("c-1", DIVERSION), chat("c-2", ABUSE, hours=1)], at=console.service.clock())
    token = console.user("admin")
    source = AXE.read_text("utf-8")
    found: dict[tuple[str, str], list[str]] = {}
    for theme in ("light", "dark"):
        for path in PAGES:
            page = console.page(path, token="ss_none" if path == "/login" else token, theme=theme)
            page.wait_for_load_state("networkidle")
            if path == "/":
                page.wait_for_selector("#decision form")
                page.keyboard.press("y")
            page.evaluate(source)
            problems = page.evaluate(RUN)
            if problems:
                found[path, theme] = problems
            page.context.close()
    assert found == {}
