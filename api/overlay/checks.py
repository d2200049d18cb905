"""What is wrong with edited rules: the checks of shipped ones, over the lexicon that they are to change."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from lexicons import lock, overlay
from lexicons.load import Lexicon, check_rule
from lexicons.schema import Rule
from screening import lint
from screening.examples import ExampleRunner

LARGEST_RULE = 64 * 1024
_RULE = re.compile(r"^(?:\S+: )?rule '([^']*)': ")
_NAMED = re.compile(r"`([a-z_]+)(?:\.[a-z_]+)?`")
_FIELDS = (
    ("phrase", "any_of"),
    ("a phrase", "any_of"),
    ("no hit", "hit"),
    ("hit", "hit"),
    ("miss", "miss"),
    ("context", "hit"),
    ("unless", "unless"),
    ("pattern", "pattern"),
    ("reference", "references"),
    ("its suggestion", "suggestion"),
    ("suggestion", "suggestion"),
    ("a retired", "reason"),
    ("belongs", "signal"),
)


class Problem(NamedTuple):
    """A thing to mend: in which rule, in which of its fields where that is known."""

    rule: str
    field: str | None
    message: str


def problems(changed: Sequence[Rule], over: Lexicon, shipped: Lexicon, published: Iterable[Sequence[Rule]] = ()) -> list[Problem]:
    """All that is wrong with the changed rules once they lie over the lexicon `over`.

    `published` are the rules of versions that ran already: one version number of a rule stands for one behaviour.
    """
    lines = list(_static(changed, over))
    lines += _same_numbers(changed, (shipped.rules, *published), over.sets)
    if not lines:
        made = overlay.overlaid(over, changed)
        names = {rule.id for rule in changed}
        lines += lint.problems(made, names)
        lines += _examples(changed, over)
    return [_placed(line) for line in lines]


def _static(changed: Sequence[Rule], over: Lexicon) -> Iterator[str]:
    seen: set[str] = set()
    for rule in changed:
        if rule.id in seen:
            yield f"rule {rule.id!r}: `id` stands twice in this version"
        seen.add(rule.id)
        if len(msgspec.json.encode(rule)) > LARGEST_RULE:
            yield f"rule {rule.id!r}: is larger than {LARGEST_RULE} bytes; make several of it"
        if rule.version < 1:
            yield f"rule {rule.id!r}: `version` counts from 1"
        found: list[str] = []
        check_rule(rule, overlay.file_of(rule), over, found)
        yield from found


def _same_numbers(
    changed: Sequence[Rule], earlier: Iterable[Sequence[Rule]], sets: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    names = {rule.id for rule in changed}
    known: dict[str, list[Rule]] = {}
    for rules in earlier:
        for rule in rules:
            if rule.id in names:
                known.setdefault(rule.id, []).append(rule)
    for rule in changed:
        same = [old for old in known.get(rule.id, ()) if old.version == rule.version]
        if any(lock.digest(old, sets) != lock.digest(rule, sets) for old in same):
            highest = max(old.version for old in known[rule.id])
            yield f"rule {rule.id!r}: `version` {rule.version} behaved otherwise before; raise it to {highest + 1}"


def _examples(changed: Sequence[Rule], over: Lexicon) -> Iterator[str]:
    """Hits and misses concern the rule alone, so a small index does; its suggestion is held against all rules."""
    yield from ExampleRunner(msgspec.structs.replace(over, rules=tuple(changed))).problems(changed)
    suggesting = [rule for rule in changed if rule.suggestion is not None and rule.status != "retired"]
    if suggesting:
        # exactly what screens now, whose index is at hand; rules that are to be replaced do not count
        live = tuple(rule for rule in over.rules if rule.status in ("active", "shadow"))
        everyone = ExampleRunner(msgspec.structs.replace(over, rules=live))
        replaced = {rule.id for rule in changed}
        for rule in suggesting:
            yield from everyone.suggestion_problems(rule, but=replaced)


def _placed(line: str) -> Problem:
    found = _RULE.match(line)
    if found is None:
        return Problem("", None, line)
    message = line[found.end() :]
    named = _NAMED.search(message)
    if named is not None and named[1] in Rule.__struct_fields__:
        return Problem(found[1], named[1], message)
    return Problem(found[1], next((field for word, field in _FIELDS if message.startswith(word)), None), message)
