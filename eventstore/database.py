"""Reaching the server: clear words when it does not answer, and reads that survive a connection lost in the pool."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

CONNECT_TIMEOUT_S = 5
POOL_SIZE = 8


class DatabaseUnreachable(Exception):
    """One line: which server did not answer, and why."""


class Unavailable(Exception):
    """The database does not answer; what became of a command is unknown to us and settled by its key."""


def connect(conninfo: str) -> Connection[tuple[object, ...]]:
    return psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)


def probe(url: str) -> str:
    """The server's version; DatabaseUnreachable if there is none."""
    try:
        with connect(url) as connection:
            row = connection.execute("SHOW server_version").fetchone()
            return str(row[0]) if row else "?"
    except psycopg.OperationalError as error:
        where = {name: value for name, value in conninfo_to_dict(url).items() if name in ("host", "port", "dbname")}
        reason = str(error).strip().splitlines()[-1]
        raise DatabaseUnreachable(f"no PostgreSQL answers at {where}: {reason}") from None


def select(source: PostgresDatastore, query: str, params: Sequence[object]) -> list[dict[str, Any]]:
    """The rows of a read. Connections that died while they lay in the pool are replaced, and it is asked once more."""
    for again in (True, False):
        try:
            with source.get_connection() as connection, connection.cursor(binary=True) as cursor:
                cursor.execute(query, params, prepare=True)  # pyright: ignore[reportArgumentType]
                return cursor.fetchall()
        except (OperationalError, InterfaceError) as error:
            if not again or isinstance(error.__cause__, PoolTimeout):
                raise Unavailable(f"the database does not answer: {error}") from error
            source.pool.check()
    raise AssertionError


@contextmanager
def unavailable_when_down() -> Generator[None]:
    """A connection that breaks under a read is the database being away."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:  # PoolTimeout is one of them
        raise Unavailable(f"the database does not answer: {type(error).__name__}") from error
