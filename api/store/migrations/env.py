"""Alembic's entry: runs the migrations on the connection that it was handed."""

from alembic import context

from api.store.migrations import METADATA, ours

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    include_object=ours,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
