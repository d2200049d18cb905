"""The console as a browser meets it: the real application on a socket, a real Chromium before it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from api import users
from api.access import COOKIE

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.wiring import Service

CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
_ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PASSWORD = "korrekt-Pferd-7-Batterie"


class Console:
    """A running console; `page` opens the browser at one of its pages, logged in as a new user of a role."""

    def __init__(self, service: "Service", address: str, browser: Browser):
        self.service = service
        self.address = address
        self._browser = browser
        self.problems: list[str] = []

    def user(self, role: str, name: str | None = None, vendor: str | None = None) -> str:
        """A new user; gives the token of a session."""
        name = name or f"{role}-{time.monotonic_ns() % 10**9}"
        now = self.service.clock()
        with self.service.store.write() as session:
            users.add(session, name=name, password=PASSWORD, role=role, vendor_id=vendor, by="test", at=now)
        return users.login(self.service, name, PASSWORD, "test")[1].shown

    def page(
        self,
        path: str = "/",
        *,
        role: str = "reviewer",
        token: str | None = None,
        language: str = "zh-CN",
        theme: str = "light",
        size: tuple[int, int] = (1280, 720),
    ) -> Page:
        """A page in a browser of its own; what its console says goes to `problems`."""
        context = self._browser.new_context(viewport={"width": size[0], "height": size[1]})
        cookies = {COOKIE: (token or self.user(role), "/"), "console_language": (language, "/console")}
        cookies["console_theme"] = (theme, "/console")  # these two as the console's own script sets them
        host = self.address.removeprefix("http://").partition(":")[0]
        given = [{"name": name, "value": value, "domain": host, "path": place} for name, (value, place) in cookies.items()]
        context.add_cookies(given)  # type: ignore[arg-type]
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.on("console", lambda message: self.problems.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.open(page, path)
        return page

    def open(self, page: Page, path: str) -> None:
        """Go to a page of the console and wait until its websocket stands."""
        page.goto(f"{self.address}/console{path}")
        page.wait_for_function("window.did_handshake === true || document.getElementById('login') !== null")


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield opened
        opened.close()


@contextmanager
def listening(app: "FastAPI") -> Iterator[str]:
    """The application on a free port, served by a thread; gives its address."""
    server: Any = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the service does not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
