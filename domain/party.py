"""What one aggregate may know of a subject: plain facts, handed over by whoever sends the command."""

from __future__ import annotations

import msgspec

SELLER = "sme_seller"
BUYER = "corporate_buyer"
LENDER = "lender"
INVESTOR = "investor"
CUSTOMER_ROLES = (SELLER, BUYER, LENDER, INVESTOR)

COMPLIANCE = "compliance_officer"
ADMIN = "platform_admin"
STAFF_ROLES = (COMPLIANCE, ADMIN)

SYSTEM = "system"

FROZEN, RESTRICTED, CLOSED, ERASED = "FROZEN", "RESTRICTED", "CLOSED", "ERASED"
"""RESTRICTED: the periodic refresh is overdue beyond its grace."""

PAUSED = "we have paused new submissions on your account while we conclude a routine review"
"""What a frozen customer is told, whatever the reason: anything more would tip off."""


class Personal(msgspec.Struct, frozen=True):
    """A personal value sealed for one subject (AES-256-GCM, base64). The log hashes the sealed form only."""

    subject: str
    sealed: str


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """A subject's standing at the moment of the command."""

    id: str
    role: str
    state: str
    name: str
    company_number: str | None = None
    wallet: str | None = None
    turnover_pence: int = 0
    email_domain: str = ""

    @property
    def may_act(self) -> bool:
        """A refresh that is due stops nobody (decisions row 20); a freeze and every unfinished file do."""
        return self.state in ("ACTIVE", "REFRESH_DUE")


def same_company(one: Party, other: Party) -> bool:
    """By register number, written as anybody may write it."""
    return one.company_number is not None and other.company_number is not None and (
        company_key(one.company_number) == company_key(other.company_number))


def company_key(company_number: str) -> str:
    return company_number.strip().upper()
