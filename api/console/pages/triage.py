"""Triage: the queue, the conversation, the decision."""

from api.access import Principal
from api.console import shell
from api.console.visitor import Visitor


@shell.page("/", "triage", "review", wide=True)
async def triage(visitor: Visitor, principal: Principal) -> None:
    """The page."""
    del principal
    shell.empty(visitor.words("nav.triage"), "")
