"""The endpoints, one module a subject; `ROUTERS` is what the application serves."""

from api.routes import (
    assist,
    assist_stream,
    back_tests,
    conversations,
    dashboard,
    jobs,
    operations,
    profiles,
    review,
    review_decisions,
    rules,
    screen,
    session,
    statistics,
    uploads,
    users,
)

ROUTERS = (
    operations.router,
    screen.router,
    assist.router,
    assist_stream.router,
    session.router,
    users.router,
    jobs.router,
    uploads.router,
    review.router,
    review_decisions.router,
    statistics.router,
    dashboard.router,
    back_tests.router,
    rules.router,
    profiles.router,
    conversations.router,
)
