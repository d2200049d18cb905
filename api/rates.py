"""How many requests a key may send: a bucket a key that refills evenly. Counted in each process by itself."""

from typing import NamedTuple

from api.clock import SECOND
from api.errors import ApiError

_BURST_SECONDS = 10


class _Bucket(NamedTuple):
    left: float
    at: int


class Rates:
    """Buckets by name. One holds what `per_minute` allows in ten seconds, at least one request."""

    def __init__(self, per_minute: int):
        self._default = per_minute
        self._limits: dict[str, int] = {}
        self._buckets: dict[str, _Bucket] = {}

    def limit(self, name: str, per_minute: int | None) -> None:
        """Set the limit of a name; None is the default."""
        self._limits[name] = per_minute or self._default

    def take(self, name: str, now: int) -> None:
        """Count a request; raises 429 where the bucket is empty."""
        per_minute = self._limits.get(name, self._default)
        size = max(1.0, per_minute * _BURST_SECONDS / 60)
        before = self._buckets.get(name, _Bucket(size, now))
        passed = max(0, now - before.at) / SECOND  # a clock that was set back takes nothing away
        left = min(size, before.left + passed * per_minute / 60)
        if left < 1:
            wait = int((1 - left) * 60 / per_minute) + 1
            message = f"{name} sends more than {per_minute} requests a minute; try again in {wait} s"
            self._buckets[name] = _Bucket(left, now)
            raise ApiError(429, "too_many_requests", message, headers={"Retry-After": str(wait)})
        self._buckets[name] = _Bucket(left - 1, now)
