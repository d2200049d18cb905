"""What the attributes show: the company's loss and wrong entries."""

from screening.detect.conduct.course import VERSION, Course
from screening.types import Finding


def loss(course: Course) -> list[Finding]:
    """`loss.over_limit`: `attributes.loss_yuan` reaches the standard's limit."""
    value = course.conversation.attributes.get("loss_yuan")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return []
    return [
        _finding("loss.over_limit", "loss", f"损失 {value:g} 元，达到 {limit.source} 规定的 {limit.value:g} 元", limit.standards)
        for limit in course.limit("loss.over_limit")
        if value >= limit.value
    ]


def wrong_entries(course: Course) -> list[Finding]:
    """`entry.error`: the source counts wrong entries; the ledger counts them over a month."""
    value = course.conversation.attributes.get("entry_errors")
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        return []
    return [_finding("entry.error", "entry-errors", f"信息录入错误 {value} 处", None)]


def _finding(signal: str, name: str, why: str, standards: frozenset[str] | None) -> Finding:
    return Finding(
        signal=signal, turn=None, span=None, kind="conduct", id=name, version=VERSION, why=why, score=1.0, standards=standards
    )
