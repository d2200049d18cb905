import base64
from pathlib import Path

import pytest

from api.settings import Settings, SettingsError, load

SECRET = "kX9v2LqTz7Wm4RbY8sHd3NfGc6JpAe1U"
KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCREENING_CONFIG", raising=False)


def test_the_environment_stands_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "service.toml"
    file.write_text(f'secret = "{SECRET}"\nport = 9000\nmax_turns = 70\n', encoding="utf-8")
    monkeypatch.setenv("SCREENING_CONFIG", str(file))
    monkeypatch.setenv("SCREENING_PORT", "9001")
    settings = load(max_batch=3)
    assert (settings.port, settings.max_turns, settings.max_batch) == (9001, 70, 3)
    assert settings.secret.get_secret_value() == SECRET
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"secret \(SCREENING_SECRET\): is not set; .*openssl"),
        ({"secret": "short"}, r"secret \(SCREENING_SECRET\): has 5 characters"),
        ({"secret": "change-me-change-me-change-me-change-me"}, "looks like an example"),
        ({"secret": "a" * 40}, "looks like an example"),
        ({"secret": SECRET, "port": 99999}, r"port \(SCREENING_PORT\)"),
        ({"secret": SECRET, "prot": 1}, r"prot \(SCREENING_PROT\): Extra inputs"),
        ({"secret": SECRET, "encryption_keys": {"k1": "abc"}}, "encryption_keys.*openssl rand -base64 32"),
        ({"secret": SECRET, "encryption_keys": {"k1": base64.b64encode(b"x").decode()}}, "must be 32 bytes"),
        ({"secret": SECRET, "encryption_key": "k1"}, r"encryption_key \(SCREENING_ENCRYPTION_KEY\): 'k1' is not among"),
    ],
)
def test_settings_that_do_not_hold_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(**given)


def test_the_demo_needs_no_secret() -> None:
    assert load(demo=True).secret.get_secret_value() == ""


def test_keys_are_bytes() -> None:
    assert load(secret=SECRET, encryption_keys={"k1": KEY}, encryption_key="k1").keys() == {"k1": b"k" * 32}


def test_files_that_are_missing_or_no_toml_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCREENING_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(SettingsError, match=r"SCREENING_CONFIG: .*none.toml: no such file"):
        load()
    (tmp_path / "bad.toml").write_text("port = = 1", encoding="utf-8")
    monkeypatch.setenv("SCREENING_CONFIG", str(tmp_path / "bad.toml"))
    with pytest.raises(SettingsError, match="settings: "):
        load()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings(demo=True).port = 1
