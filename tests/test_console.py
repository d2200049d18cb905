"""The console's frame: login, session, Origin, languages, themes."""

import re
from pathlib import Path

import pytest

from api.console import words
from tests.console import PASSWORD, Console

CODE = Path(words.__file__).parent


def test_both_catalogues_have_the_same_keys() -> None:
    chinese, english = (words.catalogue(language) for language in words.LANGUAGES)
    assert chinese.keys() == english.keys()
    assert all(text.strip() for text in (*chinese.values(), *english.values()))


def test_places_in_texts_are_the_same() -> None:
    places = [{key: set(re.findall(r"\{(\w+)", text)) for key, text in words.catalogue(one).items()} for one in words.LANGUAGES]
    assert places[0] == places[1]


def test_every_key_is_used_and_every_used_key_exists() -> None:
    """A key is used by its name in quotes, or through a family: f"role.{...}", section(language, "triage_script")."""
    sources = [path for path in CODE.rglob("*") if path.suffix in (".py", ".js", ".html")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    keys = words.catalogue("zh-CN").keys()
    named = set(re.findall(r"""\bt\(\s*["']([\w.-]+)["'][),\s]""", text)) | set(
        re.findall(r"""words\(\s*["']([\w.-]+)["'][),\s]""", text)
    )
    families = set(re.findall(r"""["']([\w.-]+[._])(?:\{|["'] ~)""", text)) | {
        f"{name}." for name in re.findall(r"""section\([\w.]+, ["']([\w.]+)["']\)""", text)
    }
    assert (
        sorted(key for key in keys if f'"{key}"' not in text and f"'{key}'" not in text and not key.startswith(tuple(families)))
        == []
    )
    for path in CODE.rglob("*.js"):  # scripts get a section and name keys without it
        named -= set(re.findall(r"""\bt\(\s*["']([\w.-]+)["'][),\s]""", path.read_text("utf-8")))
    assert sorted(name for name in named - set(keys) if name[-1] not in "._") == []


@pytest.mark.browser
def test_log_in_and_out(console: Console) -> None:
    console.user("reviewer", name="anna")
    page = console.page("/", token="ss_none")
    page.wait_for_url("**/console/login**")
    page.fill("#name", "anna")
    page.fill("#password", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector(".login-problem:not([hidden])")
    assert page.inner_text(".login-problem") == "用户名或密码不正确"
    console.problems.clear()  # the browser reports the refused login itself
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".console-header")
    assert "anna" in page.inner_text(".who")
    page.click("[data-do=logout]")
    page.wait_for_selector("#login")
