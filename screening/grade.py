"""From findings to incident candidates: signals lead to clauses, clauses have levels, precedence is data of the standard.

A candidate can always be explained by one clause; nothing is added up.
"""

from collections.abc import Sequence

from lexicons.schema import Clause, Standard
from screening.types import Candidate, Finding, Flag, Level

ORDER: dict[str, int] = {"A": 0, "B": 1, "C": 2}


def candidates(findings: Sequence[Finding], flags: Sequence[Flag], standards: Sequence[Standard]) -> tuple[Candidate, ...]:
    """One candidate per clause that an active flag breaks, precedence applied, ordered by level, score and name.

    `findings[i]` is what `flags[i]` was made of.
    """
    result: list[Candidate] = []
    for standard in standards:
        broken = _broken(findings, flags, standard)
        kept = _after_precedence(broken, findings, standard.precedence)
        for clause, indices in kept:
            result.append(
                Candidate(
                    standard=standard.id,
                    clause=clause.id,
                    level=clause.level,
                    title=clause.title,
                    score=max(flags[i].score for i in indices),
                    flags=tuple(indices),
                    severe=False,
                    points=clause.points,
                )
            )
    return tuple(sorted(result, key=lambda c: (ORDER[c.level], -c.score, c.standard, c.clause)))


def level(found: Sequence[Candidate]) -> Level | None:
    """The gravest level, None where there is no candidate."""
    return found[0].level if found else None


def _broken(findings: Sequence[Finding], flags: Sequence[Flag], standard: Standard) -> list[tuple[Clause, list[int]]]:
    broken: dict[str, tuple[Clause, list[int]]] = {}
    for i, (finding, flag) in enumerate(zip(findings, flags, strict=True)):
        if flag.status != "active" or (finding.standards is not None and standard.id not in finding.standards):
            continue
        for clause in _clauses(finding, standard):
            broken.setdefault(clause.id, (clause, []))[1].append(i)
    return list(broken.values())


def _clauses(finding: Finding, standard: Standard) -> list[Clause]:
    leading = [clause for clause in standard.clauses if finding.signal in clause.signals]
    named = {ref.partition("/")[2] for ref in finding.references if ref.startswith(standard.id + "/")}
    return [clause for clause in leading if clause.id in named] or leading


def _after_precedence(
    broken: list[tuple[Clause, list[int]]], findings: Sequence[Finding], precedence: Sequence[str]
) -> list[tuple[Clause, list[int]]]:
    """What is graded at a higher level is not graded again at the lowest: the same turn for words, the same interval for time."""
    if not precedence:
        return broken
    lowest = precedence[-1]
    higher = [i for clause, indices in broken if clause.level != lowest for i in indices]
    kept = []
    for clause, indices in broken:
        above = higher if clause.level == lowest else []
        left = [i for i in indices if not any(_same_matter(findings[i], findings[j]) for j in above)]
        if left:
            kept.append((clause, left))
    return kept


def _same_matter(one: Finding, other: Finding) -> bool:
    if one.interval is not None and other.interval is not None:
        return one.interval[0] < other.interval[1] and other.interval[0] < one.interval[1]
    if one.interval is None and other.interval is None:
        return one.turn is not None and one.turn == other.turn
    return False
