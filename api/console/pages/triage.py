"""Triage: the queue, the conversation, the decision.

The page is drawn by its own script, which asks the service by messages over NiceGUI's websocket: so a decision shows the next
conversation, fetched ahead, at once. A message that got no answer is kept in the browser and sent again.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from nicegui import ui
from nicegui.events import GenericEventArguments

from api.access import Principal
from api.console import shell, triage, words
from api.console.visitor import Visitor
from api.errors import ApiError


@shell.page("/", "triage", "review", styles=("triage.css",), wide=True)
async def page(visitor: Visitor, principal: Principal) -> None:
    """The page; `?candidate=` and `?conversation=` open one at once."""
    texts = {
        **words.section(visitor.language, "triage"),
        **{f"error.{key}": text for key, text in words.section(visitor.language, "error").items()},
        **{f"signal.{key}": text for key, text in words.section(visitor.language, "signal").items()},
    }
    standards = await visitor.act("review", lambda service, _: triage.standards(service))
    given = {
        "words": texts,
        "standards": standards,
        "me": principal.actor.partition(":")[2],
        "lead": "assign" in principal.actions,
    }
    ui.add_head_html(shell.template("scripts.html", modules=[shell.asset("triage.js")]))
    ui.html(shell.template("triage.html", t=visitor.words, given=msgspec.json.encode(given).decode()), sanitize=False).classes(
        "triage-frame"
    )
    client = ui.context.client
    in_turn = asyncio.Lock()

    async def asked(event: GenericEventArguments) -> None:
        answer = await _answer(visitor, event.args, in_turn)
        client.run_javascript(f"triageAnswer({msgspec.json.encode(answer).decode()})")

    ui.on("triage", asked)


async def _answer(visitor: Visitor, message: Any, in_turn: asyncio.Lock) -> dict[str, Any]:
    """The answer to a message {"ref", "name", "given"}: {"ref", "ok"} with "data" or with "code" and "problem"."""
    ref = message.get("ref") if isinstance(message, Mapping) else None
    try:
        if not isinstance(message, Mapping) or message.get("name") not in triage.OPERATIONS:
            raise ApiError(422, "invalid", "no such message")
        name, given = message["name"], message.get("given")
        if not isinstance(given, dict):
            raise ApiError(422, "invalid", "a message has its content in `given`")
        if triage.OPERATIONS[name].writes:
            async with in_turn:
                data = await visitor.act("review", triage.perform, name, given)
        else:
            data = await visitor.act("review", triage.perform, name, given)
    except ApiError as error:
        return {"ref": ref, "ok": False, "code": error.code, "problem": visitor.problem(error)}
    return {"ref": ref, "ok": True, "data": data}
