"""What the tests of the review share: kept conversations, and people who act on them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from api import ingest
from api.access import Principal, principal_for
from api.results import Keeping
from api.settings import Settings
from api.store.bodies import Bodies
from api.store.engine import Store
from api.store.tables_access import User
from screening.pipeline import Screener
from screening.types import Conversation, Turn

KEEPING = Keeping(Bodies(), Settings(demo=True), UTC)
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
DIVERSION = "加我微信，那边便宜一百"
ABUSE = "你是傻子吗"
IMPATIENCE = "不是跟您说过了吗，怎么还问"
SHIRKING = "这不归我管"


def chat(id_: str, *said: str, hours: int = 0, **fields: str) -> Conversation:
    """A customer's question and what the agent said."""
    turns = (Turn("customer", "能便宜点吗"), *(Turn("agent", text) for text in said))
    return Conversation(id=id_, turns=turns, started_at=BEGIN + timedelta(hours=hours), **fields)


def kept(store: Store, screener: Screener, conversations: Sequence[Conversation], at: int = 1) -> list[int]:
    """Keep and screen conversations; gives the ids of their screenings."""
    work = [(one, screener.screen(one)) for one in conversations]
    with store.write() as session:
        return [one.screening_id for one in ingest.keep(session, work, KEEPING, at)]


def person(store: Store, name: str, role: str = "reviewer", vendor: str | None = None) -> Principal:
    """A new user, as the acting principal."""
    with store.write() as session:
        user = User(name=name, password_hash="-", role=role, vendor_id=vendor, created_at=1, password_changed_at=1)
        session.add(user)
        session.flush()
        return principal_for(user)
