"""Run a screening again and say whether it is the same to the byte, or what differs and which version changed."""

from collections.abc import Iterator

import msgspec

from screening.types import Screening


def encode(screening: Screening) -> bytes:
    """The screening as one line of JSON, the bytes that replay compares."""
    return msgspec.json.encode(screening)


def differences(before: Screening, after: Screening) -> Iterator[str]:
    """One line for each difference, versions first; nothing when the two are identical."""
    if encode(before) == encode(after):
        return
    for field in msgspec.structs.fields(type(before.versions)):
        old, new = getattr(before.versions, field.name), getattr(after.versions, field.name)
        if old != new:
            yield f"version of {field.name} changed: {old} -> {new}"
    for field in msgspec.structs.fields(Screening):
        if field.name in ("versions", "flags", "candidates"):
            continue
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new:
            yield f"{field.name}: {old!r} -> {new!r}"
    yield from _lists("flag", [_flag(f) for f in before.flags], [_flag(f) for f in after.flags])
    yield from _lists("candidate", [_plain(c) for c in before.candidates], [_plain(c) for c in after.candidates])


def _flag(flag: msgspec.Struct) -> str:
    fields = msgspec.structs.asdict(flag)
    fields.pop("quote")  # a difference names places, not conversation text
    return " ".join(f"{k}={_value(v)}" for k, v in fields.items())


def _plain(struct: msgspec.Struct) -> str:
    return " ".join(f"{k}={_value(v)}" for k, v in msgspec.structs.asdict(struct).items())


def _value(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _lists(what: str, before: list[str], after: list[str]) -> Iterator[str]:
    for gone in [item for item in before if item not in after]:
        yield f"- {what} {gone}"
    for new in [item for item in after if item not in before]:
        yield f"+ {what} {new}"
    if before != after and sorted(before) == sorted(after):
        yield f"{what}s are in another order"
