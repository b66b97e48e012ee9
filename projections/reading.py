"""Reading the read models: connections that live through a server that was restarted, or that hung up on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from eventstore.database import Unavailable


class Reading(Connection):
    """A connection that asks once more, on a new session, when its session turns out to be gone.

    Each statement sees the rows of its own moment (READ COMMITTED), so one that is asked again sees no less.
    """

    def execute(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute(*args, **options)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self.rollback()
            return super().execute(*args, **options)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for reading; Unavailable while the database is away."""
    try:
        with Reading(engine) as connection:
            yield connection
    except PoolTimeout as error:
        raise Unavailable("no connection to the read models is free") from error
    except DBAPIError as error:
        if error.connection_invalidated or _not_connected(error):
            raise Unavailable(f"the database does not answer: {type(error.orig).__name__}") from error
        raise


def _not_connected(error: DBAPIError) -> bool:
    """No session could be opened: then there was no statement either."""
    return error.statement is None
