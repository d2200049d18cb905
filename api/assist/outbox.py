"""What a session has told its desk and may have to tell again, until the desk says that it has it."""

from collections import deque
from collections.abc import Callable

from api.assist.messages import Sequenced, encoded


class Outbox:
    """Numbered messages, oldest first; beyond `most` messages or `size` bytes the oldest are forgotten."""

    def __init__(self, *, most: int, size: int):
        self._most = most
        self._size = size
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self.last = 0
        """The number of the newest message; 0 before the first."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def gone(self) -> int:
        """The last number that is not kept any more."""
        return self.last - len(self._kept)

    def add(self, made: Callable[[int], Sequenced]) -> None:
        """Keep the message that `made` gives for the next number."""
        self.last += 1
        message = encoded(made(self.last))
        self._kept.append(message)
        self._bytes += len(message)
        while len(self._kept) > 1 and (len(self._kept) > self._most or self._bytes > self._size):
            self._forget()

    def confirmed(self, number: int) -> None:
        """The desk has all messages up to this one."""
        while self._kept and self.gone < number:
            self._forget()

    def next(self, number: int) -> bytes | None:
        """The message after this one, None where it is the newest; raises `LookupError` where it is gone."""
        if number < self.gone:
            raise LookupError(f"message {number + 1} is not kept any more")
        place = number - self.gone
        return self._kept[place] if place < len(self._kept) else None

    def _forget(self) -> None:
        self._bytes -= len(self._kept.popleft())
