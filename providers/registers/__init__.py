"""Ports: the two public registers. Companies House for every company, the FCA register for regulated firms.

Source: seller O2 (company must be active), lender L2–L3 (credit-related permissions), backend, failure modes:
Companies House answers may be a day old and at seven days need a manual check; FCA answers alert at 24 hours
(decision 25). The age is the caller's to judge, from `checked_at`.

Errors: `Final("not_found")` when the register does not know the number.
"""

from datetime import date, datetime
from typing import Protocol

import msgspec


class Company(msgspec.Struct, frozen=True):
    """`name` is in the register's capitals: compare without regard to case.

    `status` is the register's own word: active, dissolved, liquidation, administration,
    insolvency-proceedings…
    """

    number: str
    name: str
    status: str
    incorporated_on: date
    sic_codes: tuple[str, ...]
    registered_office: str
    checked_at: datetime
    payload_sha256: str = ""


class Firm(msgspec.Struct, frozen=True):
    """`status` is the register's own words: Authorised, No longer authorised… `permissions` are activity
    names.
    """

    frn: str
    name: str
    status: str
    permissions: tuple[str, ...]
    checked_at: datetime
    company_number: str = ""
    """The firm's number at Companies House; empty where the register has none."""

    payload_sha256: str = ""


class CompanyRegister(Protocol):
    def company(self, number: str) -> Company: ...


class FirmRegister(Protocol):
    def firm(self, frn: str) -> Firm: ...
