"""The audit trail: who did what to which thing, when, for whom; and which batch covers it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, DateTime, Text, Uuid, func, or_, select

from domain.base import Event
from domain.platform import BatchAnchored, BatchCosigned
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, Rows, part_of

trail = tenant_table(
    "audit_trail",
    Column("position", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("action", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("stream", Uuid, nullable=False),
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

cosigned = tenant_table(
    "audit_cosignatures",
    Column("batch_id", BigInteger, primary_key=True),
    Column("witness", Text, primary_key=True),
    Column("cosignature", Text, nullable=False),
    Column("signed_at", DateTime(timezone=True), nullable=False),
)

audit_trail = Projection("audit_trail", trail, batches, cosigned)


@audit_trail.on_every
def record(connection: Connection, entry: Entry, event: Event) -> None:
    connection.execute(trail.insert().values(
        position=entry.position, at=entry.at, action=event.action, type=event.tag, stream=entry.originator_id,
        actor=entry.actor, actor_role=entry.actor_role, on_behalf_of=entry.on_behalf_of, resource=entry.resource,
        invoice=_invoice_of(entry, event), cause=entry.cause))


@audit_trail.on(BatchAnchored)
def anchored(connection: Connection, entry: Entry, event: BatchAnchored) -> None:
    connection.execute(batches.insert().values(
        batch_id=event.batch_id, from_position=event.from_position, to_position=event.to_position, root=event.root,
        head=event.head, tx=event.tx, block=event.block, anchored_at=entry.at))


@audit_trail.on(BatchCosigned)
def countersigned(connection: Connection, entry: Entry, event: BatchCosigned) -> None:
    connection.execute(cosigned.insert().values(
        batch_id=event.batch_id, witness=event.witness, cosignature=event.cosignature, signed_at=event.signed_at))


def _invoice_of(entry: Entry, event: Event) -> str | None:
    """Which invoice an entry belongs to, so that its whole story can be read in one place."""
    named = getattr(event, "invoice", None) or entry.resource
    if named.startswith("FX-INV-"):
        return named.partition("/")[0]
    resource = getattr(event, "resource", "")
    return resource if resource.startswith("FX-INV-") else None


# ---------------------------------------------------------------- queries


def entries(connection: Connection, part: Part = FIRST, *, resource: str | None = None,
            invoice: str | None = None) -> Rows:
    """Entries in log order; api/states.py shows the state each left behind in the place of its `stream`."""
    query = select(trail)
    if resource is not None:
        query = query.where(trail.c.resource == resource)
    if invoice is not None:
        query = query.where(or_(trail.c.invoice == invoice, trail.c.resource == invoice))
    return part_of(connection, query, part, trail.c.position)


def steps(connection: Connection, resource: str, types: Collection[str], part: Part = FIRST) -> Rows:
    """The entries of one thing that are of those types, in log order."""
    query = select(trail).where(trail.c.resource == resource, trail.c.type.in_(types))
    return part_of(connection, query, part, trail.c.position)


def batches_after(connection: Connection, part: Part = FIRST) -> Rows:
    """Anchored batches in order."""
    return part_of(connection, select(batches), part, batches.c.batch_id)


def batch_of(connection: Connection, position: int) -> dict[str, Any] | None:
    """The batch that covers a position; None while it waits for the next anchor."""
    row = connection.execute(select(batches).where(
        batches.c.from_position <= position, batches.c.to_position >= position)).mappings().first()
    return dict(row) if row else None


def cosignatures(connection: Connection, first: int, last: int) -> list[dict[str, Any]]:
    """What witnesses countersigned of batches `first` to `last`."""
    query = select(cosigned).where(cosigned.c.batch_id.between(first, last)).order_by(
        cosigned.c.batch_id, cosigned.c.witness)
    return [dict(row) for row in connection.execute(query).mappings()]


def witnessed(connection: Connection) -> dict[str, int]:
    """The last batch each witness countersigned."""
    query = select(cosigned.c.witness, func.max(cosigned.c.batch_id)).group_by(cosigned.c.witness)
    return {witness: batch_id for witness, batch_id in connection.execute(query)}


def anchored_after(connection: Connection, batch_id: int) -> datetime | None:
    """When the first batch after that one was anchored; None when there is none yet."""
    return connection.execute(select(func.min(batches.c.anchored_at)).where(batches.c.batch_id > batch_id)).scalar()
