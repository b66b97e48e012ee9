"""A payout that the bank returns stays owed until two officers send it again; then everything goes on as if it had
arrived the first time."""

from __future__ import annotations

from typing import Any

from providers.bank.account import end_to_end
from tests.scenarios.test_holds import frozen, held
from tests.scenarios.test_releasing import approves
from tests.scenarios.town import COLLECTIONS, Person, Town, accepted, refused

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
