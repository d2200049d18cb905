"""False alarms on traffic that is believed clean: how many flags, which, and where to look."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from screening.pipeline import Screener
from screening.types import Conversation, Flag

TIMING = ("response.", "process.hold_unannounced", "promise.unkept")


class Alarm(NamedTuple):
    """An active flag that does not rest on times, with the words around it."""

    conversation: str
    flag: Flag
    around: str


class FalseAlarms(NamedTuple):
    """What was counted: agent turns, alarms in order, alarms per signal."""

    agent_turns: int
    alarms: list[Alarm]
    by_signal: Counter[str]

    @property
    def per_thousand(self) -> float:
        """Alarms per 1,000 agent turns."""
        return 1000 * len(self.alarms) / self.agent_turns if self.agent_turns else 0.0


def false_alarms(screener: Screener, conversations: Iterable[Conversation], context: int = 20) -> FalseAlarms:
    """Screen conversations and keep every active flag that does not rest on times, with `context` characters around it."""
    kept: list[Conversation] = []
    alarms: list[Alarm] = []
    turns = 0

    def counted() -> Iterable[Conversation]:
        for conversation in conversations:
            kept.append(conversation)
            yield conversation

    for i, screening in enumerate(screener.screen_many(counted())):
        conversation = kept[i]
        turns += sum(turn.role == "agent" for turn in conversation.turns)
        for flag in screening.flags:
            if flag.status != "active" or flag.signal.startswith(TIMING):
                continue
            around = ""
            if flag.turn is not None and flag.start is not None and flag.end is not None:
                text = conversation.turns[flag.turn].text
                before, after = text[max(0, flag.start - context) : flag.start], text[flag.end : flag.end + context]
                around = f"{before}«{flag.quote}»{after}"
            alarms.append(Alarm(conversation.id, flag, around))
    return FalseAlarms(turns, alarms, Counter(alarm.flag.signal for alarm in alarms))
