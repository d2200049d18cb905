"""The console's words: one catalogue file per language, every key in each of them."""

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

Language = Literal["zh-CN", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
DEFAULT: Language = "zh-CN"

Words = Callable[..., str]
"""`words("product")`: the text of a key in one language, its places filled; raises `KeyError` for an unknown key."""


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """All keys of a language, dotted, with their texts."""
    text = (files("api.console") / "catalogue" / f"{language}.toml").read_text("utf-8")
    return dict(_flat("", tomllib.loads(text)))


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in table.items():
        found += _flat(f"{prefix}{name}.", value) if isinstance(value, dict) else [(prefix + name, str(value))]
    return found


@cache
def words(language: Language) -> Words:
    """The lookup of a language."""
    texts = catalogue(language)

    def text(key: str, **places: object) -> str:
        return texts[key].format(**places) if places else texts[key]

    return text


def section(language: Language, name: str) -> dict[str, str]:
    """All texts under a table of the catalogue, keyed without its name: what a page hands to its script."""
    prefix = name + "."
    return {key.removeprefix(prefix): text for key, text in catalogue(language).items() if key.startswith(prefix)}


def known(language: str | None) -> Language:
    """The language of a cookie's value; the default where it is none of ours."""
    return next((one for one in LANGUAGES if one == language), DEFAULT)
