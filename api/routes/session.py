"""Logging in and out, and who one is."""

from fastapi import APIRouter
from pydantic import BaseModel

from api import openapi
from api.access import Caller, Principal

router = APIRouter(prefix="/v1", tags=["access"], responses=openapi.REFUSALS)


class Me(BaseModel):
    """Who acts and what is allowed."""

    actor: str
    role: str | None
    actions: list[str]
    vendor_id: str | None

    @classmethod
    def of(cls, principal: Principal) -> "Me":
        """As a principal is shown."""
        return cls(actor=principal.actor, role=principal.role, actions=sorted(principal.actions), vendor_id=principal.vendor_id)


@router.get("/me")
async def me(principal: Caller) -> Me:
    """Who the caller is, and what he may do."""
    return Me.of(principal)
