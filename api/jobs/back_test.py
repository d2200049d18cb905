"""What a version of the rules would change: stored conversations screened with what is in force and with the version.

Nothing is stored but the report. Both sides are fixed when the job is made, so that a publication meanwhile changes nothing.
"""

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.access import Principal
from api.engine import screened
from api.jobs import records, rescreen
from api.jobs.kind import Block, Commit, Kind, Outcome, Refusal, Task
from api.overlay import follow, profiles, report, versions
from api.overlay.profiles import Profiles
from api.overlay.report import Report, Seen
from api.review import precision
from api.review.history import flag_verdict_in_force
from api.store.tables import Revision, StoredConversation, StoredFlag, StoredScreening
from api.store.tables_jobs import JobItem
from api.store.tables_review import Decision
from api.store.tables_rules import BackTest, Overlay
from api.wiring import Service
from lexicons import overlay
from lexicons.load import Lexicon
from screening.errors import InputError
from screening.pipeline import Screener
from screening.types import Conversation

BLOCK = 100
_SIDES = 2
_recent: dict[tuple[str, str], Screener] = {}


class Parameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """The version, the one it is held against (None: what ships), the profile, and the rows of the conversations."""

    version: int
    against: int | None
    profile: int | None
    first: int
    last: int
    chosen: rescreen.Parameters = rescreen.Parameters()


def create(session: Session, row: Overlay, chosen: rescreen.Parameters, limit: int, principal: Principal, at: int) -> BackTest:
    """Add a back-test over the newest `limit` conversations that fit, with its job."""
    newest = rescreen.selected(chosen, principal.vendor_id).order_by(StoredConversation.id.desc()).limit(limit).subquery()
    first, last = session.execute(select(func.min(newest.c.id), func.max(newest.c.id))).one()
    wanted = follow.in_force(session)
    against = None if wanted.published == row.id else wanted.published
    parameters = Parameters(row.id, against, wanted.profile, first or 0, last or 0, chosen)
    job = records.create(session, "back_test", parameters, principal, at)
    test = BackTest(overlay_id=row.id, job_id=job.id, created_by=principal.actor, created_at=at)
    session.add(test)
    session.flush()
    return test


def plan(task: Task, after: int) -> Iterator[Block]:
    """The conversations by row id; the ids are the places."""
    parameters = _parameters(task)
    statement = rescreen.selected(parameters.chosen, task.vendor_id).order_by(StoredConversation.id).limit(BLOCK)
    after = max(after, parameters.first - 1)
    while True:
        with task.service.store.read() as session:
            within = statement.where(StoredConversation.id > after, StoredConversation.id <= parameters.last)
            ids = list(session.scalars(within))
        if not ids:
            return
        yield Block([str(id_).encode() for id_ in ids], ids[0], ids[-1], [])
        after = ids[-1]


def perform(task: Task, raw: Sequence[msgspec.Raw]) -> Commit:
    """Screen twice and compare."""
    service = task.service
    parameters = _parameters(task)
    before, after, changed = _screeners(service, parameters)
    ids = [int(bytes(one)) for one in raw]
    with service.store.read() as session:
        rows = list(
            session.execute(
                select(StoredConversation.id, Revision.id, Revision.body)
                .join(
                    Revision,
                    (Revision.conversation_id == StoredConversation.id) & (Revision.number == StoredConversation.revision),
                )
                .where(StoredConversation.id.in_(ids))
                .order_by(StoredConversation.id)
            )
        )
        verdicts = _verdicts(session, [revision for _, revision, _ in rows])
    conversations = [msgspec.json.decode(service.bodies.unpack(body), type=Conversation) for _, _, body in rows]
    refusals: list[Refusal] = []
    found = Report()
    pairs = zip(screened(before, conversations), screened(after, conversations), strict=True)
    for (id_, revision, _), conversation, (old, new) in zip(rows, conversations, pairs, strict=True):
        if isinstance(old, InputError) or isinstance(new, InputError):
            refusals.append(
                Refusal(id_, "invalid", str(old if isinstance(old, InputError) else new), external_id=conversation.id)
            )
        else:
            found.add(conversation, old, new, changed, verdicts.get(revision, ()))
    packed = service.bodies.pack(msgspec.json.encode(found))

    def commit(session: Session, at: int) -> Outcome:
        del session, at
        return Outcome({"compared": len(ids) - len(refusals)}, refusals, packed)

    return commit


def _parameters(task: Task) -> Parameters:
    return msgspec.json.decode(task.parameters, type=Parameters)


def _screeners(service: Service, parameters: Parameters) -> tuple[Screener, Screener, frozenset[str]]:
    """What is in force, the version in its place, and the ids of the rules that differ between the two."""
    shipped, own = service.follower.shipped
    with service.store.read() as session:
        against = follow.content_of(session, parameters.against)
        tried = follow.content_of(session, parameters.version)
        under = profiles.of(session, own, parameters.profile)
    old, new = (overlay.overlaid(shipped, side.rules, judged=side.judged) for side in (against, tried))
    sides = [{rule.id: rule for rule in side.rules} for side in (old, new)]
    changed = frozenset(id_ for id_ in sides[0].keys() | sides[1].keys() if sides[0].get(id_) != sides[1].get(id_))
    return _screener(old, under), _screener(new, under), changed


def _screener(lexicon: Lexicon, under: Profiles) -> Screener:
    """A screener for all blocks of a job; a side that is asked for no longer is let go."""
    key = (lexicon.version, versions.address(versions.canonical(under)))
    if key not in _recent:
        if len(_recent) >= _SIDES:
            _recent.clear()
        _recent[key] = Screener(lexicon, under.profile, vendors=under.by_vendor())
    return _recent[key]


def _verdicts(session: Session, revisions: Sequence[int]) -> dict[int, list[Seen]]:
    """Per revision the judged places: what people said on any flag of an earlier screening of the same text."""
    statement = (
        select(
            StoredScreening.revision_id,
            StoredFlag.signal,
            StoredFlag.turn,
            StoredFlag.start,
            StoredFlag.end,
            Decision.verdict,
        )
        .select_from(Decision)
        .join(StoredFlag, StoredFlag.id == Decision.flag_id)
        .join(StoredScreening, StoredScreening.id == StoredFlag.screening_id)
        .where(
            flag_verdict_in_force(),
            Decision.verdict.in_(("confirmed", "rejected")),
            StoredScreening.revision_id.in_(revisions),
        )
        .order_by(Decision.id)
    )
    found: dict[int, list[Seen]] = {}
    for revision, signal, turn, start, end, verdict in session.execute(statement):
        found.setdefault(revision, []).append(Seen(signal, turn, start, end, verdict == "confirmed"))
    return found


def finish(task: Task, session: Session, at: int) -> None:
    """Bring the blocks' reports together."""
    total = Report()
    statement = select(JobItem.body).where(JobItem.job_id == task.job_id, JobItem.state == "done", JobItem.n > 0)
    for body in session.scalars(statement.order_by(JobItem.n)):
        if body is not None:
            total.merge(msgspec.json.decode(task.service.bodies.unpack(body), type=Report))
    parameters = _parameters(task)
    judged = [one for one in precision.judged(session) if one.source == "rule" and one.rule in total.rules]
    final = report.summary(total, parameters.against, judged)
    row = session.scalars(select(BackTest).where(BackTest.job_id == task.job_id)).one()
    row.report, row.finished_at = task.service.bodies.pack(msgspec.json.encode(final)), at


KIND = Kind(plan, perform, rescreen.named, finish)
