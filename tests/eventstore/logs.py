"""A log written without the application, and the hands of a superuser on it.

`session_replication_role = replica` is how an owner goes round the triggers; nothing in the database stops it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import psycopg

from domain.platform import AlarmRaised
from eventstore.entry import ZERO_HASH, Entry, body_hash, decode, encode, entry_hash
from tests.eventstore.notes import NOW

Database = psycopg.Connection[Any]
TENANT, OTHER = "tnt_fintokenx", "tnt_other"
START_US = 1_779_444_000_000_000
INSERT = ("INSERT INTO fx.audit_entries (position, tenant_id, originator_id, originator_version, topic, recorded_us, "
          "prev_hash, body_hash, hash, body) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)")


def body_of(position: int, *, tenant: str = TENANT, detail: str = "a note", event: Any = None,
            actor: str = "operator:test", version: int = 1) -> bytes:
    """The body an entry at `position` has when nobody interferes: a stream of its own."""
    return encode(Entry(
        originator_id=uuid5(NAMESPACE_URL, f"stream {position}"), originator_version=version, tenant=tenant, at=NOW,
        event=event or AlarmRaised(source="test", code=str(position), detail=detail), actor=actor,
        actor_role="operator", on_behalf_of=None, resource=f"note {position}", cause=None, command=f"key-{position}"),
        salt=f"{position:032x}")


def append(db: Database, *bodies: bytes, recorded_us: int | None = None) -> int:
    """Chain bodies to the end of the log as `fx.append_batch` does; the position of the last."""
    row = db.execute("SELECT max(position) FROM fx.audit_entries").fetchone()
    position = row[0] or 0 if row else 0
    link = hash_of(db, position)
    for body in bodies:
        position += 1
        link = put(db, position, link, body, recorded_us or START_US + position * 1_000)
    return position


def put(db: Database, position: int, link: bytes, body: bytes, recorded_us: int) -> bytes:
    """Insert one entry with right hashes; its hash."""
    entry, hashed = decode(body), body_hash(body)
    linked = entry_hash(position, recorded_us, link, hashed)
    db.execute(INSERT, (position, entry.tenant, entry.originator_id, entry.originator_version, entry.event.tag,
                        recorded_us, link, hashed, linked, body))
    return linked


def fill(db: Database, count: int, *, tenant: str = TENANT) -> int:
    first = append(db) + 1
    return append(db, *(body_of(position, tenant=tenant) for position in range(first, first + count)))


@contextmanager
def superuser(url: str) -> Iterator[Database]:
    """Attackers A2 and A3: the owner's session, with the triggers off."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SET session_replication_role = replica")
        yield db


def set_body(db: Database, position: int, body: bytes) -> None:
    db.execute("UPDATE fx.audit_entries SET body = %s WHERE position = %s", (body, position))


def set_column(db: Database, position: int, column: str, value: object) -> None:
    db.execute(f"UPDATE fx.audit_entries SET {column} = %s WHERE position = %s".encode(), (value, position))


def delete(db: Database, first: int, last: int | None = None) -> None:
    db.execute("DELETE FROM fx.audit_entries WHERE position BETWEEN %s AND %s", (first, last or first))


def renumber(db: Database, first: int, by: int) -> None:
    """Move every position from `first` on; by way of negative ones, because positions are unique."""
    db.execute("UPDATE fx.audit_entries SET position = -(position + %s) WHERE position >= %s", (by, first))
    db.execute("UPDATE fx.audit_entries SET position = -position WHERE position < 0")


def swap(db: Database, one: int, other: int) -> None:
    db.execute("UPDATE fx.audit_entries SET position = -position WHERE position = %s", (one,))
    db.execute("UPDATE fx.audit_entries SET position = %s WHERE position = %s", (one, other))
    db.execute("UPDATE fx.audit_entries SET position = %s WHERE position = %s", (other, -one))


def hash_of(db: Database, position: int) -> bytes:
    row = db.execute("SELECT hash FROM fx.audit_entries WHERE position = %s", (position,)).fetchone()
    return row[0] if row else ZERO_HASH


def rechain(db: Database, first: int, last: int | None = None) -> None:
    """Compute hashes anew from `first` on, as somebody who knows the rule does."""
    link = hash_of(db, first - 1)
    for position, recorded_us, body in db.execute(
            "SELECT position, recorded_us, body FROM fx.audit_entries WHERE position BETWEEN %s AND %s ORDER BY 1",
            (first, last or 2**62)).fetchall():
        hashed = body_hash(body)
        linked = entry_hash(position, recorded_us, link, hashed)
        db.execute("UPDATE fx.audit_entries SET prev_hash = %s, body_hash = %s, hash = %s WHERE position = %s",
                   (link, hashed, linked, position))
        link = linked


def insert_before(db: Database, position: int, body: bytes, recorded_us: int | None = None) -> None:
    """Put an entry in; the rest moves on by one and keeps the hashes it has."""
    renumber(db, position, 1)
    put(db, position, hash_of(db, position - 1), body, recorded_us or START_US + position * 1_000 - 500)
