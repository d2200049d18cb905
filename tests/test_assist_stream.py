"""The stream end to end: the real application, the real screener, a desk over a socket."""

import json

import pytest

from screening.pipeline import Screener
from screening.replay import encode
from screening.types import Conversation
from tests.conftest import TurnedClock
from tests.streaming import desk, ended, told_turns

AT = "2026-03-02T10:00:{:02}+08:00"


def test_a_turn_is_answered_with_its_flags_and_an_ack(client, as_key) -> None:
    with desk(client, as_key("screen")) as own:
        own.turn("c1", "customer", "能便宜点吗")
        answer = own.turn("c1", "agent", "你是不是脑子有病")
        assert (answer["turn"], answer["level"], answer["complete"], answer["not_checked"]) == (1, "A", True, ["timing"])
        (flag,) = answer["flags"]
        assert (flag["signal"], flag["turn"], flag["quote"]) == (
            "rudeness.abuse",
            1,
            "你是不是脑子有病"[flag["start"] : flag["end"]],
        )
        assert answer["candidates"][0]["clause"]
        quiet = own.turn("c1", "customer", "你说什么")
        assert (quiet["turn"], quiet["flags"], quiet["level"]) == (2, [], None)
    assert [message["of"] for message in own.told("ack")][-1] == 3


def play(client, headers, clock: TurnedClock, archive: list[Conversation]) -> list[tuple[Conversation, list[dict], dict]]:
    """Each conversation turn by turn, a few side by side."""
    played = []
    with desk(client, headers) as own:
        for k in range(0, len(archive), 4):
            group = archive[k : k + 4]
            lines = [list(told_turns(conversation)) for conversation in group]
            flags: dict[str, list[dict]] = {conversation.id: [] for conversation in group}
            for i in range(max(map(len, lines))):
                for line in lines:
                    if i < len(line):
                        clock.turn(seconds=1)
                        flags[line[i]["conversation"]].append(own.hear("flags", of=own.say("turn", **line[i])))
            played += [(one, flags[one.id], own.end(one.id, **ended(one))) for one in group]
    return played


def check(played: list[tuple[Conversation, list[dict], dict]], screener: Screener) -> None:
    revised = set()
    for conversation, flags, message in played:
        batch = json.loads(encode(screener.screen(conversation)))
        assert json.dumps(message["screening"], ensure_ascii=False) == json.dumps(batch, ensure_ascii=False)
        told = [flag for answer in flags for flag in answer["flags"]]
        added = [batch["flags"][i] for i in message["added"]]
        assert all(flag in told for flag in batch["flags"] if flag not in added)
        assert all(any(gone["signal"] == flag["signal"] for flag in told) for gone in message["withdrawn"])
        revised |= {(flag["source"]["kind"], flag["source"]["id"]) for flag in added}
        assert message["withdrawn"] == []
    assert {kind for kind, _ in revised} <= {"conduct"}
    assert not {name for _, name in revised} & {"talk-over", "dead-air"}


def test_the_end_is_the_batch_screening_and_flags_before_it_stand(client, as_key, clock, archive, screener) -> None:
    check(play(client, as_key("screen"), clock, archive[::8]), screener)


@pytest.mark.slow
def test_the_whole_archive_turn_by_turn(client, as_key, clock, archive, screener) -> None:
    check(play(client, as_key("screen"), clock, archive), screener)
