"""Alembic's entry: runs each migration on the connection that `migrations.upgrade` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="fx", transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
