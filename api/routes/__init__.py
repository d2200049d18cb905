"""The endpoints, one module a subject; `ROUTERS` is what the application serves."""

from api.routes import conversations, jobs, operations, review, review_decisions, screen, session, statistics, users

ROUTERS = (
    operations.router,
    screen.router,
    session.router,
    users.router,
    jobs.router,
    review.router,
    review_decisions.router,
    statistics.router,
    conversations.router,
)
