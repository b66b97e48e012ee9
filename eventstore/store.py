"""Store: run commands against aggregates and append what they decide, once, whatever is retried.

load -> decide -> append, again on a version conflict, many commands at a time (eventstore/writer.py). Every command
carries a key; the key, the events, the stored answer and a process's bookmark commit in one transaction.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import msgspec
from eventsourcing.persistence import Notification
from psycopg import sql
from psycopg.rows import TupleRow

from domain.base import Command, Conflict, Context, Event, Kind, Refusal
from domain.catalogue import KINDS
from eventstore.access import ANCHOR, READ, Access
from eventstore.database import Unavailable, select, unavailable_when_down
from eventstore.entry import Body, Entry, decode, decode_event, decode_or_unreadable, encode_body, fresh_salt
from eventstore.job import Append, Appended, Draft, Job, KeyKnown, Loaded, Stored, VersionConflict
from eventstore.recorder import COLUMNS, BoundDatastore, ChainedRecorder, notification
from eventstore.writer import Writer

EVERY_COLUMN = ("position, tenant_id, originator_id, originator_version, topic, recorded_us, prev_hash, body_hash, "
                "hash, body")
PATIENCE_S = 10.0
"""A busy aggregate takes one command per commit; counting attempts would turn away whoever is unlucky."""

S = TypeVar("S")


class KeyReused(Conflict):
    """The same key came with another request."""

    code = "idempotency_key_reused"


class Contended(Conflict):
    """Too many writers at one aggregate; nothing was stored."""

    code = "contended"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a command did. `replayed`: it had been done before and this is the first answer again."""

    position: int
    """Position of its first entry; 0 when it needed none."""

    events: tuple[Event, ...] = ()
    """What was decided, at `position` and following; none when it was done before."""

    response: bytes | None = None
    replayed: bool = False

    @property
    def last_position(self) -> int:
        """Position of the last entry just appended; 0 when there is none."""
        return self.position + len(self.events) - 1 if self.events else 0


class KeyRow(msgspec.Struct, frozen=True):
    fingerprint: bytes
    first_position: int | None
    response: bytes | None
    recorded_us: int


Respond = Callable[[Sequence[Event]], bytes]


class Links:
    """The chain without bodies: position and hash of every tenant's entries, as the anchor's role may see them."""

    def __init__(self, access: Access):
        self._pool = access.pool(ANCHOR, 2)

    def close(self) -> None:
        self._pool.close()

    def head(self) -> int:
        """The log's last position; 0 when it is empty."""
        return self._ask("SELECT coalesce(max(position), 0) FROM fx.audit_entries")[0][0]

    def hashes(self, first: int, last: int) -> list[bytes]:
        return [row[0] for row in self._ask(
            "SELECT hash FROM fx.audit_entries WHERE position BETWEEN %s AND %s ORDER BY position", first, last)]

    def _ask(self, query: LiteralString, *params: object) -> list[TupleRow]:
        with unavailable_when_down(), self._pool.connection() as connection:
            return connection.execute(query, params).fetchall()


class Store:
    def __init__(self, access: Access, *, pool_size: int = 8):
        self.access = access
        self.tenant = access.tenant
        self.conninfo = access.conninfo(READ)
        self.datastore = BoundDatastore(access, pool_size)
        self.links = Links(access)
        self.writer = Writer(access)
        self.recorder = ChainedRecorder(self.datastore, writer=self.writer)

    def close(self) -> None:
        self.writer.close()
        self.links.close()
        self.datastore.close()

    # ------------------------------------------------------------ reading

    def load(self, kind: Kind[S], key: str) -> S:
        return fold(kind, [(event.originator_version, event.state)
                           for event in self.recorder.select_events(kind.stream(self.tenant, key))])[0]

    def history(self, kind: Kind[Any], key: str) -> list[Entry]:
        stored = self.recorder.select_placed(kind.stream(self.tenant, key))
        return [decode(event.state, event.id) for event in stored]

    def head(self) -> int:
        """The position of this tenant's last entry; 0 when it has none."""
        return self.recorder.max_notification_id() or 0

    def read(self, after: int, limit: int = 500, upto: int | None = None) -> list[Entry]:
        """Entries after a position, in order; one that this version cannot read comes as Unreadable."""
        notifications: Sequence[Notification] = self.recorder.select_notifications(
            after, limit, upto, inclusive_of_start=False)
        return [self._told(n) for n in notifications]

    def entries_of_topics(self, topics: Sequence[str]) -> list[Entry]:
        """Every entry with one of these tags, in order. An index knows those of quarantines (migration 0003)."""
        named = sql.SQL(", ").join(sql.Literal(topic) for topic in topics)  # literal, or the planner sees no index
        return self._entries(sql.SQL("topic IN ({})").format(named).as_string(), ())

    def entries_of_stream(self, stream: UUID, first: int) -> list[Entry]:
        """One stream's entries from position `first` on, as followers see them."""
        return self._entries("originator_id = %s AND position >= %s", (stream, first))

    def _entries(self, condition: str, params: Sequence[object]) -> list[Entry]:
        query = f"SELECT {COLUMNS} FROM fx.audit_entries WHERE {condition} ORDER BY position"
        return [self._told(notification(row)) for row in select(self.datastore, query, params)]

    def _told(self, stored: Notification) -> Entry:
        return decode_or_unreadable(
            bytes(stored.state), position=stored.id, stream=stored.originator_id,  # pyright: ignore[reportArgumentType]
            version=stored.originator_version, topic=stored.topic, tenant=self.tenant)

    def rows(self, first: int, last: int, page: int = 2_000) -> Iterator[dict[str, Any]]:
        """Raw rows of a range: every column, for verifying and for evidence."""
        while first <= last:
            upto = min(last, first + page - 1)
            yield from select(
                self.datastore,
                f"SELECT {EVERY_COLUMN} FROM fx.audit_entries WHERE position BETWEEN %s AND %s ORDER BY position",
                (first, upto))
            first = upto + 1

    def bypasses_undone(self) -> list[int]:
        """Numbers of support readings that no tenant's log holds: begun, and rolled back (or still open).

        A server that crashed may have skipped up to 32 numbers: its own log of that day tells the two apart.
        """
        return select(self.datastore, "SELECT fx.bypasses_undone() AS numbers", ())[0]["numbers"]

    def bookmark(self, name: str) -> int:
        found = select(self.datastore, "SELECT position FROM fx.bookmarks WHERE name = %s", (name,))
        return found[0]["position"] if found else 0

    def key_row(self, key: str) -> KeyRow | None:
        found = select(
            self.datastore,
            "SELECT fingerprint, first_position, response, recorded_us FROM fx.command_keys WHERE key = %s", (key,))
        if not found:
            return None
        row = found[0]
        response = bytes(row["response"]) if row["response"] is not None else None
        return KeyRow(bytes(row["fingerprint"]), row["first_position"], response, row["recorded_us"])

    def known_keys(self, keys: Sequence[str]) -> set[str]:
        found = select(self.datastore, "SELECT key FROM fx.command_keys WHERE key = ANY(%s)", (list(keys),))
        return {row["key"] for row in found}

    # ------------------------------------------------------------ writing

    def execute(
        self, *commands: Command, context: Context, key: str, fingerprint: bytes = b"",
        respond: Respond | None = None, bookmark: tuple[str, int] | None = None,
    ) -> Outcome:
        """Decide all commands against the present state and append their events together.

        Commands on the same aggregate see each other's events. What a command was decided on holds when the events
        land, also where it decides nothing: an aggregate that changes meanwhile has everything decided again.
        `respond` makes the stored answer; it runs on a lane of the writer and must not wait for anything. Raises the
        first Refusal; KeyReused when `key` was used for another request; Overloaded or Unavailable when nothing could
        be stored.
        """
        job = _BlockingCommand(self.tenant, commands, context, key, fingerprint, respond, bookmark)
        self.writer.run(job)
        job.done.acquire()
        try:
            return job.outcome()
        except (Refusal, KeyKnown) as why:
            return self._answer_of_twin(job, why)

    async def aexecute(
        self, *commands: Command, context: Context, key: str, fingerprint: bytes = b"",
        respond: Respond | None = None, bookmark: tuple[str, int] | None = None,
    ) -> Outcome:
        """`execute` for callers on an event loop."""
        job = _AwaitedCommand(self.tenant, commands, context, key, fingerprint, respond, bookmark)
        self.writer.put(job)
        await job.told
        try:
            return job.outcome()
        except (Refusal, KeyKnown) as why:
            return await asyncio.to_thread(self._answer_of_twin, job, why)

    def _answer_of_twin(self, job: _Command, why: Refusal | KeyKnown) -> Outcome:
        """A command is refused, or its key known: if a twin of it has landed, that one's answer is its own."""
        if (done_before := self.replay(job.key, job.fingerprint)) is not None:
            return done_before
        if isinstance(why, KeyKnown):
            raise Unavailable("the command's outcome could not be read back") from None
        raise why

    def replay(self, key: str, fingerprint: bytes = b"") -> Outcome | None:
        """What was done under this key; None when nothing was. KeyReused when it was another request."""
        known = self.key_row(key)
        if known is None:
            return None
        if known.fingerprint != fingerprint:
            raise KeyReused("this idempotency key was used for another request; use a new one")
        return Outcome(position=known.first_position or 0, response=known.response, replayed=True)

    def save_bookmark(self, name: str, position: int) -> None:
        """Advance a bookmark on its own (a follower that had nothing to do for a while)."""
        with suppress(KeyKnown):  # saved before, by whoever led then
            self.writer.submit(Append(key=f"bookmark:{name}:{position}", fingerprint=b"", drafts=(),
                                      bookmark=(name, position))).result()


class _Command(Job):
    """One call of `execute` on its way through the writer."""

    def __init__(self, tenant: str, commands: Sequence[Command], context: Context, key: str, fingerprint: bytes,
                 respond: Respond | None, bookmark: tuple[str, int] | None):
        self._where = [(KINDS[command.kind], command.key) for command in commands]
        super().__init__(key, [kind.stream(tenant, name) for kind, name in self._where], time.monotonic() + PATIENCE_S)
        self.tenant, self.commands, self.context, self.fingerprint = tenant, commands, context, fingerprint
        self.respond, self.bookmark = respond, bookmark
        self.events: list[Event] = []
        self.response: bytes | None = None

    def decide(self, loaded: Loaded) -> Append:
        folded: dict[UUID, tuple[Any, int]] = {}
        drafts: list[Draft] = []
        self.events = []
        for command, (kind, name), stream in zip(self.commands, self._where, self.streams, strict=True):
            state, version = folded.get(stream) or fold(kind, loaded.get(stream, ()))
            for event in kind.decide(state, command, self.context):
                version += 1
                state = kind.evolve(state, event)
                self.events.append(event)
                drafts.append(self._draft(event, stream, version, kind.resource(name)))
            folded[stream] = (state, version)
        self.response = self.respond(self.events) if self.respond else None
        written = {draft.originator_id for draft in drafts}
        unchanged = tuple((stream, version) for stream, (_, version) in folded.items() if stream not in written)
        return Append(key=self.key, fingerprint=self.fingerprint, bookmark=self.bookmark, response=self.response,
                      drafts=tuple(drafts), unchanged=unchanged)

    def _draft(self, event: Event, stream: UUID, version: int, resource: str) -> Draft:
        context = self.context
        return Draft(stream, version, event.tag, encode_body(Body(
            action=event.action, actor=context.actor, actor_role=context.actor_role, at=context.now,
            cause=context.cause, command=self.key, data=event, on_behalf_of=context.on_behalf_of, resource=resource,
            salt=fresh_salt(), stream=stream, tenant=self.tenant, type=event.tag, version=version)))

    def outcome(self) -> Outcome:
        """What came of it; raises what refused it."""
        match self.fate:
            case Appended(first_position=first):
                return Outcome(position=first if self.events else 0, events=tuple(self.events), response=self.response)
            case VersionConflict():
                raise Contended("the record keeps changing under this command; try again")
            case Exception() as error:
                raise error
            case None:
                raise AssertionError("asked before the fate was known")


class _BlockingCommand(_Command):
    """Its caller's thread waits."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.done = threading.Lock()
        self.done.acquire()

    def tell(self) -> None:
        self.done.release()


class _AwaitedCommand(_Command):
    """Its caller waits on an event loop."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.loop = asyncio.get_running_loop()
        self.told: asyncio.Future[None] = self.loop.create_future()

    def tell(self) -> None:
        if not self.told.done():  # its caller may have gone away
            self.told.set_result(None)


def fold(kind: Kind[S], events: Iterable[Stored]) -> tuple[S, int]:
    """The state after a stream's events, and its version."""
    state, version = kind.initial, 0
    for number, body in events:
        state, version = kind.evolve(state, decode_event(body)), number
    return state, version


def fingerprint_of(*parts: bytes) -> bytes:
    """SHA-256 over length-prefixed parts: which request a key stands for."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
