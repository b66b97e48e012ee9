"""The MLRO's queue: open reviews with what the agent proposed, files that ended or went back to their owner; alarms,
money in suspense, payouts that came back, and what waits for a frozen subject."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, DateTime, Integer, Text, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from domain import subject as facts
from domain.bill import BillOverdue, BillPaid
from domain.credit import CreditMatched, CreditSuspended, CreditVoided
from domain.holds import StepHeld, StepReleased
from domain.invoice import RiskScored
from domain.invoice.setbacks import InvoiceWithdrawn, RiskRefused, RiskReleased
from domain.pair import CallbackConfirmed, CallbackDenied, CallbackRequested
from domain.payment import PaymentConfirmed, PaymentReturned
from domain.platform import AlarmCleared, AlarmRaised
from domain.quarantine import StreamQuarantined, StreamReleased
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, Rows, part_of

reviews = tenant_table(
    "mlro_queue",
    Column("file_number", Text, primary_key=True),
    Column("subject", Text, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("grade", Text),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("proposal", Text),
    Column("proposal_grade", Text),
    Column("proposal_confidence_ppm", Integer),
    Column("proposal_model", Text),
    Column("proposal_position", BigInteger),
    Column("decided_at", DateTime(timezone=True)),
    Column("decided_by", Text),
    Column("decision", Text),
)

subjects = tenant_table(
    "mlro_subjects",
    Column("subject", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("legal_name", Text, nullable=False),
    Column("company_number", Text),
    Column("grade", Text),
)

incidents = tenant_table(
    "incidents",
    Column("position", BigInteger, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("resource", Text, nullable=False, index=True),
    Column("occurrence", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("pence", BigInteger, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True)),
)

callbacks = tenant_table(
    "callbacks",
    Column("reference", Text, primary_key=True),
    Column("seller", Text, nullable=False, index=True),
    Column("buyer", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("call_by", DateTime(timezone=True), nullable=False),
    Column("called_at", DateTime(timezone=True)),
    Column("called_by", Text),
)

mlro_queue = Projection("mlro_queue", reviews, subjects, incidents, callbacks)


@mlro_queue.on(facts.SubjectCreated)
def known(connection: Connection, entry: Entry, event: facts.SubjectCreated) -> None:
    connection.execute(subjects.insert().values(subject=event.subject, role=event.role, legal_name=event.legal_name,
                                                company_number=event.company_number))


@mlro_queue.on(facts.OnboardingSubmitted)
def corrected(connection: Connection, entry: Entry, event: facts.OnboardingSubmitted) -> None:
    """A form that came back may correct the sign-up."""
    said = {"legal_name": event.legal_name, "company_number": event.company_number}
    if given := {name: value for name, value in said.items() if value is not None}:
        connection.execute(subjects.update().where(subjects.c.subject == entry.resource).values(**given))


@mlro_queue.on(facts.RiskScored)
def graded(connection: Connection, entry: Entry, event: facts.RiskScored) -> None:
    connection.execute(subjects.update().where(subjects.c.subject == entry.resource).values(grade=event.grade))


@mlro_queue.on(facts.ReviewOpened)
def opened(connection: Connection, entry: Entry, event: facts.ReviewOpened) -> None:
    """Again, when a source gave no answer after the first decision."""
    _case(connection, entry, event, "OPEN")


@mlro_queue.on(facts.KycFailed, facts.FirmNotAuthorised)
def ended(connection: Connection, entry: Entry, event: facts.KycFailed | facts.FirmNotAuthorised) -> None:
    """No file ends without a word to compliance."""
    _case(connection, entry, event, "ENDED")


@mlro_queue.on(facts.FormReturned)
def returned(connection: Connection, entry: Entry, event: facts.FormReturned) -> None:
    _case(connection, entry, event, "RETURNED")


def _case(connection: Connection, entry: Entry, event: Any, state: str) -> None:
    grade = connection.execute(select(subjects.c.grade).where(subjects.c.subject == entry.resource)).scalar()
    row = {"subject": entry.resource, "state": state, "reasons": list(event.reasons), "grade": grade}
    connection.execute(insert(reviews).values(file_number=event.file_number, opened_at=entry.at, **row)
                       .on_conflict_do_update(index_elements=list(reviews.primary_key), set_=row))


@mlro_queue.on(CallbackRequested)
def callback_wanted(connection: Connection, entry: Entry, event: CallbackRequested) -> None:
    connection.execute(callbacks.insert().values(
        reference=event.invoice, seller=event.seller, buyer=event.buyer, state="OPEN", opened_at=entry.at,
        call_by=event.call_by))


@mlro_queue.on(CallbackConfirmed, CallbackDenied)
def called_back(connection: Connection, entry: Entry, event: CallbackConfirmed | CallbackDenied) -> None:
    state = "CONFIRMED" if isinstance(event, CallbackConfirmed) else "DENIED"
    connection.execute(callbacks.update().where(callbacks.c.reference.in_(event.invoices)).values(
        state=state, called_at=entry.at, called_by=entry.actor))


@mlro_queue.on(facts.VerdictProposed)
def proposed(connection: Connection, entry: Entry, event: facts.VerdictProposed) -> None:
    connection.execute(reviews.update().where(reviews.c.file_number == event.file_number).values(
        proposal=event.verdict, proposal_grade=event.grade, proposal_confidence_ppm=event.confidence_ppm,
        proposal_model=event.model_version, proposal_position=entry.position))


@mlro_queue.on(facts.ReviewApproved, facts.ReviewDeclined)
def decided(connection: Connection, entry: Entry, event: facts.ReviewApproved | facts.ReviewDeclined) -> None:
    decision = "APPROVED" if isinstance(event, facts.ReviewApproved) else "DECLINED"
    connection.execute(reviews.update().where(reviews.c.file_number == event.file_number).values(
        state="DECIDED", decision=decision, decided_at=entry.at, decided_by=entry.actor))


@mlro_queue.on(CreditSuspended)
def suspended(connection: Connection, entry: Entry, event: CreditSuspended) -> None:
    _incident(connection, entry, "SUSPENSE", event.reason, event.suggestion or "", event.pence)


@mlro_queue.on(CreditMatched, CreditVoided)
def released(connection: Connection, entry: Entry, event: CreditMatched | CreditVoided) -> None:
    if event.order is not None:
        _close(connection, entry, "SUSPENSE", event.credit)


@mlro_queue.on(PaymentConfirmed)
def arrived(connection: Connection, entry: Entry, event: PaymentConfirmed) -> None:
    """A payout that came back, and a credit that is returned, are somebody's business until the payee has the money."""
    _close(connection, entry, "PAYOUT", event.payment)
    if event.purpose == "return":
        _close(connection, entry, "SUSPENSE", event.resource)


@mlro_queue.on(BillOverdue)
def overdue(connection: Connection, entry: Entry, event: BillOverdue) -> None:
    _incident(connection, entry, "BILL", "bill_overdue", f"due {event.due_on} from {event.subject}", event.total_pence)


@mlro_queue.on(BillPaid)
def bill_paid(connection: Connection, entry: Entry, event: BillPaid) -> None:
    _close(connection, entry, "BILL", event.bill)


@mlro_queue.on(PaymentReturned)
def came_back(connection: Connection, entry: Entry, event: PaymentReturned) -> None:
    _incident(connection, entry, "PAYOUT", event.reason, f"{event.purpose} of {event.resource}", event.pence)


@mlro_queue.on(AlarmRaised)
def alarmed(connection: Connection, entry: Entry, event: AlarmRaised) -> None:
    _incident(connection, entry, "ALARM", event.code, f"{event.source}: {event.detail}", 0)


@mlro_queue.on(AlarmCleared)
def cleared(connection: Connection, entry: Entry, event: AlarmCleared) -> None:
    _close(connection, entry, "ALARM", entry.resource)


@mlro_queue.on(StepHeld)
def step_held(connection: Connection, entry: Entry, event: StepHeld) -> None:
    detail = f"{event.step} {event.reference} waits for {entry.resource}"
    _incident(connection, entry, "HELD", event.reason, detail, event.pence, resource=event.reference)


@mlro_queue.on(StepReleased)
def step_released(connection: Connection, entry: Entry, event: StepReleased) -> None:
    _close(connection, entry, "HELD", event.reference)


@mlro_queue.on(StreamQuarantined)
def quarantined(connection: Connection, entry: Entry, event: StreamQuarantined) -> None:
    left_out = f"{event.resource or event.stream} from entry {event.position} ({event.type}) on"
    _incident(connection, entry, "QUARANTINE", event.reason, f"{event.follower}: without {left_out}", 0)


@mlro_queue.on(RiskScored)
def risk_held(connection: Connection, entry: Entry, event: RiskScored) -> None:
    """A receivable of grade HIGH waits for a person."""
    if event.grade == "HIGH":
        _incident(connection, entry, "RISK_HELD", "grade_high", "; ".join(event.reasons), 0)


@mlro_queue.on(RiskReleased, RiskRefused, InvoiceWithdrawn)
def risk_decided(connection: Connection, entry: Entry, event: Any) -> None:
    _close(connection, entry, "RISK_HELD", entry.resource)


@mlro_queue.on(StreamReleased)
def made_up_for(connection: Connection, entry: Entry, event: StreamReleased) -> None:
    _close(connection, entry, "QUARANTINE", entry.resource)


def _incident(connection: Connection, entry: Entry, kind: str, reason: str, detail: str, pence: int, *,
              resource: str | None = None) -> None:
    """Of one cause there may be several, one after another: each is an occurrence of its own, with its number."""
    about = resource or entry.resource
    before = select(func.count()).where(incidents.c.kind == kind, incidents.c.resource == about)
    connection.execute(incidents.insert().values(
        position=entry.position, kind=kind, resource=about, reason=reason, detail=detail, pence=pence,
        opened_at=entry.at, occurrence=before.scalar_subquery() + 1))


def _close(connection: Connection, entry: Entry, kind: str, resource: str) -> None:
    connection.execute(incidents.update().where(
        incidents.c.kind == kind, incidents.c.resource == resource, incidents.c.closed_at.is_(None))
        .values(closed_at=entry.at))


# ---------------------------------------------------------------- queries


def queue(connection: Connection, part: Part = FIRST, *, state: str = "OPEN") -> Rows:
    """Oldest first."""
    query = (select(reviews, subjects.c.legal_name, subjects.c.role)
             .join(subjects, subjects.c.subject == reviews.c.subject)
             .where(reviews.c.state == state))
    return part_of(connection, query, part, reviews.c.opened_at, reviews.c.file_number)


def callbacks_of(connection: Connection, part: Part = FIRST, *, state: str = "OPEN") -> Rows:
    """Oldest first, with the names of the two."""
    seller, buyer = subjects.alias(), subjects.alias()
    query = (select(callbacks, seller.c.legal_name.label("seller_name"), buyer.c.legal_name.label("buyer_name"))
             .join(seller, seller.c.subject == callbacks.c.seller).join(buyer, buyer.c.subject == callbacks.c.buyer)
             .where(callbacks.c.state == state))
    return part_of(connection, query, part, callbacks.c.opened_at, callbacks.c.reference)


def open_incidents(connection: Connection, part: Part = FIRST) -> Rows:
    """Newest first; an incident whose cause is over is closed and no longer shown."""
    query = select(incidents).where(incidents.c.closed_at.is_(None))
    return part_of(connection, query, part, incidents.c.position, newest_first=True)


def open_alarm(connection: Connection, position: int) -> str | None:
    """The alarm that an open incident tells of."""
    return connection.execute(select(incidents.c.resource).where(
        incidents.c.position == position, incidents.c.kind == "ALARM", incidents.c.closed_at.is_(None))).scalar()


def by_file(connection: Connection, file_number: str) -> dict[str, Any] | None:
    query = (select(reviews, subjects.c.legal_name, subjects.c.role)
             .join(subjects, subjects.c.subject == reviews.c.subject).where(reviews.c.file_number == file_number))
    row = connection.execute(query).mappings().first()
    return dict(row) if row else None
