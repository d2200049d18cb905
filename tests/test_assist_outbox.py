from api.assist.messages import ErrorMessage
from api.assist.outbox import Outbox


def message(seq: int) -> ErrorMessage:
    return ErrorMessage(seq, None, None, "invalid", "…", None)


def test_messages_are_kept_until_they_are_confirmed() -> None:
    box = Outbox(most=10, size=10_000)
    for _ in range(4):
        box.add(message)
    assert (box.last, box.gone, len(box)) == (4, 0, 4)
    box.confirmed(2)
    box.confirmed(1)  # what is confirmed stays so
    assert (box.gone, len(box)) == (2, 2)
    third = box.next(2)
    assert third is not None and b'"seq":3' in third
    assert box.next(4) is None


def test_the_oldest_go_where_they_are_too_many_or_too_long() -> None:
    few, short = Outbox(most=2, size=10_000), Outbox(most=100, size=200)
    for _ in range(5):
        few.add(message)
        short.add(message)
    assert (few.gone, few.last) == (3, 5)
    assert 0 < len(short) < 5
    try:
        few.next(1)
    except LookupError as error:
        assert "message 2 is not kept any more" in str(error)
    else:
        raise AssertionError("a message that is gone was given")
