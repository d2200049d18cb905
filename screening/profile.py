"""A settings profile: which standards grade, whose thresholds hold, and what a house overrides."""

import hashlib
import tomllib
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from lexicons.load import Lexicon
from lexicons.pattern import PatternError, parse
from lexicons.signals import TEXT_SIGNALS
from screening.errors import InputError
from screening.types import Channel

Action = Literal["block", "advise", "off"]
SLOTS = ("称呼", "商户名", "时限")
_DEADLINE_MOST = 60_000


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A house's own limit for one signal in some channels; it wins over every standard's."""

    signal: str
    channels: tuple[Channel, ...]
    value: float


class Assist(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How drafts are judged before they are sent: what a signal does (by default level A blocks, B and C advise), what happens
    where it could not be checked in `deadline_ms`, and what fills the slots of suggestions that a conversation leaves open.
    """

    deadline_ms: int = 150
    signals: dict[str, Action] = {}
    fail: dict[str, Literal["open", "closed"]] = {}
    slots: dict[str, str] = msgspec.field(default_factory=lambda: {"时限": "24小时内"})


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Default: graded under `jd-zhitongche`, with the response thresholds of `tencent-zhongchuang`."""

    name: str = "default"
    standards: tuple[str, ...] = ("jd-zhitongche",)
    thresholds_from: tuple[str, ...] = ("tencent-zhongchuang",)
    overrides: tuple[Override, ...] = ()
    timezone: str = "Asia/Shanghai"
    auto_replies: tuple[str, ...] = ()
    assist: Assist = msgspec.field(default_factory=Assist)

    def digest(self) -> str:
        """What the `settings` version of a screening holds; `assist` decides nothing in a screening and is left out."""
        return _digest(msgspec.structs.replace(self, assist=msgspec.UNSET))

    def assist_digest(self) -> str:
        """The version of what decides verdicts on drafts, beside the versions of their screening."""
        return _digest(self.assist)


def _digest(content: object) -> str:
    return "sha256:" + hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


class Limit(msgspec.Struct, frozen=True):
    """A threshold in force: `value` and the standard (or profile) that sets it, for the graded `standards`."""

    value: float
    source: str
    standards: frozenset[str]
    references: tuple[str, ...] = ()


def limits(profile: Profile, lexicon: Lexicon) -> dict[tuple[str, Channel], tuple[Limit, ...]]:
    """Per signal and channel the limits in force; graded standards that share a limit share the entry."""
    table: dict[tuple[str, Channel], dict[tuple[float, str, str], set[str]]] = {}
    for graded in profile.standards:
        known = {signal for clause in lexicon.standards[graded].clauses for signal in clause.signals}
        for source in (graded, *profile.thresholds_from):
            for threshold in lexicon.standards[source].thresholds:
                if threshold.signal not in known:
                    continue
                for channel in threshold.channels:
                    slot = table.setdefault((threshold.signal, channel), {})
                    if not any(graded in standards for standards in slot.values()):
                        clause = f"{source}/{threshold.clause}" if threshold.clause else ""
                        slot.setdefault((threshold.value, source, clause), set()).add(graded)
    for override in profile.overrides:
        for channel in override.channels:
            table[override.signal, channel] = {(override.value, f"profile {profile.name}", ""): set(profile.standards)}
    return {
        key: tuple(
            Limit(value, source, frozenset(graded), (clause,) if clause else ())
            for (value, source, clause), graded in sorted(slot.items())
        )
        for key, slot in table.items()
    }


def check(profile: Profile, lexicon: Lexicon) -> None:
    """Raise `InputError` where a profile names what does not exist."""
    for name in (*profile.standards, *profile.thresholds_from):
        if name not in lexicon.standards:
            raise InputError(f"profile {profile.name!r}: no standard {name!r}; there are: {', '.join(lexicon.standards)}")
    if not profile.standards or len(set(profile.standards)) != len(profile.standards):
        raise InputError(f"profile {profile.name!r}: `standards` must name at least one standard, and none twice")
    limited = {t.signal for standard in lexicon.standards.values() for t in standard.thresholds}
    for override in profile.overrides:
        if override.signal not in limited:
            known = ", ".join(sorted(limited))
            raise InputError(f"profile {profile.name!r}: override for {override.signal!r}, which has no limit; limits: {known}")
        if override.value < 0:
            raise InputError(f"profile {profile.name!r}: override for {override.signal!r} is negative")
    try:
        ZoneInfo(profile.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(
            f"profile {profile.name!r}: no time zone {profile.timezone!r}; write one such as Asia/Shanghai"
        ) from None
    for pattern in profile.auto_replies:
        try:
            parse(pattern, lexicon.sets)
        except PatternError as error:
            raise InputError(f"profile {profile.name!r}: auto_replies {pattern!r}: {error}") from None

    _check_assist(profile)


def _check_assist(profile: Profile) -> None:
    assist, where = profile.assist, f"profile {profile.name!r}: [assist]"
    for table in ("signals", "fail"):
        for signal in getattr(assist, table):
            if signal not in TEXT_SIGNALS:
                raise InputError(f"{where} {table} names {signal!r}; drafts are judged by: {', '.join(TEXT_SIGNALS)}")
    if not 1 <= assist.deadline_ms <= _DEADLINE_MOST:
        raise InputError(f"{where} deadline_ms must be between 1 and {_DEADLINE_MOST}, not {assist.deadline_ms}")
    for slot, text in assist.slots.items():
        if slot not in SLOTS or not text.strip():
            raise InputError(f"{where} slots: {slot!r} must be one of {', '.join(SLOTS)}, with a text")


def load(path: Path) -> Profile:
    """A profile from a TOML file; raises `InputError`."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Profile)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(f"profile {path}: {error}") from None
