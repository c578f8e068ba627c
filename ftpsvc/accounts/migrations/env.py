"""Runs the migrations on the connection that `ftpsvc.accounts.database` hands over, in its transaction."""

from alembic import context

from ftpsvc.accounts.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
