"""Reaching the server: clear words when it does not answer, and reads that survive a connection lost in the pool."""

from __future__ import annotations

import select as select_module
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

CONNECT_TIMEOUT_S = 5
POOL_SIZE = 8

BLANK = r"\ "
SESSION = {
    "timezone": "UTC", "datestyle": "ISO,YMD", "intervalstyle": "postgres", "bytea_output": "hex",
    "extra_float_digits": "1", "standard_conforming_strings": "on", "array_nulls": "on", "transform_null_equals": "off",
    "search_path": "pg_catalog", "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off", "default_transaction_deferrable": "off", "row_security": "on",
    "statement_timeout": "0", "lock_timeout": "0", "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""What every session of ours sets for itself, whatever the server, the database or the role says: how values are
written, what a name means, and that nobody hangs up on it. `synchronous_commit` and the like stay the operator's.
"""

_OPTIONS = " ".join(f"-c {name}={value.replace(' ', BLANK)}" for name, value in SESSION.items())


class DatabaseUnreachable(Exception):
    """One line: which server did not answer, and why."""


TRANSIENT = ("08", "40", "53", "57", "58")
"""Classes of SQLSTATE that say nothing about the statement: connection, conflict, resources, operator, disk."""


def away(error: BaseException | None) -> bool:
    """Whether the server is away or overwhelmed. Otherwise it has judged the statement, and will judge it so again."""
    return (isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
            and (error.sqlstate is None or error.sqlstate[:2] in TRANSIENT))


class Unavailable(Exception):
    """The database does not answer; what became of a command is unknown to us and settled by its key."""


def session_conninfo(url: str, **overrides: str) -> str:
    """A URL or conninfo string with our session's settings; they come last, so they win. `overrides`: user, password.
    """
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    given = parts.get("options", "").removesuffix(_OPTIONS).strip()
    ours = {"options": f"{given} {_OPTIONS}".strip(), "client_encoding": "UTF8"}
    return make_conninfo("", **{**parts, **ours, **overrides})


def connect(url: str, *, autocommit: bool = True) -> Connection[tuple[object, ...]]:
    """A session with our settings, whoever logs in. Every connection of ours is made from `session_conninfo`."""
    return psycopg.connect(session_conninfo(url), autocommit=autocommit, connect_timeout=CONNECT_TIMEOUT_S)


def require_alive(connection: Connection[Any]) -> None:
    """OperationalError for an idle session that the server has ended: what it said last waits to be read. No query."""
    if connection.closed or readable(connection):
        connection.close()  # or the pool would take it for a good one, and lend it again
        raise psycopg.OperationalError("the server ended this session while it was idle")


def readable(connection: Connection[Any], *others: socket.socket, timeout_s: float = 0.0) -> bool:
    """Whether the server, or one of the other sockets, has something for us: a message, or the end."""
    poll = select_module.poll()
    for descriptor in (connection.fileno(), *(other.fileno() for other in others)):
        poll.register(descriptor, select_module.POLLIN)
    return bool(poll.poll(timeout_s * 1_000))


class Sessions(ConnectionPool[Connection[TupleRow]]):
    """A pool whose sessions are looked at before they are lent; one that breaks in use is the database being away."""

    def getconn(self, timeout: float | None = None) -> Connection[TupleRow]:
        """The pool's own check rests longer and longer after each session that ended; after a restart all of them have.
        """
        for _ in range(self.max_size):
            session = super().getconn(timeout)
            try:
                require_alive(session)
                return session
            except psycopg.OperationalError:
                self.putconn(session)  # which has a new one made
        return super().getconn(timeout)

    @contextmanager
    def connection(self, timeout: float | None = None) -> Generator[Connection[TupleRow]]:
        with unavailable_when_down(), super().connection(timeout) as connection:
            yield connection


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
