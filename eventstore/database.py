"""Connections: one URL in, one per role out, with clear words when the server cannot be reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

CONNECT_TIMEOUT_S = 5
POOL_SIZE = 8


class DatabaseUnreachable(Exception):
    """One line: which server did not answer, and why."""


class Unavailable(Exception):
    """The database does not answer; what became of a command is unknown to us and settled by its key."""


def as_role(url: str, role: str, password: str | None = None) -> str:
    """The same database, logging in as `role`."""
    overrides: dict[str, str] = {"user": role, **({"password": password} if password else {})}
    parts = {**conninfo_to_dict(url), **overrides}
    return make_conninfo("", **{name: value for name, value in parts.items() if value is not None})


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


def set_passwords(url: str, passwords: dict[str, str]) -> None:
    """Give the login roles their passwords (a server reached over the network asks for them)."""
    with connect(url) as connection:
        for role, password in passwords.items():
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(password)))


def excess_privileges(conninfo: str) -> list[str]:
    """What this login may do to the log beyond reading it: must be empty for the application."""
    with connect(conninfo) as connection:
        rows = connection.execute(
            "SELECT p FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p "
            "WHERE has_table_privilege('fx.audit_entries', p)").fetchall()
    return [str(row[0]) for row in rows]


def datastore(conninfo: str, pool_size: int = POOL_SIZE) -> PostgresDatastore:
    """The library's pooled datastore on `conninfo`."""
    parts = conninfo_to_dict(conninfo)
    store = PostgresDatastore(
        dbname=str(parts.get("dbname") or "postgres"), host=str(parts.get("host") or "localhost"),
        port=str(parts.get("port") or "5432"), user=str(parts.get("user") or ""),
        password=str(parts.get("password") or ""), schema="fx", pool_size=1, max_overflow=pool_size - 1,
        connect_timeout=30, pre_ping=False)
    cast(dict[str, Any], store.pool.kwargs).update(parts)  # the library would drop sslmode and the like
    store.pool.open()
    return store


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


def pool(conninfo: str, size: int = POOL_SIZE) -> ConnectionPool[Connection[tuple[object, ...]]]:
    """A plain pool with tuple rows, for what the library's datastore does not serve."""
    return ConnectionPool(conninfo, min_size=1, max_size=size, open=True)
