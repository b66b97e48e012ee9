"""The debtor confirms: who may, what they must have read, and what a second time does."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import httpx

from api.rest.confirmations import _shown
from domain.invoice import Invoice
from domain.invoice.state import ENDED
from scripts.story import COLLECTIONS
from tests.scenarios.town import Town, accepted, face_of, invoice_pdf, refused


def test_a_customers_first_confirmation_for_a_seller_waits_for_a_call_back(town: Town) -> None:
    """Denied: the invoices are void, the debt may come again; and so may the call-back."""
    first, other = town.awaiting(), town.awaiting()
    page = {reference: (f"/v1/confirmations/{reference}", town.confirmation(reference), town.token_of(reference))
            for reference in (first, other)}
    for reference in (first, other):
        path, body, token = page[reference]
        accepted(town.person("nobody").post(path, body, headers=token))
    mlro = town.person("mlro")

    def wanted() -> list[dict[str, Any]]:
        return accepted(mlro.get("/v1/compliance/callbacks"))["data"]

    town.wait(lambda: len(wanted()) == 2, "two call-backs")
    assert wanted()[0]["contact"] == {"legal_name": "Northwind Retail plc", "company_number": "04382671",
                                      "registered_office": "1, Quayside, Newcastle upon Tyne, NE1 3DX",
                                      "ask_for": "Tom Whitfield"}
    town.still(first, "CONFIRMED", 0.3)
    said = {"outcome": "denied", "note": "Nobody there knows of this invoice."}
    refused(town.person("admin").post(f"/v1/compliance/callbacks/{first}", said), 403, "not_your_role")
    accepted(mlro.post(f"/v1/compliance/callbacks/{first}", said))
    for reference in (first, other):
        town.wait_state(reference, "VOID")
    refused(mlro.post(f"/v1/compliance/callbacks/{first}", said), 409, "no_callback")
    town.wait(lambda: accepted(town.person("coppergate").get(f"/v1/invoices/{first}"))["state"] == "VOID", "void")
    town.wait(lambda: any(row["reason"] == "callback_denied" for row in town.incidents()), "the alarm")
    again = town.new_reference()
    accepted(town.submits(again, pdf=invoice_pdf(first, face_of(first), town.due()), face_value_pence=face_of(first),
                          seller_reference=f"CG-{first[-5:]}"))
    town.wait_state(again, "AWAITING_BUYER")
    accepted(town.confirms(again))
    town.wait_state(again, "LISTED")
    town.listed()


def test_only_the_debtor_confirms(town: Town) -> None:
    reference = town.awaiting()
    page = f"/v1/confirmations/{reference}"
    body = town.confirmation(reference)

    refused(town.person("mercia").post(page, body), 404, "not_found")
    refused(town.person("coppergate").post(page, body), 403, "not_your_role")
    refused(town.person("nobody").post(page, body, headers={"FX-Confirmation-Code": "0" * 64}), 404, "not_found")
    refused(town.person("nobody").post(page, body), 401, "not_authenticated")
    refused(town.person("mercia").get(page), 404, "not_found")
    town.still(reference, "AWAITING_BUYER", 0.1)

    accepted(town.person("northwind").post(page, body))
    town.wait_state(reference, "LISTED")


def test_the_token_of_one_invoice_does_not_open_another(town: Town) -> None:
    one, other = town.awaiting(), town.awaiting()
    refused(town.person("nobody").get(f"/v1/confirmations/{other}", headers=town.token_of(one)), 404, "not_found")
    refused(town.person("nobody").get("/v1/confirmations/FX-INV-NOONE", headers=town.token_of(one)), 404, "not_found")


def test_confirming_twice_has_one_effect(town: Town) -> None:
    reference = town.awaiting()
    page, token, body = f"/v1/confirmations/{reference}", town.token_of(reference), town.confirmation(reference)

    first = town.person("nobody").post(page, body, key="tom-confirms", headers=token)
    again = town.person("nobody").post(page, body, key="tom-confirms", headers=token)
    assert accepted(first) == accepted(again)
    assert "FX-Idempotency-Replayed" not in first.headers
    assert again.headers["FX-Idempotency-Replayed"] == "true"
    assert again.headers["FX-Position"] == first.headers["FX-Position"]

    refused(town.person("nobody").post(page, body, key="tom-again", headers=token), 409, "already_confirmed")
    assert len(town.entries("invoice.confirmed.1", lambda entry: entry.resource == reference)) == 1


def test_whoever_has_not_read_the_page_cannot_confirm(town: Town) -> None:
    reference = town.awaiting()
    page, token, body = f"/v1/confirmations/{reference}", town.token_of(reference), town.confirmation(reference)
    somebody = town.person("nobody")

    for wrong in ({"reference_end": "XXXXX"}, {"pounds": body["pounds"] + 1}):
        problem = refused(somebody.post(page, {**body, **wrong}, headers=token), 422, "human_check_failed")
        assert problem["errors"][0]["pointer"] == "/reference_end"
    old_page = {**body, "page_hash": hashlib.sha256(b"what it said yesterday").hexdigest()}
    refused(somebody.post(page, old_page, headers=token), 409, "page_changed")
    town.still(reference, "AWAITING_BUYER", 0.1)

    accepted(somebody.post(page, body, headers=token))


def test_opening_the_page_decides_nothing(town: Town) -> None:
    reference = town.awaiting()
    head = town.house.platform.store.head()
    for _ in range(3):
        accepted(town.person("nobody").get(f"/v1/confirmations/{reference}", headers=town.token_of(reference)))
    assert town.house.platform.store.head() == head
    assert town.invoice(reference).state == "AWAITING_BUYER"


def test_an_invoice_nobody_confirmed_expires(town: Town) -> None:
    """Five working days, to the end of the last of them."""
    reference = town.awaiting()
    page, token, body = f"/v1/confirmations/{reference}", town.token_of(reference), town.confirmation(reference)
    confirm_by = town.invoice(reference).confirm_by
    assert confirm_by is not None
    town.story.clock_to(confirm_by)
    town.still(reference, "AWAITING_BUYER", 0.3)
    town.story.clock_to(confirm_by + timedelta(seconds=1))
    town.wait_state(reference, "EXPIRED")
    refused(town.person("nobody").post(page, body, headers=token), 409, "confirmation_expired")
    coppergate = town.person("coppergate")
    town.wait(lambda: accepted(coppergate.get(f"/v1/invoices/{reference}"))["state"] == "EXPIRED", "to be shown")


def test_the_mailed_code_reads_until_a_month_after_the_end(town: Town) -> None:
    """Whatever the end was; meanwhile the page says that there is nothing to pay."""
    withdrawn, expired, settled = town.awaiting(), town.awaiting(), town.disbursed()
    codes = {reference: town.token_of(reference) for reference in (withdrawn, expired, settled)}

    def page(reference: str) -> httpx.Response:
        return town.person("nobody").get(f"/v1/confirmations/{reference}", headers=codes[reference])

    def shown(reference: str) -> tuple[str, bool]:
        facts = accepted(page(reference))
        return facts["state"], facts["pay_to"] is not None

    assert shown(withdrawn) == ("TO_CONFIRM", True) and shown(settled) == ("CONFIRMED", True)
    accepted(town.person("coppergate").post(f"/v1/invoices/{withdrawn}/withdraw", {}))
    town.pays(COLLECTIONS, town.invoice(settled).face_pence, settled)
    town.wait_state(settled, "SETTLED")
    assert shown(withdrawn) == ("OVER", False) and shown(settled) == ("PAID", False)
    confirm_by = town.invoice(expired).confirm_by
    assert confirm_by is not None
    town.story.clock_to(confirm_by + timedelta(seconds=1))
    town.wait_state(expired, "EXPIRED")
    assert shown(expired) == ("OVER", False)
    town.forward(days=31)
    for reference in (withdrawn, settled, expired):
        refused(page(reference), 404, "not_found")
    assert accepted(town.person("northwind").get(f"/v1/confirmations/{settled}"))["state"] == "PAID"


def test_every_end_of_an_invoice_ends_its_page() -> None:
    for state in ENDED:
        assert _shown(Invoice(state=state, page_hash="0")) in ("PAID", "OVER")
