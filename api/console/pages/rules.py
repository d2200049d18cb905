"""Rules workshop: the rules that run, by signal and clause, with what they hit and how often people agreed."""

from collections import Counter
from typing import Any, NamedTuple, get_args
from urllib.parse import urlencode

from nicegui import ui

from api.access import Principal
from api.console import shell
from api.console.live import Live
from api.console.visitor import Visitor
from api.review import precision
from api.routes import rules
from api.routes.rules_models import Origin
from api.wiring import Service
from lexicons.schema import Rule, Standard
from lexicons.signals import SIGNALS
from screening.intervals import wilson

PAGE = 50
SORTS = ("hits", "precision", "id")


class Row(NamedTuple):
    """A rule in the list; `hits` are its active and shadow flags, `judged` what people said on this version."""

    origin: Origin
    rule: Rule
    hits: int
    confirmed: int
    judged: int

    @property
    def low(self) -> float:
        """The lower end of the interval of its precision."""
        return wilson(self.confirmed, self.judged)[0]

    @property
    def high(self) -> float:
        """The upper end."""
        return wilson(self.confirmed, self.judged)[1]


class Chosen(NamedTuple):
    """What the address asks for."""

    signal: str | None
    clause: str | None
    origin: str | None
    text: str | None
    sort: str
    page: int

    @classmethod
    def of(cls, given: Any) -> "Chosen":
        """From the query of the address; what makes no sense counts as not given."""
        number = given.get("page", "1")
        sort = given.get("sort", SORTS[0])
        names = {name: given.get(name, "").strip()[:200] or None for name in ("signal", "clause", "origin", "text")}
        page = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1
        return cls(**names, sort=sort if sort in SORTS else SORTS[0], page=max(page, 1))

    def link(self, **changes: object) -> str:
        """The address with these changes; another filter begins at the first page."""
        values = self._asdict() | {"page": 1} | changes
        kept = {name: value for name, value in values.items() if value not in (None, 1) and (name, value) != ("sort", SORTS[0])}
        return f"{shell.ROOT}/rules" + (f"?{urlencode(kept)}" if kept else "")


class Listed(NamedTuple):
    """What the list shows; `problem` says why what is published could not be taken up."""

    rows: list[Row]
    signals: list[tuple[str, int]]
    total: int
    standards: list[Standard]
    problem: str | None


@shell.page("/rules", "rules", "rules", styles=("rules.css",))
async def page(visitor: Visitor, principal: Principal) -> None:
    """The list with its filters in the address."""
    del principal
    chosen = Chosen.of(ui.context.client.request.query_params)
    listed = await visitor.act("rules", found, chosen)
    pages = max(1, -(-len(listed.rows) // PAGE))
    here = min(chosen.page, pages)
    Live(visitor, {})
    tabs(visitor, "list")
    ui.html(
        shell.template(
            "rules.html",
            t=visitor.words,
            chosen=chosen,
            listed=listed,
            rows=listed.rows[(here - 1) * PAGE : here * PAGE],
            page=here,
            pages=pages,
            titles={f"{one.id}/{clause.id}": (one, clause) for one in listed.standards for clause in one.clauses},
            origins=get_args(Origin),
            sorts=SORTS,
        ),
        sanitize=False,
    )


def tabs(visitor: Visitor, here: str) -> None:
    """The head of every page of the workshop: title and its parts."""
    parts = (("list", "/rules"), ("versions", "/rules/versions"), ("back_tests", "/rules/back-tests"))
    shown = [(f"rules.tab_{name}", shell.ROOT + path, name == here) for name, path in parts]
    ui.html(shell.template("rules_tabs.html", t=visitor.words, tabs=shown), sanitize=False)


def found(service: Service, principal: Principal, chosen: Chosen) -> Listed:
    """The rules that fit with their figures, and how many there are of every signal."""
    origin = next((one for one in get_args(Origin) if one == chosen.origin), None)
    fitting = rules.chosen_rules(service, origin=origin, clause=chosen.clause, text=chosen.text)
    with service.store.read() as session:
        hits = precision.hits(session, principal.vendor_id)
        judged = {(one.rule, one.version): one for one in precision.judged(session, vendor_id=principal.vendor_id)}
    rows = []
    for where, rule in fitting:
        if chosen.signal in (None, rule.signal):
            said = judged.get((rule.id, rule.version))
            counts = hits.get(rule.id, {})
            right, wrong = (said.confirmed, said.rejected) if said else (0, 0)
            rows.append(Row(where, rule, counts.get("active", 0) + counts.get("shadow", 0), right, right + wrong))
    if chosen.sort == "hits":
        rows.sort(key=lambda row: -row.hits)
    elif chosen.sort == "precision":  # the surely worst first, those that nobody judged last
        rows.sort(key=lambda row: (not row.judged, row.high, -row.judged))
    counted = Counter(rule.signal for _, rule in fitting)
    return Listed(
        rows,
        [(signal, counted[signal]) for signal in SIGNALS if counted[signal]],
        len(fitting),
        list(service.engine.screener.lexicon.standards.values()),
        service.follower.problem,
    )
