"""The endpoints, one module a subject; `ROUTERS` is what the application serves."""

from api.routes import conversations, jobs, operations, screen, session, users

ROUTERS = (operations.router, screen.router, session.router, users.router, conversations.router, jobs.router)
