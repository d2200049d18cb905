"""A desk's session: takes its messages in order, judges turns and drafts, counts limits down, and keeps what the desk has not confirmed."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec
import structlog
from fastapi.concurrency import run_in_threadpool

from api import bringing, inputs
from api.access import Principal, forbidden
from api.assist import timers
from api.assist.lane import Judged
from api.assist.messages import (
    About,
    DraftMessage,
    End,
    ErrorMessage,
    Flags,
    Hello,
    Kept,
    Limits,
    OpenPromise,
    Resume,
    ScreeningMessage,
    Sequenced,
    TimerMessage,
    TurnMessage,
    Typing,
    VerdictMessage,
    decoded,
    told_of,
)
from api.assist.outbox import Outbox
from api.assist.running import Pending, Running, turn_of
from api.assist.timers import Alarms
from api.assist.verdict import DEADLINE_MOST, Draft, window_of
from api.clock import SECOND
from api.engine import NotReadyError, OverloadedError
from api.errors import ApiError, as_api_error, over_limit
from api.wiring import Service
from screening.errors import InputError
from screening.readers import records
from screening.replay import encode
from screening.types import Conversation, Screening

OUTBOX = 4096
BUSY = 256
"""So many turns and drafts of a session may wait; then nothing more is read from its socket."""
_JUDGING_SECONDS = 10.0
_TRIES = 3
_PAUSE_SECONDS = 0.5
_TYPING_SECONDS = 10
_log = structlog.get_logger("stream")


class Connection(Protocol):
    """What a session knows of its socket."""

    def posted(self, session: "Session") -> None:
        """There is one message more."""

    def look(self, now: int) -> None:
        """See whether the desk has been idle for too long at `now`."""

    def give_way(self, error: Any) -> None:
        """Close the socket for this reason."""


class GapError(Exception):
    """A message of the desk is missing before this one."""


class Session:
    """One desk's session; lives longer than its socket. All methods belong to the event loop."""

    def __init__(self, service: Service, principal: Principal, name: str, limits: Limits, alarms: Alarms[Running]):
        self.service = service
        self.principal = principal
        self.name = name
        self.limits = limits
        self.conversations: dict[str, Running] = {}
        self.received = 0
        self.outbox = Outbox(most=OUTBOX, size=limits.bytes)
        self.changed = asyncio.Event()
        """Set where there is something to send."""
        self.again = False
        """Whether an ack is due for messages that came twice."""
        self.connection: Connection | None = None
        self.room = asyncio.Event()
        self.room.set()
        self._alarms = alarms
        self._busy = 0
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, data: str) -> None:
        """Take a message of the desk; what is wrong with it is told as `error`. Raises `GapError` where one is missing before it."""
        try:
            if len(data.encode()) > self.limits.message_bytes:
                raise over_limit(f"the message is longer than {self.limits.message_bytes} bytes (stream_message_bytes)", "")
            message = decoded(data)
        except ApiError as error:
            seq, conversation = told_of(data)
            if seq is None or self._is_next(seq):
                self._refuse(error, seq, conversation)
            return
        if isinstance(message, Hello | Resume):
            self._refuse(
                ApiError(409, "session_stands", "the session stands already; `hello` and `resume` come first only"), None, None
            )
            return
        if message.received is not None:
            self.outbox.confirmed(min(message.received, self.outbox.last))
        if not self._is_next(message.seq):
            return
        try:
            match message:
                case TurnMessage():
                    self._turn(message)
                case DraftMessage():
                    self._draft(message)
                case Typing():
                    self._typing(message)
                case End():
                    self._end(message)
        except Exception as error:
            self._refuse(error, message.seq, message.conversation)

    def _is_next(self, seq: int) -> bool:
        if seq > self.received + 1:
            raise GapError(f"message {self.received + 1} is missing before {seq}; go on with {self.received + 1}")
        self.changed.set()
        if seq <= self.received:
            self.again = True
            return False
        self.received = seq
        return True

    def _refuse(self, error: Exception, of: int | None, conversation: str | None) -> None:
        known = as_api_error(error)
        if known.code == "internal":
            _log.exception("message_failed", exc_info=error)
        self._post(lambda seq: ErrorMessage(seq, of, conversation, known.code, known.message, known.field))

    def _post(self, made: Callable[[int], Sequenced]) -> None:
        self.outbox.add(made)
        self.changed.set()
        if self.connection is not None:
            self.connection.posted(self)

    def drop(self) -> None:
        """Forget everything; what is being judged is judged for nobody."""
        for running in self.conversations.values():
            self._alarms.set(running, None)
        self.conversations.clear()
        for task in list(self._tasks):
            task.cancel()

    def _turn(self, message: TurnMessage) -> None:
        running = self.conversations.get(message.conversation)
        self._held_to_limits(message, running)
        if running is None:
            running = self._opened(message)
        elif message.about is not None:
            raise ApiError(409, "open_already", "the conversation is open; `about` goes with its first turn only", "/about")
        before = running.size
        number = running.take(turn_of(message))
        self._bytes += running.size - before
        self._queue(running, Pending(message, number, self.service.clock()))

    def _held_to_limits(self, message: TurnMessage, running: Running | None) -> None:
        limits = self.limits
        if len(message.text) > limits.text_length:
            told = f"the text has {len(message.text)} characters, more than the limit of {limits.text_length} (max_text_length)"
            raise over_limit(told, "/text")
        if self._bytes + len(message.text) > limits.bytes:
            raise over_limit(f"the open conversations hold more than {limits.bytes} bytes (stream_bytes); end some", "/text")
        if running is None:
            if len(self.conversations) >= limits.conversations:
                told = f"{limits.conversations} conversations are open (stream_conversations); end some first"
                raise over_limit(told, "/conversation")
        elif running.ending:
            raise ApiError(409, "ending", "the conversation is being ended; wait for its `screening`", "/conversation")
        elif running.turns >= limits.turns:
            raise over_limit(f"the conversation has {running.turns} turns, the limit (max_turns); end it", "/conversation")

    def _opened(self, message: TurnMessage) -> Running:
        about = message.about or About()
        conversation = Conversation(
            message.conversation, (turn_of(message),), about.channel, about.vendor_id, about.agent_id, about.customer_id
        )
        owned = bringing.owned_by(self.principal, inputs.checked(records.checked(conversation), self.service.settings))
        running = Running(message.conversation, self.name, msgspec.structs.replace(about, vendor_id=owned.vendor_id))
        self.conversations[message.conversation] = running
        return running

    def _draft(self, message: DraftMessage) -> None:
        if message.deadline_ms is not None and not 1 <= message.deadline_ms <= DEADLINE_MOST:
            raise ApiError(422, "invalid", f"`deadline_ms` must lie between 1 and {DEADLINE_MOST}", "/deadline_ms")
        running = self.conversations.get(message.conversation)
        before = Conversation(message.conversation, ()) if running is None else running.before_draft()
        draft = Draft(window_of(before, message.text, self.service.settings), message.deadline_ms)
        self._start(self._judge_draft(message, draft))

    async def _judge_draft(self, message: DraftMessage, draft: Draft) -> None:
        try:
            verdict = await self.service.desk.judge(draft)
        except Exception as error:
            self._refuse(error, message.seq, message.conversation)
        else:
            self._post(lambda seq: VerdictMessage(seq, message.seq, message.conversation, verdict))

    def _typing(self, message: Typing) -> None:
        running = self._known(message.conversation)
        if message.role == "agent":
            running.typing_until = self.service.clock() + _TYPING_SECONDS * SECOND
            self._show_timers(running)

    def _end(self, message: End) -> None:
        running = self._known(message.conversation)
        if message.store and "ingest" not in self.principal.actions:
            raise forbidden(self.principal, "ingest")
        if running.ending:
            raise ApiError(409, "ending", "the conversation is being ended already", "/conversation")
        running.ending = True
        self._queue(running, Pending(message, running.turns, self.service.clock()))

    def _known(self, conversation: str) -> Running:
        running = self.conversations.get(conversation)
        if running is None:
            raise ApiError(404, "not_found", "there is no such open conversation; its first `turn` opens it", "/conversation")
        return running

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._busy += 1
        if self._busy >= BUSY:
            self.room.clear()
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._busy -= 1
        if self._busy < BUSY:
            self.room.set()

    def _queue(self, running: Running, pending: Pending) -> None:
        running.pending.append(pending)
        if not running.working:
            running.working = True
            self._start(self._work(running))

    async def _work(self, running: Running) -> None:
        """What waits for one conversation, in order."""
        while running.pending:
            message = running.pending[0].message
            try:
                if isinstance(message, End):
                    await self._finish(running, message)
                else:
                    await self._judge(running, message, running.pending[0])
            except Exception as error:
                running.ending = False
                self._refuse(error, message.seq, message.conversation)
            running.pending.popleft()
        running.working = False

    async def _judge(self, running: Running, message: TurnMessage, pending: Pending) -> None:
        turn, number = turn_of(message), pending.number
        screener = self.service.engine.screener
        window = running.window(turn, screener.reach)
        judged = await self._asked(window, number)
        course = running.course._replace(turns=number)
        if judged is None or judged.turn is None:
            running.judged(number, turn, frozenset(), screener.reach)
            running.course, running.timers = course._replace(turns=number + 1, timed=False), []
            undone = ("rules", "timing") if judged is None else (*judged.undone, "timing")
            self._post(lambda seq: Flags(seq, message.seq, running.id, number, (), (), None, False, undone))
        else:
            running.course, screening, running.timers = judged.screener.follow(window, judged.turn, course)
            running.judged(number, turn, judged.turn.seen.kinds, judged.screener.reach)
            if judged.turn.seen.at is not None:
                running.lag = min(running.lag, pending.at / SECOND - judged.turn.seen.at)
            self._tell(running, message, number, screening, judged.undone)
        self._show_timers(running)

    async def _asked(self, window: Conversation, number: int) -> Judged | None:
        """The window's last turn, asked for again where not even the rules were done; None where that does not help."""
        judged = None
        for _ in range(_TRIES):
            try:
                judged = await self.service.lane.last_turn(window, _JUDGING_SECONDS, number)
            except OverloadedError:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            except (NotReadyError, InputError):
                break
            if judged.turn is not None:
                break
        return judged

    def _tell(self, running: Running, message: TurnMessage, number: int, screening: Screening, undone: tuple[str, ...]) -> None:
        flags = running.tell(screening.flags, number)
        unsure = () if running.course.timed else ("timing",)
        not_checked = tuple(dict.fromkeys((*screening.not_checked, *undone, *unsure)))
        complete = screening.complete and not undone
        self._post(
            lambda seq: Flags(
                seq, message.seq, running.id, number, flags, screening.candidates, screening.level, complete, not_checked
            )
        )

    def woken(self, running: Running) -> None:
        """A limit of the conversation is about to break, or breaks."""
        if running.id in self.conversations:
            self._show_timers(running)

    def _show_timers(self, running: Running) -> None:
        """Tell of the timers where something changed since the desk was told, and set the alarm for the next change."""
        now = self.service.clock()
        desk_now = now / SECOND - running.lag
        found = timers.countdowns(running.timers, desk_now, self._zone(running))
        typing = now < running.typing_until
        shown = (typing and bool(found), *((own.kind, own.turn, own.breaks_at, own.state) for own in found))
        if shown != running.shown:
            running.shown = shown
            self._post(lambda seq: TimerMessage(seq, running.id, found, typing))
        moment = timers.next_change(running.timers, desk_now)
        self._alarms.set(running, None if moment is None else timers.clock_time(moment, running.lag))

    def _zone(self, running: Running) -> ZoneInfo:
        return self.service.engine.screener.zone_of(running.about.vendor_id)

    async def _finish(self, running: Running, message: End) -> None:
        conversation = running.whole(message)
        kept = None
        found = await run_in_threadpool(bringing.known, self.service, self.principal, conversation) if message.store else None
        if found is None:
            screening = await self.service.engine.screen(conversation)
            body = encode(screening)
            if message.store:
                found = await run_in_threadpool(bringing.keep, self.service, self.principal, conversation, screening)
        if found is not None:
            kept, body = Kept(found[0].revision, found[0].screening_id, found[0].outcome), found[1]
        added, withdrawn = running.revised(body)
        self._close(running)
        now, zone = self.service.clock() / SECOND - running.lag, self._zone(running)
        promises = tuple(
            OpenPromise(timer.turn, datetime.fromtimestamp(timer.breaks_at, zone))
            for timer in running.timers
            if timer.kind == "promise" and timer.breaks_at >= now
        )
        whole = msgspec.Raw(body)
        self._post(lambda seq: ScreeningMessage(seq, message.seq, running.id, whole, added, withdrawn, promises, kept))

    def _close(self, running: Running) -> None:
        del self.conversations[running.id]
        self._bytes -= running.size
        self._alarms.set(running, None)
