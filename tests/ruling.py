"""What the tests of the rules share: a small lexicon, a rule to lay over it, two people."""

from typing import Any

import msgspec

from lexicons.load import Lexicon, packaged
from screening.pipeline import Screener

COUNTER: dict[str, Any] = {
    "id": "shirking-other-counter",
    "version": 1,
    "signal": "shirking",
    "title": "让客户去别的柜台",
    "references": ["jd-zhitongche/B.shirking"],
    "any_of": ["找隔壁柜台问去"],
    "suggestion": "我来帮您查一下，请稍等",
    "hit": ["您«找隔壁柜台问去»"],
    "miss": ["隔壁柜台有样品", "我帮您去隔壁柜台问"],
}
SAID = "您找隔壁柜台问去"


def small() -> Lexicon:
    """The packaged lexicon with rules of two signals only: an index of it takes no time."""
    shipped = packaged()
    own = [rule for rule in shipped.rules if rule.signal in ("shirking", "diversion.private_contact")]
    kept = [*own[:10], *[rule for rule in own if rule.any_of][:10], *[rule for rule in own if rule.signal == "shirking"][:10]]
    rules = tuple({rule.id: rule for rule in kept}.values())
    return msgspec.structs.replace(shipped, rules=rules, version="sha256:" + "5" * 64)


def small_screener() -> Screener:
    """A screener of it."""
    return Screener(small())


def table(rule: object, **changes: object) -> dict[str, Any]:
    """A rule as JSON."""
    return msgspec.to_builtins(rule) | changes
