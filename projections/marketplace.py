"""Marketplace: receivables a lender may fund now, and slices an investor may buy now."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Integer,
    Text,
    select,
)

from domain import invoice as facts
from domain import token as tokens
from domain.maturity import record_date
from domain.subject import SubjectFrozen, SubjectUnfrozen
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, Rows, part_of

listings = tenant_table(
    "marketplace",
    Column("reference", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("token_reference", Text),
    Column("seller", Text, nullable=False),
    Column("seller_name", Text, nullable=False),
    Column("buyer", Text, nullable=False),
    Column("buyer_name", Text, nullable=False),
    Column("face_pence", BigInteger, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("record_on", Date, nullable=False),
    Column("grade", Text),
    Column("confirmed_at", DateTime(timezone=True)),
    Column("page_hash", Text),
    Column("contract", Text),
    Column("token_id", Text),
    Column("indicative_discount_bps", Integer),
    Column("locked", Boolean),
)

slices = tenant_table(
    "slice_listings",
    Column("token_reference", Text, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("invoice", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("face_pence", BigInteger, nullable=False),
    Column("price_pence", BigInteger, nullable=False),
    Column("listed_at", DateTime(timezone=True), nullable=False),
)

absent = tenant_table("marketplace_absent", Column("subject", Text, primary_key=True))
"""Frozen: what they sell, owe or hold is offered to nobody meanwhile."""

marketplace = Projection("marketplace", listings, slices, absent)


def _set(connection: Connection, reference: str, **values: Any) -> None:
    connection.execute(listings.update().where(listings.c.reference == reference).values(**values))


@marketplace.on(facts.InvoiceSubmitted)
def prepared(connection: Connection, entry: Entry, event: facts.InvoiceSubmitted) -> None:
    """Facts are gathered from the start; only LISTED rows are shown."""
    connection.execute(listings.insert().values(
        reference=event.reference, state="HIDDEN", seller=event.seller, seller_name=event.seller_name,
        buyer=event.buyer, buyer_name=event.buyer_name, face_pence=event.face_pence, due_on=event.due_on,
        record_on=record_date(event.due_on)))


@marketplace.on(facts.RiskScored)
def graded(connection: Connection, entry: Entry, event: facts.RiskScored) -> None:
    _set(connection, entry.resource, grade=event.grade)


@marketplace.on(facts.BuyerConfirmed)
def confirmed(connection: Connection, entry: Entry, event: facts.BuyerConfirmed) -> None:
    _set(connection, entry.resource, confirmed_at=entry.at, page_hash=event.page_hash)


@marketplace.on(facts.InvoiceTokenised)
def tokenised(connection: Connection, entry: Entry, event: facts.InvoiceTokenised) -> None:
    _set(connection, entry.resource, token_reference=event.token_reference, contract=event.contract,
         token_id=event.token_id)


@marketplace.on(facts.InvoiceListed)
def listed(connection: Connection, entry: Entry, event: facts.InvoiceListed) -> None:
    _set(connection, entry.resource, state="LISTED", indicative_discount_bps=event.indicative_discount_bps)


@marketplace.on(facts.FundingReserved)
def reserved(connection: Connection, entry: Entry, event: facts.FundingReserved) -> None:
    _set(connection, entry.resource, state="RESERVED")


@marketplace.on(facts.ReservationReleased)
def released(connection: Connection, entry: Entry, event: facts.ReservationReleased) -> None:
    _set(connection, entry.resource, state="LISTED")


@marketplace.on(facts.InvoiceFunded)
def funded(connection: Connection, entry: Entry, event: facts.InvoiceFunded) -> None:
    _set(connection, entry.resource, state="FUNDED")


@marketplace.on(tokens.SliceListed)
def slice_listed(connection: Connection, entry: Entry, event: tokens.SliceListed) -> None:
    _drop(connection, entry.resource, event.index)
    connection.execute(slices.insert().values(
        token_reference=entry.resource, index=event.index, invoice=event.invoice, holder=event.holder,
        state="LISTED", face_pence=event.face_pence, price_pence=event.price_pence, listed_at=entry.at))


@marketplace.on(tokens.SliceReserved, tokens.SliceReleased)
def slice_held(connection: Connection, entry: Entry, event: tokens.SliceReserved | tokens.SliceReleased) -> None:
    state = "RESERVED" if isinstance(event, tokens.SliceReserved) else "LISTED"
    connection.execute(slices.update().where(slices.c.token_reference == entry.resource,
                                             slices.c.index == event.index).values(state=state))


@marketplace.on(tokens.TokenTransferred)
def slice_sold(connection: Connection, entry: Entry, event: tokens.TokenTransferred) -> None:
    if event.slice_index is not None:
        _drop(connection, entry.resource, event.slice_index)


@marketplace.on(tokens.ForcedMoveRequested)
def forced_away(connection: Connection, entry: Entry, event: tokens.ForcedMoveRequested) -> None:
    _drop(connection, entry.resource, event.slice_index or 0)


@marketplace.on(tokens.RegisterClosed)
def closed(connection: Connection, entry: Entry, event: tokens.RegisterClosed) -> None:
    connection.execute(slices.delete().where(slices.c.token_reference == entry.resource))


@marketplace.on(tokens.LockRequested)
def locked(connection: Connection, entry: Entry, event: tokens.LockRequested) -> None:
    """Neither the receivable nor a part of it is offered while its token is locked."""
    _set(connection, event.invoice, locked=True)


@marketplace.on(tokens.TokenUnlocked)
def unlocked(connection: Connection, entry: Entry, event: tokens.TokenUnlocked) -> None:
    connection.execute(listings.update().where(listings.c.token_reference == entry.resource).values(locked=None))


@marketplace.on(SubjectFrozen)
def left(connection: Connection, entry: Entry, event: SubjectFrozen) -> None:
    connection.execute(absent.insert().values(subject=entry.resource))


@marketplace.on(SubjectUnfrozen)
def back(connection: Connection, entry: Entry, event: SubjectUnfrozen) -> None:
    connection.execute(absent.delete().where(absent.c.subject == entry.resource))


def _drop(connection: Connection, token: str, index: int) -> None:
    connection.execute(slices.delete().where(slices.c.token_reference == token, slices.c.index == index))


# ---------------------------------------------------------------- queries


def receivables(connection: Connection, part: Part = FIRST, *, today: date, tenor_min: int, tenor_max: int,
                discount_min_bps: int) -> Rows:
    """Listed receivables that can be funded today, so many days from maturity and at or above a discount, in
    reference order."""
    query = (select(listings)
             .where(*_offered(), listings.c.record_on > today,
                    listings.c.due_on.between(today + timedelta(days=tenor_min), today + timedelta(days=tenor_max)),
                    listings.c.indicative_discount_bps >= discount_min_bps))
    return part_of(connection, query, part, listings.c.reference)


def is_offered(connection: Connection, reference: str) -> bool:
    return connection.execute(select(listings.c.reference).where(
        listings.c.reference == reference, *_offered())).first() is not None


def slices_for_sale(connection: Connection, part: Part = FIRST, *, today: date) -> Rows:
    """Slices that can be bought today."""
    query = (select(slices, listings.c.due_on, listings.c.seller_name, listings.c.buyer_name, listings.c.grade)
             .join(listings, listings.c.reference == slices.c.invoice)
             .where(slices.c.state == "LISTED", listings.c.locked.is_(None), listings.c.record_on > today,
                    _present(slices.c.holder), _present(listings.c.buyer)))
    return part_of(connection, query, part, slices.c.token_reference, slices.c.index)


def _offered() -> tuple[ColumnElement[bool], ...]:
    return (listings.c.state == "LISTED", listings.c.locked.is_(None), _present(listings.c.seller),
            _present(listings.c.buyer))


def _present(subject: ColumnElement[str]) -> ColumnElement[bool]:
    return subject.not_in(select(absent.c.subject))
