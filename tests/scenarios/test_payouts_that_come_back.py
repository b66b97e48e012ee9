"""A payout that the bank returns, also days after it arrived, is owed until two officers send it again; then everything
goes on as if it had arrived the first time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.payment import PAYMENT
from providers.bank.account import end_to_end
from scripts.story import COLLECTIONS
from tests.scenarios.test_holds import frozen, held
from tests.scenarios.test_releasing import approves
from tests.scenarios.town import Person, Town, accepted, refused

BOUNCES = "53910499"
"""The simulated scheme rejects what is sent to an account that ends in 99."""


def reroutes(town: Town, payout: str) -> Any:
    return town.person("mlro").post("/v1/compliance/reroutes", {"payment": payout})


def came_back(town: Town, payout: str, occurrence: int = 1) -> None:
    town.wait(lambda: any(row["kind"] == "PAYOUT" and row["resource"] == payout and row["occurrence"] == occurrence
                          for row in town.incidents()), f"the incident about {payout}")


def banks_at(town: Town, who: str, account_number: str, decided: int) -> None:
    """The payee hands in a new file, with another account, and compliance approves it."""
    story = town.story
    form = story.coppergate_form()
    accepted(town.person(who).post("/v1/onboarding", {
        **form, "bank_account": {**form["bank_account"], "account_number": account_number}}))
    story.wait_for_case("Coppergate Joinery Ltd", decided=decided)
    story.approve(f"account-{account_number}", "The account is the company's own, and screening is clear. Approved.",
                  decided=decided)
    story.wait_active(who, refreshed=True)


def asked_of_the_bank(town: Town, payout: str) -> list[str]:
    """The status of every payment that the bank was asked for under this payout, in order."""
    ids = [end_to_end(payout), *(end_to_end(f"{payout}/{attempt}") for attempt in range(2, 5))]
    return [row["status"] for row in town.bank() if row["end_to_end"] in ids]


def sent_back(town: Town, payout: str) -> dict[str, Any]:
    """The payee's bank returns what it was credited; the notice of it, as the bank shows it."""
    paid = next(row for row in town.bank() if row["end_to_end"] == end_to_end(payout))
    town.outside.post(f"/bank/control/payments/{paid['ref']}/return", "", {})
    came_back(town, payout)
    return next(row for row in town.bank("CRDT") if row["end_to_end"] == end_to_end(payout))


def sent_again(town: Town, deputy: Person, payout: str) -> None:
    accepted(approves(deputy, accepted(reroutes(town, payout))))
    town.wait(lambda: asked_of_the_bank(town, payout) == ["RTND", "ACSC"], f"{payout} to be paid again")
    town.wait(lambda: not [row for row in town.incidents() if row["resource"] == payout], "the incident to be over")
    town.wait(lambda: town.ledger()["transit"] == 0, "nothing to be on its way")


def at_the_bank(town: Town) -> int:
    return sum(row["amount_pence"] for row in town.bank("CRDT")) - sum(
        row["amount_pence"] for row in town.bank() if row["status"] != "RJCT")


def test_an_advance_that_comes_back_after_it_arrived_is_owed_and_sent_again(town: Town, deputy: Person) -> None:
    reference = town.disbursed()
    payout, owed = f"{reference}/advance", f"seller_payable:{reference}"
    assert town.ledger()[owed] == 0
    notice = sent_back(town, payout)
    town.wait_state(reference, "FUNDED")
    assert town.ledger()[owed] == -notice["amount_pence"]
    town.outside.post(f"/bank/control/credits/{notice['ref']}/redeliver", "", {})
    town.wait(lambda: next(row for row in town.bank("CRDT") if row["ref"] == notice["ref"])["deliveries"] == 2,
              "the second delivery")
    assert len(town.entries("payment.returned.1", lambda entry: entry.resource == payout)) == 1
    assert town.ledger()[owed] == -notice["amount_pence"] and town.ledger()["collections"] == at_the_bank(town)

    town.pays(COLLECTIONS, town.invoice(reference).face_pence, reference)
    town.wait(lambda: town.invoice(reference).queued, "the debtor's money to wait for the advance")
    sent_again(town, deputy, payout)
    town.wait_state(reference, "SETTLED")
    town.wait(lambda: town.ledger()[owed] == 0, "the books")
    assert town.ledger()["collections"] == at_the_bank(town)
    mails = [mail["subject"] for mail in town.outside.get("/email/mail.json", to="aisha@coppergate.co.uk")]
    assert sum(subject.endswith(f"has arrived for {reference}") for subject in mails) == 1
    assert not [row for row in town.incidents() if row["kind"] == "ALARM"]


def test_an_advance_whose_notice_is_lost_is_missed_all_the_same(town: Town) -> None:
    reference = town.disbursed()
    town.outside.post("/bank/control/notify-url", "", {"url": ""})
    paid = next(row for row in town.bank() if row["end_to_end"] == end_to_end(f"{reference}/advance"))
    town.outside.post(f"/bank/control/payments/{paid['ref']}/return", "", {})
    town.still(reference, "DISBURSED", 0.2)
    town.forward(days=2)
    came_back(town, f"{reference}/advance")
    town.wait_state(reference, "FUNDED")
    town.outside.post("/bank/control/notify-url", "", {"url": f"{town.house.url}/webhooks/providers/bank"})
    town.wait(lambda: town.entries("bankorder.returned.1", lambda entry: getattr(
        entry.event, "payment", "") == f"{reference}/advance"), "the notice after all")
    assert len(town.entries("payment.returned.1", lambda entry: entry.resource == f"{reference}/advance")) == 1
    assert not [row for row in town.incidents() if row["kind"] == "ALARM"]


def test_a_share_and_an_advance_that_come_back_after_the_settlement_are_owed_and_sent_again(
    town: Town, deputy: Person
) -> None:
    reference = town.disbursed()
    town.pays(COLLECTIONS, town.invoice(reference).face_pence, reference)
    town.wait_state(reference, "SETTLED")
    share, advance = f"{reference}/settlement/{town.id_of('pennine')}", f"{reference}/advance"
    for payout, owed in ((share, f"holder_payable:{share}"), (advance, f"seller_payable:{reference}")):
        notice = sent_back(town, payout)
        town.wait(lambda owed=owed, notice=notice: town.ledger()[owed] == -notice["amount_pence"], "it to be owed")
        sent_again(town, deputy, payout)
        town.wait(lambda owed=owed: town.ledger()[owed] == 0, "the books")
    town.still(reference, "SETTLED", 0.2)
    assert town.ledger()["collections"] == at_the_bank(town)
    assert not [row for row in town.incidents() if row["kind"] == "ALARM"]


@pytest.mark.parametrize("payout_of", [
    lambda town, reference: f"{reference}/fee",
    lambda town, reference: f"{returned_credit(town)}/return",
], ids=["fee", "return"])
def test_what_nobody_waits_for_comes_back_and_goes_again_all_the_same(
    town: Town, deputy: Person, payout_of: Callable[[Town, str], str]
) -> None:
    reference = town.disbursed()
    payout = payout_of(town, reference)
    town.wait(lambda: asked_of_the_bank(town, payout) == ["ACSC"], "it to be paid")
    town.wait(lambda: town.house.platform.store.load(PAYMENT, payout).state == "CONFIRMED", "it to arrive")
    sent_back(town, payout)
    sent_again(town, deputy, payout)
    town.still(reference, "DISBURSED", 0.1)
    assert town.ledger()["collections"] == at_the_bank(town)
    assert not [row for row in town.incidents() if row["kind"] == "ALARM"]


def returned_credit(town: Town) -> str:
    """A lender's money of another amount than it reserved with, which goes back to it by itself."""
    reference = town.listed()
    payment = town.reserved(reference)
    return town.pays(payment["pay_into"], payment["net_advance_pence"] - 1, reference)


def test_an_advance_that_bounces_is_sent_again_and_the_invoice_goes_on(town: Town, deputy: Person) -> None:
    reference = town.listed()
    payout = f"{reference}/advance"
    banks_at(town, "coppergate", BOUNCES, 1)
    payment = town.reserved(reference)
    refused(reroutes(town, payout), 404, "not_found")
    town.pays(payment["pay_into"], payment["net_advance_pence"], reference)
    came_back(town, payout)
    owed = town.ledger()[f"seller_payable:{reference}"]
    assert owed < 0 and town.ledger()["transit"] == 0

    release = accepted(reroutes(town, payout))
    refused(approves(town.person("mlro"), release), 403, "release_needs_another_officer")
    refused(approves(deputy, {**release, "content_sha256": "0" * 64}), 409, "other_release")
    town.still(reference, "FUNDED", 0.2)
    accepted(approves(deputy, release))  # to the same account, which still bounces
    came_back(town, payout, 2)
    assert asked_of_the_bank(town, payout) == ["RJCT", "RJCT"]
    assert town.ledger()[f"seller_payable:{reference}"] == owed

    stale, release = accepted(reroutes(town, payout)), accepted(reroutes(town, payout))
    banks_at(town, "coppergate", "53910462", 2)
    accepted(approves(deputy, release))
    town.wait_state(reference, "DISBURSED")
    refused(approves(deputy, stale), 409, "release_impossible")
    assert "CONFIRMED" in refused(reroutes(town, payout), 409, "release_impossible")["detail"]
    assert asked_of_the_bank(town, payout) == ["RJCT", "RJCT", "ACSC"]
    town.wait(lambda: not [row for row in town.incidents() if row["resource"] == payout], "the incidents to be over")
    town.wait(lambda: town.ledger()[f"seller_payable:{reference}"] == town.ledger()["transit"] == 0, "the books")

    town.pays(COLLECTIONS, town.invoice(reference).face_pence, reference)
    town.wait_state(reference, "SETTLED")


def test_a_frozen_payees_payout_is_held_again_and_goes_after_the_freeze(town: Town, deputy: Person) -> None:
    reference = town.disbursed()
    payout = f"{reference}/settlement/{town.id_of('pennine')}"
    town.outside.post("/bank/control/hold", "", {"on": True})
    town.pays(COLLECTIONS, town.invoice(reference).face_pence, reference)
    town.wait(lambda: asked_of_the_bank(town, payout), "the settlement to be on its way")
    row = next(row for row in town.bank() if row["end_to_end"] == end_to_end(payout))
    town.outside.post("/bank/control/outage", "", {"on": True})
    town.outside.post("/bank/control/hold", "", {"on": False})
    town.outside.post("/bank/control/release", "", {})
    town.outside.post(f"/bank/control/payments/{row['ref']}/return", "", {})
    town.outside.post("/bank/control/outage", "", {"on": False})
    came_back(town, payout)

    release = accepted(reroutes(town, payout))
    with frozen(town, deputy, "pennine"):
        accepted(approves(deputy, release))
        town.wait(lambda: payout in held(town), "a hold")
        assert asked_of_the_bank(town, payout) == ["RTND"]
    town.wait_state(reference, "SETTLED")
    town.wait(lambda: not [row for row in town.incidents() if row["resource"] == payout], "the incidents to be over")
    assert asked_of_the_bank(town, payout) == ["RTND", "ACSC"]
