"""Reading the read models: connections that live through a server that was restarted, or that hung up on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from eventstore.database import Unavailable, away


class Reading(Connection):
    """A connection that asks once more, on a new session, when its session turns out to be gone.

    Each statement sees the rows of its own moment (READ COMMITTED), so one that is asked again sees no less.
    """

    def execute(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute(*args, **options)
        except DBAPIError as error:
            if not (error.connection_invalidated and away(error.orig)):
                raise
            self.rollback()
            return super().execute(*args, **options)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for reading; Unavailable while the database is away."""
    with _away():
        connection = Reading(engine)
    try:
        with _away():
            yield connection
    finally:
        with suppress(DBAPIError):  # what was read was read, also when the session ends before it is given back
            connection.close()


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not away(error.orig):
            raise
        raise Unavailable(f"the database does not answer: {type(error.orig).__name__}") from error
    except NO_SESSION as error:
        raise Unavailable("no session with the database is to be had") from error


NO_SESSION = (PoolTimeout, InvalidRequestError)
"""None is free; or those lent in its stead ended as well, which SQLAlchemy calls an invalid request."""
