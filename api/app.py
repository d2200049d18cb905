"""The HTTP application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import screening
from api import errors, openapi
from api.assist.streams import Streams
from api.clock import Clock, system_clock
from api.engine import ScreeningEngine
from api.middleware import Gate
from api.routes import ROUTERS
from api.settings import Settings
from api.wiring import build

_ABOUT = "Screens Chinese customer-service conversations against written service standards, and lets people decide."


def create_app(settings: Settings, clock: Clock = system_clock, engine: ScreeningEngine | None = None) -> FastAPI:
    """The application on a service of its own; `engine` replaces the one that the settings ask for.

    It answers at once and is ready (`/readyz`) as soon as the lexicon is loaded. When it stops, what waits is finished first.
    """
    service = build(settings, clock, engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.engine.start()
        service.lane.start()
        service.follower.start()
        yield
        await app.state.streams.close()
        await asyncio.to_thread(service.follower.stop)
        await asyncio.to_thread(service.lane.close)
        await asyncio.to_thread(service.engine.close)
        service.store.close()

    app = FastAPI(
        title="Conversation Screening",
        version=screening.__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url="/docs" if settings.docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
    )
    app.state.service = service
    app.state.streams = Streams(service)
    app.add_middleware(Gate, settings=settings)
    errors.install(app)
    openapi.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
