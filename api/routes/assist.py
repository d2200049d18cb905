"""Before a message goes out: may it, and what would be better?"""

import time
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from api import access, openapi
from api.access import Principal, require
from api.assist import verdict
from api.dependencies import ServiceDep

router = APIRouter(prefix="/v1/assist", tags=["assist"], responses=openapi.REFUSALS)


@router.post("/check", response_class=Response)
async def check(request: Request, service: ServiceDep, principal: Annotated[Principal, Depends(require("screen"))]) -> Response:
    """Judge a draft in its context; nothing is stored."""
    started = time.perf_counter()
    draft = verdict.draft_of(await request.body(), service.settings)
    access.owned(principal, draft.window.vendor_id)
    return Response(msgspec.json.encode(await service.desk.judge(draft, started)), media_type="application/json")
