"""Brings every process to the rules and the profile in force, without a restart and without losing a request."""

import gc
import threading
from typing import NamedTuple, TypeVar

import msgspec
import structlog
from prometheus_client import Info
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.engine import NotReadyError, ScreeningEngine
from api.overlay import profiles
from api.store.engine import Store
from api.store.tables_rules import Overlay, SettingsVersion
from lexicons import overlay
from lexicons.errors import LexiconError
from lexicons.load import Lexicon, check_rule
from lexicons.schema import Rule
from screening.errors import InputError
from screening.pipeline import Screener
from screening.profile import Profile
from screening.types import Conversation, Turn

POLL_SECONDS = 1.0
_OPENING_SECONDS = 0.02
# What is loaded at first need is loaded before anybody waits for it.
FIRST = Conversation(id="first", turns=(Turn("agent", "滚筒洗衣机 jia wo wei xin，加我微信，滚"),))
_LOADED = Info("screening_versions", "Lexicon and settings that this process screens with")
_log = structlog.get_logger("rules")
_T = TypeVar("_T")


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a version of the overlay: all its rules, by id, and what reviewers judged (`Lexicon.judged`)."""

    rules: tuple[Rule, ...] = ()
    judged: dict[str, tuple[int, int, int]] = {}


class InForce(NamedTuple):
    """The rows that hold: at most one published overlay and profile, and any number of overlays in the shadow."""

    published: int | None
    shadow: tuple[int, ...]
    profile: int | None


NOTHING = InForce(None, (), None)


def in_force(session: Session) -> InForce:
    """What holds now."""
    states = select(Overlay.id, Overlay.state).where(Overlay.state.in_(("published", "shadow"))).order_by(Overlay.id)
    rows = list(session.execute(states))
    profile = session.scalar(select(SettingsVersion.id).where(SettingsVersion.state == "published"))
    published = next((row.id for row in rows if row.state == "published"), None)
    return InForce(published, tuple(row.id for row in rows if row.state == "shadow"), profile)


def content_of(session: Session, version_id: int | None) -> Content:
    """What a version of the overlay holds; nothing for None."""
    return Content() if version_id is None else msgspec.json.decode(session.get_one(Overlay, version_id).body, type=Content)


def lexicon_of(session: Session, shipped: Lexicon, wanted: InForce) -> Lexicon:
    """The shipped lexicon with what holds over it; raises `LexiconError` where a published rule does not fit it (any more)."""
    published = content_of(session, wanted.published)
    shadow = [rule for id_ in wanted.shadow for rule in content_of(session, id_).rules]
    problems: list[str] = []
    for rule in (*published.rules, *shadow):
        check_rule(rule, overlay.file_of(rule), shipped, problems)
    if problems:
        raise LexiconError(problems)
    return overlay.overlaid(shipped, published.rules, shadow, published.judged)


class Follower:
    """Polls the store and swaps the engine's screener; `problem` says why what is in force could not be taken up."""

    def __init__(self, store: Store, engine: ScreeningEngine):
        self._store = store
        self._engine = engine
        self._lock = threading.Lock()
        self._shipped: tuple[Lexicon, Profile] | None = None
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)
        self.taken: InForce | None = None
        self.problem: str | None = None

    def start(self) -> None:
        """Follow in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a swap under way is finished."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def wake(self) -> None:
        """Look now: something was published here."""
        self._wake.set()

    @property
    def shipped(self) -> tuple[Lexicon, Profile]:
        """The lexicon and the profile under everything edited; raises `NotReadyError`."""
        if self._shipped is None:
            opened = self._engine.screener
            self._shipped = (opened.lexicon, opened.profile)
        return self._shipped

    def opened(self, screener: Screener) -> Screener:
        """The screener to begin with: with what is in force, where the store can tell."""
        with self._lock:
            self._shipped = (screener.lexicon, screener.profile)
            try:
                return self._built(screener)
            except SQLAlchemyError:  # no tables yet, or no database: `/readyz` says so, and the thread goes on asking
                return screener

    def follow(self) -> bool:
        """Take up what is in force; False where it is taken already. Raises `SQLAlchemyError`, `NotReadyError`."""
        with self._lock:
            present = self._engine.screener
            screener = self._built(present)
            if screener is present:
                return False
            self._engine.swap(screener)
        # the old one was frozen when the engine began; it goes only where collections look at it
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        return True

    def _built(self, present: Screener) -> Screener:
        """The screener of what is in force, `present` where that is what it has or where it does not fit."""
        with self._store.read() as session:
            wanted = in_force(session)
            if wanted == self.taken:
                return present
            if self.taken is None and wanted == NOTHING:
                return self._done(present, wanted)
            try:
                lexicon, profile = self.shipped
                made, under = lexicon_of(session, lexicon, wanted), profiles.of(session, profile, wanted.profile)
            except (LexiconError, InputError, msgspec.DecodeError) as error:
                return self._kept(present, wanted, error)
        try:
            if (made, under.profile, under.by_vendor()) == (present.lexicon, present.profile, present.vendors):
                screener = present
            else:
                screener = Screener(made, under.profile, present.detectors, vendors=under.by_vendor())
                screener.screen(FIRST)
        except InputError as error:
            return self._kept(present, wanted, error)
        return self._done(screener, wanted)

    def _done(self, screener: Screener, wanted: InForce) -> Screener:
        self.taken, self.problem = wanted, None
        _LOADED.info({"lexicon": screener.versions.lexicon, "settings": screener.versions.settings})
        _log.info("rules_taken_up", overlay=wanted.published, shadow=wanted.shadow, lexicon=screener.versions.lexicon)
        return screener

    def _kept(self, present: Screener, wanted: InForce, error: Exception) -> Screener:
        self.taken = wanted
        self.problem = f"what is in force does not fit this version's lexicon: {error}"
        _log.error("rules_refused", overlay=wanted.published, profile=wanted.profile, reason=str(error))
        return present

    def _run(self) -> None:
        said = False
        while not self._stopping:
            pause = POLL_SECONDS
            try:
                self.follow()
                said = False
            except NotReadyError:
                pause = _OPENING_SECONDS
            except SQLAlchemyError as error:
                if not said:
                    _log.warning("rules_unknown", error=type(error).__name__)
                said = True
            self._wake.wait(pause)
            self._wake.clear()
