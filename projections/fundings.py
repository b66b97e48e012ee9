"""Fundings: a lender's payments as it sees them, also those whose reservation is over or whose money went back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Connection, Text, select

from domain.account import AccountOpened, account_key
from domain.credit import CreditReceived, CreditReturned
from domain.invoice import CHAIN_REFUSED, WITHDRAWN, FundingCashMatched, FundingReserved, ReservationReleased
from eventstore.entry import Entry
from projections.base import Projection, tenant_table

table = tenant_table(
    "fundings",
    Column("payment", Text, primary_key=True),
    Column("reference", Text, nullable=False),
    Column("lender", Text, nullable=False),
    Column("net_advance_pence", BigInteger, nullable=False),
    Column("account", Text, index=True),
    Column("went_back", Boolean, nullable=False),
)

credits = tenant_table(
    "funding_credits",
    Column("credit", Text, primary_key=True),
    Column("payment", Text, nullable=False),
)

fundings = Projection("fundings", table, credits)


@fundings.on(FundingReserved)
def reserved(connection: Connection, entry: Entry, event: FundingReserved) -> None:
    connection.execute(table.insert().values(
        payment=event.payment, reference=entry.resource, lender=event.lender,
        net_advance_pence=event.net_advance_pence, went_back=False))


@fundings.on(AccountOpened)
def opened(connection: Connection, entry: Entry, event: AccountOpened) -> None:
    _set(connection, event.payment, account=event.account)


@fundings.on(CreditReceived)
def came_in(connection: Connection, entry: Entry, event: CreditReceived) -> None:
    account = account_key(event.sort_code, event.account_number)
    payment = connection.execute(select(table.c.payment).where(table.c.account == account)).scalar()
    if payment is not None:
        connection.execute(credits.insert().values(credit=event.credit, payment=payment))


@fundings.on(CreditReturned)
def goes_back(connection: Connection, entry: Entry, event: CreditReturned) -> None:
    payment = connection.execute(select(credits.c.payment).where(credits.c.credit == event.credit)).scalar()
    if payment is not None:
        _set(connection, payment, went_back=True)


@fundings.on(FundingCashMatched)
def fits(connection: Connection, entry: Entry, event: FundingCashMatched) -> None:
    _set(connection, event.payment, went_back=False)


@fundings.on(ReservationReleased)
def released(connection: Connection, entry: Entry, event: ReservationReleased) -> None:
    if event.reason in (CHAIN_REFUSED, WITHDRAWN):
        _set(connection, event.payment, went_back=True)


def _set(connection: Connection, payment: str, **values: Any) -> None:
    connection.execute(table.update().where(table.c.payment == payment).values(**values))


# ---------------------------------------------------------------- queries


def by_payment(connection: Connection, payment: str) -> dict[str, Any] | None:
    row = connection.execute(select(table).where(table.c.payment == payment)).mappings().first()
    return dict(row) if row else None
