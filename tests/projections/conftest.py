"""A database with prepared read models, as the projector's role sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from eventstore.database import as_role
from eventstore.follow import Feed
from eventstore.store import Store
from projections.base import Projector, checksum, open_engine, prepare
from projections.catalogue import PROJECTIONS

ALL = list(PROJECTIONS.values())


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    opened = open_engine(as_role(database, "fx_projector", "unused"))
    prepare(opened, ALL)
    yield opened
    opened.dispose()


@pytest.fixture
def feed(store: Store) -> Iterator[Feed]:
    opened = Feed(store.conninfo)
    yield opened
    opened.close()


@pytest.fixture
def projector(engine: Engine, store: Store, feed: Feed) -> Iterator[Callable[[], Projector]]:
    """Makes and starts a projector on each call; all are stopped at the end."""
    started: list[Projector] = []

    def start() -> Projector:
        projector = Projector(engine, store, feed, ALL)
        projector.start()
        started.append(projector)
        return projector

    yield start
    for running in started:
        running.stop()


def checksums(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {projection.name: checksum(connection, projection) for projection in ALL}
