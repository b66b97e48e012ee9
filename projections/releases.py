"""Releases of money in suspense as compliance sees them: what is proposed, by whom, until when, and what came of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, DateTime, Text, select

from domain import release as facts
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, Rows, part_of

table = tenant_table(
    "releases",
    Column("release", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("credit", Text, nullable=False),
    Column("pence", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("approved_by", Text),
    Column("content_sha256", Text, nullable=False),
)

releases = Projection("releases", table)


@releases.on(facts.ReleaseProposed)
def proposed(connection: Connection, entry: Entry, event: facts.ReleaseProposed) -> None:
    content = event.content
    connection.execute(table.insert().values(
        release=entry.resource, position=entry.position, credit=content.credit, pence=content.pence,
        outcome=content.outcome, resource=content.resource, state="PROPOSED", proposed_by=event.proposed_by,
        proposed_at=entry.at, expires_at=event.expires_at, content_sha256=event.content_sha256))


@releases.on(facts.ReleaseApproved)
def approved(connection: Connection, entry: Entry, event: facts.ReleaseApproved) -> None:
    _set(connection, entry, state="APPROVED", approved_by=event.approved_by)


@releases.on(facts.ReleaseWithdrawn, facts.ReleaseExpired)
def ended(connection: Connection, entry: Entry, event: facts.ReleaseWithdrawn | facts.ReleaseExpired) -> None:
    _set(connection, entry, state=facts.evolve(facts.Release(), event).state)


def _set(connection: Connection, entry: Entry, **values: Any) -> None:
    connection.execute(table.update().where(table.c.release == entry.resource).values(**values))


# ---------------------------------------------------------------- queries


def newest(connection: Connection, part: Part = FIRST) -> Rows:
    """Newest first."""
    columns = [column for column in table.columns if column.name != "tenant_id"]
    return part_of(connection, select(*columns), part, table.c.position, newest_first=True)
