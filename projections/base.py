"""Read models: their tables, handlers and bookmarks, and the rebuild beside the live rows. Following: projector.py."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from psycopg import OperationalError
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    NullPool,
    Table,
    Text,
    Uuid,
    create_engine,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.event import listen
from sqlalchemy.exc import DisconnectionError

from domain.base import Event
from eventstore.access import MIGRATE, PROJECT, READ, Access
from eventstore.database import connect, require_alive
from eventstore.entry import Entry, Unreadable
from eventstore.store import Store

log = structlog.get_logger("projections")

SCHEMA, SHADOW = "read", "read_rebuild"
PAGE = 1_000
OWN = "tenant_id = (SELECT fx.tenant())"
metadata = MetaData(schema=SCHEMA)


def tenant_table(name: str, *columns: Column[Any], into: MetaData = metadata) -> Table:
    """A table of a read model. The database fills in the tenant, and shows each session its own rows only."""
    return Table(name, into, Column("tenant_id", Text, primary_key=True, server_default=text("fx.tenant()")),
                 *columns)


bookmarks = tenant_table(
    "bookmarks",
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("tables", Text, nullable=False),
)

quarantined = tenant_table(
    "quarantined",
    Column("name", Text, primary_key=True),
    Column("stream", Uuid, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""Which streams a read model leaves out, from which entry on: the first that could not be read (decision 0010)."""

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
        """Changes when the tables do, which has them made anew."""
        return _shape_of(*self.tables)


@cache
def _shape_of(*tables: Table) -> str:
    columns = [f"{table.name}.{column.name}:{column.type}:{column.nullable}:{column.primary_key}"
               for table in tables for column in table.columns]
    return hashlib.sha256("\n".join(columns).encode()).hexdigest()[:16]


def open_engine(access: Access, role: str) -> Engine:
    """The read models as `role` may use them: the projector writes rows, the reader reads. Errors name no values."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: access.connect(role, autocommit=False), pool_size=4,
                           max_overflow=12, hide_parameters=True)
    listen(engine, "checkout", _lend)
    return engine


def _lend(session: Any, _record: object, _proxy: object) -> None:
    """A session that the server ended while it lay in the pool is replaced before anybody is lent it."""
    try:
        require_alive(session)
    except OperationalError as error:
        raise DisconnectionError(str(error)) from error


# ---------------------------------------------------------------- tables: the owner makes them, the projector uses them


def prepare_tables(owner_url: str, projections: Collection[Projection]) -> None:
    """Have every table and its shadow, in this version's shape; one of another shape is made anew, for every tenant.

    Needs the owner's rights. The tables belong to the schema's owner: who writes rows can open no table to others.
    """
    wanted = [(bookmarks, _shape_of(bookmarks), SCHEMA), (quarantined, _shape_of(quarantined), SCHEMA)]
    wanted += [(table, projection.shape, schema)
               for projection in projections for table in projection.tables for schema in (SCHEMA, SHADOW)]
    engine = create_engine("postgresql+psycopg://", poolclass=NullPool, hide_parameters=True,
                           creator=lambda: connect(owner_url, autocommit=False))
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL ROLE {MIGRATE}"))
        connection.execute(text("SELECT pg_advisory_xact_lock(70011)"))
        found = _tables_found(connection, {table for table, _, _ in wanted})
        others = [(table, shape, schema) for table, shape, schema in wanted
                  if found.get((schema, table.name), ("", ""))[1] != shape]
        if others and (SCHEMA, bookmarks.name) in found:  # whoever projects or rebuilds holds this table at least
            connection.execute(text(f"LOCK TABLE {SCHEMA}.{bookmarks.name} IN EXCLUSIVE MODE"))
        for table, shape, schema in others:
            _make(connection, table, shape, schema)


def _make(connection: Connection, table: Table, shape: str, schema: str) -> None:
    placed = connection.execution_options(schema_translate_map={SCHEMA: schema})
    table.drop(placed, checkfirst=True)
    table.create(placed)
    connection.execution_options(schema_translate_map={SCHEMA: SCHEMA})
    name = f'{schema}."{table.name}"'
    for statement in (f"COMMENT ON TABLE {name} IS '{shape}'",
                      f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
                      f"CREATE POLICY own ON {name} TO {READ}, {PROJECT} USING ({OWN}) WITH CHECK ({OWN})"):
        connection.execute(text(statement))


def _tables_found(connection: Connection, tables: Iterable[Table]) -> dict[tuple[str, str], tuple[str, str]]:
    """(schema, name) -> (oid, shape) of those tables and shadows that are there."""
    rows = connection.execute(TABLES_FOUND, {"names": [table.name for table in tables]})
    return {(schema, name): (oid, shape) for schema, name, oid, shape in rows}


TABLES_FOUND = text(f"""
SELECT schema, name, oid::oid::text, coalesce(obj_description(oid, 'pg_class'), '')
  FROM unnest(CAST(:names AS text[])) name, unnest(ARRAY['{SCHEMA}', '{SHADOW}']) schema,
       to_regclass(format('%I.%I', schema, name)) oid
 WHERE oid IS NOT NULL""")


class OtherTables(Exception):
    """The read models' tables are not the ones this process was written for, or took up."""


def prepare(engine: Engine, projections: Collection[Projection]) -> None:
    """Take up the tables as the owner made them; OtherTables unless they have this version's shape.

    A read model whose tables are not those its bookmark counts for begins at position 0, without rows of this tenant.
    """
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(fx.tenant(), 70011))"))
        _keep_tables(connection)
        for projection in projections:
            tables = _incarnation(connection, projection)
            kept = select(bookmarks.c.tables).where(bookmarks.c.name == projection.name).with_for_update()
            if connection.execute(kept).scalar_one_or_none() == tables:
                continue
            for table in projection.tables:
                connection.execute(delete(table))
            leave_out(connection, projection.name, {})
            fresh = insert(bookmarks).values(name=projection.name, position=0, tables=tables)
            connection.execute(fresh.on_conflict_do_update(
                index_elements=[bookmarks.c.tenant_id, bookmarks.c.name], set_={"position": 0, "tables": tables}))


def _keep_tables(connection: Connection) -> None:
    """Until this transaction ends, nobody makes tables anew (see prepare_tables)."""
    found = _tables_found(connection, [bookmarks]).get((SCHEMA, bookmarks.name))
    if found is None or found[1] != _shape_of(bookmarks):
        raise OtherTables("the read models have no tables of this version")
    connection.execute(text(f"LOCK TABLE {SCHEMA}.{bookmarks.name} IN ROW SHARE MODE"))


def _incarnation(connection: Connection, projection: Projection) -> str:
    """Which tables these are, shadows and all; OtherTables when one is missing or has another shape."""
    wanted = [(SCHEMA, quarantined.name, _shape_of(quarantined)),
              *((schema, table.name, projection.shape) for schema in (SCHEMA, SHADOW) for table in projection.tables)]
    found = _tables_found(connection, [quarantined, *projection.tables])
    oids: list[str] = []
    for schema, name, shape in wanted:
        oid, comment = found.get((schema, name), ("", ""))
        if comment != shape:
            raise OtherTables(f"{schema}.{name} is not of this version")
        oids.append(oid)
    return ",".join(oids)


def lock(connection: Connection, projection: Projection) -> int:
    """Have the read model to ourselves until this transaction ends; its position.

    Whoever made the tables anew, or took up new ones, did not ask this process: it must not write into those.
    """
    kept = connection.execute(
        select(bookmarks.c.position, bookmarks.c.tables).where(bookmarks.c.name == projection.name)
        .with_for_update()).one_or_none()
    _require(connection, projection, kept.tables if kept else None)
    return kept.position if kept else 0


def _require(connection: Connection, projection: Projection, tables: str | None) -> None:
    if _incarnation(connection, projection) != tables:
        raise OtherTables(f"the tables of {projection.name} were made anew and not taken up since")


def position_of(connection: Connection, name: str) -> int:
    return connection.execute(select(bookmarks.c.position).where(bookmarks.c.name == name)).scalar_one()


def advance(connection: Connection, name: str, position: int) -> None:
    connection.execute(bookmarks.update().where(bookmarks.c.name == name).values(position=position))


def streams_left_out(connection: Connection, name: str | None = None) -> dict[UUID, int]:
    """Stream -> position of the first entry that one read model, or any of them, leaves out."""
    query = select(quarantined.c.stream, func.min(quarantined.c.position)).group_by(quarantined.c.stream)
    if name is not None:
        query = query.where(quarantined.c.name == name)
    return {stream: position for stream, position in connection.execute(query)}


def leave_out(connection: Connection, name: str, streams: Mapping[UUID, int]) -> None:
    connection.execute(delete(quarantined).where(quarantined.c.name == name))
    if streams:
        connection.execute(insert(quarantined), [
            {"name": name, "stream": stream, "position": position} for stream, position in streams.items()])


def readable(entries: Sequence[Entry], left_out: dict[UUID, int]) -> list[Entry]:
    """The entries without the streams left out. One that holds an unreadable entry is left out from there on."""
    readable: list[Entry] = []
    for entry in entries:
        since = left_out.get(entry.originator_id)
        if isinstance(entry.event, Unreadable) and (since is None or entry.position < since):
            since = left_out[entry.originator_id] = entry.position
        if since is None or entry.position < since:
            readable.append(entry)
    return readable


class RebuildUnderWay(Exception):
    """Somebody else rebuilds this read model now."""


def rebuild(engine: Engine, store: Store, projection: Projection,
            progress: Callable[[int], None] = lambda done: None, closed: Iterable[Entry] = ()) -> int:
    """Build the read model anew beside the live one, then swap. Readers never see it half done.

    `closed` are the log's entries from the first one on, as exported segments hold them (`read_segments`); the store is
    asked for what follows. Returns the position reached.
    """
    with engine.connect() as guard:  # two rebuilds of a tenant's read model would share its rows in the shadow tables
        if not guard.execute(text("SELECT pg_try_advisory_xact_lock(hashtextextended(fx.tenant() || ' ' || :name, "
                                  "70012))"), {"name": projection.name}).scalar_one():
            raise RebuildUnderWay(f"{projection.name} is being rebuilt by somebody else")
        return _rebuild(engine, store, projection, progress, iter(closed))


def _rebuild(engine: Engine, store: Store, projection: Projection, progress: Callable[[int], None],
             closed: Iterator[Entry]) -> int:
    target = engine.execution_options(schema_translate_map={SCHEMA: SHADOW})
    with engine.begin() as connection:
        lock(connection, projection)
        tables = _incarnation(connection, projection)
    with target.begin() as connection:  # a rebuild that was broken off left its rows
        for table in projection.tables:
            connection.execute(delete(table))
    position = 0
    left_out: dict[UUID, int] = {}
    while page := list(islice(closed, PAGE)) or store.read(position, PAGE):
        with target.begin() as connection:
            _keep_tables(connection)
            projection.apply(connection, readable(page, left_out))
        position = page[-1].position
        progress(position)
    with engine.begin() as connection:  # the last entries, then the swap, while the live projector waits
        lock(connection, projection)
        _require(connection, projection, tables)  # a shadow made anew lacks the pages before
        shadow = connection.execution_options(schema_translate_map={SCHEMA: SHADOW})
        while page := store.read(position, PAGE):
            projection.apply(shadow, readable(page, left_out))
            position = page[-1].position
        connection.execution_options(schema_translate_map={SCHEMA: SCHEMA})
        for table in projection.tables:  # rows, not tables, change places: other tenants' rows stay as they are
            connection.execute(delete(table))
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            connection.execute(text(f'INSERT INTO {SCHEMA}."{table.name}" ({names}) '
                                    f'SELECT {names} FROM {SHADOW}."{table.name}"'))
            connection.execute(text(f'DELETE FROM {SHADOW}."{table.name}"'))
        advance(connection, projection.name, position)
        leave_out(connection, projection.name, left_out)
    return position


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
