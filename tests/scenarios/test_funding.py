"""Lenders fund: one at a time, inside their bands, with real money, and with a way back."""

from __future__ import annotations

import threading
from typing import Any

import httpx

from tests.scenarios.town import FACE_PENCE, Town, accepted, refused

ROUNDS = 10


def test_nothing_is_funded_before_its_debtor_confirmed(town: Town) -> None:
    reference = town.awaiting()
    refused(town.reserves(reference), 404, "not_found")
    refused(town.person("pennine").get(f"/v1/invoices/{reference}"), 404, "not_found")


def test_two_lenders_race_and_one_wins(town: Town) -> None:
    """Ten rounds of three hands each; whoever wins does not pay, and after four hours all may try again."""
    reference = town.listed()
    for _ in range(ROUNDS):
        answers = race(town, reference)
        won = [answer for answer in answers if answer.status_code == 201]
        assert len(won) == 1, [answer.text for answer in answers]
        for answer in answers:
            if answer not in won:
                refused(answer, answer.status_code, "already_reserved" if answer.status_code == 409 else "not_found")
        town.forward(hours=4)
        town.wait_state(reference, "LISTED")
    assert len(town.entries("invoice.reserved.1", lambda entry: entry.resource == reference)) == ROUNDS


def race(town: Town, reference: str) -> list[httpx.Response]:
    lenders = ["pennine", "salford"] * 3
    start = threading.Barrier(len(lenders))
    answers: list[httpx.Response] = []

    def fund(who: str) -> None:
        start.wait()
        answers.append(town.reserves(reference, who))

    threads = [threading.Thread(target=fund, args=(who,)) for who in lenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_lender_stays_inside_its_bands_and_types_what_it_funds(town: Town) -> None:
    reference = town.listed()
    face = town.invoice(reference).face_pence
    refused(town.reserves(reference, bps=199), 409, "outside_appetite")
    refused(town.reserves(reference, bps=301), 409, "outside_appetite")
    pennine = town.person("pennine")
    body = {"receivable_reference": reference, "discount_bps": 240, "net_advance_pence": face - face * 240 // 10_000,
            "typed_reference": reference}
    refused(pennine.post("/v1/payments", {**body, "typed_reference": reference[:-1]}), 422, "reference_mistyped")
    refused(pennine.post("/v1/payments", {**body, "net_advance_pence": face}), 422, "wrong_net_advance")
    refused(town.person("brunel").post("/v1/payments", body), 403, "not_your_role")
    refused(town.person("coppergate").post("/v1/payments", body), 403, "not_your_role")
    assert town.invoice(reference).state == "LISTED"


def test_a_reservation_without_cash_lapses_and_the_receivable_is_offered_again(town: Town) -> None:
    reference = town.listed()
    payment = town.reserved(reference)
    refused(town.reserves(reference, "salford"), 404, "not_found")
    town.forward(hours=3, minutes=59)
    town.still(reference, "RESERVED")
    town.forward(minutes=1)
    town.wait_state(reference, "LISTED")
    shows(town, payment, "EXPIRED")

    late = town.pays(payment["pay_into"], payment["net_advance_pence"], reference)
    town.wait(lambda: town.gone_back(late), "the late money to be back")
    assert town.invoice(reference).state == "LISTED"
    accepted(town.reserves(reference, "salford"))
    shown = shows(town, payment, "DISBURSEMENT_FAILED")
    assert (shown["pay_into"], shown["expires_at"]) == (None, None)
    refused(town.person("salford").get(f"/v1/payments/{payment['id']}"), 404, "not_found")


def shows(town: Town, payment: dict[str, Any], status: str, who: str = "pennine") -> dict[str, Any]:
    """What the lender reads of its payment, once it has that status."""
    def read() -> dict[str, Any]:
        return accepted(town.person(who).get(f"/v1/payments/{payment['id']}"))
    town.wait(lambda: read()["status"] == status, f"the payment to be {status}")
    assert read()["net_advance_pence"] == payment["net_advance_pence"]
    return read()


def test_cash_of_the_wrong_amount_funds_nothing(town: Town) -> None:
    reference = town.listed()
    payment = town.reserved(reference)
    for pence in (payment["net_advance_pence"] - 1, payment["net_advance_pence"] + 1):
        credit = town.pays(payment["pay_into"], pence, reference)
        town.wait(lambda credit=credit: town.gone_back(credit), "the wrong amount to be back")
        suspended, = town.entries("credit.suspended.1", lambda entry, credit=credit: entry.resource == credit)
        assert getattr(suspended.event, "reason", "") == "amount differs"
    town.still(reference, "RESERVED", 0.1)
    assert shows(town, payment, "DISBURSEMENT_FAILED")["pay_into"] == payment["pay_into"]
    town.pays(payment["pay_into"], payment["net_advance_pence"], "no reference needed: the account says it")
    town.wait_state(reference, "DISBURSED")
    shows(town, payment, "CLOSED")


def test_the_chain_refuses_and_everybody_gets_back_what_they_had(town: Town) -> None:
    reference = town.listed()
    payment = town.reserved(reference, "salford")
    chain = town.house.platform.outside.chain()
    wallet = town.house.platform.outside.wallets(town.id_of("salford"))
    chain.set_active("test:restrict salford", wallet, False)

    town.pays(payment["pay_into"], payment["net_advance_pence"], reference)
    town.wait_state(reference, "LISTED")
    shows(town, payment, "DISBURSEMENT_FAILED", "salford")
    town.wait(lambda: town.ledger().get(f"lender_funding:{reference}") == 0, "the refund to be booked")
    refunds = [row for row in town.bank() if row["amount_pence"] == payment["net_advance_pence"]]
    assert [row["counterpart"] for row in refunds] == ["09012776431205"]
    assert town.ledger()["transit"] == 0
    refusal, = town.entries("token.transfer_refused.1", lambda entry: reference[-5:] in entry.resource)
    assert getattr(refusal.event, "reason", "") == "RESTRICTED"

    chain.set_active("test:restore salford", wallet, True)
    again = town.reserved(reference, "salford")
    town.pays(again["pay_into"], again["net_advance_pence"], reference)
    town.wait_state(reference, "DISBURSED")
    assert len(town.entries("invoice.funded.1", lambda entry: entry.resource == reference)) == 1


def test_the_seller_sees_nothing_of_the_lenders_hesitation(town: Town) -> None:
    reference = town.listed()
    seller = town.person("coppergate")
    town.wait(lambda: accepted(seller.get(f"/v1/invoices/{reference}"))["state"] == "LISTED", "the listing to be read")
    before = accepted(seller.get(f"/v1/invoices/{reference}"))
    accepted(town.reserves(reference))
    assert accepted(seller.get(f"/v1/invoices/{reference}")) == before
    assert before["face_value_pence"] > FACE_PENCE
