"""The audit trail: who did what to which thing, when, for whom; and which batch covers it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, DateTime, Text, or_, select

from domain.base import Event
from domain.catalogue import KINDS
from domain.platform import BatchAnchored
from eventstore.entry import Entry
from projections.base import Projection, tenant_table

trail = tenant_table(
    "audit_trail",
    Column("position", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("action", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text),
    Column("actor", Text, nullable=False),
    Column("actor_role", Text, nullable=False),
    Column("on_behalf_of", Text),
    Column("resource", Text, nullable=False, index=True),
    Column("invoice", Text, index=True),
    Column("cause", BigInteger),
)

batches = tenant_table(
    "audit_batches",
    Column("batch_id", BigInteger, primary_key=True),
    Column("from_position", BigInteger, nullable=False),
    Column("to_position", BigInteger, nullable=False, index=True),
    Column("root", Text, nullable=False),
    Column("head", Text, nullable=False),
    Column("tx", Text, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("anchored_at", DateTime(timezone=True), nullable=False),
)

audit_trail = Projection("audit_trail", trail, batches)


@audit_trail.on_every
def record(connection: Connection, entry: Entry, event: Event) -> None:
    connection.execute(trail.insert().values(
        position=entry.position, at=entry.at, action=event.action, type=event.tag, state=_state_after(event),
        actor=entry.actor, actor_role=entry.actor_role, on_behalf_of=entry.on_behalf_of, resource=entry.resource,
        invoice=_invoice_of(entry, event), cause=entry.cause))


@audit_trail.on(BatchAnchored)
def anchored(connection: Connection, entry: Entry, event: BatchAnchored) -> None:
    connection.execute(batches.insert().values(
        batch_id=event.batch_id, from_position=event.from_position, to_position=event.to_position, root=event.root,
        head=event.head, tx=event.tx, block=event.block, anchored_at=entry.at))


def _invoice_of(entry: Entry, event: Event) -> str | None:
    """Which invoice an entry belongs to, so that its whole story can be read in one place."""
    named = getattr(event, "invoice", None) or entry.resource
    if named.startswith("FX-INV-"):
        return named.partition("/")[0]
    resource = getattr(event, "resource", "")
    return resource if resource.startswith("FX-INV-") else None


def _state_after(event: Event) -> str | None:
    """The state an event leads to, whatever came before; None for events that change none."""
    kind = KINDS.get(event.tag.partition(".")[0])
    if kind is None or not hasattr(kind.initial, "state"):
        return None
    after = kind.evolve(kind.initial, event).state
    return after if after != kind.initial.state else None


# ---------------------------------------------------------------- queries


def entries(connection: Connection, *, resource: str | None = None, invoice: str | None = None, after: int = 0,
            limit: int = 100) -> list[dict[str, Any]]:
    query = select(trail).where(trail.c.position > after).order_by(trail.c.position).limit(limit)
    if resource is not None:
        query = query.where(trail.c.resource == resource)
    if invoice is not None:
        query = query.where(or_(trail.c.invoice == invoice, trail.c.resource == invoice))
    return [dict(row) for row in connection.execute(query).mappings()]


def all_batches(connection: Connection, *, after: int = 0, limit: int = 1_000) -> list[dict[str, Any]]:
    query = select(batches).where(batches.c.batch_id > after).order_by(batches.c.batch_id).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def batch_of(connection: Connection, position: int) -> dict[str, Any] | None:
    """The batch that covers a position; None while it waits for the next anchor."""
    row = connection.execute(select(batches).where(
        batches.c.from_position <= position, batches.c.to_position >= position)).mappings().first()
    return dict(row) if row else None
