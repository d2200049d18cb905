"""A rule as a form has it, texts by field name, and back."""

from collections.abc import Mapping
from typing import Any

import msgspec

from api.errors import ApiError
from lexicons.schema import EXCUSES, Example, Rule

CONTEXT = "> "
"""Begins a line that stands before the example under it."""
_LARGEST = 1_000_000
Given = Mapping[str, str | list[str]]
_NUMBERS = {"position": ("first_turns", "last_turns", "first_seconds", "last_seconds"), "repeats": ("turns", "times")}


def empty() -> dict[str, Any]:
    """The form of a new rule."""
    plain = Rule(id="", version=1, signal="", title="", references=(), hit=(), miss=(), excuses=EXCUSES)
    return filled(plain) | {"version": ""}


def filled(rule: Rule) -> dict[str, Any]:
    """The form of a rule."""
    made: dict[str, Any] = {name: value or "" for name, value in msgspec.structs.asdict(rule).items()}
    made |= {name: "\n".join(getattr(rule, name)) for name in ("any_of", "unless")}
    made |= {name: "\n".join(map(_written, getattr(rule, name))) for name in ("hit", "miss")}
    made |= {"kind": "pattern" if rule.pattern else "phrases", "excuses": rule.excuses, "references": rule.references}
    after = rule.after
    made |= {"after": after.pattern if after else "", "after_speaker": after.speaker if after else "customer"}
    made["after_turns"] = str(after.turns if after else 1)
    for part, names in _NUMBERS.items():
        held = getattr(rule, part)
        made |= {f"{part}_{name}": "" if held is None else _number(getattr(held, name)) for name in names}
    return made


def table(given: Given, version: int) -> dict[str, Any]:
    """The rule that a form holds, as `rules` of the API take it; raises `ApiError` for a number that is none."""
    made: dict[str, Any] = {name: text(given, name) for name in ("id", "signal", "title")}
    made |= {"version": version, "references": many(given, "references"), "excuses": many(given, "excuses")}
    made |= {name: text(given, name) for name in ("speaker", "fold", "status") if text(given, name)}
    if text(given, "kind") == "pattern":
        made["pattern"] = text(given, "pattern") or None
    else:
        made["any_of"] = lines(text(given, "any_of"))
    made |= {"whole_word": text(given, "whole_word") == "yes", "unless": lines(text(given, "unless"))}
    made |= {name: text(given, name) or None for name in ("suggestion", "reason")}
    made |= {name: _examples(text(given, name)) for name in ("hit", "miss")}
    if text(given, "after"):
        turns = _counted(given, "after_turns")
        made["after"] = {"pattern": text(given, "after"), "speaker": text(given, "after_speaker") or "customer"}
        made["after"] |= {} if turns is None else {"turns": turns}
    for part, names in _NUMBERS.items():
        held = {name: value for name in names if (value := _counted(given, f"{part}_{name}")) is not None}
        if held:
            made[part] = held
    if "repeats" in made and "turns" not in made["repeats"]:
        raise ApiError(422, "invalid", "`repeats` needs its turns", "/repeats")
    return made


def as_table(rule: Rule) -> dict[str, Any]:
    """A rule as `rules` of the API take it."""
    made: dict[str, Any] = msgspec.to_builtins(rule)
    return made


def text(given: Given, name: str) -> str:
    """One field, trimmed."""
    value = given.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def many(given: Given, name: str) -> list[str]:
    """The ticked boxes of one name."""
    value = given.get(name, [])
    return value if isinstance(value, list) else [value]


def lines(block: str) -> list[str]:
    """The lines that hold something."""
    return [line.strip() for line in block.splitlines() if line.strip()]


def number(written: object) -> int | None:
    """A whole number from an address or a form; None where it is none."""
    return int(written) if isinstance(written, str) and written.isascii() and written.isdigit() and len(written) < 16 else None


def _examples(block: str) -> list[Any]:
    found: list[Any] = []
    context: list[str] = []
    for line in lines(block):
        if line.startswith(CONTEXT.strip()):
            context.append(line.removeprefix(CONTEXT.strip()).strip())
        else:
            found.append({"text": line, "context": context} if context else line)
            context = []
    return found


def _written(example: str | Example) -> str:
    if isinstance(example, str):
        return example
    return "\n".join([*(CONTEXT + line for line in example.context), example.text])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _counted(given: Given, name: str) -> float | int | None:
    written = text(given, name)
    if not written:
        return None
    try:
        value = float(written)
    except ValueError:
        raise ApiError(422, "invalid", f"{written[:20]!r} is no number", f"/{name.partition('_')[0]}") from None
    if not abs(value) <= _LARGEST:
        raise ApiError(422, "invalid", f"{written[:20]!r} is no number that fits", f"/{name.partition('_')[0]}")
    return int(value) if value == int(value) else value
