"""What every page of the console shares: the way in, the frame with its navigation, and how errors and emptiness look."""

import copy
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from functools import cache, wraps
from importlib import resources
from typing import Any, Literal, NamedTuple

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from jinja2 import Environment, PackageLoader, select_autoescape
from nicegui import ui
from starlette.requests import Request
from starlette.responses import Response

from api import access
from api.access import Action, Principal
from api.console.visitor import Visitor, visitor_of
from api.console.words import LANGUAGES
from api.errors import ApiError

ROOT = "/console"


class Entry(NamedTuple):
    """A place in the navigation, for those who may do `action`."""

    key: str
    path: str
    action: Action


NAVIGATION = (
    Entry("triage", "/", "review"),
    Entry("dashboard", "/dashboard", "review"),
    Entry("rules", "/rules", "rules"),
    Entry("standards", "/standards", "read"),
    Entry("jobs", "/jobs", "jobs"),
    Entry("desk", "/desk", "screen"),
    Entry("users", "/users", "users"),
    Entry("audit", "/audit", "audit"),
)
_paths: set[str] = set()
_templates = Environment(loader=PackageLoader("api.console"), autoescape=select_autoescape(default=True), trim_blocks=True)

Body = Callable[[Visitor, Principal], Awaitable[None]]


def template(file: str, **values: object) -> str:
    """One of the console's templates, everything in it escaped."""
    return _templates.get_template(file).render(**values)


@cache
def asset(name: str) -> str:
    """The address of a file under `static`, changed whenever its content is."""
    content = (resources.files("api.console") / "static" / name).read_bytes()
    return f"{ROOT}/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def page(path: str, key: str, action: Action, *, styles: tuple[str, ...] = (), wide: bool = False) -> Callable[[Body], Body]:
    """Register a page: `body(visitor, principal)` fills the frame, for whoever may do `action`; others are told so.

    `key` names it in the navigation and titles it (`nav.<key>`). `wide` pages get the whole window without margins or scrolling.
    """

    def register(body: Body) -> Body:
        @wraps(body)
        async def built(request: Request) -> Response | None:
            visitor = visitor_of(request)
            try:
                principal = await run_in_threadpool(visitor.principal)
            except ApiError as error:
                if error.status_code == 401:
                    return RedirectResponse(f"{ROOT}/login?next={request.url.path}", 303)
                raise
            with frame(visitor, principal, key, styles=styles, wide=wide):
                try:
                    access.check(principal, action)
                    await body(visitor, principal)
                except ApiError as error:
                    failure(visitor, error)
            return None

        built.__annotations__ = {"request": Request, "return": Any}
        del built.__wrapped__  # FastAPI reads the signature of what it wraps
        ui.page(path, response_timeout=20)(built)
        _paths.add(path)
        return body

    return register


@contextmanager
def frame(visitor: Visitor, principal: Principal, key: str, *, styles: tuple[str, ...], wide: bool) -> Any:
    """The frame of a page in the visitor's language and theme; what is built inside becomes its content."""
    t = visitor.words
    client = ui.context.client
    client.page = copy.copy(client.page)
    client.page.language = "en-US" if visitor.language == "en" else visitor.language
    client.page.dark = visitor.dark
    client.title = f"{t(f'nav.{key}')} - {t('product')}"
    theme = {True: "dark", False: "light", None: "auto"}[visitor.dark]
    ui.add_head_html(template("head.html", styles=[asset(name) for name in ("console.css", *styles)], theme=theme))
    ui.add_head_html(template("scripts.html", scripts=[asset("console.js")]))
    entries = [
        {"name": t(f"nav.{one.key}"), "href": ROOT + one.path, "here": one.key == key}
        for one in NAVIGATION
        if one.action in principal.actions and one.path in _paths
    ]
    header = template(
        "header.html",
        t=t,
        entries=entries,
        who=principal.actor.partition(":")[2],
        role=t(f"role.{principal.role}"),
        theme=theme,
        language=next(one for one in LANGUAGES if one != visitor.language),
    )
    ui.html(header, sanitize=False, tag="header").classes("console-header")
    with ui.element("main").classes("console-main" + (" console-wide" if wide else "")).props("id=main tabindex=-1"):
        yield


def acting(visitor: Visitor, handler: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """An event handler that shows `ApiError` to the visitor instead of failing; a session that is over leads to the login."""

    @wraps(handler)
    async def handled(*given: Any, **named: Any) -> None:
        try:
            await handler(*given, **named)
        except ApiError as error:
            if error.status_code == 401:
                ui.navigate.to(f"/login?next={ui.context.client.request.url.path}")
            else:
                notify(visitor.problem(error), "bad")

    return handled


def notify(text: str, kind: Literal["good", "bad", "plain"] = "plain") -> None:
    """A short message that goes by itself; errors stay until they are closed."""
    stays = kind == "bad"
    ui.notify(
        text,
        position="bottom",
        classes=f"notice notice-{kind}",
        color="none",
        textColor="none",
        timeout=0 if stays else 3000,
        close_button="×" if stays else False,
    )


def empty(title: str, text: str, *, kind: Literal["empty", "error"] = "empty") -> None:
    """What stands where there is nothing to show: what that means, and what to do next."""
    ui.html(template("empty.html", title=title, text=text, kind=kind), sanitize=False).classes("empty-frame")


def failure(visitor: Visitor, error: ApiError) -> None:
    """What stands where something could not be shown."""
    empty(visitor.words("state.error"), visitor.problem(error), kind="error")


def heading(title: str, text: str = "") -> None:
    """The heading of a page with a line on what it is for."""
    ui.html(template("heading.html", title=title, text=text), sanitize=False).classes("page-heading")
