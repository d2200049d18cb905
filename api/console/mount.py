"""Mounts the console on the service's application. NiceGUI is one per process, and so is the console."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import core
from nicegui.middlewares import SetCacheControlMiddleware
from starlette.middleware.gzip import GZipMiddleware

from api.console.guard import Guard, bind_sockets
from api.console.words import DEFAULT
from api.wiring import Service

PATH = "/console"
PAGES = ("triage", "rules", "rule_edit", "rule_versions", "back_tests", "users", "audit", "jobs", "dashboard", "standards")
_RECONNECT_SECONDS = 60.0  # so long a page waits for a browser whose connection dropped


def mount(app: FastAPI, service: Service) -> None:
    """Put the console under `PATH`; whoever runs the application also enters `running`."""
    _configured()
    app.mount(PATH, GZipMiddleware(Guard(nicegui_app, service)))


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    """NiceGUI's own start and end."""
    async with nicegui_app.router.lifespan_context(nicegui_app):
        yield


@cache
def _configured() -> None:
    config: Any = core.app.config
    config.socket_io_js_transports = ["websocket"]
    config.quasar_config["loadingBar"]["skipHijack"] = True
    config.add_run_config(
        reload=False,
        title="Conversation Screening",
        viewport="width=device-width, initial-scale=1",
        favicon=Path(str(resources.files("api.console") / "static" / "icon.svg")),
        dark=None,
        language=DEFAULT,
        binding_refresh_interval=None,
        reconnect_timeout=_RECONNECT_SECONDS,
        message_history_length=1000,
        tailwind=False,
        unocss=None,
        prod_js=True,
        show_welcome_message=False,
        markdown=False,
    )
    bind_sockets()
    # uvicorn's line on a websocket holds its query, and with it the page's id
    logging.getLogger("uvicorn.error").addFilter(lambda record: "WebSocket" not in str(record.msg))
    nicegui_app.add_middleware(SetCacheControlMiddleware)
    nicegui_app.add_static_files("/static", str(resources.files("api.console") / "static"), max_cache_age=0)
    import_module("api.console.login")
    for page in PAGES:
        import_module(f"api.console.pages.{page}")
