"""An invoice that cannot go straight on has a way on and a way out, and only for those whose it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain.base import Event
from domain.catalogue import KINDS
from domain.invoice import (
    BuyerMailboxUnknown,
    BuyerNotified,
    ConfirmationOpen,
    ExpireInvoice,
    InvoiceExpired,
    PersonalMailbox,
    RecordBuyerNotified,
    RiskScored,
    WrongState,
)
from domain.invoice.lifecycle import _STATES
from domain.invoice.setbacks import (
    BuyerMailboxCorrected,
    BuyerUnreachable,
    CorrectBuyerMailbox,
    DecideRisk,
    InvoiceWithdrawn,
    NotForCompliance,
    NotTheSeller,
    RecordBuyerUnreachable,
    RiskRefused,
    RiskReleased,
    WithdrawInvoice,
)
from domain.invoice.state import ENDED
from domain.invoice.submission import UnfitReference
from domain.party import COMPLIANCE, Personal
from tests.domain import test_invoice as steps
from tests.domain.scenario import Row, at, fold, given

NOW, OFFICER = at(steps.AFTERNOON), at(steps.AFTERNOON, "stf_1", COMPLIANCE)
BUYER, SELLER = steps.NORTHWIND, steps.COPPERGATE.id
MAIL, WHY = Personal(BUYER.id, "bmV3"), Personal(SELLER, "d2h5")
CHECKED: tuple[Event, ...] = tuple(event for step in steps.PATH[:4] for event in step.events)
HELD: tuple[Event, ...] = (*CHECKED[:-1], RiskScored(grade="HIGH", reasons=("large",), rules_version="r"))
ASKED: tuple[Event, ...] = tuple(event for step in steps.PATH[:5] for event in step.events)
CONFIRMED: tuple[Event, ...] = tuple(event for step in steps.PATH[:6] for event in step.events)
FAILED = RecordBuyerUnreachable(reference=steps.REF, notice="n")
BY = fold("invoice", ASKED).confirm_by
LOST = BuyerUnreachable(notice="n", confirm_by=BY)
CORRECT = CorrectBuyerMailbox(reference=steps.REF, seller=SELLER, buyer=BUYER, buyer_email=MAIL,
                              buyer_email_domain=BUYER.email_domain)
RELEASE, REFUSE = (DecideRisk(reference=steps.REF, release=yes, rationale=WHY) for yes in (True, False))
WITHDRAW = WithdrawInvoice(reference=steps.REF, seller=SELLER)


def other(command: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(command, **changes)


REFUSED = [
    Row(WrongState, ASKED, FAILED, NOW),
    Row(WrongState, CHECKED, CORRECT, NOW),
    Row(NotTheSeller, (*CHECKED, LOST), other(CORRECT, seller="sub_x"), NOW),
    Row(PersonalMailbox, (*CHECKED, LOST), other(CORRECT, buyer_email_domain="GMAIL.com"), NOW),
    Row(BuyerMailboxUnknown, (*CHECKED, LOST), other(CORRECT, buyer_email_domain="northvvind.co.uk"), NOW),
    Row(NotForCompliance, HELD, RELEASE, NOW),
    Row(WrongState, CHECKED, RELEASE, OFFICER),
    Row(NotTheSeller, ASKED, other(WITHDRAW, seller="sub_x"), NOW),
    Row(WrongState, CONFIRMED, WITHDRAW, NOW),
    Row(WrongState, HELD, RecordBuyerNotified(reference=steps.REF, notice="n"), NOW),
    Row(ConfirmationOpen, (*CHECKED, LOST), ExpireInvoice(reference=steps.REF), NOW),
    Row(UnfitReference, (), other(steps.PATH[0].command, seller_reference="CG-1 see www.pay.example"),
        steps.PATH[0].context),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_a_mailbox_that_takes_no_mail_is_corrected_and_asked_again() -> None:
    given(*CHECKED).when(FAILED, NOW).then(LOST)
    given(*CHECKED, LOST).when(CORRECT, NOW).then(BuyerMailboxCorrected(buyer_email=MAIL))
    invoice = fold("invoice", (*CHECKED, LOST, BuyerMailboxCorrected(buyer_email=MAIL)))
    assert (invoice.state, invoice.buyer_email, invoice.mailbox_corrections) == ("RISK_SCORED", MAIL, 1)
    asked = BuyerNotified(notice="n", confirm_by=BY)
    given(*CHECKED, LOST, BuyerMailboxCorrected(buyer_email=MAIL)).when(
        RecordBuyerNotified(reference=steps.REF, notice="n"), NOW).then(asked)


def test_an_uncorrected_mailbox_does_not_stop_the_clock() -> None:
    given(*CHECKED, LOST).when(ExpireInvoice(reference=steps.REF), at("2027-01-04T09:00")).then(
        InvoiceExpired(confirm_by=BY))


def test_compliance_lets_a_high_grade_go_on_or_ends_it() -> None:
    given(*HELD).when(RELEASE, OFFICER).then(RiskReleased(rationale=WHY))
    assert fold("invoice", (*HELD, RiskReleased(rationale=WHY))).state == "RISK_SCORED"
    given(*HELD).when(REFUSE, OFFICER).then(RiskRefused(rationale=WHY))
    assert fold("invoice", (*HELD, RiskRefused(rationale=WHY))).state == "REJECTED_RISK"


@pytest.mark.parametrize("before", [CHECKED, HELD, ASKED, (*CHECKED, LOST)])
def test_a_seller_may_change_its_mind_until_its_customer_confirms(before: tuple[Event, ...]) -> None:
    given(*before).when(WITHDRAW, NOW).then(InvoiceWithdrawn(seller=SELLER))
    assert fold("invoice", (*before, InvoiceWithdrawn(seller=SELLER))).state == "WITHDRAWN"


def ways_on() -> dict[str, set[str]]:
    """State -> the states that a decision of this invoice leads to: the story's own steps, and the branches of this
    file, each decided and folded."""
    found: dict[str, set[str]] = {}
    branches = [(CHECKED, FAILED, NOW), ((*CHECKED, LOST), CORRECT, NOW), (HELD, RELEASE, OFFICER)]
    steps_of_the_story = [(tuple(event for step in steps.PATH[:number] for event in step.events), step.command,
                           step.context) for number, step in enumerate(steps.PATH)]
    for history, command, context in (*steps_of_the_story, *branches):
        before = fold("invoice", history)
        after = fold("invoice", (*history, *KINDS["invoice"].decide(before, command, context)))
        found.setdefault(before.state, set()).add(after.state)
    return found


def test_no_state_is_a_dead_end_but_the_ends() -> None:
    """From every state that an event can lead to there is a decision that leads elsewhere, and from the ends none."""
    states = {*_STATES.values(), "RISK_HELD", "DISBURSED", *ENDED}
    on = {state for state, after in ways_on().items() if after - {state}}
    assert states - on == set(ENDED)


@pytest.mark.parametrize("reference", [
    "CG-2026-114", "INV/2026/0001", "20260114", "INV 20260114", "INV-10004567", "INV_2026_001", "INV#1001", "114",
    "PO 4500012345 / 7", "INV-26-05-11", "A.1234", "№ 12"])
def test_honest_numbers_are_taken(reference: str) -> None:
    given().when(other(steps.PATH[0].command, seller_reference=reference), steps.PATH[0].context).decide()


@pytest.mark.parametrize("reference", [
    "CG-907 ACCOUNT CHANGED pay 20-00-00 12345678 see http://pay.example", "pay 20-00-00", "now 20 00 00 12345678",
    "acc 12345678", "see pay.co.uk", "HTTPS://x", "www.pay", "mail a@b", "GB33BUKB20201555555555",
    "gb33 bukb 2020 1555 5555 55"])
def test_links_addresses_and_accounts_are_not_numbers_of_an_invoice(reference: str) -> None:
    given().when(other(steps.PATH[0].command, seller_reference=reference), steps.PATH[0].context).then_refused(
        UnfitReference)
