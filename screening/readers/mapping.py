"""Column profiles: which column of a table holds which field of the contract, and which words name the roles."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from screening.errors import InputError
from screening.types import Role

Column: TypeAlias = str | int

ROLE_WORDS: dict[Role, tuple[str, ...]] = {
    "agent": (
        "agent",
        "客服",
        "客户经理",
        "客户服务",
        "坐席",
        "座席",
        "商家",
        "卖家",
        "店小二",
        "顾问",
        "staff",
        "service",
        "seller",
        "waiter",
        "out",
        "1",
        "a",
    ),
    "customer": ("customer", "客户", "顾客", "用户", "买家", "会员", "来电人", "user", "buyer", "client", "in", "0", "b"),
    "bot": ("bot", "机器人", "智能客服", "智能助手", "robot", "ai"),
    "system": ("system", "系统", "系统消息", "系统提示", "notice"),
}
READY = ("messages-zh", "messages-en", "conversations-json", "sessions-tsv")
_REQUIRED = {"messages": ("id", "role", "text"), "conversations": ("id", "turns")}
TURN_FIELDS = ("role", "text", "at", "ends_at", "kind")
FIELDS = ("id", "turns", *TURN_FIELDS, "channel", "vendor_id", "agent_id", "customer_id", "started_at", "ended_at", "ended_by")
ENDED_BY = {"客服": "agent", "坐席": "agent", "客户": "customer", "顾客": "customer", "用户": "customer", "系统": "system"}
CHANNELS = {
    "在线": "online",
    "网页": "online",
    "app": "online",
    "电话": "phone",
    "热线": "phone",
    "邮件": "email",
    "微博": "social",
    "社交": "social",
}
KINDS = {"文本": "text", "文字": "text", "图片": "image", "语音": "voice", "卡片": "card"}


class ColumnProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a table is read. A column is named by its title or, without a header, by its number from 1; the first that exists counts."""

    shape: Literal["messages", "conversations"]
    columns: dict[str, tuple[Column, ...]]
    attributes: dict[str, tuple[Column, ...]] = {}
    roles: dict[Role, tuple[str, ...]] = {}
    header: bool = True
    delimiter: str | None = None
    sheet: str | None = None


class LaidColumns(msgspec.Struct, frozen=True):
    """A profile laid on a table's real columns: field to position."""

    fields: dict[str, int]
    attributes: dict[str, int]
    rest: dict[str, int]


def load(name: str) -> ColumnProfile:
    """A ready profile by name or a TOML file by path; raises `InputError`."""
    if name in READY:
        text = resources.files("screening.readers").joinpath("columns", f"{name}.toml").read_text(encoding="utf-8")
    else:
        path = Path(name)
        if not path.is_file():
            raise InputError(f"no column profile {name!r}: ready ones are {', '.join(READY)}; or give a TOML file")
        text = path.read_text(encoding="utf-8")
    try:
        data = tomllib.loads(text)
        for table in ("columns", "attributes"):
            data[table] = {k: v if isinstance(v, list) else [v] for k, v in data.get(table, {}).items()}
        profile = msgspec.convert(data, ColumnProfile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, AttributeError) as error:
        raise InputError(f"column profile {name}: {error}") from None
    unknown = [field for field in profile.columns if field not in FIELDS]
    if unknown:
        raise InputError(
            f"column profile {name}: [columns] names unknown fields {', '.join(unknown)}; there are: {', '.join(FIELDS)}"
        )
    missing = [field for field in _REQUIRED[profile.shape] if field not in profile.columns]
    if missing:
        raise InputError(f"column profile {name}: [columns] lacks {', '.join(missing)}; shape {profile.shape!r} needs it")
    return profile


def lay(profile: ColumnProfile, titles: Sequence[str]) -> LaidColumns:
    """Find the profile's columns in a table; raises `InputError` that says which columns exist."""
    places = {title.strip(): i for i, title in reversed(list(enumerate(titles)))}

    def place(options: Sequence[Column]) -> int | None:
        for option in options:
            if isinstance(option, int) and 1 <= option <= len(titles):
                return option - 1
            if isinstance(option, str) and option in places:
                return places[option]
        return None

    fields = {field: at for field, options in profile.columns.items() if (at := place(options)) is not None}
    for field in _REQUIRED[profile.shape]:
        if field not in fields:
            wanted = " / ".join(map(str, profile.columns[field]))
            raise InputError(f"no column for `{field}` (looked for {wanted}); the table has: {', '.join(titles) or 'no columns'}")
    attributes = {name: at for name, options in profile.attributes.items() if (at := place(options)) is not None}
    used = {*fields.values(), *attributes.values()}
    rest = {title.strip() or str(i + 1): i for i, title in enumerate(titles) if i not in used} if profile.header else {}
    return LaidColumns(fields, attributes, rest)


def choose(name: str | None, titles: Sequence[str]) -> ColumnProfile:
    """The named profile, or the first ready one that fits the titles."""
    if name is not None:
        return load(name)
    for ready in READY:
        profile = load(ready)
        if not profile.header:
            continue
        try:
            lay(profile, titles)
        except InputError:
            continue
        return profile
    raise InputError(
        f"no ready column profile fits ({', '.join(READY)}); the table has: {', '.join(titles) or 'no columns'}. "
        "Write a profile (see docs/readers.md) and give it with --columns"
    )


def role_of(value: str, own: Mapping[Role, Sequence[str]]) -> Role:
    """The role that a cell names; raises `InputError` for an unknown word."""
    word = value.strip().lower()
    for table in (own, ROLE_WORDS):
        for role, words in table.items():
            if word in map(str.lower, words):
                return role
    raise InputError(f'unknown role {value!r}; name it under [roles] in the column profile, as in agent = ["{value}"]')


def cell(value: Any) -> Any:
    """A cell as the contract's fields take it: numbers as text, times as ISO 8601, lists as they are, empty as None."""
    if value is None or isinstance(value, list | dict):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return text if text.strip() else None
