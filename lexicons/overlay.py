"""Rules laid over a lexicon: replaced by id or added, on trial in the shadow, and written back as a lexicon folder."""

import hashlib
import json
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from lexicons import lock
from lexicons.load import JUDGED, SCORES, Lexicon, load
from lexicons.schema import Rule

_TABLE = re.compile(r"^(?=\[\[rule\]\])", re.MULTILINE)


def file_of(rule: Rule) -> str:
    """Where a rule stands that no file of the lexicon holds yet."""
    return f"rules/{rule.signal}-overlay.toml"


def overlaid(
    lexicon: Lexicon, rules: Iterable[Rule], shadow: Iterable[Rule] = (), judged: Mapping[str, tuple[int, int, int]] | None = None
) -> Lexicon:
    """The lexicon with `rules` in place of its own of the same id or beside them; its version covers them.

    `shadow` runs beside the rest and is never graded: a rule on trial stands twice where it is to replace one. `judged` (as
    `Lexicon.judged`) takes the place of the lexicon's own.
    """
    over = {rule.id: rule for rule in rules}
    replaced = [over.get(rule.id, rule) for rule in lexicon.rules]
    added = [over[name] for name in sorted(over.keys() - {rule.id for rule in lexicon.rules})]
    graded = {rule.id: rule for rule in (*replaced, *added)}
    tried = {rule.id: rule for rule in shadow if rule.status in ("active", "shadow") and rule != graded.get(rule.id)}
    trial = [msgspec.structs.replace(tried[name], status="shadow") for name in sorted(tried)]
    if not over and not trial and not judged:
        return lexicon
    covered = [lexicon.version, [over[name] for name in sorted(over)], trial, *([judged] if judged else [])]
    return msgspec.structs.replace(
        lexicon,
        rules=(*replaced, *added, *trial),
        version="sha256:" + hashlib.sha256(msgspec.json.encode(covered, order="deterministic")).hexdigest(),
        files=lexicon.files | {rule.id: file_of(rule) for rule in added},
        judged=dict(judged or lexicon.judged),
    )


def write(folder: Path, rules: Sequence[Rule], to: Path, judged: Mapping[str, tuple[int, int, int]] | None = None) -> None:
    """Copy the lexicon of `folder` into the empty folder `to` with `rules` merged into its files and `judged` beside them, and lock it.

    What is not replaced stays as written, comments included; raises `LexiconError` where the result does not load.
    """
    for name in ("cues", "rules", "standards", "variants", SCORES, JUDGED):
        source = folder / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
        elif source.exists():
            shutil.copy(source, to / name)
    if judged:
        (to / JUDGED).write_bytes(msgspec.json.format(msgspec.json.encode(judged, order="deterministic"), indent=1) + b"\n")
    waiting = {rule.id: rule for rule in rules}
    for path in sorted((to / "rules").glob("*.toml")):
        merged = _merged(path, waiting)
        if merged is not None:
            path.write_text(merged, encoding="utf-8")
    for name in sorted(waiting):
        path = to / file_of(waiting[name])
        before = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n" if path.exists() else ""
        path.write_text(before + as_toml(waiting[name]), encoding="utf-8")
    made = load(to)
    lock.write(made.rules, made.sets, to)


def _merged(path: Path, waiting: dict[str, Rule]) -> str | None:
    """The file's text with its replaced rules, which are taken out of `waiting`; None where it holds none of them."""
    head, *tables = _TABLE.split(path.read_text(encoding="utf-8"))
    changed = False
    kept = [head]
    for table in tables:
        name = tomllib.loads(table)["rule"][0]["id"]
        rule = waiting.get(name)
        if rule is None:
            kept.append(table)
            continue
        changed = True
        if path.name.startswith(rule.signal + "-"):
            kept.append(as_toml(waiting.pop(name)) + "\n")
    return "".join(kept).rstrip("\n") + "\n" if changed else None


def as_toml(rule: Rule) -> str:
    """The rule as a `[[rule]]` table; fields at their defaults are left out."""
    defaults = dict(zip(Rule.__struct_fields__[-len(Rule.__struct_defaults__) :], Rule.__struct_defaults__, strict=True))
    lines = ["[[rule]]"]
    for name, value in msgspec.to_builtins(rule).items():
        if name == "status" or name not in defaults or value != msgspec.to_builtins(defaults[name]):
            lines.append(f"{name} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    match value:
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{name} = {_value(one)}" for name, one in value.items() if one is not None) + "}"
        case _:
            return json.dumps(value, ensure_ascii=False)
