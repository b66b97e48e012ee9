"""Every refusal of the domain has a row that triggers it, a stable code of its own, and a place in the tree."""

from __future__ import annotations

from collections.abc import Iterator

import domain.catalogue  # noqa: F401 - imports every aggregate, and so every refusal
from domain.base import Conflict, Forbidden, Invalid, NotFound, Refusal
from domain.invoice import PageChanged
from tests.domain import (
    test_access,
    test_audit_freeze,
    test_bank_order,
    test_bill,
    test_claims,
    test_credit,
    test_exposure,
    test_gates,
    test_holds,
    test_invoice,
    test_likeness,
    test_lock,
    test_pair,
    test_payment,
    test_platform,
    test_quarantine,
    test_register_order,
    test_release,
    test_retention,
    test_setbacks,
    test_subject,
    test_token,
    test_trade,
)

FAMILIES = (Conflict, Forbidden, NotFound, Invalid)
AT_THE_EDGE = {PageChanged}
"""Raised by the API, which alone knows the payment instruction on the page the debtor was shown."""

TABLES = (test_access, test_audit_freeze, test_bank_order, test_bill, test_claims, test_credit, test_exposure,
          test_gates, test_holds, test_invoice, test_likeness, test_lock, test_pair, test_payment, test_platform,
          test_quarantine, test_register_order, test_release, test_retention, test_setbacks, test_subject, test_token,
          test_trade)


def _below(base: type[Refusal]) -> Iterator[type[Refusal]]:
    for child in base.__subclasses__():
        yield child
        yield from _below(child)


ALL = {refusal for refusal in _below(Refusal) if refusal.__module__.startswith("domain.")} - set(FAMILIES)


def test_every_refusal_has_a_row() -> None:
    triggered = {row.refusal for table in TABLES for row in table.REFUSED}
    assert {refusal.__name__ for refusal in ALL - triggered - AT_THE_EDGE} == set()


def test_every_refusal_belongs_to_a_family_and_names_itself() -> None:
    for refusal in ALL:
        assert issubclass(refusal, FAMILIES), f"{refusal.__name__} has no HTTP status"
        assert "code" in vars(refusal), f"{refusal.__name__} has no code of its own"


def test_a_code_means_one_thing() -> None:
    """Two classes share `wrong_amount`: a credit that is not exact, on an invoice and on a trade."""
    codes = sorted(refusal.code for refusal in ALL)
    assert [code for code in set(codes) if codes.count(code) > 1] == ["wrong_amount"]
