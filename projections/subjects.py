"""Subjects: who has an account, as compliance finds them. People's names stay sealed here; an erased one's are gone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, DateTime, Text, or_, select

from domain import subject as facts
from domain.party import CLOSED, ERASED, Personal
from eventstore.entry import Entry
from projections.base import Projection, tenant_table
from projections.paging import FIRST, Part, part_of

table = tenant_table(
    "subjects",
    Column("subject", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("legal_name", Text, nullable=False),
    Column("company_number", Text, nullable=False, index=True),
    Column("representative", Text),
    Column("email", Text),
    Column("mailbox_domain", Text, index=True),
    Column("signed_up_at", DateTime(timezone=True), nullable=False),
    Column("standing", Text),
    Column("wallet", Text),
    Column("claims", Text),
    Column("claims_expire_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("erased_at", DateTime(timezone=True)),
    Column("key_destroyed_at", DateTime(timezone=True)),
)

subjects = Projection("subjects", table)


@subjects.on(facts.SubjectCreated)
def known(connection: Connection, entry: Entry, event: facts.SubjectCreated) -> None:
    connection.execute(table.insert().values(
        subject=event.subject, role=event.role, legal_name=event.legal_name, company_number=event.company_number,
        representative=event.representative.sealed, email=event.email.sealed, signed_up_at=entry.at))


@subjects.on(facts.OnboardingSubmitted)
def corrected(connection: Connection, entry: Entry, event: facts.OnboardingSubmitted) -> None:
    """A form that came back may correct the sign-up."""
    said = {"legal_name": event.legal_name, "company_number": event.company_number}
    if given := {name: value for name, value in said.items() if value is not None}:
        _set(connection, entry, **given)


@subjects.on(facts.MailboxProved)
def mailbox_proved(connection: Connection, entry: Entry, event: facts.MailboxProved) -> None:
    _set(connection, entry, mailbox_domain=event.email_domain)


@subjects.on(facts.WalletBound, facts.ClaimsReissued)
def claimed(connection: Connection, entry: Entry, event: facts.WalletBound | facts.ClaimsReissued) -> None:
    _set(connection, entry, wallet=event.wallet, claims="ISSUED", claims_expire_at=event.claims_expire_at)


@subjects.on(facts.WalletReplaced)
def replaced(connection: Connection, entry: Entry, event: facts.WalletReplaced) -> None:
    _set(connection, entry, wallet=event.wallet, claims="ISSUED")


@subjects.on(facts.RevocationRequested, facts.ClaimsRevoked)
def unclaimed(connection: Connection, entry: Entry, event: facts.RevocationRequested | facts.ClaimsRevoked) -> None:
    """A wallet that was replaced meanwhile says nothing of the claims there are."""
    claims = "REVOKED" if isinstance(event, facts.ClaimsRevoked) else "REVOKING"
    connection.execute(table.update().where(table.c.subject == entry.resource, table.c.wallet == event.wallet)
                       .values(claims=claims))


@subjects.on(facts.SubjectClosed)
def closed(connection: Connection, entry: Entry, event: facts.SubjectClosed) -> None:
    _set(connection, entry, standing=CLOSED, ended_at=event.ended_at)


@subjects.on(facts.SubjectErased)
def erased(connection: Connection, entry: Entry, event: facts.SubjectErased) -> None:
    """Purged before the key is destroyed; a company's name and number are no personal data and stay."""
    _set(connection, entry, standing=ERASED, representative=None, email=None, mailbox_domain=None,
         erased_at=entry.at)


@subjects.on(facts.SubjectKeyDestroyed)
def destroyed(connection: Connection, entry: Entry, event: facts.SubjectKeyDestroyed) -> None:
    _set(connection, entry, key_destroyed_at=entry.at)


def _set(connection: Connection, entry: Entry, **values: Any) -> None:
    connection.execute(table.update().where(table.c.subject == entry.resource).values(**values))


# ---------------------------------------------------------------- queries


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One subject; the sealed fields are None once it is erased."""

    subject: str
    role: str
    legal_name: str
    company_number: str
    representative: Personal | None
    email: Personal | None
    standing: str | None
    claims: str | None
    """ISSUED, REVOKING or REVOKED on the chain; None for who has no wallet."""

    claims_expire_at: datetime | None
    erased: bool


def search(connection: Connection, wanted: str, part: Part = FIRST) -> tuple[list[Found], list[Any] | None]:
    """By a part of the company's name, by its number or by the subject's id; nobody is found by a person's name.

    Also the key to go on after, None when that is all.
    """
    query = (select(table).where(or_(table.c.legal_name.icontains(wanted, autoescape=True),
                                     table.c.company_number == wanted.upper(), table.c.subject == wanted)))
    rows = part_of(connection, query, part, table.c.legal_name, table.c.subject)
    return [_found(row) for row in rows], rows.next


def at_domain(connection: Connection, domain: str) -> list[str]:
    """Who has proved a mailbox there and is not erased."""
    return list(connection.execute(select(table.c.subject).where(table.c.mailbox_domain == domain)
                                   .order_by(table.c.subject)).scalars())


def erased_subjects(connection: Connection) -> list[str]:
    """Whose keys must not exist, whatever a backup brings back."""
    return list(connection.execute(select(table.c.subject).where(table.c.erased_at.is_not(None))).scalars())


def _found(row: dict[str, Any]) -> Found:
    return Found(
        subject=row["subject"], role=row["role"], legal_name=row["legal_name"], company_number=row["company_number"],
        representative=_sealed(row, "representative"), email=_sealed(row, "email"), standing=row["standing"],
        claims=row["claims"], claims_expire_at=row["claims_expire_at"],
        erased=row["erased_at"] is not None)


def _sealed(row: dict[str, Any], name: str) -> Personal | None:
    return Personal(row["subject"], row[name]) if row[name] else None
