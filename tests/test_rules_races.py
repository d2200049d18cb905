"""Two people publish at the same moment: exactly one wins, and the other is told."""

import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from api.access import Principal
from api.errors import ApiError
from api.overlay import versions
from api.overlay.follow import in_force
from api.overlay.profiles import Profiles
from api.store.engine import Store
from api.store.tables_rules import Overlay, SettingsVersion
from lexicons.schema import Rule
from screening.profile import Profile
from tests.reviewing import person
from tests.ruling import COUNTER, table

ROUNDS = 5
Table = type[Overlay] | type[SettingsVersion]


def drafted(store: Store, kind: Table, author: Principal, name: str) -> int:
    """A version over what is published, as far as a second person is needed."""
    if kind is Overlay:
        text = versions.canonical(versions.content([msgspec.convert(table(COUNTER, id=name), Rule)]))
    else:
        text = versions.canonical(Profiles(Profile(name=name)))
    with store.write() as session:
        present = versions.published(session, kind)
        row = kind(
            digest=versions.address(text),
            parent=None if present is None else present.digest,
            title=name,
            state="draft",
            body=text,
            author_id=author.user_id,
            created_at=1,
        )
        versions.add(session, row, author, 1)
        if isinstance(row, Overlay):
            versions.to_shadow(session, row, author, 1)
        return row.id


def published(store: Store, together: threading.Barrier, kind: Table, version: int, who: Principal) -> str:
    """Empty where it worked, else the code of the refusal."""
    together.wait()
    try:
        with store.write() as session:
            versions.publish(session, versions.find(session, kind, version, lock=True), who, 2)
    except ApiError as error:
        assert error.status_code == 409
        return error.code
    return ""


@pytest.mark.parametrize("kind", [Overlay, SettingsVersion])
@pytest.mark.parametrize("same", [True, False], ids=["one version", "two versions"])
def test_exactly_one_of_two_publications_wins(store: Store, kind: Table, same: bool) -> None:
    anna, ben, carl = (person(store, name, "lead") for name in ("anna", "ben", "carl"))
    other = Store(store.url)
    for i in range(ROUNDS):
        first = drafted(store, kind, anna, f"shirking-a{i}")
        second = first if same else drafted(store, kind, anna, f"shirking-b{i}")
        together = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            runs = [
                pool.submit(published, each, together, kind, version, who)
                for each, version, who in ((store, first, ben), (other, second, carl))
            ]
            codes = [run.result() for run in runs]
        lost = codes[0] or codes[1]
        assert sorted(codes) == ["", lost] and lost in ("wrong_state", "outdated_parent", "changed_meanwhile")
        winner = (first, second)[codes.index("")]
        with store.read() as session:
            row = session.get_one(kind, winner)
            assert (row.state, row.publisher_id) == ("published", (ben, carl)[codes.index("")].user_id)
            found = in_force(session)
            assert winner == (found.published if kind is Overlay else found.profile)
    other.close()
