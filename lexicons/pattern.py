"""The pattern language of rules: literals, `.`, `[…]`, `(?:…|…)`, `?`, `{m,n}`, `^`, `$`, and word sets `{name}`.

That is a subset of RE2's syntax in which every repetition is bounded, so that matching is linear in the text and a match
has a bounded length. Parsed with the standard library's own parser; nothing here matches text.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]  # the parser has no public name, and no stubs
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple, TypeAlias

GAP_LIMIT = 24
LENGTH_LIMIT = 120
_SET_NAME = re.compile(r"\{([a-z_][a-z0-9_]*)\}")

Node: TypeAlias = tuple[Any, Any]
Sets: TypeAlias = Mapping[str, tuple[str, ...]]

_FIRST_SET = 0xF0000  # a word set stands in the parse tree as one private character, numbered from here


_CROSSING = frozenset({op.CATEGORY_SPACE, op.CATEGORY_NOT_DIGIT, op.CATEGORY_NOT_WORD})

EDGE = "\n"


class Every(NamedTuple):
    """Several needs that must all be met."""

    parts: "tuple[Need, ...]"


class Either(NamedTuple):
    """Several needs of which one must be met."""

    parts: "tuple[Need, ...]"


Need: TypeAlias = frozenset[str] | Every | Either
"""A set of literals of which one must stand in the text, or a combination of such sets."""


def _either(parts: "list[Need | None]") -> "Need | None":
    plain: frozenset[str] = frozenset()
    others: list[Need] = []
    for part in parts:
        if part is None:
            return None
        if isinstance(part, frozenset):
            plain |= part
        else:
            others.append(part)
    if plain:
        others.append(plain)
    return others[0] if len(others) == 1 else Either(tuple(others))


class PatternError(ValueError):
    """A pattern outside the language; the message says what and how to mend it."""


def _forms(match: re.Match[str], sets: Sets) -> tuple[str, ...]:
    if match[1] not in sets:
        raise PatternError(f"word set {{{match[1]}}} does not exist; there are: {', '.join(sorted(sets))}")
    return sets[match[1]]


def expand_sets(pattern: str, sets: Sets) -> str:
    """Replace `{name}` by an alternation of the set's forms, longest first."""

    def alternation(match: re.Match[str]) -> str:
        forms = sorted(_forms(match, sets), key=lambda f: (-len(f), f))
        return "(?:" + "|".join(map(re.escape, forms)) + ")"

    return _SET_NAME.sub(alternation, pattern)


def within_lines(pattern: str) -> str:
    """The pattern with line feeds taken out of what its negated classes match."""
    out: list[str] = []
    i, in_class = 0, False
    while i < len(pattern):
        piece = pattern[i : i + 2] if pattern[i] == "\\" else pattern[i]
        i += len(piece)
        out.append(piece)
        if in_class:
            in_class = piece != "]"
        elif piece == "[":
            in_class = True
            if pattern.startswith("^", i):
                out.append("^\\n")
                i += 1
            if pattern.startswith("]", i):
                out.append("\\]")
                i += 1
    return "".join(out)


def set_names(pattern: str) -> list[str]:
    """Names of the word sets a pattern uses."""
    return _SET_NAME.findall(pattern)


class Parsed:
    """A pattern checked against the language; raises `PatternError` when it is outside."""

    __slots__ = ("_sets", "longest", "nodes", "shortest")

    def __init__(self, pattern: str, sets: Sets):
        used: list[tuple[str, ...]] = []

        def placeholder(match: re.Match[str]) -> str:
            used.append(_forms(match, sets))
            return chr(_FIRST_SET + len(used) - 1)

        marked = _SET_NAME.sub(placeholder, pattern)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", FutureWarning)
                tree = _parser.parse(marked)
        except (re.error, FutureWarning) as error:
            raise PatternError(f"not a pattern: {error}") from None
        if tree.state.flags & ~re.UNICODE.value:
            raise PatternError("inline flags are not part of the language")
        self.nodes: list[Node] = list(tree)
        self._sets = used
        _check(self.nodes, repeated=False)
        self.shortest, self.longest = self._width(self.nodes)
        if self.shortest == 0:
            raise PatternError("matches the empty text; make at least one part required")
        if self.longest > LENGTH_LIMIT:
            raise PatternError(f"may match {self.longest} characters; the limit is {LENGTH_LIMIT}: shorten the gaps")

    def _set(self, point: int) -> tuple[str, ...] | None:
        at = point - _FIRST_SET
        return self._sets[at] if 0 <= at < len(self._sets) else None

    def _width(self, nodes: list[Node]) -> tuple[int, int]:
        low = high = 0
        for kind, value in nodes:
            a = b = 1
            if kind is op.LITERAL:
                forms = self._set(value)
                if forms is not None:
                    a, b = min(map(len, forms)), max(map(len, forms))
            elif kind is op.IN:
                members = self._class_members(value) or {"?"}
                a, b = min(map(len, members)), max(map(len, members))
            elif kind is op.AT:
                a = b = 0
            elif kind is op.SUBPATTERN:
                a, b = self._width(list(value[3]))
            elif kind is op.BRANCH:
                widths = [self._width(list(branch)) for branch in value[1]]
                a, b = min(w[0] for w in widths), max(w[1] for w in widths)
            elif kind is op.MAX_REPEAT:
                a, b = self._width(list(value[2]))
                a, b = a * value[0], b * value[1]
            low, high = low + a, high + b
        return low, high

    def _class_members(self, value: list[Node]) -> set[str] | None:
        """Members of a small class; the parser also makes one of alternatives that are all one character, or one set, long."""
        members: set[str] = set()
        for kind, item in value:
            if kind is op.LITERAL:
                members.update(self._set(item) or (chr(item),))
            elif kind is op.RANGE and item[1] - item[0] < 12:
                members.update(map(chr, range(item[0], item[1] + 1)))
            else:
                return None
        return members

    def need(self, limit: int) -> "Need | None":
        """What every match must hold, as far as sets of at most about `limit` literals tell; None when nothing is fixed.

        In its literals `EDGE` stands for the beginning or the end of the text.
        """
        return self._need(self.nodes, limit)

    def texts(self, limit: int) -> set[str] | None:
        """All texts that the pattern matches when these are at most `limit`, else None."""
        return self._finite(self.nodes, limit, edge="")

    def _need(self, nodes: list[Node], limit: int) -> "Need | None":
        parts: list[Need] = []
        run: set[str] = {""}

        def close() -> None:
            nonlocal run
            if "" not in run and EDGE not in run:
                parts.append(frozenset(run))
            run = {""}

        for kind, value in nodes:
            items = self._finite([(kind, value)], limit, edge=EDGE)
            if items is not None and len(run) * len(items) <= limit:
                run = {head + tail for head in run for tail in items}
                continue
            close()
            inner = None
            if items is not None:
                run = set(items)
            elif kind is op.SUBPATTERN:
                inner = self._need(list(value[3]), limit)
            elif kind is op.BRANCH:
                inner = _either([self._need(list(branch), limit) for branch in value[1]])
            elif kind is op.MAX_REPEAT and value[0] > 0:
                inner = self._need(list(value[2]), limit)
            if inner is not None:
                parts.append(inner)
        close()
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _finite(self, nodes: list[Node], limit: int, edge: str) -> set[str] | None:
        texts = {""}
        for kind, value in nodes:
            options: set[str] | None
            if kind is op.LITERAL:
                forms = self._set(value)
                options = {chr(value)} if forms is None else set(forms)
            elif kind is op.AT:
                options = {edge}
            elif kind is op.IN:
                options = self._class_members(value)
            elif kind is op.SUBPATTERN:
                options = self._finite(list(value[3]), limit, edge)
            elif kind is op.BRANCH:
                options = set()
                for branch in value[1]:
                    inner = self._finite(list(branch), limit, edge)
                    options = None if inner is None or options is None else options | inner
            elif kind is op.MAX_REPEAT and value[1] <= 3:
                inner = self._finite(list(value[2]), limit, edge)
                options = None if inner is None else _repeat(inner, value[0], value[1], limit)
            else:
                options = None
            if options is None or (len(texts) > 1 and len(texts) * len(options) > limit):
                return None
            texts = {head + tail for head in texts for tail in options}
        return texts


@lru_cache(maxsize=8192)
def _parsed(pattern: str, names: tuple[tuple[str, tuple[str, ...]], ...]) -> Parsed:
    return Parsed(pattern, dict(names))


def parse(pattern: str, sets: Sets) -> Parsed:
    """The checked parse of a pattern, remembered per pattern and the sets it names; raises `PatternError`."""
    names = dict.fromkeys(set_names(pattern))
    for name in names:
        if name not in sets:
            raise PatternError(f"word set {{{name}}} does not exist; there are: {', '.join(sorted(sets))}")
    return _parsed(pattern, tuple((name, sets[name]) for name in names))


def _check(nodes: list[Node], *, repeated: bool) -> None:
    for kind, value in nodes:
        if kind in (op.LITERAL, op.NOT_LITERAL, op.ANY):
            continue
        if kind is op.IN:
            if any(item is op.CATEGORY and which in _CROSSING for item, which in value):
                raise PatternError("\\s, \\D and \\W match line feeds, too; write the characters out, as in [ ] or [^0-9]")
            continue
        if kind is op.AT and value in (op.AT_BEGINNING, op.AT_END):
            continue
        if kind is op.BRANCH:
            for branch in value[1]:
                _check(list(branch), repeated=repeated)
        elif kind is op.SUBPATTERN:
            if value[1] or value[2]:
                raise PatternError("inline flags are not part of the language")
            _check(list(value[3]), repeated=repeated)
        elif kind is op.MAX_REPEAT:
            low, high, inner = value
            if high is op.MAXREPEAT:
                raise PatternError("unbounded repetition (* + {n,}); write {0,8} or the like")
            if high > GAP_LIMIT:
                raise PatternError(f"repetition up to {high}; the limit is {GAP_LIMIT}")
            if repeated and (low, high) != (0, 1):
                raise PatternError("a repetition inside a repetition; write the inner one out")
            _check(list(inner), repeated=repeated or (low, high) != (0, 1))
        else:
            raise PatternError(f"{str(kind).lower()} is not part of the language (no lookaround, back-reference, \\b or lazy ?)")


def _repeat(inner: set[str], low: int, high: int, limit: int) -> set[str] | None:
    texts, layer = ({""} if low == 0 else set()), {""}
    for count in range(1, high + 1):
        if len(layer) > 1 and len(layer) * len(inner) > limit:
            return None
        layer = {head + tail for head in layer for tail in inner}
        if count >= low:
            texts |= layer
    return texts


def without_branches(pattern: str) -> Iterator[tuple[str, str]]:
    """Each alternative of each alternation removed in turn: (the alternative, the pattern without it).

    A pattern whose examples all still match when an alternative is gone has never shown that alternative.
    """
    stack: list[list[int]] = []
    groups: list[tuple[int, int, list[int]]] = []
    i, in_class = 0, False
    stack.append([0])
    bars: list[list[int]] = [[]]
    while i < len(pattern):
        char = pattern[i]
        if char == "\\":
            i += 2
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            start = i + 3 if pattern.startswith("(?:", i) else i + 1
            stack.append([start])
            bars.append([])
        elif char == "|":
            bars[-1].append(i)
        elif char == ")":
            groups.append((stack.pop()[0], i, bars.pop()))
        i += 1
    groups.append((0, len(pattern), bars[0]))
    for start, end, cuts in groups:
        if not cuts:
            continue
        edges = [start, *[c + 1 for c in cuts]]
        ends = [*cuts, end]
        for k, (a, b) in enumerate(zip(edges, ends, strict=True)):
            rest = [pattern[x:y] for j, (x, y) in enumerate(zip(edges, ends, strict=True)) if j != k]
            yield pattern[a:b], pattern[:start] + "|".join(rest) + pattern[end:]
