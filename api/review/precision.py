"""How often reviewers confirmed what a rule or a model flagged."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.review.history import flag_verdict_in_force
from api.store.tables import StoredConversation, StoredFlag
from api.store.tables_review import Decision
from screening.intervals import wilson

By = Literal["rule", "signal"]


class Judged(NamedTuple):
    """Judged flags of one source. `source`, `rule` and `version` are None where counted per signal."""

    source: str | None
    rule: str | None
    version: int | None
    signal: str
    confirmed: int
    rejected: int
    unsure: int

    @property
    def precision(self) -> float | None:
        """The share of confirmed among confirmed and rejected flags; None where there are none."""
        decided = self.confirmed + self.rejected
        return self.confirmed / decided if decided else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the precision."""
        return wilson(self.confirmed, self.confirmed + self.rejected)


def judged(
    session: Session, by: By = "rule", *, start: int | None = None, end: int | None = None, vendor_id: str | None = None
) -> list[Judged]:
    """Verdicts in force on flags that were shown as active or in the shadow, decided in [start, end); most judged first.

    Per rule or model with its version, or per signal.
    """
    counts = [
        func.sum(case((Decision.verdict == verdict, 1), else_=0)).label(verdict)
        for verdict in ("confirmed", "rejected", "unsure")
    ]
    keys: list[InstrumentedAttribute[Any]] = [StoredFlag.signal]
    if by == "rule":
        keys = [StoredFlag.source, StoredFlag.rule, StoredFlag.rule_version, StoredFlag.signal]
    statement = (
        select(*keys, *counts)
        .select_from(Decision)
        .join(StoredFlag, StoredFlag.id == Decision.flag_id)
        .where(flag_verdict_in_force(), StoredFlag.status != "excused")
        .group_by(*keys)
        .order_by(func.count().desc(), *keys)
    )
    if start is not None:
        statement = statement.where(Decision.at >= start)
    if end is not None:
        statement = statement.where(Decision.at < end)
    if vendor_id is not None:
        statement = statement.join(StoredConversation, StoredConversation.id == Decision.conversation_id).where(
            StoredConversation.vendor_id == vendor_id
        )
    return [Judged(*((None, None, None, *row) if by == "signal" else row)) for row in map(tuple, session.execute(statement))]


def scores(counted: Iterable[Judged], versions: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    """`judged` of a lexicon: what flagged to (version, confirmed, rejected), of the version in force in `versions` (a rule's) or the newest.

    Models score themselves; what was judged as unsure says nothing.
    """
    found: dict[str, tuple[int, int, int]] = {}
    for one in counted:
        if one.rule is None or one.version is None or one.source == "model" or not one.confirmed + one.rejected:
            continue
        version, confirmed, rejected = found.get(one.rule, (versions.get(one.rule, 0), 0, 0))
        if one.version > version and one.rule not in versions:
            version, confirmed, rejected = one.version, 0, 0
        if one.version == version:
            found[one.rule] = (version, confirmed + one.confirmed, rejected + one.rejected)
    return found
