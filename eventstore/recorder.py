"""Our seams in the `eventsourcing` library: a mapper for canonical bodies, a recorder for the chained table.

Source: eventsourcing 9.5.6, `persistence.Mapper`, `postgres.PostgresApplicationRecorder`. The stored state of an
event is its whole canonical body, so the library never encodes what the chain hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID, uuid4

from eventsourcing.persistence import IntegrityError, Mapper, Notification, StoredEvent, Transcoder
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresFactory
from psycopg.conninfo import make_conninfo

from eventstore.database import connect, select
from eventstore.entry import Entry, decode, encode
from eventstore.writer import Append, Draft, KeyKnown, VersionConflict, Writer

CHANNEL = "fx_audit"
COLUMNS = "originator_id, originator_version, topic, body, position"


class EntryMapper(Mapper[UUID]):
    """Entry <-> StoredEvent. Topics are event tags, never module paths."""

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


class ChainedRecorder(PostgresApplicationRecorder):
    """The library's application recorder over `fx.audit_entries`, appending through the group-commit writer."""

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "audit_entries",
                 writer: Writer | None = None, tenant: str = "tnt_fintokenx"):
        super().__init__(datastore, events_table_name="audit_entries")
        self.sql_create_statements.clear()  # tables belong to migrations
        self.channel_name = CHANNEL
        self.writer = writer
        self.tenant = tenant

    def create_table(self) -> None:
        pass

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Append all or nothing. Optional: key, fingerprint, response, bookmark, tenant (see writer.Append)."""
        assert self.writer is not None, "this recorder was opened for reading"
        tenant = kwargs.get("tenant") or self.tenant
        drafts = tuple(Draft(tenant, event.originator_id, event.originator_version, event.topic, event.state)  # pyright: ignore[reportArgumentType]
                       for event in stored_events)
        append = Append(tenant=tenant, key=kwargs.get("key") or f"library:{uuid4()}",
                        fingerprint=kwargs.get("fingerprint") or b"", drafts=drafts,
                        response=kwargs.get("response"), bookmark=kwargs.get("bookmark"))
        try:
            done = self.writer.submit(append).result()
        except (VersionConflict, KeyKnown) as error:
            raise IntegrityError(str(error)) from error
        return list(range(done.first_position, done.last_position + 1))

    def select_events(self, originator_id: UUID | str, *, gt: int | None = None, lte: int | None = None,
                      desc: bool = False, limit: int | None = None) -> Sequence[StoredEvent]:
        query = f"SELECT {COLUMNS} FROM fx.audit_entries WHERE tenant_id = %s AND originator_id = %s"
        params: list[object] = [self.tenant, originator_id]
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
        return [_notification(row) for row in select(self.datastore, query, params)]

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
        return [_notification(row) for row in select(self.datastore, query, params)]

    def max_notification_id(self) -> int | None:
        return select(self.datastore, "SELECT max(position) AS position FROM fx.audit_entries", ())[0]["position"]


def _notification(row: dict[str, Any]) -> Notification:
    return Notification(row["originator_id"], row["originator_version"], row["topic"], bytes(row["body"]),
                        row["position"])


class ChainedFactory(PostgresFactory):
    """For the library's own Application: PERSISTENCE_MODULE = 'eventstore.recorder:ChainedFactory'."""

    application_recorder_class = ChainedRecorder

    def application_recorder(self) -> ChainedRecorder:
        recorder = super().application_recorder()
        assert isinstance(recorder, ChainedRecorder)
        known = cast(dict[str, Any], self.datastore.pool.kwargs)
        conninfo = make_conninfo("", **{name: value for name, value in known.items() if name != "row_factory"})
        recorder.writer = self.writer = Writer(lambda: connect(conninfo))
        return recorder

    def close(self) -> None:
        if hasattr(self, "writer"):
            self.writer.close()
        super().close()
