"""What every step of a subject shares: the state it decides on, the command's key, the refusal of a wrong moment."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from domain.base import Command, Conflict
from domain.party import STAFF_ROLES, Party, Personal


class SubjectCommand(Command, frozen=True, kw_only=True):
    kind = "subject"
    subject: str

    @property
    def key(self) -> str:
        return self.subject

    @property
    def about(self) -> str:
        return self.subject


class Appetite(msgspec.Struct, frozen=True):
    """What a lender will fund: caps in pence, days, flat basis points."""

    max_obligor_pence: int = 500_000_000
    max_originator_pence: int = 50_000_000
    tenor_min_days: int = 7
    tenor_max_days: int = 120
    discount_min_bps: int = 200
    discount_max_bps: int = 300


class Evidence(msgspec.Struct, frozen=True):
    """Where an answer came from: provider, its reference, the SHA-256 of its payload."""

    provider: str
    reference: str
    payload_sha256: str


class Hold(msgspec.Struct, frozen=True):
    """Records are needed until a day, that one included, or (None) until somebody lifts it."""

    id: str
    reason: str
    until: date | None


class GateOutOfOrder(Conflict):
    code = "gate_out_of_order"


# ---------------------------------------------------------------- state


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is the customer's standing; `stage` is where the open onboarding file stands (None: no open file)."""

    id: str = ""
    role: str = ""
    state: str = "NEW"
    stage: str | None = None
    legal_name: str = ""
    company_number: str | None = None
    representative: Personal | None = None
    email: Personal | None = None
    email_domain: str = ""
    file_number: str | None = None
    bank_account: Personal | None = None
    """The account of the newest file, which the identity gate checks."""

    payout_account: Personal | None = None
    """The account of the newest file that passed every gate: the only one money should be sent to."""

    turnover_pence: int = 0
    firm_reference: str | None = None
    mifid_category: str | None = None
    appetite: Appetite | None = None
    incorporated_on: date | None = None
    sic_codes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    wallet: str | None = None
    claims: str = "NONE"
    """On the chain: NONE -> ISSUING -> ISSUED -> REVOKING -> REVOKED -> ISSUING …, or ISSUED -> MOVING -> ISSUED.
    A bar revokes while they are MOVING, too."""

    recovery: str | None = None
    """The register order that replaces the wallet, until its outcome is recorded."""

    claim_topics: tuple[str, ...] = ()
    claims_expire_at: datetime | None = None
    advised_file: str | None = None
    refresh_due_at: datetime | None = None
    resumes: str | None = None
    """While FROZEN: the standing the subject returns to. Gates go on underneath; the freeze outlasts them."""

    frozen_by: str | None = None
    ended_at: datetime | None = None
    """When the relationship ended: the retention period runs from here."""

    holds: tuple[Hold, ...] = ()
    key_destroyed: bool = False

    @property
    def is_staff(self) -> bool:
        return self.role in STAFF_ROLES


def as_party(subject: Subject) -> Party:
    return Party(
        id=subject.id,
        role=subject.role,
        state=subject.state,
        name=subject.legal_name,
        company_number=subject.company_number,
        wallet=subject.wallet,
        turnover_pence=subject.turnover_pence,
        email_domain=subject.email_domain,
    )


def expect(subject: Subject, stage: str) -> None:
    if subject.stage != stage:
        raise GateOutOfOrder(f"this step needs the file at {stage}; it is at {subject.stage or 'no open file'}")
