"""A database with prepared read models, as the projector's role sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Engine, MetaData, Text, insert, select, text

from domain.platform import AlarmRaised, RaiseAlarm
from eventstore.access import PROJECT, Access
from eventstore.follow import Feed
from eventstore.store import Store
from projections.base import (
    SCHEMA,
    Projection,
    checksum,
    open_engine,
    prepare,
    prepare_tables,
    tenant_table,
)
from projections.catalogue import PROJECTIONS
from projections.projector import Projector
from tests.projections.story import context

ALL = list(PROJECTIONS.values())


@pytest.fixture
def engine(access: Access) -> Iterator[Engine]:
    opened = open_engine(access, PROJECT)
    prepare(opened, ALL)
    yield opened
    opened.dispose()


def take_up(database: str, engine: Engine, projections: Sequence[Projection]) -> None:
    """What `fx migrate` and then a start do for read models that are no part of the catalogue, or changed shape."""
    prepare_tables(database, projections)
    prepare(engine, projections)


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


def alarm(store: Store, name: str) -> int:
    return store.execute(RaiseAlarm(alarm=name, source="s", code="c", detail="d"),
                         context=context(tenant=store.tenant), key=name).position


@pytest.fixture
def alarms() -> Projection:
    return alarms_by_position()


def alarms_by_position(*more: str) -> Projection:
    """A read model of these tests' own; `more` columns hold the source. Alarm `bad` breaks its handler, row written."""
    table = tenant_table("test_alarms", Column("position", BigInteger, primary_key=True),
                         Column("name", Text, nullable=False), *(Column(name, Text) for name in more),
                         into=MetaData(schema=SCHEMA))
    projection = Projection("test_alarms", table)

    @projection.on(AlarmRaised)
    def raised(connection: Any, entry: Any, event: AlarmRaised) -> None:
        connection.execute(insert(table).values(
            position=entry.position, name=entry.resource, **{name: event.source for name in more}))
        if entry.resource == "bad":
            raise RuntimeError("a bug in a handler")

    return projection


def names(engine: Engine, projection: Projection) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(projection.tables[0].c.name).order_by(text("position"))).scalars())
