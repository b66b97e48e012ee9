"""What every step of a subject shares: the state it decides on, the command's key, the refusal of a wrong moment."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec

from domain.base import Command, Conflict
from domain.party import CLOSED, ERASED, RESTRICTED, STAFF_ROLES, Party, Personal

UNKNOWN, REFUSED = "UNKNOWN", "REFUSED"

ONBOARDED = ("ACTIVE", "REFRESH_DUE", RESTRICTED)
"""Standings that a refresh leaves alone until it ends."""

ENDINGS = ("KYC_FAILED", "DECLINED", "FCA_FAILED")
"""A file that ends here takes the customer's standing with it, at a refresh too: failing closed."""

FORM_RETURNED = "FORM_RETURNED"
COOLING_OFF = timedelta(days=30)
"""From the end of a file to the day on which its owner may hand in another (decisions row 86)."""


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


class Filed(msgspec.Struct, frozen=True):
    """What one onboarding file claims, and what the company register said of it."""

    bank_account: Personal | None = None
    turnover_pence: int = 0
    firm_reference: str | None = None
    mifid_category: str | None = None
    appetite: Appetite | None = None
    incorporated_on: date | None = None
    sic_codes: tuple[str, ...] = ()
    registered_office: str = ""


class Said(msgspec.Struct, frozen=True):
    """What one source answered about the applicant: its own words, its reference, the SHA-256 of its payload.

    `status` is the source's word, UNKNOWN where it does not know what it was asked about, or REFUSED with a code
    where it would not answer at all.
    """

    source: str
    reference: str
    payload_sha256: str
    name: str = ""
    number: str = ""
    status: str = ""

    @property
    def refused(self) -> bool:
        return self.status.startswith(REFUSED)


class Hold(msgspec.Struct, frozen=True):
    """Records are needed until a day, that one included, or (None) until somebody lifts it."""

    id: str
    reason: str
    until: date | None


class Code(msgspec.Struct, frozen=True):
    """The newest code mailed to the subject; its letters follow from its number, under a secret of the platform's."""

    number: int
    asked_at: datetime
    misses: int = 0
    used: bool = False


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
    company_number: str = ""
    representative: Personal | None = None
    email: Personal | None = None
    email_domain: str = ""
    mailbox_proved: bool = False
    code: Code | None = None
    codes_asked: tuple[datetime, ...] = ()
    """When the last five codes were asked for by the subject, sign-up's included."""

    codes_asked_for: tuple[datetime, ...] = ()
    """The same, by somebody who was not signed in."""

    key_generation: int = 0
    """Of the newest API key."""

    key_revoked: bool = False
    file_number: str | None = None
    filed: Filed = Filed()
    """The newest file's: what the gates look at, and nobody else."""

    accepted: Filed = Filed()
    """Of the newest file that passed every gate: the only one that any other rule, or money, goes by."""

    flags: tuple[str, ...] = ()
    """Why a person must look at the open file."""

    returned: tuple[str, ...] = ()
    """JSON pointers to what a source would not take in the form that went back."""

    again_from: datetime | None = None
    """After a file that ended: when another may be handed in."""

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
    def was_active(self) -> bool:
        """A file of it passed once: it may hold, or be owed, something whatever became of it since."""
        return self.refresh_due_at is not None

    @property
    def payout_account(self) -> Personal | None:
        return self.accepted.bank_account

    @property
    def is_staff(self) -> bool:
        return self.role in STAFF_ROLES

    @property
    def may_sign_in(self) -> bool:
        """Whether its newest API key opens anything: the end of a relationship ends its keys."""
        return self.state not in ("NEW", CLOSED, ERASED) and not self.key_revoked


def as_party(subject: Subject) -> Party:
    return Party(
        id=subject.id,
        role=subject.role,
        state=subject.state,
        name=subject.legal_name,
        company_number=subject.company_number,
        wallet=subject.wallet,
        turnover_pence=subject.accepted.turnover_pence,
        email_domain=subject.email_domain,
    )


def expect(subject: Subject, stage: str) -> None:
    if subject.stage != stage:
        raise GateOutOfOrder(f"this step needs the file at {stage}; it is at {subject.stage or 'no open file'}")
