"""Plain chat text as people paste it from chat tools: speaker lines with or without times, in several customs.

Understood: `客服小美 2026-03-02 10:00:05` above the words, `[10:00] 客户：…`, `2026-03-02 10:00 客服: …`, `A: …`, `用户说：…`. A line
that names no speaker continues the turn before it; a line of `===` or `---`, or `会话ID: …`, begins another conversation.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from screening.errors import InputError
from screening.readers.encoding import open_text
from screening.readers.mapping import ROLE_WORDS
from screening.readers.records import Refused, from_record
from screening.types import Conversation, Role

_DATE = r"\d{4}[-/年.]\d{1,2}[-/月.]\d{1,2}日?"
_TIME = r"(?:上午|下午)?\d{1,2}:\d{2}(?::\d{2})?"
_STAMP = rf"(?:{_DATE}\s+)?{_TIME}"
_NAME = r"[^\s:：\[\]【】()（）,，。!！?？]{1,20}"
_ABOVE = re.compile(rf"^(?:({_NAME})\s+[(（\[]?({_DATE}\s+{_TIME})[)）\]]?|({_DATE}\s+{_TIME})\s+({_NAME}))\s*[:：]?$")
_BESIDE = re.compile(rf"^[\[(（【]?({_STAMP})[\])）】]?\s*({_NAME})\s*(?:说|回复)?[:：]\s*(.*)$")
_NAMED = re.compile(rf"^({_NAME}?)\s*(?:[(（\[]({_STAMP})[)）\]])?\s*(?:说|回复)?[:：]\s*(.*)$")
_PERSON = re.compile(r"[-_#(（\s]?(?:[0-9a-z]{1,8}|[小阿老].{1,2}|.{1,3}(?:先生|女士|小姐|经理|老师))号?[)）]?")
_BREAK = re.compile(r"^\s*(?:[=\-*_]{3,}|会话\s*(?:ID|id|编号)\s*[:：]\s*(\S+))\s*$")


class ChatRoles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose words are whose: role words besides the usual ones, and the day for times without a date."""

    roles: dict[Role, tuple[str, ...]] = {}
    date: str | None = None
    channel: str = "online"


def load_roles(path: Path) -> ChatRoles:
    """Role words from a TOML file; raises `InputError`."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ChatRoles)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(f"role words {path}: {error}") from None


def read(source: Path | BinaryIO, name: str, roles: ChatRoles) -> Iterator[Conversation | Refused]:
    """Conversations and refusals of one pasted file; ids are the file's name and a number unless the text gives them."""
    text, encoding = open_text(source)
    stem = Path(name).stem or "chat"
    count, block, first, given = 0, list[str](), 1, None
    row = 0
    with text:
        try:
            for row, raw in enumerate(text, 1):
                line = raw.rstrip("\r\n")
                cut = _BREAK.match(line)
                if cut is None:
                    block.append(line)
                    continue
                if any(part.strip() for part in block):
                    count += 1
                    yield _conversation(block, first, name, given or f"{stem}-{count}", roles)
                block, first, given = [], row + 1, cut[1]
        except UnicodeDecodeError as error:
            yield Refused(name, row + 1, f"not {encoding} text from here on ({error.reason}); save the file as UTF-8")
            return
    if any(part.strip() for part in block):
        yield _conversation(block, first, name, given or f"{stem}-{count + 1}", roles)


def _conversation(lines: list[str], first: int, name: str, id_: str, roles: ChatRoles) -> Conversation | Refused:
    turns: list[dict[str, Any]] = []
    for row, line in enumerate(lines, first):
        try:
            opened = _opens(line, roles)
        except InputError as error:
            return Refused(name, row, str(error), id_)
        if opened is not None:
            turns.append(opened)
        elif turns:
            turns[-1]["text"] += ("\n" if turns[-1]["text"] else "") + line
        elif line.strip():
            return Refused(
                name,
                row,
                "the text begins without a speaker; write 客服： or 客户： before it, or give role words with --roles",
                id_,
            )
    for turn in turns:
        turn["text"] = turn["text"].strip("\n")
    try:
        return from_record({"id": id_, "channel": roles.channel, "turns": turns})
    except InputError as error:
        return Refused(name, first, str(error), id_)


def _opens(line: str, roles: ChatRoles) -> dict[str, Any] | None:
    """The turn that a line begins, or None where it continues one."""
    above = _ABOVE.match(line.strip())
    if above:
        speaker, stamp = above[1] or above[4], above[2] or above[3]
        return _turn(speaker, stamp, "", roles, required=True)
    beside = _BESIDE.match(line)
    if beside:
        return _turn(beside[2], beside[1], beside[3], roles, required=True)
    named = _NAMED.match(line)
    if named:
        return _turn(named[1], named[2], named[3], roles, required=bool(named[2]))
    return None


def _turn(speaker: str, stamp: str | None, text: str, roles: ChatRoles, *, required: bool) -> dict[str, Any] | None:
    role = _role(speaker, roles, stamped=required)
    if role is None:
        if required:
            raise InputError(
                f'unknown speaker {speaker!r}; name him in a role file: [roles] agent = ["{speaker}"], and give it with --roles'
            )
        return None
    turn: dict[str, Any] = {"role": role, "text": text}
    at = _iso(stamp, roles.date)
    if at is not None:
        turn["at"] = at
    return turn


def _role(speaker: str, roles: ChatRoles, *, stamped: bool) -> Role | None:
    """The role of a speaker's name: the longest role word in it. Without a time beside it, only a name made like one counts.

    `客服态度：太差` is a message, not a speaker; `客服小美：您好` and `客户王先生：在吗` are.
    """
    word = speaker.strip().lower().removesuffix("说")
    found: list[tuple[int, Role]] = []
    for table in (roles.roles, ROLE_WORDS):
        for role, words in table.items():
            for known in map(str.lower, words):
                if word == known:
                    return role
                if known in word and len(known) > 1 and not known.isascii():
                    rest = word.replace(known, "", 1)
                    if stamped or _PERSON.fullmatch(rest):
                        found.append((len(known), role))
    return max(found, key=lambda item: item[0])[1] if found else None


def _iso(stamp: str | None, date: str | None) -> str | None:
    if not stamp:
        return None
    match = re.fullmatch(rf"(?:({_DATE})\s+)?(上午|下午)?(\d{{1,2}}):(\d{{2}})(?::(\d{{2}}))?", stamp.strip())
    if match is None:
        return None
    day = match[1] or date
    if day is None:
        return None  # a time without a day is no moment; nothing is guessed
    hour = int(match[3]) + (12 if match[2] == "下午" and int(match[3]) < 12 else 0)
    day = re.sub("[/年月.]", "-", day).rstrip("日")
    return f"{day} {hour:02}:{match[4]}:{match[5] or '00'}"
