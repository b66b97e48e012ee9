"""Register orders as compliance sees them: what is proposed, by whom, until when, and what came of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, DateTime, Text, select

from domain import register_order as facts
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, Rows, part_of

orders = tenant_table(
    "register_orders",
    Column("order", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("approved_by", Text),
    Column("content_sha256", Text, nullable=False),
    Column("reason", Text),
)

register_orders = Projection("register_orders", orders)


@register_orders.on(facts.OrderProposed)
def proposed(connection: Connection, entry: Entry, event: facts.OrderProposed) -> None:
    connection.execute(orders.insert().values(
        order=entry.resource, position=entry.position, kind=event.content.kind, subject=event.content.subject,
        state="PROPOSED", proposed_by=event.proposed_by, proposed_at=entry.at, expires_at=event.expires_at,
        content_sha256=event.content_sha256))


@register_orders.on(facts.OrderApproved)
def approved(connection: Connection, entry: Entry, event: facts.OrderApproved) -> None:
    _set(connection, entry, state="APPROVED", approved_by=event.approved_by)


@register_orders.on(facts.OrderWithdrawn, facts.OrderExpired, facts.OrderExecuted)
def ended(connection: Connection, entry: Entry,
          event: facts.OrderWithdrawn | facts.OrderExpired | facts.OrderExecuted) -> None:
    _set(connection, entry, state=facts.evolve(facts.Order(), event).state)


@register_orders.on(facts.OrderRefused)
def refused(connection: Connection, entry: Entry, event: facts.OrderRefused) -> None:
    _set(connection, entry, state="REFUSED", reason=event.reason)


def _set(connection: Connection, entry: Entry, **values: Any) -> None:
    connection.execute(orders.update().where(orders.c.order == entry.resource).values(**values))


# ---------------------------------------------------------------- queries


def newest(connection: Connection, part: Part = FIRST) -> Rows:
    """Newest first."""
    columns = [column for column in orders.columns if column.name != "tenant_id"]
    return part_of(connection, select(*columns), part, orders.c.position, newest_first=True)
