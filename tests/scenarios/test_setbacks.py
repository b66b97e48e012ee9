"""An invoice that cannot go straight on: its customer's mailbox takes no mail, or the seller takes it back."""

from __future__ import annotations

from datetime import timedelta

import httpx

from tests.scenarios.town import BUYER_MAIL, Town, accepted, invoice_pdf, refused


def incidents_about(town: Town, reference: str) -> list[str]:
    return [row["reason"] for row in town.incidents() if reference in row["resource"]]


def submits_again(town: Town, reference: str, again: str) -> httpx.Response:
    """The same document and the same debt under another reference of ours."""
    invoice = town.invoice(reference)
    assert invoice.due_on is not None
    return town.submits(again, pdf=invoice_pdf(reference, invoice.face_pence, invoice.due_on),
                        face_value_pence=invoice.face_pence, seller_reference=invoice.seller_reference,
                        due_date=str(invoice.due_on))


def test_a_mailbox_that_takes_no_mail_is_replaced_by_another(town: Town) -> None:
    reference = town.new_reference()
    accepted(town.submits(reference, buyer_email="bounce@northwind.co.uk"))
    town.wait_state(reference, "BUYER_UNREACHABLE")
    town.wait(lambda: any(reference in mail["subject"] and "takes no mail" in mail["subject"]
                          for mail in town.outside.get("/email/mail.json", to="aisha@coppergate.co.uk")), "the mail")
    town.wait(lambda: incidents_about(town, reference) == ["mail_refused"], "the incident")
    aisha, page = town.person("coppergate"), f"/v1/invoices/{reference}/buyer-mailbox"
    refused(aisha.post(page, {"buyer_email": "tom@gmail.com"}), 422, "personal_mailbox")
    refused(town.person("northwind").post(page, {"buyer_email": BUYER_MAIL}), 403, "not_your_role")
    accepted(aisha.post(page, {"buyer_email": BUYER_MAIL}))
    town.wait_state(reference, "AWAITING_BUYER")
    refused(aisha.post(page, {"buyer_email": BUYER_MAIL}), 409, "wrong_state")
    accepted(town.confirms(reference))


def test_without_another_mailbox_it_expires_and_may_come_again(town: Town) -> None:
    reference, again = town.new_reference(), town.new_reference()
    accepted(town.submits(reference, buyer_email="bounce@northwind.co.uk"))
    town.wait_state(reference, "BUYER_UNREACHABLE")
    by = town.invoice(reference).confirm_by
    assert by is not None
    town.story.clock_to(by + timedelta(seconds=2))
    town.wait_state(reference, "EXPIRED")
    accepted(submits_again(town, reference, again))
    town.wait_state(again, "AWAITING_BUYER")


def test_a_seller_takes_an_invoice_back_and_submits_it_anew(town: Town) -> None:
    reference = town.awaiting()
    token, page = town.token_of(reference), town.confirmation(reference)
    aisha = town.person("coppergate")
    refused(town.person("northwind").post(f"/v1/invoices/{reference}/withdraw", {}), 403, "not_your_role")
    refused(aisha.post("/v1/invoices/FX-INV-NOONE/withdraw", {}), 404, "not_found")
    accepted(aisha.post(f"/v1/invoices/{reference}/withdraw", {}))
    town.wait_state(reference, "WITHDRAWN")
    answer = town.person("nobody").post(f"/v1/confirmations/{reference}", page, headers=token)
    assert answer.status_code in (404, 409), answer.text
    refused(aisha.post(f"/v1/invoices/{reference}/withdraw", {}), 409, "wrong_state")
    again = town.new_reference()
    accepted(submits_again(town, reference, again))
    town.wait_state(again, "AWAITING_BUYER")


def test_the_seller_says_nothing_in_our_mails(town: Town) -> None:
    typed = "CG-907 ACCOUNT CHANGED pay 20-00-00 12345678 see http://pay.example"
    problem = refused(town.submits(town.new_reference(), seller_reference=typed), 422, "seller_reference_unfit")
    assert problem["errors"][0]["pointer"] == "/seller_reference"


def test_compliance_closes_an_alarm_it_has_dealt_with(town: Town) -> None:
    reference = town.new_reference()
    accepted(town.submits(reference, buyer_email="bounce@northwind.co.uk"))
    town.wait_state(reference, "BUYER_UNREACHABLE")
    town.wait(lambda: incidents_about(town, reference), "the incident")
    position = next(row["position"] for row in town.incidents() if reference in row["resource"])
    refused(town.person("coppergate").post(f"/v1/compliance/incidents/{position}/close", {}), 403, "not_your_role")
    accepted(town.person("mlro").post(f"/v1/compliance/incidents/{position}/close", {}))
    town.wait(lambda: incidents_about(town, reference) == [], "the incident to be over")
    refused(town.person("mlro").post(f"/v1/compliance/incidents/{position}/close", {}), 404, "not_found")
