"""The cash ledger: double entry from the log. Every entry's lines, and so the whole book, sum to zero."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, DateTime, Integer, Text, func, select
from sqlalchemy.dialects.postgresql import insert

from domain.base import Event
from domain.ledger import CLEARING, family, postings
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, Rows, part_of

lines = tenant_table(
    "ledger_lines",
    Column("position", BigInteger, primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("family", Text, nullable=False),
    Column("account", Text, nullable=False, index=True),
    Column("pence", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False, index=True),
    Column("at", DateTime(timezone=True), nullable=False),
)

balances = tenant_table(
    "ledger_balances",
    Column("account", Text, primary_key=True),
    Column("family", Text, nullable=False),
    Column("pence", BigInteger, nullable=False),
)

cash_ledger = Projection("cash_ledger", lines, balances)


class Unbalanced(Exception):
    """An event's lines do not sum to zero: a bug that must stop the ledger, not bend it."""


@cash_ledger.on_every
def post(connection: Connection, entry: Entry, event: Event) -> None:
    posted = postings(event)
    if not posted:
        return
    if sum(posting.pence for posting in posted) != 0:
        raise Unbalanced(f"entry {entry.position} ({event.tag}) does not balance")
    for number, posting in enumerate(posted):
        connection.execute(lines.insert().values(
            position=entry.position, line=number, family=family(posting.account), account=posting.account,
            pence=posting.pence, action=event.action, resource=entry.resource, at=entry.at))
        upsert = insert(balances).values(account=posting.account, family=family(posting.account), pence=posting.pence)
        connection.execute(upsert.on_conflict_do_update(
            index_elements=[balances.c.tenant_id, balances.c.account],
            set_={"pence": balances.c.pence + posting.pence}))


# ---------------------------------------------------------------- queries


def all_balances(connection: Connection) -> list[dict[str, Any]]:
    """Every account with its balance in pence; debit positive."""
    return [dict(row) for row in connection.execute(select(balances).order_by(balances.c.account)).mappings()]


def trial_balance(connection: Connection) -> int:
    """The sum of all balances: always 0."""
    return int(connection.execute(select(func.coalesce(func.sum(balances.c.pence), 0))).scalar_one())


def not_cleared(connection: Connection) -> list[dict[str, Any]]:
    """Clearing accounts that are not at zero: money on its way, or stuck."""
    query = select(balances).where(balances.c.family.in_(CLEARING), balances.c.pence != 0)
    return [dict(row) for row in connection.execute(query.order_by(balances.c.account)).mappings()]


def lines_of(connection: Connection, part: Part = FIRST) -> Rows:
    """Lines in log order."""
    return part_of(connection, select(lines), part, lines.c.position, lines.c.line)
