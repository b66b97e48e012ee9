"""The schema's history. Only forward: an append-only log has no way back."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, pool, text

from eventstore.database import connect

HERE = Path(__file__).parent


class SchemaBehind(Exception):
    """The database's schema is not the one this code was written for."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    return config


def head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def upgrade(url: str, to: str = "head") -> None:
    """Bring the database at `url` (owner's rights) to the newest schema, or to one before; one migrator at a time."""
    engine = _engine(url)
    with engine.begin() as connection:
        # One migrator per database. Roles belong to the whole server, where no lock reaches: 0001 expects company.
        connection.execute(text("SELECT pg_advisory_xact_lock(70010)"))
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS fx"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def check(url: str) -> None:
    """Raise SchemaBehind, in one line, unless the schema is the newest."""
    engine = _engine(url)
    with engine.connect() as connection:
        found = MigrationContext.configure(connection, opts={"version_table_schema": "fx"}).get_current_revision()
    if found != head():
        raise SchemaBehind(f"the database schema is at {found or 'nothing'}, this code needs {head()}: "
                           "run `fx migrate`")


def _engine(url: str) -> Engine:
    return create_engine("postgresql+psycopg://", poolclass=pool.NullPool,
                         creator=lambda: connect(url, autocommit=False))
