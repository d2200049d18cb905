"""Pages drawn by the server: their buttons and forms (`data-act`, static/acts.js) speak to handlers here."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.console import shell
from api.console.visitor import Visitor
from api.errors import ApiError

Handler = Callable[[dict[str, Any]], Awaitable[None]]


class Problem(NamedTuple):
    """What to mend in a form, beside the field of that name; above the form where `field` is empty."""

    field: str
    message: str


class Live:
    """The open page; `acts` names what its elements may ask for."""

    def __init__(self, visitor: Visitor, acts: Mapping[str, Handler]):
        self._visitor = visitor
        self._acts = acts
        self._client = ui.context.client
        ui.add_head_html(shell.template("scripts.html", scripts=[shell.asset("acts.js")]))
        ui.on("act", shell.acting(visitor, self._asked))

    async def _asked(self, event: GenericEventArguments) -> None:
        message = event.args
        name = message.get("name") if isinstance(message, Mapping) else None
        given = message.get("given") if isinstance(message, Mapping) else None
        if (
            not isinstance(name, str)
            or name not in self._acts
            or not isinstance(given, dict)
            or not all(map(_plain, given.values()))
        ):
            raise ApiError(422, "invalid", "no such message")
        try:
            await self._acts[name](given)
        except ApiError as error:
            if error.status_code == 401 or error.field is None:
                raise
            self.problems(name, [Problem(error.field.strip("/").rpartition("/")[2], self._visitor.problem(error))])
        finally:
            self.call("actDone", name)

    def problems(self, act: str, found: Sequence[Problem]) -> None:
        """Show what is wrong in the forms of an act; none clears them."""
        self.call("actProblems", act, [one._asdict() for one in found])

    def call(self, function: str, *given: object) -> None:
        """Call a function of the page's scripts."""
        arguments = ", ".join(msgspec.json.encode(one).decode() for one in given)
        self._client.run_javascript(f"{function}({arguments})")


def _plain(value: object) -> bool:
    """Whether a form's value is a text or a list of texts."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))
