"""Puts the service together: settings in, everything that routes and workers need out."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from api import classifiers
from api.assist.check import Desk
from api.assist.lane import Lane
from api.clock import Clock
from api.engine import ScreeningEngine
from api.overlay.follow import FIRST, Follower
from api.rates import Rates
from api.results import Keeping
from api.settings import Settings
from api.store.bodies import Bodies
from api.store.engine import Store
from lexicons.load import PACKAGED, load
from screening import profile
from screening.pipeline import Screener

if TYPE_CHECKING:
    from api.access import Principal


@dataclass(frozen=True)
class Service:
    """What a process of the service is made of. `remembered` holds API keys looked up a moment ago, by their digest."""

    settings: Settings
    clock: Clock
    store: Store
    bodies: Bodies
    engine: ScreeningEngine
    follower: Follower
    rates: Rates
    lane: Lane
    desk: Desk
    remembered: "dict[bytes, tuple[Principal, int, int]]" = field(default_factory=dict)


def open_screener(settings: Settings) -> Screener:
    """The screener of the settings, before anything edited in the service; raises `LexiconError` or `InputError`."""
    lexicon = load(settings.lexicon or PACKAGED)
    own = None if settings.profile is None else profile.load(settings.profile)
    screener = Screener(lexicon, own, classifiers.named(settings.classifier))
    screener.screen(FIRST)
    return screener


def build(settings: Settings, clock: Clock, engine: ScreeningEngine | None = None) -> Service:
    """The service of one process; the engine is not started yet. Raises `ValueError` where the database is none."""
    store = Store(settings.database)
    engine = engine or ScreeningEngine(lambda: follower.opened(open_screener(settings)), queue_turns=settings.queue_turns)
    follower = Follower(store, engine)
    lane = Lane(engine, limit=settings.queue_turns)
    return Service(
        settings=settings,
        clock=clock,
        store=store,
        bodies=Bodies(settings.keys(), settings.encryption_key),
        engine=engine,
        follower=follower,
        rates=Rates(settings.rate_per_minute),
        lane=lane,
        desk=Desk(lane),
    )


def keeping(service: Service) -> Keeping:
    """What storing needs to know; raises `NotReadyError` before the lexicon is loaded."""
    screener = service.engine.screener
    zones = {vendor: ZoneInfo(profile.timezone) for vendor, profile in screener.vendors.items()}
    return Keeping(service.bodies, service.settings, ZoneInfo(screener.profile.timezone), zones)
