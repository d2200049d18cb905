"""Reads a lexicon folder, refuses it whole when one entry is wrong, and names every wrong entry by file and field."""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from lexicons import cache
from lexicons import pattern as patterns
from lexicons.errors import LexiconError
from lexicons.schema import Cue, Example, FormVariant, Rule, Standard, WordSet
from lexicons.signals import CUSTOMER_SIGNALS, SIGNALS

PACKAGED = Path(str(resources.files("lexicons")))
MARK = re.compile("«([^«»]+)»")
SCORES = "scores.json"
JUDGED = "judged.json"
CUE_KINDS = frozenset(
    (
        *("greeting", "closing", "hold", "open_question", "objection", "upset", "agreement", "silence_prompt"),
        *("bad_line", "wrong_number", "nuisance_warning", "transfer", "transfer_ask", "transfer_wanted", "refusal"),
        *("closing_notice", "transfer_notice", "auto_reply", "promise", "unkept", "complaint_wish", "quotation"),
        "negation",
    )
)
_NEED = 64
_SET_ID = re.compile(r"[a-z_][a-z0-9_]*")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_T = TypeVar("_T")


class Lexicon(msgspec.Struct, frozen=True):
    """Everything that is looked for. `version` is the digest of all of it but the standards, which have their own."""

    rules: tuple[Rule, ...]
    cues: tuple[Cue, ...]
    sets: dict[str, tuple[str, ...]]
    writings: dict[str, str]
    standards: dict[str, Standard]
    version: str
    scores: dict[str, tuple[int, int]] = {}
    """Per signal right and wrong flags on the development set (`scores.json`): the prior of every rule's score."""
    files: dict[str, str] = {}
    """Rule id to the file it stands in."""
    judged: dict[str, tuple[int, int, int]] = {}
    """What flagged (a rule's id) to its version and how many of that one's flags reviewers confirmed and rejected (`judged.json`)."""

    def cue_patterns(self, kind: str) -> list[Cue]:
        """The cues of one kind."""
        return [cue for cue in self.cues if cue.kind == kind]

    def with_drafts(self) -> "Lexicon":
        """The same lexicon with its draft rules in the shadow: found and shown, never graded."""
        rules = tuple(msgspec.structs.replace(r, status="shadow") if r.status == "draft" else r for r in self.rules)
        return msgspec.structs.replace(self, rules=rules, version=f"{self.version} with drafts")


def example_text(example: str | Example) -> str:
    """The example's own text, marks included."""
    return example if isinstance(example, str) else example.text


def _tables(folder: Path, kind: str, table: str, into: type[_T], problems: list[str]) -> Iterator[tuple[str, _T]]:
    for path in sorted((folder / kind).glob("*.toml")):
        where = f"{kind}/{path.name}"
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(f"{where}: not TOML: {error}")
            continue
        for key in data.keys() - {table}:
            problems.append(f"{where}: unknown table [{key}]; this folder holds [[{table}]] tables")
        entries = data.get(table, [])
        for entry in entries if isinstance(entries, list) else [entries]:
            try:
                yield where, msgspec.convert(entry, into)
            except msgspec.ValidationError as error:
                name = (entry.get("id") or entry.get("to")) if isinstance(entry, dict) else None
                problems.append(f"{where}: {table} {name!r}: {error}")


def _scores(folder: Path, problems: list[str]) -> dict[str, tuple[int, int]]:
    path = folder / SCORES
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[int, int]])
    except msgspec.DecodeError as error:
        problems.append(f"{SCORES}: {error}; write it anew with: screening evaluate tests/data/dev.jsonl --write-scores")
        return {}


def _judged(folder: Path, problems: list[str]) -> dict[str, tuple[int, int, int]]:
    path = folder / JUDGED
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[int, int, int]])
    except msgspec.DecodeError as error:
        problems.append(f"{JUDGED}: {error}; it is written by: screening lexicon export")
        return {}


def _duplicates(entries: Iterable[tuple[str, str]], what: str, problems: list[str]) -> None:
    seen: dict[str, str] = {}
    for where, name in entries:
        if name in seen:
            problems.append(f"{where}: {what} {name!r} stands already in {seen[name]}; an id is never used twice")
        seen.setdefault(name, where)


def _check_pattern(text: str, sets: Mapping[str, tuple[str, ...]], where: str, problems: list[str]) -> None:
    try:
        patterns.parse(text, sets)
    except patterns.PatternError as error:
        problems.append(f"{where}: {error}")


def _check_trigger(text: str, sets: Mapping[str, tuple[str, ...]], where: str, problems: list[str]) -> None:
    """What nominates a turn must hold a fixed part; a pattern outside the language was reported already."""
    try:
        if patterns.parse(text, sets).need(_NEED) is None:
            problems.append(f"{where}: holds no fixed part to look for; name at least one word")
    except patterns.PatternError:
        return


def _check_set(entry: WordSet, where: str, problems: list[str]) -> None:
    at = f"{where}: word set {entry.id!r}"
    if not _SET_ID.fullmatch(entry.id):
        problems.append(f"{at}: `id` is made of a-z, 0-9 and _, so that a pattern can name it")
    if not entry.forms or not all(entry.forms):
        problems.append(f"{at}: `forms` is empty or holds an empty form")


def _check_conditions(rule: Rule, at: str, problems: list[str]) -> None:
    numbers: list[tuple[str, float | None]] = []
    if rule.after:
        numbers.append(("after.turns", rule.after.turns))
    if rule.repeats:
        numbers += [("repeats.turns", rule.repeats.turns), ("repeats.times", rule.repeats.times)]
    if rule.position:
        numbers += [(f"position.{name}", getattr(rule.position, name)) for name in rule.position.__struct_fields__]
    problems.extend(f"{at}: `{name}` must be 1 or more" for name, value in numbers if value is not None and value < 1)


def _check_examples(rule: Rule, at: str, problems: list[str]) -> None:
    if rule.status == "retired":
        if not rule.reason:
            problems.append(f"{at}: a retired rule needs `reason`")
        return
    if not rule.hit:
        problems.append(f"{at}: `hit` is empty; show each phrase in a sentence, marked «so»")
    if len(rule.miss) < 2:
        problems.append(f"{at}: `miss` needs at least two innocent neighbours")
    for example in rule.hit:
        text = example_text(example)
        if not MARK.search(text) or len(MARK.findall(text)) != text.count("«") or text.count("«") != text.count("»"):
            problems.append(f"{at}: hit {text!r} must mark what is found with «»")
    for example in rule.miss:
        if "«" in example_text(example):
            problems.append(f"{at}: miss {example_text(example)!r} must not be marked")


def check_rule(rule: Rule, where: str, lexicon: Lexicon, problems: list[str]) -> None:
    """Add to `problems` what is wrong with a rule that stands in the file `where` of the lexicon."""
    at = f"{where}: rule {rule.id!r}"
    if not _ID.fullmatch(rule.id):
        problems.append(f"{at}: `id` is made of a-z, 0-9 and single hyphens")
    if rule.signal not in SIGNALS:
        problems.append(f"{at}: `signal` {rule.signal!r} is none of the contract's signals")
    elif not Path(where).name.startswith(rule.signal + "-"):
        problems.append(f"{at}: belongs into a file named {rule.signal}-<topic>.toml")
    if (rule.speaker == "customer") != (rule.signal in CUSTOMER_SIGNALS):
        problems.append(f"{at}: `speaker` {rule.speaker!r} does not fit the signal")
    if bool(rule.any_of) == bool(rule.pattern):
        problems.append(f"{at}: give either `any_of` or `pattern`")
    if len(set(rule.any_of)) != len(rule.any_of):
        problems.append(f"{at}: a phrase stands twice in `any_of`")
    for phrase in rule.any_of:
        if len(phrase) <= 2 and not (rule.whole_word or rule.unless or rule.after):
            problems.append(
                f"{at}: phrase {phrase!r} is short; it needs `whole_word`, `unless` or a pattern with a slot around it"
            )
        if not phrase.strip() or "\n" in phrase:
            problems.append(f"{at}: phrase {phrase!r} is empty or holds a line feed")
    for text in filter(None, (rule.pattern, rule.after.pattern if rule.after else None)):
        _check_pattern(text, lexicon.sets, f"{at}: pattern {text!r}", problems)
        _check_trigger(text, lexicon.sets, f"{at}: pattern {text!r}", problems)
    for text in rule.unless:
        _check_pattern(text, lexicon.sets, f"{at}: unless {text!r}", problems)
    _check_conditions(rule, at, problems)
    if not rule.references:
        problems.append(f'{at}: `references` is empty; name the clause, as in "jd-zhitongche/A.attitude"')
    for reference in rule.references:
        standard, _, clause = reference.partition("/")
        if standard not in lexicon.standards:
            problems.append(f"{at}: reference {reference!r}: no standard {standard!r}; there are: {', '.join(lexicon.standards)}")
        elif clause not in {c.id for c in lexicon.standards[standard].clauses}:
            problems.append(f"{at}: reference {reference!r}: standard {standard!r} has no clause {clause!r}")
    _check_examples(rule, at, problems)


def _check_cue(cue: Cue, where: str, lexicon: Lexicon, problems: list[str]) -> None:
    at = f"{where}: cue {cue.id!r}"
    if cue.kind not in CUE_KINDS:
        problems.append(f"{at}: unknown kind {cue.kind!r}; there are: {', '.join(sorted(CUE_KINDS))}")
    if bool(cue.any_of) == bool(cue.pattern):
        problems.append(f"{at}: give either `any_of` or `pattern`")
    for text in [*([cue.pattern] if cue.pattern else []), *cue.unless]:
        _check_pattern(text, lexicon.sets, f"{at}: pattern {text!r}", problems)
    if cue.pattern:
        _check_trigger(cue.pattern, lexicon.sets, f"{at}: pattern {cue.pattern!r}", problems)
    if not _ID.fullmatch(cue.id) or not cue.speaker or not all(phrase.strip() for phrase in cue.any_of):
        problems.append(f"{at}: `id` is made of a-z, 0-9 and hyphens, `speaker` names somebody, and no phrase is empty")
    if not cue.hit or not cue.miss:
        problems.append(f"{at}: `hit` and `miss` both need an example")


def _check_standard(standard: Standard, where: str, problems: list[str]) -> None:
    at = f"{where}: standard {standard.id!r}"
    _duplicates(((at, c.id) for c in standard.clauses), "clause", problems)
    known = {c.id for c in standard.clauses}
    for clause in standard.clauses:
        for signal in (*clause.signals, *clause.ledger_signals):
            if signal not in SIGNALS:
                problems.append(f"{at}: clause {clause.id!r}: unknown signal {signal!r}")
        if not clause.signals and not clause.ledger_signals and not clause.human_reason:
            problems.append(
                f"{at}: clause {clause.id!r}: no signal leads here, so `human_reason` must say why only a person can see it"
            )
    for threshold in standard.thresholds:
        if threshold.signal not in SIGNALS:
            problems.append(f"{at}: threshold for unknown signal {threshold.signal!r}")
        if threshold.clause is not None and threshold.clause not in known:
            problems.append(f"{at}: threshold for {threshold.signal!r} names unknown clause {threshold.clause!r}")
    for level in standard.precedence:
        if level not in ("A", "B", "C"):
            problems.append(f"{at}: precedence holds {level!r}; levels are A, B, C")


def load(folder: Path = PACKAGED) -> Lexicon:
    """The lexicon in `folder`; raises `LexiconError` with every problem when one entry is wrong.

    A lexicon that was found good is kept under the digest of its files and of the code that checks them.
    """
    files = [*sorted(folder.rglob("*.toml")), folder / SCORES, folder / JUDGED]
    named = [part for path in files if path.exists() for part in (str(path.relative_to(folder)).encode(), path.read_bytes())]
    return cache.kept("lexicon", cache.digest([*cache.code(PACKAGED), *named]), lambda: _load(folder))


def _load(folder: Path) -> Lexicon:
    problems: list[str] = []
    sets = list(_tables(folder, "variants/sets", "set", WordSet, problems))
    writings = list(_tables(folder, "variants/writings", "writing", FormVariant, problems))
    standards = list(_tables(folder, "standards", "standard", Standard, problems))
    cues = list(_tables(folder, "cues", "cue", Cue, problems))
    rules = list(_tables(folder, "rules", "rule", Rule, problems))
    scores, judged = _scores(folder, problems), _judged(folder, problems)
    digested = [[r for _, r in rules], [c for _, c in cues], [s for _, s in sets], [w for _, w in writings], scores]
    lexicon = Lexicon(
        rules=tuple(rule for _, rule in rules),
        cues=tuple(cue for _, cue in cues),
        sets={s.id: s.forms for _, s in sets},
        writings={form: w.to for _, w in writings for form in w.forms},
        standards={s.id: s for _, s in standards},
        scores=scores,
        version=_digest(*digested, *([judged] if judged else [])),
        files={rule.id: where for where, rule in rules},
        judged=judged,
    )
    _duplicates(((where, s.id) for where, s in sets), "word set", problems)
    _duplicates(((where, s.id) for where, s in standards), "standard", problems)
    _duplicates(((where, c.id) for where, c in cues), "cue", problems)
    _duplicates(((where, r.id) for where, r in rules), "rule", problems)
    _duplicates(((where, form) for where, w in writings for form in w.forms), "writing", problems)
    for where, word_set in sets:
        _check_set(word_set, where, problems)
    for where, standard in standards:
        _check_standard(standard, where, problems)
    for where, cue in cues:
        _check_cue(cue, where, lexicon, problems)
    for where, rule in rules:
        check_rule(rule, where, lexicon, problems)
    if problems:
        raise LexiconError(problems)
    return lexicon


def _digest(*parts: Any) -> str:
    return "sha256:" + hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def standard_version(standard: Standard) -> str:
    """A standard's own version with the digest of its content."""
    return f"{standard.version} {_digest(standard)[:23]}"


@lru_cache(maxsize=1)
def packaged() -> Lexicon:
    """The lexicon that ships with the product."""
    return load(PACKAGED)
