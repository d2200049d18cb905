"""The login: a plain page whose script posts to the service's own `/v1/login`; the cookie it sets is the session of the console."""

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from nicegui import app

from api.console import shell
from api.console.visitor import visitor_of
from api.console.words import LANGUAGES
from api.errors import ApiError


@app.get("/login")
def login(request: Request, next: str = "") -> Response:
    """The login page; who is logged in already goes on."""
    visitor = visitor_of(request)
    target = next if next.startswith(shell.ROOT + "/") and "//" not in next and "\\" not in next else f"{shell.ROOT}/"
    try:
        visitor.principal()
    except ApiError:
        pass
    else:
        return RedirectResponse(target, 303)
    page = shell.template(
        "login.html",
        t=visitor.words,
        lang=visitor.language,
        language=next_language(visitor.language),
        theme={True: "dark", False: "light", None: "auto"}[visitor.dark],
        next=target,
        style=shell.asset("console.css"),
        script=shell.asset("console.js"),
        icon=shell.asset("icon.svg"),
    )
    return HTMLResponse(page, headers={"Cache-Control": "no-store"})


def next_language(language: str) -> str:
    """The other language."""
    return next(one for one in LANGUAGES if one != language)
