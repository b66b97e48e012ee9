"""Invoices: the present state of every receivable, with what each persona's surface may draw from."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Date, DateTime, Integer, Text, or_, select

from domain import invoice as facts
from domain.fees import FeeLine
from domain.invoice import setbacks
from domain.invoice.state import ENDED
from domain.token import TokenBurned, TokenMinted
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, Rows, part_of

table = tenant_table(
    "invoices",
    Column("reference", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("seller", Text, nullable=False, index=True),
    Column("seller_name", Text, nullable=False),
    Column("buyer", Text, nullable=False, index=True),
    Column("buyer_name", Text, nullable=False),
    Column("seller_reference", Text, nullable=False),
    Column("face_pence", BigInteger, nullable=False),
    Column("submitted_at", DateTime(timezone=True), nullable=False),
    Column("due_on", Date, nullable=False),
    Column("tenor_days", Integer, nullable=False),
    Column("estimated_cash_pence", BigInteger, nullable=False),
    Column("least_cash_pence", BigInteger, nullable=False),
    Column("grade", Text),
    Column("confirm_by", DateTime(timezone=True)),
    Column("confirmed_at", DateTime(timezone=True)),
    Column("page_hash", Text),
    Column("token_reference", Text),
    Column("contract", Text),
    Column("token_id", Text),
    Column("payment", Text, index=True),
    Column("lender", Text),
    Column("discount_bps", Integer),
    Column("net_advance_pence", BigInteger),
    Column("fee_tokenisation_pence", BigInteger),
    Column("fee_settlement_pence", BigInteger),
    Column("fee_scoring_pence", BigInteger),
    Column("fee_top_up_pence", BigInteger),
    Column("seller_cash_pence", BigInteger),
    Column("mint_tx", Text),
    Column("burn_tx", Text),
    Column("settled_at", DateTime(timezone=True)),
    Column("rejection", Text),
)

invoices = Projection("invoices", table)

_STATES: dict[type[Any], str] = {
    facts.VerificationStarted: "VERIFYING",
    facts.InvoiceVerified: "VERIFIED",
    facts.InvoiceExpired: "EXPIRED",
    facts.InvoiceVoided: "VOID",
    setbacks.BuyerMailboxCorrected: "RISK_SCORED",
    setbacks.RiskReleased: "RISK_SCORED",
    setbacks.RiskRefused: "REJECTED_RISK",
    setbacks.InvoiceWithdrawn: "WITHDRAWN",
    facts.InvoiceListed: "LISTED",
    facts.FundingCashMatched: "CASH_MATCHED",
    facts.ObligorPaid: "OBLIGOR_PAID",
}


def _set(connection: Connection, reference: str, **values: Any) -> None:
    connection.execute(table.update().where(table.c.reference == reference).values(**values))


@invoices.on(facts.InvoiceSubmitted)
def submitted(connection: Connection, entry: Entry, event: facts.InvoiceSubmitted) -> None:
    connection.execute(table.insert().values(
        reference=event.reference, tenant=entry.tenant, state="SUBMITTED", seller=event.seller,
        seller_name=event.seller_name, buyer=event.buyer, buyer_name=event.buyer_name,
        seller_reference=event.seller_reference, face_pence=event.face_pence, submitted_at=entry.at,
        due_on=event.due_on, tenor_days=event.tenor_days, estimated_cash_pence=event.estimated_cash_pence,
        least_cash_pence=event.least_cash_pence))


@invoices.on(*_STATES)
def moved_on(connection: Connection, entry: Entry, event: Any) -> None:
    _set(connection, entry.resource, state=_STATES[type(event)])


@invoices.on(facts.AdvanceDisbursed)
def disbursed(connection: Connection, entry: Entry, event: facts.AdvanceDisbursed) -> None:
    """One that was held arrives when the debtor may have paid already."""
    connection.execute(table.update().where(table.c.reference == entry.resource, table.c.state == "FUNDED")
                       .values(state="DISBURSED"))


@invoices.on(facts.AdvanceReturned)
def advance_came_back(connection: Connection, entry: Entry, event: facts.AdvanceReturned) -> None:
    """After it had arrived; the debtor may have paid already."""
    connection.execute(table.update().where(table.c.reference == entry.resource, table.c.state == "DISBURSED")
                       .values(state="FUNDED"))


@invoices.on(facts.InvoiceRejected)
def rejected(connection: Connection, entry: Entry, event: facts.InvoiceRejected) -> None:
    failed = [check for check in event.checks if check.verdict == "FAIL"]
    _set(connection, entry.resource, state=event.reason,
         rejection="; ".join(f"{check.name}: {check.detail}" if check.detail else check.name for check in failed))


@invoices.on(facts.RiskScored)
def graded(connection: Connection, entry: Entry, event: facts.RiskScored) -> None:
    _set(connection, entry.resource, state="RISK_HELD" if event.grade == "HIGH" else "RISK_SCORED", grade=event.grade)


@invoices.on(setbacks.BuyerUnreachable)
def unreachable(connection: Connection, entry: Entry, event: setbacks.BuyerUnreachable) -> None:
    _set(connection, entry.resource, state="BUYER_UNREACHABLE", confirm_by=event.confirm_by)


@invoices.on(facts.BuyerNotified)
def notified(connection: Connection, entry: Entry, event: facts.BuyerNotified) -> None:
    _set(connection, entry.resource, state="AWAITING_BUYER", confirm_by=event.confirm_by)


@invoices.on(facts.BuyerConfirmed)
def confirmed(connection: Connection, entry: Entry, event: facts.BuyerConfirmed) -> None:
    _set(connection, entry.resource, state="CONFIRMED", confirmed_at=entry.at, page_hash=event.page_hash)


@invoices.on(facts.InvoiceTokenised)
def tokenised(connection: Connection, entry: Entry, event: facts.InvoiceTokenised) -> None:
    _set(connection, entry.resource, state="TOKENISED", token_reference=event.token_reference,
         contract=event.contract, token_id=event.token_id)


@invoices.on(facts.FundingReserved)
def reserved(connection: Connection, entry: Entry, event: facts.FundingReserved) -> None:
    _set(connection, entry.resource, state="RESERVED", payment=event.payment, lender=event.lender,
         discount_bps=event.discount_bps, net_advance_pence=event.net_advance_pence)


@invoices.on(facts.ReservationReleased)
def released(connection: Connection, entry: Entry, event: facts.ReservationReleased) -> None:
    _set(connection, entry.resource, state="LISTED", payment=None, lender=None, discount_bps=None,
         net_advance_pence=None)


@invoices.on(facts.InvoiceFunded)
def funded(connection: Connection, entry: Entry, event: facts.InvoiceFunded) -> None:
    _set(connection, entry.resource, state="FUNDED", seller_cash_pence=event.seller_cash_pence,
         fee_tokenisation_pence=_line(event.fee_lines, "TOKENISATION"),
         fee_settlement_pence=_line(event.fee_lines, "SETTLEMENT"),
         fee_scoring_pence=_line(event.fee_lines, "SCORING"),
         fee_top_up_pence=_line(event.fee_lines, "MINIMUM_FEE_TOP_UP"))


@invoices.on(facts.InvoiceSettled)
def settled(connection: Connection, entry: Entry, event: facts.InvoiceSettled) -> None:
    _set(connection, entry.resource, state="SETTLED", settled_at=entry.at)


@invoices.on(TokenMinted)
def minted(connection: Connection, entry: Entry, event: TokenMinted) -> None:
    _set(connection, event.invoice, mint_tx=event.tx)


@invoices.on(TokenBurned)
def burned(connection: Connection, entry: Entry, event: TokenBurned) -> None:
    _set(connection, event.invoice, burn_tx=event.tx)


def _line(lines: tuple[FeeLine, ...], code: str) -> int:
    return sum(line.pence for line in lines if line.code == code)


# ---------------------------------------------------------------- queries


def by_reference(connection: Connection, reference: str) -> dict[str, Any] | None:
    row = connection.execute(select(table).where(table.c.reference == reference)).mappings().first()
    return dict(row) if row else None


def of_subject(connection: Connection, subject: str, part: Part = FIRST) -> Rows:
    """Invoices this subject sells or owes, in reference order."""
    query = select(table).where(or_(table.c.seller == subject, table.c.buyer == subject))
    return part_of(connection, query, part, table.c.reference)


def sold_by(connection: Connection, subject: str) -> list[str]:
    """References of every invoice this subject ever submitted: all of them, in order."""
    query = select(table.c.reference).where(table.c.seller == subject).order_by(table.c.reference)
    return list(connection.execute(query).scalars())


def outstanding_of(connection: Connection, subject: str) -> list[str]:
    """References of invoices that are not over and have this subject as seller, debtor or lender."""
    query = (select(table.c.reference)
             .where(or_(table.c.seller == subject, table.c.buyer == subject, table.c.lender == subject),
                    table.c.state.not_in(ENDED))
             .order_by(table.c.reference))
    return list(connection.execute(query).scalars())
