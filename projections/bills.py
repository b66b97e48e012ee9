"""Bills: what a subject owes the platform for what no advance was reduced by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Date, DateTime, Text, select

from domain import bill as facts
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, Rows, part_of

table = tenant_table(
    "bills",
    Column("reference", Text, primary_key=True),
    Column("subject", Text, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("total_pence", BigInteger, nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("paid_at", DateTime(timezone=True)),
)

bills = Projection("bills", table)


@bills.on(facts.BillIssued)
def issued(connection: Connection, entry: Entry, event: facts.BillIssued) -> None:
    connection.execute(table.insert().values(
        reference=event.bill, subject=event.subject, state="ISSUED", total_pence=event.total_pence,
        issued_on=event.issued_on, due_on=event.due_on))


@bills.on(facts.BillOverdue)
def overdue(connection: Connection, entry: Entry, event: facts.BillOverdue) -> None:
    _set(connection, event.bill, state="OVERDUE")


@bills.on(facts.BillPaid)
def paid(connection: Connection, entry: Entry, event: facts.BillPaid) -> None:
    _set(connection, event.bill, state="PAID", paid_at=entry.at)


def _set(connection: Connection, bill: str, **values: Any) -> None:
    connection.execute(table.update().where(table.c.reference == bill).values(**values))


# ---------------------------------------------------------------- queries


def page(connection: Connection, part: Part = FIRST, *, subject: str | None = None) -> Rows:
    """In reference order, of one subject or (None) of all."""
    columns = [column for column in table.columns if column.name != "tenant_id"]
    query = select(*columns)
    if subject is not None:
        query = query.where(table.c.subject == subject)
    return part_of(connection, query, part, table.c.reference)
