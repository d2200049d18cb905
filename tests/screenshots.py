"""Pictures of every page of the console: `python -m tests.screenshots FOLDER [PAGE...]`, light and dark, two sizes, English for two."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from tests.console import Console, browser, listening

PAGES = {
    "triage": "/",
    "dashboard": "/dashboard",
    "rules": "/rules",
    "standards": "/standards",
    "jobs": "/jobs",
    "desk": "/desk",
    "users": "/users",
    "audit": "/audit",
}
ENGLISH = ("triage", "dashboard")
SIZES = ((1280, 720), (1920, 1080))


@contextmanager
def demo(folder: Path) -> Iterator[Console]:
    """The console over the demo's archive, screened by rules alone."""
    os.environ.setdefault("SCREENING_CLASSIFIER", "none")
    from api import serving
    from api.app import create_app
    from api.engine import ScreeningEngine
    from api.settings import Settings
    from api.wiring import open_screener

    settings = Settings(demo=True, database=f"sqlite:///{folder / 'demo.db'}", workers=0)
    screener = open_screener(settings)
    serving.prepare_demo(settings, screener)
    app = create_app(settings, engine=ScreeningEngine(lambda: screener, queue_turns=settings.queue_turns))
    with browser() as opened, listening(app) as address:
        yield Console(app.state.service, address, opened)


def settled(page: Page) -> None:
    """Wait until nothing comes any more."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(600)


def main(folder: Path, names: list[str]) -> None:
    """Take the pictures of these pages (all, where none is named)."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store, demo(Path(store)) as console:
        token = console.user("admin", name="admin")
        for name in names or ["login", *PAGES]:
            for language in ("zh-CN", "en") if name in ENGLISH else ("zh-CN",):
                for theme in ("light", "dark"):
                    for size in SIZES:
                        path, own = ("/login", "ss_none") if name == "login" else (PAGES[name], token)
                        page = console.page(path, token=own, language=language, theme=theme, size=size)
                        settled(page)
                        page.screenshot(path=str(folder / f"{name}-{language}-{theme}-{size[0]}.png"))
                        page.context.close()
    if console.problems:
        sys.exit("the browser reported:\n" + "\n".join(console.problems))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
