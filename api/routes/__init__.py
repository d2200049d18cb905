"""The endpoints, one module a subject; `ROUTERS` is what the application serves."""

from api.routes import operations, screen, session

ROUTERS = (operations.router, screen.router, session.router)
