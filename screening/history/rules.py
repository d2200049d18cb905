"""The rules over several conversations. Each takes its records in any order and gives the same findings.

Days and months are those of the given zone (Asia/Shanghai by default). What cannot be known is not claimed: `open` means that the
archive ends before the moment that decides.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from screening.detect.conduct.facts import Promise
from screening.history.findings import Basis, HistoryFinding, Kind, Outcome
from screening.history.records import Occurrence, Record

MICROSECOND = 1_000_000


def of_customer(
    records: Sequence[Record], bases: Mapping[Kind, Sequence[Basis]], zone: tzinfo, until: int
) -> Iterator[HistoryFinding]:
    """All findings over the conversations of one customer with one vendor; `until`: up to when conversations are known."""
    for basis in bases["diversion"]:
        yield from diversions(records, basis, zone)
    for basis in bases["promise"]:
        yield from promises(records, basis, zone, until)
    for basis in bases["mail"]:
        yield from mails(records, basis, zone, until)
    for basis in bases["repeated_complaint"]:
        yield from repeated_complaints(records, basis, zone)


def findings(records: Iterable[Record], bases: Mapping[Kind, Sequence[Basis]], zone: tzinfo, until: int) -> list[HistoryFinding]:
    """All findings over any conversations that fit into memory, in the dataset's order."""
    customers: dict[tuple[str | None, str | None, str], list[Record]] = {}
    errors: list[Occurrence] = []
    for record in records:
        alone = record.conversation_id if record.customer_id is None else ""
        customers.setdefault((record.vendor_id, record.customer_id, alone), []).append(record)
        if record.facts.entry_errors:
            errors.append(record.occurrence(None, None, record.facts.entry_errors))
    found = [one for own in customers.values() for one in of_customer(own, bases, zone, until)]
    found += [one for basis in bases["entry_errors"] for one in entry_errors(errors, basis, zone)]
    return sorted(found, key=order)


def order(finding: HistoryFinding) -> tuple[str, ...]:
    """The order of the dataset: by kind, standard, vendor, customer, time and conversations."""
    at = "" if finding.at is None else f"{finding.at:020d}"
    who = (finding.vendor_id or "", finding.customer_id or "")
    return finding.kind, finding.standard, *who, at, *finding.conversations, *map(str, finding.turns), finding.why


class Mark(NamedTuple):
    """The occurrences that together fill a count; the last of them fills it."""

    occurrences: tuple[Occurrence, ...]
    month: str
    number: int


def by_day(occurrences: Iterable[Occurrence], zone: tzinfo) -> list[tuple[Occurrence, ...]]:
    """What one vendor did to one consulting account on one day, together (standard 1, closing remark 3).

    Without account or time nothing can be put together: each conversation stands alone.
    """
    groups: dict[tuple[str | None, ...], list[Occurrence]] = {}
    for one in occurrences:
        alone = one.customer_id is None or one.at is None
        key = (one.conversation_id,) if alone else (one.vendor_id, one.customer_id, _day(one.at, zone))
        groups.setdefault(key, []).append(one)
    return sorted((tuple(sorted(group, key=_order)) for group in groups.values()), key=lambda group: _order(group[0]))


def every_nth(occurrences: Iterable[Occurrence], n: int, zone: tzinfo) -> list[Mark]:
    """One mark for every `n` occurrences of one vendor within a calendar month; those without a time make none."""
    months: dict[tuple[str, str], list[Occurrence]] = {}
    for one in occurrences:
        if one.at is not None:
            months.setdefault((one.vendor_id or "", _moment(one.at, zone).strftime("%Y-%m")), []).append(one)
    marks = []
    for (_, month), own in sorted(months.items()):
        pending: list[Occurrence] = []
        number = total = 0
        for one in sorted(own, key=_order):
            pending.append(one)
            total += one.times
            while total >= n * (number + 1):
                number += 1
                marks.append(Mark(tuple(pending), month, number))
                pending = [one] if total > n * number else []
    return marks


def entry_errors(occurrences: Iterable[Occurrence], basis: Basis, zone: tzinfo) -> Iterator[HistoryFinding]:
    """Wrong entries: every third of a vendor's in one calendar month makes one C (standard 1, C.key_information)."""
    every = list(occurrences)
    n = round(basis.value or 1)
    for mark in every_nth(every, n, zone):
        last = mark.occurrences[-1]
        why = f"{mark.month} 月内第 {mark.number * n} 处信息录入错误，每 {n} 处记一次"
        yield _finding(
            "entry_errors", "counted", "entry.error", basis, mark.occurrences, last.at, zone, why, count=n, agent=last.agent_id
        )
    for one in sorted((one for one in every if one.at is None), key=_order):
        yield _finding(
            "entry_errors", "undated", "entry.error", basis, [one], None, zone, "对话没有时间，无法归入月份", count=one.times
        )


def diversions(records: Iterable[Record], basis: Basis, zone: tzinfo) -> Iterator[HistoryFinding]:
    """Diversion: one vendor, one consulting account, one day counts once however often (standard 1, A.diversion)."""
    every = [record.occurrence(turn, at) for record in records for turn, at in record.diversions]
    for group in by_day(every, zone):
        first = group[0]
        count = len({one.conversation_id for one in group})
        if first.at is None or first.customer_id is None:
            why = f"没有{'时间' if first.at is None else '咨询账号'}，无法与其他对话合并，单独计一次"
        elif len(group) == 1:
            why = "该咨询账号当日唯一一次引流，计一次"
        else:
            why = f"同一咨询账号当日在 {count} 个对话中引流 {len(group)} 处，只计一次"
        yield _finding("diversion", "counted", None, basis, group, first.at, zone, why, count=count)


def promises(records: Sequence[Record], basis: Basis, zone: tzinfo, until: int) -> Iterator[HistoryFinding]:
    """Promises to be in touch, against the later conversations of the same customer with the same vendor.

    Kept by the source's record of a call-back, or by a later conversation that an agent (any agent of the vendor) opened; a customer
    who came back by himself keeps nobody's promise. `until`: up to when the archive tells of conversations.
    """
    for record in sorted(records, key=lambda record: record.conversation_id):
        if record.customer_id is None:
            continue
        for promise in record.facts.promises:
            outcome, at, other, why = _judged(record, promise, records, zone, until)
            occurrences = [record.occurrence(promise.turn, promise.said_at)]
            if other is not None:
                occurrences.append(other.occurrence(None, other.facts.first_agent_at))
            yield _finding("promise", outcome, "promise.unkept", basis, occurrences, at, zone, why, due_at=promise.due_at)


def _judged(
    record: Record, promise: Promise, records: Sequence[Record], zone: tzinfo, until: int
) -> tuple[Outcome, int, Record | None, str]:
    due = f"{_moment(promise.due_at, zone):%m-%d %H:%M}"
    contacts: list[tuple[int, str, Record | None]] = [
        (at, other.conversation_id, other)
        for other in records
        if other.facts.agent_opened
        and (at := other.facts.first_agent_at) is not None
        and at > (promise.said_at if record.ended_at is None else max(promise.said_at, record.ended_at))
        and other.conversation_id != record.conversation_id
    ]
    if promise.done_at is not None:
        contacts.append((promise.done_at, "", None))
    first = min(contacts, key=lambda contact: contact[:2], default=None)
    flagged = "；对话中的未兑现标记可据此撤销" if promise.turn in record.unkept_turns else ""
    if first is not None:
        at, _, other = first
        how = "有回电记录" if other is None else "客服主动联系"
        if at <= promise.due_at:
            return "kept", at, other, f"承诺最迟 {due} 前联系，{_moment(at, zone):%m-%d %H:%M} {how}，已兑现{flagged}"
        return "late", at, other, f"承诺最迟 {due} 前联系，{_moment(at, zone):%m-%d %H:%M} 才{how}，逾期"
    if until <= promise.due_at:
        return "open", promise.due_at, None, f"承诺最迟 {due} 前联系，数据截止时尚未到期"
    came = sum(
        promise.said_at < (other.began_at or 0) <= promise.due_at and not other.facts.agent_opened
        for other in records
        if other.conversation_id != record.conversation_id
    )
    return "unkept", promise.due_at, None, f"承诺最迟 {due} 前联系，到期未见联系{f'，其间客户自己来过 {came} 次' if came else ''}"


def mails(records: Sequence[Record], basis: Basis, zone: tzinfo, until: int) -> Iterator[HistoryFinding]:
    """A customer's mail on a shift day that nobody of the vendor answered that day (standard 1, B.promise).

    Asked only where `on_shift` is true. A human agent's word to the same customer in another conversation of that day answers it, too.
    """
    for record in sorted(records, key=lambda record: record.conversation_id):
        if record.facts.on_shift is not True:
            continue
        for mail in record.facts.mails:
            end = _day_end(mail.at, zone)
            if any(_answers(other, record, mail.at, end) for other in records):
                continue
            outcome: Outcome = "open" if until < end and mail.replied_at is None else "unanswered"
            late = "" if mail.replied_at is None else f"，{_moment(mail.replied_at, zone):%m-%d %H:%M} 才回复"
            why = "数据截止时当天尚未结束" if outcome == "open" else f"在班当天未回复客户邮件{late}"
            occurrences = [record.occurrence(mail.turn, mail.at)]
            yield _finding("mail", outcome, "promise.unkept", basis, occurrences, mail.at, zone, why, due_at=end)


def _answers(other: Record, record: Record, at: int, end: int) -> bool:
    same = record.customer_id is not None and other.conversation_id != record.conversation_id
    return same and other.facts.first_agent_at is not None and at < other.facts.first_agent_at < end


def repeated_complaints(records: Iterable[Record], basis: Basis, zone: tzinfo) -> Iterator[HistoryFinding]:
    """The same customer complains again of the same cause, not solved before: what standard 5 calls a major complaint."""
    chains: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: (record.began_at or 0, record.conversation_id)):
        if record.complaint is None or record.began_at is None or record.customer_id is None:
            continue
        chain = chains.setdefault(record.complaint, [])
        if chain and chain[-1].solved is True:
            yield from _repeated(chain, basis, zone)
            chain.clear()
        chain.append(record)
    for _, chain in sorted(chains.items()):
        yield from _repeated(chain, basis, zone)


def _repeated(chain: Sequence[Record], basis: Basis, zone: tzinfo) -> Iterator[HistoryFinding]:
    if len(chain) > 1:
        occurrences = [record.occurrence(None, None) for record in chain]
        why = f"同一原因（{chain[0].complaint}）第 {len(chain)} 次投诉，此前未解决"
        at = chain[-1].began_at
        yield _finding(
            "repeated_complaint", "repeated", None, basis, occurrences, at, zone, why, count=len(chain), agent=chain[-1].agent_id
        )


def _finding(
    kind: Kind,
    outcome: Outcome,
    signal: str | None,
    basis: Basis,
    occurrences: Sequence[Occurrence],
    at: int | None,
    zone: tzinfo,
    why: str,
    *,
    count: int = 1,
    agent: str | None = None,
    due_at: int | None = None,
) -> HistoryFinding:
    first = occurrences[0]
    own: dict[str, int | None] = {}
    for one in occurrences:
        own.setdefault(one.conversation_id, one.turn)
    return HistoryFinding(
        kind=kind,
        outcome=outcome,
        signal=signal,
        standard=basis.standard,
        clause=basis.clause,
        level=basis.level,
        points=basis.points,
        day=None if at is None else _day(at, zone),
        vendor_id=first.vendor_id,
        agent_id=first.agent_id if agent is None else agent,
        customer_id=first.customer_id if kind != "entry_errors" else None,
        count=count,
        conversations=tuple(own),
        turns=tuple(own.values()),
        at=at,
        due_at=due_at,
        why=why,
    )


def _order(one: Occurrence) -> tuple[bool, int, str, int]:
    return one.at is None, one.at or 0, one.conversation_id, -1 if one.turn is None else one.turn


def _moment(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at / MICROSECOND, zone)


def _day(at: int | None, zone: tzinfo) -> str | None:
    return None if at is None else _moment(at, zone).date().isoformat()


def _day_end(at: int, zone: tzinfo) -> int:
    start = _moment(at, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return round((start + timedelta(days=1)).timestamp() * MICROSECOND)
