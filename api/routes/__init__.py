"""The endpoints, one module a subject; `ROUTERS` is what the application serves."""

from api.routes import conversations, operations, screen, session

ROUTERS = (operations.router, screen.router, session.router, conversations.router)
