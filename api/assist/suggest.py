"""Other words for a draft that raises flags: a rule's suggestion in place of the flagged sentences, or of the whole draft.

Every suggestion was screened in its place, in the same conversation, and raises no flag.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from api.assist import slots
from api.assist.lane import Judged, Lane
from api.assist.policy import Policy, Reply
from api.assist.verdict import Draft, DraftFlag, Place, Suggestion
from screening.types import Conversation, Turn

MOST = 3
_SENTENCE = re.compile(r"[^。！？!?；;\n]*[。！？!?；;\n~～”’」』）)\s]*")
_RANK = {"block": 0, "advise": 1}


class _Candidate(NamedTuple):
    """Words that may stand for a part of the draft."""

    reply: Reply
    flag: DraftFlag
    text: str
    place: Place

    def applied(self, draft: str) -> str:
        """The draft with the words in their place."""
        return draft[: self.place.start] + self.text + draft[self.place.end :]


async def offered(
    lane: Lane, draft: Draft, flags: Sequence[DraftFlag], policy: Policy, until: float
) -> tuple[Suggestion, ...] | None:
    """Up to `MOST` suggestions, the gravest flag's first; None where they could not be screened `until` then."""
    tried = candidates(draft, flags, policy)
    if not tried:
        return ()
    left = until - time.perf_counter()
    if left <= 0:
        return None
    windows = [_with(draft.window, own.applied(draft.text)) for own in tried]
    judged = await asyncio.gather(*lane.ask(windows, left))
    found: dict[str, Suggestion] = {}
    for own, result in zip(tried, judged, strict=True):
        if own.reply.template not in found and _clean(result):
            reference = own.reply.reference or own.flag.reference
            found[own.reply.template] = Suggestion(own.text, own.place, reference, own.flag.signal, own.reply.rule)
    return tuple(found.values()) or (None if any(result.undone for result in judged) else ())


def candidates(draft: Draft, flags: Sequence[DraftFlag], policy: Policy) -> list[_Candidate]:
    """What may be offered, best first: each reply in place of the flagged sentences, then in place of everything."""
    text = draft.text
    values = slots.filled(draft.window, policy.slots)
    places = dict.fromkeys((_sentences(text, flags), Place(0, len(text))))
    found: list[_Candidate] = []
    used: set[str] = set()
    for flag in sorted(flags, key=lambda f: (_RANK[f.action], f.level or "D", -f.score, f.start)):
        reply = policy.reply(flag.source, flag.signal)
        if reply is None or reply.template in used or len(used) == MOST:
            continue
        used.add(reply.template)
        for place in places:
            words = slots.fill(reply.template, values, text[: place.start] + text[place.end :])
            if words:
                found.append(_Candidate(reply, flag, words, place))
    return found


def _sentences(text: str, flags: Sequence[DraftFlag]) -> Place:
    """From the beginning of the first flagged sentence to the end of the last."""
    first, last = min(flag.start for flag in flags), max(flag.end for flag in flags)
    start, end = 0, len(text)
    for sentence in _SENTENCE.finditer(text):
        if sentence.start() <= first < sentence.end():
            start = sentence.start()
        if sentence.start() < last <= sentence.end():
            end = sentence.end()
            break
    return Place(start, end)


def _with(window: Conversation, text: str) -> Conversation:
    return msgspec.structs.replace(window, turns=(*window.turns[:-1], Turn("agent", text)))


def _clean(judged: Judged) -> bool:
    screening = judged.screening
    return screening is not None and not judged.undone and all(flag.status != "active" for flag in screening.flags)
