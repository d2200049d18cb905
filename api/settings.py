"""The service's settings: environment (`SCREENING_*`) over a TOML file (named by `SCREENING_CONFIG`) over the defaults."""

import base64
import binascii
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

PREFIX = "SCREENING_"
CONFIG = "SCREENING_CONFIG"
SECRET_LENGTH = 32
_NOT_SECRET = ("change", "secret", "password", "example", "default", "0123456789", "abcdefgh")

Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]


class SettingsError(ValueError):
    """Settings that do not hold; one line each, every line names the setting."""


class Settings(BaseSettings):
    """Everything an operator may set. docs/service.md explains each."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    demo: bool = False
    secret: SecretStr = SecretStr("")
    database: str = "sqlite:///screening.db"
    encryption_keys: dict[str, SecretStr] = {}
    encryption_key: str | None = None

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    docs: bool = True
    console: bool = True
    processes: Annotated[int, Field(ge=1, le=64)] = 1

    lexicon: Path | None = None
    profile: Path | None = None
    classifier: str | None = None

    max_body_bytes: Count = 32 * 1024 * 1024
    max_upload_bytes: Count = 2 * 1024 * 1024 * 1024
    max_turns: Count = 5_000
    max_text_length: Count = 20_000
    max_batch: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    queue_turns: Count = 65_536
    rate_per_minute: Count = 60_000

    stream_sessions: Count = 2_000
    stream_conversations: Count = 200
    stream_bytes: Count = 16 * 1024 * 1024
    stream_message_bytes: Count = 128 * 1024
    stream_messages_per_second: Count = 50
    stream_idle_seconds: Count = 600
    stream_resume_seconds: Count = 120

    session_hours: Count = 12
    login_attempts: Count = 5
    login_window_minutes: Count = 15

    weight_a: Weight = 100.0
    weight_b: Weight = 10.0
    weight_c: Weight = 1.0
    weight_uncertainty: Weight = 4.0
    claim_minutes: Count = 15

    spool: Path | None = None
    workers: Annotated[int, Field(ge=0, le=64)] = 1
    lease_seconds: Count = 60
    max_attempts: Count = 3

    @field_validator("encryption_keys")
    @classmethod
    def _key_lengths(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, key in keys.items():
            if not name.isascii() or not 0 < len(name) < 64:
                raise ValueError(f"the id {name!r} of a key must be 1 to 63 ASCII characters")
            if len(_decoded(name, key)) != 32:
                raise ValueError(f"key {name!r} must be 32 bytes in base64; make one with: openssl rand -base64 32")
        return keys

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.encryption_key is not None and self.encryption_key not in self.encryption_keys:
            raise ValueError(f"encryption_key: {self.encryption_key!r} is not among encryption_keys")
        if self.demo:
            return self
        secret = self.secret.get_secret_value()
        advice = "set it to at least 32 random characters, for instance the output of: openssl rand -hex 32"
        if not secret:
            raise ValueError(f"secret: is not set; {advice}")
        if len(secret) < SECRET_LENGTH:
            raise ValueError(f"secret: has {len(secret)} characters; {advice}")
        if len(set(secret)) < 8 or any(word in secret.lower() for word in _NOT_SECRET):
            raise ValueError(f"secret: looks like an example; {advice}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the TOML file."""
        del dotenv_settings, file_secret_settings
        file = os.environ.get(CONFIG)
        return (init_settings, env_settings, *((TomlConfigSettingsSource(settings_cls, Path(file)),) if file else ()))

    def keys(self) -> dict[str, bytes]:
        """The encryption keys as bytes."""
        return {name: _decoded(name, key) for name, key in self.encryption_keys.items()}

    def weights(self) -> dict[str, float]:
        """The weight of each level in the queue's priority."""
        return {"A": self.weight_a, "B": self.weight_b, "C": self.weight_c}


def _decoded(name: str, key: SecretStr) -> bytes:
    try:
        return base64.b64decode(key.get_secret_value(), validate=True)
    except binascii.Error:
        raise ValueError(f"key {name!r} is not base64; make one with: openssl rand -base64 32") from None


def load(**given: Any) -> Settings:
    """The settings of this process, with `given` on top; raises `SettingsError`."""
    file = os.environ.get(CONFIG)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG}: {file}: no such file")
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(
            "\n".join(_line(problem) for problem in error.errors(include_url=False, include_input=False))
        ) from None
    except ValueError as error:  # a TOML file that is none, an environment value that is no JSON
        raise SettingsError(f"settings: {error}") from None


def _line(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if problem["loc"]:
        return f"{'.'.join(map(str, problem['loc']))} ({PREFIX}{str(problem['loc'][0]).upper()}): {message}"
    name, _, rest = message.partition(": ")
    return f"{name} ({PREFIX}{name.upper()}): {rest}"
