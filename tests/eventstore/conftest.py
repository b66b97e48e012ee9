"""Two hands on one log: the application's stores, and the owner who may look at (and break) everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from domain.catalogue import KINDS
from eventstore.access import READ, Access
from eventstore.store import Store
from tests.eventstore.notes import PAD


@pytest.fixture(autouse=True)
def note_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, PAD.name, PAD)


@pytest.fixture
def app_url(access: Access) -> str:
    return access.conninfo(READ)


@pytest.fixture
def other_store(access: Access) -> Iterator[Store]:
    """A second process on the same database: its own writer and pool."""
    opened = Store(access)
    yield opened
    opened.close()


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def kill(owner: psycopg.Connection[Any]) -> Callable[[], int]:
    """Ends every backend of the application on this database; how many there were."""
    def end() -> int:
        rows = owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             "WHERE datname = current_database() AND usename LIKE 'fx\\_%'").fetchall()
        return len(rows)
    return end


@pytest.fixture
def stalled(database: str) -> Callable[[], Any]:
    """While the block runs no batch commits: what is submitted meanwhile queues up."""
    @contextmanager
    def stall() -> Iterator[None]:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(70001)")
            yield
    return stall
