"""What routes ask for."""

from typing import Annotated, cast

from fastapi import Depends, Request

from api.wiring import Service


async def service_of(request: Request) -> Service:
    """The service that the application was made with."""
    return cast(Service, request.app.state.service)


ServiceDep = Annotated[Service, Depends(service_of)]
