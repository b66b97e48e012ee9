"""The projection engine: rows and bookmark in one transaction, live following, rebuild into a shadow and swap."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    delete,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert

from domain.base import Event
from eventstore.entry import Entry
from eventstore.follow import SAFETY_POLL_S, Feed, Leadership
from eventstore.store import Store

log = structlog.get_logger("projections")

SCHEMA, SHADOW = "read", "read_rebuild"
PAGE = 1_000
STUCK_RETRY_S = 1.0
metadata = MetaData(schema=SCHEMA)

bookmarks = Table(
    "bookmarks", metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("shape", Text, nullable=False),
)

Handler = Callable[[Connection, Entry, Any], None]


class Projection:
    """A read model: its tables, and one handler per event it cares about. Handlers write rows and nothing else."""

    def __init__(self, name: str, *tables: Table):
        self.name = name
        self.tables = tables
        self.handlers: dict[type[Event], Handler] = {}
        self.every: Handler | None = None

    def on(self, *events: type[Event]) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            for event in events:
                self.handlers[event] = handler
            return handler
        return register

    def on_every(self, handler: Handler) -> Handler:
        """For read models of the log itself."""
        self.every = handler
        return handler

    def apply(self, connection: Connection, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if self.every is not None:
                self.every(connection, entry, entry.event)
            handler = self.handlers.get(type(entry.event))
            if handler is not None:
                handler(connection, entry, entry.event)

    @property
    def shape(self) -> str:
        """Changes when the tables do, which makes the projector rebuild."""
        columns = [f"{table.name}.{column.name}:{column.type}:{column.nullable}:{column.primary_key}"
                   for table in self.tables for column in table.columns]
        return hashlib.sha256("\n".join(columns).encode()).hexdigest()[:16]


def open_engine(conninfo: str) -> Engine:
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), pool_size=4,
                         max_overflow=12)


def prepare(engine: Engine, projections: Sequence[Projection]) -> None:
    """Create the tables that are missing, and empty those whose shape changed so that they are built anew."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(70011)"))
        bookmarks.create(connection, checkfirst=True)
        for projection in projections:
            row = connection.execute(select(bookmarks).where(bookmarks.c.name == projection.name)).first()
            if row is not None and row.shape != projection.shape:
                log.info("projection.shape_changed", name=projection.name)
                for table in projection.tables:
                    table.drop(connection, checkfirst=True)
                connection.execute(delete(bookmarks).where(bookmarks.c.name == projection.name))
                row = None
            for table in projection.tables:
                table.create(connection, checkfirst=True)
            if row is None:
                connection.execute(insert(bookmarks).values(name=projection.name, position=0, shape=projection.shape))


def position_of(connection: Connection, name: str, *, lock: bool = False) -> int:
    query = select(bookmarks.c.position).where(bookmarks.c.name == name)
    return connection.execute(query.with_for_update() if lock else query).scalar_one()


def _advance(connection: Connection, name: str, position: int) -> None:
    connection.execute(bookmarks.update().where(bookmarks.c.name == name).values(position=position))


class RebuildUnderWay(Exception):
    """Somebody else rebuilds this read model now."""


def rebuild(engine: Engine, store: Store, projection: Projection,
            progress: Callable[[int], None] = lambda done: None) -> int:
    """Build the read model anew beside the live one, then swap. Readers never see it half done.

    Returns the number of entries read.
    """
    with engine.connect() as guard:  # two rebuilds of one read model would share its shadow tables
        if not guard.execute(text("SELECT pg_try_advisory_xact_lock(70012, hashtext(:name))"),
                             {"name": projection.name}).scalar_one():
            raise RebuildUnderWay(f"{projection.name} is being rebuilt by somebody else")
        return _rebuild(engine, store, projection, progress)


def _rebuild(engine: Engine, store: Store, projection: Projection, progress: Callable[[int], None]) -> int:
    target = engine.execution_options(schema_translate_map={SCHEMA: SHADOW})
    with target.begin() as connection:
        for table in projection.tables:
            table.drop(connection, checkfirst=True)
            table.create(connection)
    position = 0
    while page := store.read(position, PAGE):
        with target.begin() as connection:
            projection.apply(connection, page)
        position = page[-1].position
        progress(position)
    with engine.begin() as connection:  # the last entries, then the swap, while the live projector waits
        position_of(connection, projection.name, lock=True)
        shadow = connection.execution_options(schema_translate_map={SCHEMA: SHADOW})
        while page := store.read(position, PAGE):
            projection.apply(shadow, page)
            position = page[-1].position
        connection.execution_options(schema_translate_map={SCHEMA: SCHEMA})
        for table in projection.tables:
            connection.execute(text(f'DROP TABLE IF EXISTS {SCHEMA}."{table.name}"'))
            connection.execute(text(f'ALTER TABLE {SHADOW}."{table.name}" SET SCHEMA {SCHEMA}'))
        _advance(connection, projection.name, position)
    return position


class Projector:
    """Follows the log and keeps every projection current; one process leads, others stand by."""

    def __init__(self, engine: Engine, store: Store, feed: Feed, projections: Sequence[Projection]):
        self.engine, self.store, self.feed, self.projections = engine, store, feed, projections
        self._lead = Leadership(store.conninfo, "projector")
        self._stop = threading.Event()
        self._moved = threading.Condition()
        self.position = 0
        self.stuck: dict[str, float] = {}
        """Read models that failed on an entry, and when each is tried again."""
        self._thread = threading.Thread(target=self._run, name="fx-projector", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self.feed.poke()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._lead.release()

    def wait_for(self, position: int, timeout_s: float) -> bool:
        """Until the read models show everything up to `position`: what makes one's own writes readable."""
        if self._lead.leading:
            with self._moved:
                return self._moved.wait_for(lambda: self.position >= position, timeout_s)
        deadline = time.monotonic() + timeout_s
        while self.lowest() < position:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def lowest(self) -> int:
        """The position all read models have reached, leaving aside those that are stuck."""
        with self.engine.connect() as connection:
            return min((position_of(connection, projection.name) for projection in self.projections
                        if projection.name not in self.stuck), default=0)

    def _run(self) -> None:
        signal = 0
        while not self._stop.is_set():
            if not self._lead.held():
                self._stop.wait(1.0)
                continue
            try:
                if not self._step():
                    signal = self.feed.wait(signal, STUCK_RETRY_S if self.stuck else SAFETY_POLL_S)
            except Exception:
                log.exception("projector.failed")
                self._stop.wait(1.0)

    def _step(self) -> bool:
        """One page for every projection that is behind; False when all are current.

        One that fails is stuck alone: the others go on, nobody waits for it, and it is tried again every second.
        """
        with self.engine.connect() as connection:
            known = {name: position for name, position in connection.execute(
                select(bookmarks.c.name, bookmarks.c.position))}
        reached = {projection.name: known[projection.name] for projection in self.projections}
        now, moved = time.monotonic(), False
        awake = [projection for projection in self.projections if self.stuck.get(projection.name, 0.0) <= now]
        pages = {start: self.store.read(start, PAGE) for start in {reached[projection.name] for projection in awake}}
        for projection in awake:
            page = pages[reached[projection.name]]
            try:
                if page:
                    reached[projection.name] = self._apply(projection, page)
                    moved = True
                self.stuck.pop(projection.name, None)
            except Exception:  # a bug in this read model
                log.exception("projection.failed", name=projection.name, after=reached[projection.name])
                self.stuck[projection.name] = time.monotonic() + STUCK_RETRY_S
        with self._moved:
            self.position = min((reached[name] for name in reached if name not in self.stuck), default=0)
            self._moved.notify_all()
        return moved

    def _apply(self, projection: Projection, entries: list[Entry]) -> int:
        """Rows and bookmark together; the position reached."""
        with self.engine.begin() as connection:
            done = position_of(connection, projection.name, lock=True)
            fresh = [entry for entry in entries if entry.position > done]
            if not fresh or fresh[0].position != done + 1:  # current already, or emptied meanwhile to be built anew
                return done
            projection.apply(connection, fresh)
            _advance(connection, projection.name, fresh[-1].position)
            return fresh[-1].position


def checksum(connection: Connection, projection: Projection) -> str:
    """SHA-256 over all rows in primary-key order: equal for a live and a rebuilt read model (invariant I8)."""
    digest = hashlib.sha256()
    for row in _rows_in_order(connection, projection):
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _rows_in_order(connection: Connection, projection: Projection) -> Iterator[tuple[Any, ...]]:
    for table in projection.tables:
        for row in connection.execute(select(table).order_by(*table.primary_key.columns)):
            yield (table.name, *row)
