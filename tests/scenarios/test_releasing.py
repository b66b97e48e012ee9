"""Money in suspense is released by two officers, to what it fits or back where it came from; else it says why."""

from __future__ import annotations

from typing import Any

import httpx

from domain.credit import CREDIT
from scripts.story import COLLECTIONS
from tests.scenarios.test_notices import STRANGER, a_notice, deliver
from tests.scenarios.town import Person, Town, accepted, refused


def suspended(town: Town, pence: int, narration: str, **payer: Any) -> str:
    credit = town.pays(COLLECTIONS, pence, narration, **payer)
    town.wait(lambda: state(town, credit) == "SUSPENSE", "the credit in suspense")
    return credit


def state(town: Town, credit: str) -> str:
    return town.house.platform.store.load(CREDIT, credit).state


def proposes(town: Town, credit: str, outcome: str, resource: str | None = None) -> httpx.Response:
    body = {"outcome": outcome, **({"resource": resource} if resource else {})}
    return town.person("mlro").post(f"/v1/compliance/suspense/{credit}/releases", body)


def approves(who: Person, release: dict[str, Any]) -> httpx.Response:
    return who.post(f"/v1/compliance/releases/{release['id']}/approve", {"content_sha256": release["content_sha256"]})


def closed(town: Town, credit: str) -> None:
    town.wait(lambda: not [row for row in town.incidents() if row["resource"] == credit], "the incident to be over")


def test_a_third_partys_money_settles_an_invoice_when_two_officers_say_so(town: Town, deputy: Person) -> None:
    reference = town.disbursed()
    face = town.invoice(reference).face_pence
    credit = suspended(town, face, reference, payer=STRANGER)
    release = accepted(proposes(town, credit, "invoice", reference))
    refused(approves(town.person("mlro"), release), 403, "release_needs_another_officer")
    refused(approves(town.person("admin"), release), 403, "not_your_role")
    refused(approves(deputy, {**release, "content_sha256": "0" * 64}), 409, "other_release")
    town.still(reference, "DISBURSED", 0.1)
    accepted(approves(deputy, release))
    town.wait_state(reference, "SETTLED")
    closed(town, credit)
    refused(approves(deputy, release), 409, "wrong_release_state")

    later = town.disbursed()
    town.pays(COLLECTIONS, town.invoice(later).face_pence, later, payer=STRANGER)
    town.wait_state(later, "SETTLED")  # its account has paid for this debtor


def test_a_mistyped_payment_goes_back_to_its_payer(town: Town, deputy: Person) -> None:
    credit = suspended(town, 4_200, "thank you")
    release = accepted(proposes(town, credit, "return"))
    assert accepted(deputy.get(f"/v1/compliance/releases/{release['id']}"))["state"] == "PROPOSED"
    accepted(approves(deputy, release))
    town.wait(lambda: town.gone_back(credit), "the money to be back")
    back = [row for row in town.bank() if row["amount_pence"] == 4_200]
    assert [row["counterpart"] for row in back] == ["40276110482956"]
    closed(town, credit)
    assert town.ledger()[f"return_payable:{credit}"] == 0
    listed = accepted(deputy.get("/v1/compliance/releases"))["data"]
    assert [row["state"] for row in listed if row["release"] == release["id"]] == ["APPROVED"]


def test_what_does_not_fit_is_refused_and_says_why(town: Town) -> None:
    reference, listed = town.disbursed(), town.listed()
    face = town.invoice(reference).face_pence
    short = suspended(town, face - 1, reference)
    for outcome, resource, why in (
            ("invoice", reference, "to the penny"), ("invoice", "FX-INV-ZZZZZ", "no such invoice"),
            ("invoice", listed, "LISTED"), ("reservation", listed, "reserved"), ("trade", "trd_none", "wait for money"),
            ("void", None, "in our accounts")):
        assert why in refused(proposes(town, short, outcome, resource), 409, "release_impossible")["detail"]
    refused(proposes(town, short, "invoice"), 422, "invalid")
    refused(proposes(town, short, "return", reference), 422, "invalid")
    refused(proposes(town, "nothing", "return"), 404, "not_found")

    payment = town.reserved(listed)
    stray = suspended(town, payment["net_advance_pence"], "thank you", payer=STRANGER)
    assert "designated" in refused(proposes(town, stray, "reservation", listed), 409, "release_impossible")["detail"]


def test_a_lenders_money_on_the_wrong_account_is_led_to_its_reservation(town: Town, deputy: Person) -> None:
    reference = town.listed()
    payment = town.reserved(reference)
    lender = {"remitter_name": "Pennine", "remitter_sort_code": "30-95-12", "remitter_account_number": "22487719"}
    credit = suspended(town, payment["net_advance_pence"], "for the receivable", payer=lender)
    accepted(approves(deputy, accepted(proposes(town, credit, "reservation", reference))))
    town.wait_state(reference, "DISBURSED")
    closed(town, credit)


def test_money_that_is_not_there_is_forgotten(town: Town, deputy: Person) -> None:
    accepted(deliver(town, a_notice("nowhere-1", account="04007512345678", pence=900)))
    town.wait(lambda: state(town, "nowhere-1") == "SUSPENSE", "suspense")
    suspense = town.ledger()["suspense"]
    assert "not ours" in refused(proposes(town, "nowhere-1", "return"), 409, "release_impossible")["detail"]
    accepted(approves(deputy, accepted(proposes(town, "nowhere-1", "void"))))
    town.wait(lambda: town.ledger()["suspense"] == suspense + 900, "the books")
    closed(town, "nowhere-1")


def test_a_proposal_ends_after_four_hours(town: Town, deputy: Person) -> None:
    credit = suspended(town, 77, "thank you")
    release = accepted(proposes(town, credit, "return"))
    town.forward(hours=4)
    town.wait(lambda: accepted(deputy.get(f"/v1/compliance/releases/{release['id']}"))["state"] == "EXPIRED", "its end")
    refused(approves(deputy, release), 409, "wrong_release_state")
    taken = accepted(proposes(town, credit, "return"))
    accepted(deputy.post(f"/v1/compliance/releases/{taken['id']}/withdraw", None))
    assert state(town, credit) == "SUSPENSE"
