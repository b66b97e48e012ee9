"""Store: run commands against aggregates and append what they decide, once, whatever is retried.

load -> decide -> append, again on a version conflict. Every command carries a key; the key, the events, the stored
answer and a process's bookmark commit in one transaction.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from eventsourcing.persistence import Mapper, Notification
from eventsourcing.postgres import PostgresDatastore

from domain.base import Command, Conflict, Context, Event, Kind, Refusal
from domain.catalogue import KINDS
from eventstore.database import Unavailable, connect, datastore, select
from eventstore.entry import Entry, decode
from eventstore.recorder import ChainedRecorder, EntryMapper, NoTranscoder
from eventstore.writer import Append, Draft, KeyKnown, VersionConflict, Writer

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

    entries: tuple[Entry, ...] = ()
    response: bytes | None = None
    replayed: bool = False


class KeyRow(msgspec.Struct, frozen=True):
    fingerprint: bytes
    first_position: int | None
    response: bytes | None
    recorded_us: int


Respond = Callable[[Sequence[Event]], bytes]


class Store:
    def __init__(self, conninfo: str, *, tenant: str = "tnt_fintokenx", pool_size: int = 8):
        self.conninfo = conninfo
        self.tenant = tenant
        self.datastore: PostgresDatastore = datastore(conninfo, pool_size)
        self.writer = Writer(lambda: connect(conninfo))
        self.recorder = ChainedRecorder(self.datastore, writer=self.writer, tenant=tenant)
        self.mapper: Mapper[UUID] = EntryMapper(NoTranscoder())

    def close(self) -> None:
        self.writer.close()
        self.datastore.close()

    # ------------------------------------------------------------ reading

    def load(self, kind: Kind[S], key: str) -> S:
        return self._fold(kind, key)[0]

    def _fold(self, kind: Kind[S], key: str) -> tuple[S, int]:
        state, version = kind.initial, 0
        for stored in self.recorder.select_events(kind.stream(self.tenant, key)):
            entry: Entry = self.mapper.to_domain_event(stored)  # pyright: ignore[reportAssignmentType]
            state, version = kind.evolve(state, entry.event), entry.originator_version
        return state, version

    def history(self, kind: Kind[Any], key: str) -> list[Entry]:
        stored = self.recorder.select_events(kind.stream(self.tenant, key))
        return [self.mapper.to_domain_event(event) for event in stored]  # pyright: ignore[reportReturnType]

    def head(self) -> int:
        return self.recorder.max_notification_id() or 0

    def read(self, after: int, limit: int = 500, upto: int | None = None) -> list[Entry]:
        """Entries after a position, in order."""
        notifications: Sequence[Notification] = self.recorder.select_notifications(
            after, limit, upto, inclusive_of_start=False)
        return [decode(bytes(n.state), n.id) for n in notifications]

    def rows(self, first: int, last: int, page: int = 2_000) -> Iterator[dict[str, Any]]:
        """Raw rows of a range: every column, for verifying and for evidence."""
        while first <= last:
            upto = min(last, first + page - 1)
            yield from select(
                self.datastore,
                "SELECT position, tenant_id, originator_id, originator_version, topic, recorded_us, prev_hash, "
                "body_hash, hash, body FROM fx.audit_entries WHERE position BETWEEN %s AND %s ORDER BY position",
                (first, upto))
            first = upto + 1

    def hashes(self, first: int, last: int) -> list[bytes]:
        found = select(
            self.datastore, "SELECT hash FROM fx.audit_entries WHERE position BETWEEN %s AND %s ORDER BY position",
            (first, last))
        return [bytes(row["hash"]) for row in found]

    def bookmark(self, name: str) -> int:
        found = select(self.datastore, "SELECT position FROM fx.bookmarks WHERE name = %s", (name,))
        return found[0]["position"] if found else 0

    def key_row(self, key: str) -> KeyRow | None:
        found = select(
            self.datastore,
            "SELECT fingerprint, first_position, response, recorded_us FROM fx.command_keys "
            "WHERE tenant_id = %s AND key = %s", (self.tenant, key))
        if not found:
            return None
        row = found[0]
        response = bytes(row["response"]) if row["response"] is not None else None
        return KeyRow(bytes(row["fingerprint"]), row["first_position"], response, row["recorded_us"])

    def known_keys(self, keys: Sequence[str]) -> set[str]:
        found = select(self.datastore, "SELECT key FROM fx.command_keys WHERE tenant_id = %s AND key = ANY(%s)",
                       (self.tenant, list(keys)))
        return {row["key"] for row in found}

    # ------------------------------------------------------------ writing

    def execute(
        self, *commands: Command, context: Context, key: str, fingerprint: bytes = b"",
        respond: Respond | None = None, bookmark: tuple[str, int] | None = None,
    ) -> Outcome:
        """Decide all commands against the present state and append their events together.

        Commands on the same aggregate see each other's events. Raises the first Refusal; KeyReused when `key` was
        used for another request; Overloaded or Unavailable when nothing could be stored.
        """
        if (done_before := self.replay(key, fingerprint)) is not None:
            return done_before
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                entries = self._decide(commands, context, key)
            except Refusal:
                # A twin of this command may have landed since: then this is its answer.
                if (done_before := self.replay(key, fingerprint)) is None:
                    raise
                return done_before
            response = respond([entry.event for entry in entries]) if respond else None
            append = Append(tenant=self.tenant, key=key, fingerprint=fingerprint, bookmark=bookmark,
                            response=response, drafts=tuple(self._draft(entry) for entry in entries))
            try:
                done = self.writer.submit(append).result()
            except VersionConflict:
                continue
            except KeyKnown:
                if (done_before := self.replay(key, fingerprint)) is None:
                    raise Unavailable("the command's outcome could not be read back") from None
                return done_before
            placed = tuple(msgspec.structs.replace(entry, position=done.first_position + n)
                           for n, entry in enumerate(entries))
            return Outcome(position=done.first_position if placed else 0, entries=placed, response=response)
        raise Contended("the record keeps changing under this command; try again")

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
            self.writer.submit(Append(tenant=self.tenant, key=f"bookmark:{name}:{position}", fingerprint=b"",
                                      drafts=(), bookmark=(name, position))).result()

    def _decide(self, commands: Sequence[Command], context: Context, key: str) -> list[Entry]:
        folded: dict[tuple[str, str], tuple[Any, int]] = {}
        entries: list[Entry] = []
        for command in commands:
            kind = KINDS[command.kind]
            where = (command.kind, command.key)
            state, version = folded.get(where) or self._fold(kind, command.key)
            for event in kind.decide(state, command, context):
                version += 1
                state = kind.evolve(state, event)
                entries.append(Entry(
                    originator_id=kind.stream(self.tenant, command.key), originator_version=version, event=event,
                    tenant=self.tenant, at=context.now, actor=context.actor, actor_role=context.actor_role,
                    on_behalf_of=context.on_behalf_of, resource=kind.resource(command.key), cause=context.cause,
                    command=key))
            folded[where] = (state, version)
        return entries

    def _draft(self, entry: Entry) -> Draft:
        stored = self.mapper.to_stored_event(entry)  # pyright: ignore[reportArgumentType]
        return Draft(self.tenant, entry.originator_id, entry.originator_version, stored.topic, stored.state)


def fingerprint_of(*parts: bytes) -> bytes:
    """SHA-256 over length-prefixed parts: which request a key stands for."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
