"""Our seams in the `eventsourcing` library: a mapper for canonical bodies, a recorder for the chained table.

Source: eventsourcing 9.5.6, `persistence.Mapper`, `postgres.PostgresApplicationRecorder`. The stored state of an
event is its whole canonical body, so the library never encodes what the chain hashes. The library's own suites run
against it (tests/eventstore/test_conformance.py); what differs on purpose is in docs/decisions/0012.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast
from uuid import UUID, uuid4

import psycopg
from eventsourcing.persistence import (
    Cipher,
    Compressor,
    IntegrityError,
    Mapper,
    Notification,
    OperationalError,
    StoredEvent,
    Transcoder,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresFactory
from eventsourcing.utils import Environment
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from eventstore.access import APPEND, READ, Access
from eventstore.database import CONNECT_TIMEOUT_S, POOL_SIZE, Unavailable, select
from eventstore.entry import Entry, decode, encode
from eventstore.job import Append, Draft, KeyKnown, Overloaded, VersionConflict
from eventstore.writer import Writer

CHANNEL = "fx_audit"
COLUMNS = "originator_id, originator_version, topic, body, position"


class EntryMapper(Mapper[UUID]):
    """Entry <-> StoredEvent. Topics are event tags, never module paths."""

    def __init__(self, transcoder: Transcoder, compressor: Compressor | None = None, cipher: Cipher | None = None):
        if compressor is not None or cipher is not None:
            raise OSError("bodies are stored as they are hashed: the vault seals personal data, nothing compresses")
        super().__init__(transcoder)

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        entry: Entry = domain_event
        return StoredEvent(entry.originator_id, entry.originator_version, entry.event.tag, encode(entry))

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        position = stored_event.id if isinstance(stored_event, Notification) else 0
        return decode(stored_event.state, position)


class NoTranscoder(Transcoder):
    """The mapper does all encoding; the library's transcoder must never be asked."""

    def __init__(self) -> None:
        super().__init__()

    def encode(self, obj: Any) -> bytes:
        raise TypeError("events are encoded by EntryMapper")

    def decode(self, data: bytes) -> Any:
        raise TypeError("events are decoded by EntryMapper")


class BoundDatastore(PostgresDatastore):
    """The library's pooled datastore, logging in as the reader and proving the tenant on every connection."""

    def __init__(self, access: Access, pool_size: int = POOL_SIZE):
        self._access = access
        parts = conninfo_to_dict(access.conninfo(READ))
        super().__init__(
            dbname=str(parts.get("dbname") or "postgres"), host=str(parts.get("host") or "localhost"),
            port=str(parts.get("port") or "5432"), user=READ, password=str(parts.get("password") or ""), schema="fx",
            pool_size=1, max_overflow=pool_size - 1, connect_timeout=CONNECT_TIMEOUT_S, pre_ping=False)
        cast(dict[str, Any], self.pool.kwargs).update(parts)  # the library would drop sslmode and the like
        self.pool.open()

    def after_connect_func(self) -> Callable[[Connection[Any]], None]:
        configure, bind = super().after_connect_func(), self._access.bind

        def after_connect(connection: Connection[Any]) -> None:
            configure(connection)
            bind(connection)

        return after_connect


class ChainedRecorder(PostgresApplicationRecorder):
    """The library's application recorder over `fx.audit_entries`, appending through the group-commit writer."""

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "audit_entries",
                 writer: Writer | None = None):
        super().__init__(datastore, events_table_name="audit_entries")
        self.sql_create_statements.clear()  # tables belong to migrations
        self.channel_name = CHANNEL
        self.writer = writer

    def create_table(self) -> None:
        pass

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Append all or nothing. Optional: key, fingerprint, response, bookmark (see writer.Append)."""
        assert self.writer is not None, "this recorder was opened for reading"
        if not stored_events and not kwargs:
            return []
        drafts = tuple(Draft(event.originator_id, event.originator_version, event.topic, event.state)  # pyright: ignore[reportArgumentType]
                       for event in stored_events)
        append = Append(key=kwargs.get("key") or f"library:{uuid4()}",
                        fingerprint=kwargs.get("fingerprint") or b"", drafts=drafts,
                        response=kwargs.get("response"), bookmark=kwargs.get("bookmark"))
        try:
            done = self.writer.submit(append).result()
        except (VersionConflict, KeyKnown, psycopg.IntegrityError) as error:
            raise IntegrityError(str(error)) from error
        except (Unavailable, Overloaded) as error:
            raise OperationalError(str(error)) from error
        return list(range(done.first_position, done.last_position + 1))

    def select_events(self, originator_id: UUID | str, *, gt: int | None = None, lte: int | None = None,
                      desc: bool = False, limit: int | None = None) -> Sequence[StoredEvent]:
        return [StoredEvent(found.originator_id, found.originator_version, found.topic, found.state)
                for found in self.select_placed(originator_id, gt=gt, lte=lte, desc=desc, limit=limit)]

    def select_placed(self, originator_id: UUID | str, *, gt: int | None = None, lte: int | None = None,
                      desc: bool = False, limit: int | None = None) -> Sequence[Notification]:
        """`select_events`, each with its position in the log."""
        query = f"SELECT {COLUMNS} FROM fx.audit_entries WHERE originator_id = %s"
        params: list[object] = [originator_id]
        if gt is not None:
            query += " AND originator_version > %s"
            params.append(gt)
        if lte is not None:
            query += " AND originator_version <= %s"
            params.append(lte)
        query += " ORDER BY originator_version" + (" DESC" if desc else "")
        if limit is not None:
            query += " LIMIT %s"
            params.append(limit)
        return [notification(row) for row in select(self.datastore, query, params)]

    def select_notifications(self, start: int | None, limit: int, stop: int | None = None,
                             topics: Sequence[str] = (), *, inclusive_of_start: bool = True) -> Sequence[Notification]:
        first = (start or 0) + (0 if inclusive_of_start else 1)
        query = f"SELECT {COLUMNS} FROM fx.audit_entries WHERE position >= %s"
        params: list[object] = [first]
        if stop is not None:
            query += " AND position <= %s"
            params.append(stop)
        if topics:
            query += " AND topic = ANY(%s)"
            params.append(list(topics))
        query += " ORDER BY position LIMIT %s"
        params.append(limit)
        return [notification(row) for row in select(self.datastore, query, params)]

    def max_notification_id(self) -> int | None:
        return select(self.datastore, "SELECT max(position) AS position FROM fx.audit_entries", ())[0]["position"]


def notification(row: dict[str, Any]) -> Notification:
    return Notification(row["originator_id"], row["originator_version"], row["topic"], bytes(row["body"]),
                        row["position"])


class ChainedFactory(PostgresFactory):
    """For the library's own Application: PERSISTENCE_MODULE = 'eventstore.recorder:ChainedFactory'.

    Beside the library's POSTGRES_* variables it reads FX_TENANT and FX_TENANT_SECRET (hex).
    """

    application_recorder_class = ChainedRecorder
    writer: Writer | None = None

    def __init__(self, env: Environment):
        super().__init__(env)
        known = cast(dict[str, Any], self.datastore.pool.kwargs)
        url = make_conninfo("", **{name: value for name, value in known.items() if name != "row_factory"})
        password = str(known["password"])
        self.access = Access(url, self.env["FX_TENANT"], bytes.fromhex(self.env["FX_TENANT_SECRET"]),
                             {READ: password, APPEND: password})
        self.datastore.close()
        self.datastore = BoundDatastore(self.access)

    def application_recorder(self) -> ChainedRecorder:
        """Every recorder of a factory appends through one writer."""
        recorder = super().application_recorder()
        assert isinstance(recorder, ChainedRecorder)
        self.writer = recorder.writer = self.writer or Writer(self.access)
        return recorder

    def aggregate_recorder(self, purpose: str = "events") -> NoReturn:
        raise NotImplementedError("entries live in one log, which is an application recorder's; there are no snapshots")

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> NoReturn:
        raise NotImplementedError("a follower's place is the bookmark of an append; see insert_events(bookmark=...)")

    def process_recorder(self) -> NoReturn:
        raise NotImplementedError("a follower's place is the bookmark of an append; see insert_events(bookmark=...)")

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        super().close()
