"""The lock of the rules: version and digest per rule, so that no rule changes or vanishes unseen."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lexicons.load import PACKAGED
from lexicons.pattern import Sets, set_names
from lexicons.schema import Rule

FILE = "rules.lock.json"
MEND = "raise `version` where behaviour changed, then run: screening lexicon lock"
_TEXT_ONLY = {
    "title": "",
    "references": (),
    "hit": (),
    "miss": (),
    "suggestion": None,
    "version": 0,
    "reason": None,
    "status": "active",
}


def digest(rule: Rule, sets: Sets) -> str:
    """Digest of what a rule does: its words, the word sets it names, its conditions; not its texts, examples and status."""
    behaviour = msgspec.structs.replace(rule, **_TEXT_ONLY)
    patterns = [rule.pattern, rule.after.pattern if rule.after else None, *rule.unless]
    named = {name: sorted(sets.get(name, ())) for pattern in patterns if pattern for name in set_names(pattern)}
    return hashlib.sha256(msgspec.json.encode([behaviour, named], order="deterministic")).hexdigest()[:16]


def read(folder: Path = PACKAGED) -> dict[str, dict[str, str | int]]:
    """The lock as committed: rule id to {version, digest}."""
    path = folder / FILE
    locked: dict[str, dict[str, str | int]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return locked


def write(rules: Sequence[Rule], sets: Sets, folder: Path = PACKAGED) -> None:
    """Renew the lock from the rules."""
    entries = {rule.id: {"version": rule.version, "digest": digest(rule, sets)} for rule in sorted(rules, key=lambda r: r.id)}
    lines = ",\n".join(f' "{name}": {json.dumps(entry)}' for name, entry in entries.items())
    (folder / FILE).write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def problems(rules: Sequence[Rule], sets: Sets, locked: dict[str, dict[str, str | int]]) -> list[str]:
    """Rules that differ from the lock, one line each with what to do."""
    found = []
    present = {rule.id: rule for rule in rules}
    digests = {rule.id: digest(rule, sets) for rule in rules}
    for name, entry in locked.items():
        rule = present.get(name)
        if rule is None:
            found.append(f'rule {name!r} vanished; a dead rule is kept with status = "retired" and a reason')
        elif digests[name] != entry["digest"] and rule.version <= int(entry["version"]):
            found.append(f"rule {name!r} changed its behaviour but not its version {rule.version}; {MEND}")
        elif (digests[name], rule.version) != (entry["digest"], entry["version"]):
            found.append(f"rule {name!r} differs from the lock; {MEND}")
    found += [f"rule {name!r} is not in the lock; {MEND}" for name in present if name not in locked]
    return found
