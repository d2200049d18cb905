"""Who sits before a page: read from the session anew on every action, never remembered."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import structlog
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from starlette.requests import HTTPConnection

from api import access
from api.access import Action, Principal
from api.console import words
from api.console.words import Language, Words
from api.errors import ApiError, as_api_error
from api.wiring import Service

LANGUAGE_COOKIE = "console_language"
THEME_COOKIE = "console_theme"
SERVICE = "screening.service"
"""The key of a scope under which the mounted console finds the service."""

_Result = TypeVar("_Result")
_log = structlog.get_logger("console")


class Visitor(NamedTuple):
    """A browser: the service, its session's token, language and theme (dark: None follows the system)."""

    service: Service
    token: str
    language: Language
    dark: bool | None

    @property
    def words(self) -> Words:
        """The texts in the visitor's language."""
        return words.words(self.language)

    def principal(self, action: Action | None = None) -> Principal:
        """The acting principal as of now; raises `ApiError`: 401 where the session is over, 403 where the action is not allowed."""
        found = access.by_session(self.service, access.digest(self.token), self.service.clock())
        if action is not None:
            access.check(found, action)
        return found

    async def act(self, action: Action, perform: Callable[..., _Result], *given: Any, **named: Any) -> _Result:
        """`perform(service, principal, ...)` in a thread, by whoever the session belongs to now; raises `ApiError` only."""

        def acting() -> _Result:
            return perform(self.service, self.principal(action), *given, **named)

        try:
            return await run_in_threadpool(acting)
        except ValidationError as error:
            raise invalid(error) from None
        except Exception as error:
            known = as_api_error(error)
            if known.code == "internal":
                _log.error("console_failed", error=type(error).__name__)  # its message may hold conversation text
            raise known from None

    def problem(self, error: ApiError) -> str:
        """What an error says to the visitor: the catalogue's sentence for its code, with the service's own message behind it."""
        texts = words.catalogue(self.language)
        said = texts.get(f"error.{error.code}", texts["error.other"])
        return said if error.code in ("unauthenticated", "forbidden", "internal") else f"{said} ({error.message})"


def visitor_of(connection: HTTPConnection) -> Visitor:
    """The visitor behind a request."""
    cookies = connection.cookies
    dark = {"dark": True, "light": False}.get(cookies.get(THEME_COOKIE, ""))
    service = cast(Service, connection.scope[SERVICE])
    return Visitor(service, cookies.get(access.COOKIE, ""), words.known(cookies.get(LANGUAGE_COOKIE)), dark)


def invalid(error: ValidationError) -> ApiError:
    """What pydantic refuses, as the envelope's error: the field and the reason, without the input."""
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return ApiError(422, "invalid", f"{place}: {problem['msg']}" if place else problem["msg"], "/" + place.replace(".", "/"))
