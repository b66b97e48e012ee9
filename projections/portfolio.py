"""Portfolio: who holds how much of which receivable, what it cost, and what it has paid."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Date, DateTime, Integer, Text, case, func, select

from domain import invoice as facts
from domain import token as tokens
from domain import trade as trades
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, Rows, part_of

holdings = tenant_table(
    "holdings",
    Column("token_reference", Text, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("invoice", Text, nullable=False, index=True),
    Column("holder", Text, nullable=False, index=True),
    Column("face_pence", BigInteger, nullable=False),
    Column("cost_pence", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("acquired_at", DateTime(timezone=True), nullable=False),
    Column("paid_at", DateTime(timezone=True)),
)

receivables = tenant_table(
    "holding_receivables",
    Column("invoice", Text, primary_key=True),
    Column("seller_name", Text, nullable=False),
    Column("buyer_name", Text, nullable=False),
    Column("face_pence", BigInteger, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("net_advance_pence", BigInteger, nullable=False),
)

portfolio = Projection("portfolio", holdings, receivables)


@portfolio.on(facts.InvoiceSubmitted)
def known(connection: Connection, entry: Entry, event: facts.InvoiceSubmitted) -> None:
    connection.execute(receivables.insert().values(
        invoice=event.reference, seller_name=event.seller_name, buyer_name=event.buyer_name,
        face_pence=event.face_pence, due_on=event.due_on, net_advance_pence=0))


@portfolio.on(facts.FundingReserved)
def priced(connection: Connection, entry: Entry, event: facts.FundingReserved) -> None:
    connection.execute(receivables.update().where(receivables.c.invoice == entry.resource)
                       .values(net_advance_pence=event.net_advance_pence))


@portfolio.on(tokens.TokenTransferred)
def transferred(connection: Connection, entry: Entry, event: tokens.TokenTransferred) -> None:
    """A whole token costs its net advance; a slice's price comes with the trade that follows."""
    if event.slice_index is None:
        cost = connection.execute(select(receivables.c.net_advance_pence)
                                  .where(receivables.c.invoice == event.invoice)).scalar_one()
        connection.execute(holdings.insert().values(
            token_reference=entry.resource, index=0, invoice=event.invoice, holder=event.to,
            face_pence=event.face_pence, cost_pence=cost, state="HELD", acquired_at=entry.at))
        return
    connection.execute(_one(entry.resource, event.slice_index).values(holder=event.to, acquired_at=entry.at))


@portfolio.on(tokens.ForcedMoved)
def forced(connection: Connection, entry: Entry, event: tokens.ForcedMoved) -> None:
    """The cost goes with the holding: nobody paid a price for it."""
    connection.execute(_one(entry.resource, event.slice_index or 0).values(holder=event.to, acquired_at=entry.at))


@portfolio.on(tokens.TokenSliced)
def sliced(connection: Connection, entry: Entry, event: tokens.TokenSliced) -> None:
    """The cost is spread by face; the last slice takes the rounding."""
    whole = connection.execute(select(holdings).where(holdings.c.token_reference == entry.resource)).mappings().one()
    connection.execute(holdings.delete().where(holdings.c.token_reference == entry.resource))
    left = whole["cost_pence"]
    for index, face in enumerate(event.faces, start=1):
        last = index == len(event.faces)
        cost = left if last else whole["cost_pence"] * face // whole["face_pence"]
        left -= cost
        connection.execute(holdings.insert().values(
            token_reference=entry.resource, index=index, invoice=event.invoice, holder=event.holder,
            face_pence=face, cost_pence=cost, state="HELD", acquired_at=whole["acquired_at"]))


@portfolio.on(trades.TradeExecuted)
def bought(connection: Connection, entry: Entry, event: trades.TradeExecuted) -> None:
    connection.execute(holdings.update().where(holdings.c.invoice == event.invoice,
                                               holdings.c.index == event.slice_index)
                       .values(cost_pence=event.price_pence + event.fee_pence))


@portfolio.on(facts.PayoutConfirmed)
def paid(connection: Connection, entry: Entry, event: facts.PayoutConfirmed) -> None:
    """What was held for its holder may be paid after the settlement, which is the end of a holding."""
    state = case((holdings.c.state == "SETTLED", "SETTLED"), else_="PAID")
    connection.execute(holdings.update().where(holdings.c.invoice == entry.resource,
                                               holdings.c.holder == event.holder)
                       .values(state=state, paid_at=entry.at))


@portfolio.on(facts.PayoutReturned)
def came_back(connection: Connection, entry: Entry, event: facts.PayoutReturned) -> None:
    """The holder is owed it again; a settlement stays the end of a holding."""
    connection.execute(holdings.update().where(holdings.c.invoice == entry.resource,
                                               holdings.c.holder == event.holder, holdings.c.state == "PAID")
                       .values(state="HELD"))
    connection.execute(holdings.update().where(holdings.c.invoice == entry.resource,
                                               holdings.c.holder == event.holder).values(paid_at=None))


@portfolio.on(tokens.TokenBurned)
def burned(connection: Connection, entry: Entry, event: tokens.TokenBurned) -> None:
    connection.execute(holdings.update().where(holdings.c.token_reference == entry.resource).values(state="SETTLED"))


def _one(token: str, index: int) -> Any:
    return holdings.update().where(holdings.c.token_reference == token, holdings.c.index == index)


# ---------------------------------------------------------------- queries


def outstanding_of(connection: Connection, holder: str) -> list[str]:
    """Invoices of which this subject still holds something that is not settled."""
    query = (select(holdings.c.invoice).distinct().where(holdings.c.holder == holder, holdings.c.state != "SETTLED")
             .order_by(holdings.c.invoice))
    return list(connection.execute(query).scalars())


def has_held(connection: Connection, holder: str, invoice: str) -> bool:
    """Whether this subject holds or held a part of that receivable."""
    query = select(holdings.c.index).where(holdings.c.holder == holder, holdings.c.invoice == invoice)
    return connection.execute(select(query.exists())).scalar_one()


def tokens_of(connection: Connection, holder: str) -> list[str]:
    """Tokens of which this subject holds a part that still lies in its wallet."""
    query = (select(holdings.c.token_reference).distinct()
             .where(holdings.c.holder == holder, holdings.c.state != "SETTLED").order_by(holdings.c.token_reference))
    return list(connection.execute(query).scalars())


def outstanding_pence(connection: Connection, holder: str) -> int:
    """Face of everything this subject holds now and is not yet paid for."""
    query = select(func.coalesce(func.sum(holdings.c.face_pence), 0)).where(
        holdings.c.holder == holder, holdings.c.state == "HELD")
    return int(connection.execute(query).scalar_one())


def of_holder(connection: Connection, holder: str, part: Part = FIRST) -> Rows:
    query = (select(holdings, receivables.c.seller_name, receivables.c.buyer_name, receivables.c.due_on)
             .join(receivables, receivables.c.invoice == holdings.c.invoice)
             .where(holdings.c.holder == holder))
    return part_of(connection, query, part, holdings.c.token_reference, holdings.c.index)
