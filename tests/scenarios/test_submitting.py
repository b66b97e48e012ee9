"""The seller submits: what is refused at the door, and what the examination turns away."""

from __future__ import annotations

from typing import Any

import pytest

from providers.documents.sample import Line
from tests.scenarios.town import BUYER_MAIL, Town, accepted, face_of, invoice_pdf, refused


def test_a_seller_who_is_not_onboarded_waits(town: Town) -> None:
    town.story.sign_up("newcomer", role="sme_seller", legal_name="Brightside Ltd", company_number="07452984",
                       representative="Bea Bright", email="bea@brightside.co.uk")
    newcomer, pdf = town.person("newcomer"), invoice_pdf("FX-INV-T9999", 10_000_00, town.due())
    refused(newcomer.http.post("/v1/documents", content=pdf, headers={"Content-Type": "application/pdf"}), 409,
            "seller_not_active")
    refused(newcomer.post("/v1/invoices", {
        "buyer_company_number": "04382671", "buyer_email": BUYER_MAIL, "face_value_pence": 10_000_00,
        "due_date": town.due().isoformat(), "seller_reference": "CG-1", "document_sha256": "0a" * 32}), 409,
        "seller_not_active")


@pytest.mark.parametrize("mailbox", ["tom.whitfield@northwind-retail.co.uk", "tom@northwind.co.uk.example.com"])
def test_a_look_alike_of_the_buyers_mailbox_is_refused(town: Town, mailbox: str) -> None:
    """Whoever reads that mailbox confirms the invoice: the seller must not choose it."""
    problem = refused(town.submits(town.new_reference(), buyer_email=mailbox), 422, "buyer_mailbox_unknown")
    assert problem["errors"][0]["pointer"] == "/buyer_email"


def test_personal_mailboxes_are_refused_for_buyers_and_for_sign_up(town: Town) -> None:
    refused(town.submits(town.new_reference(), buyer_email="tom@gmail.com"), 422, "personal_mailbox")
    answer = town.person("nobody").post("/v1/subjects", {
        "role": "sme_seller", "legal_name": "Home Ltd", "company_number": "07452989", "representative": "H",
        "email": "h@yahoo.co.uk"})
    assert refused(answer, 422, "personal_mailbox")["errors"][0]["pointer"] == "/email"


@pytest.mark.parametrize(("changes", "code", "pointer"), [
    ({"face_value_pence": 50_000}, "face_out_of_band", "/face_value_pence"),
    ({"face_value_pence": 25_000_001}, "face_out_of_band", "/face_value_pence"),
    ({"due_date": "2026-05-14"}, "tenor_out_of_band", "/due_date"),
    ({"due_date": "2027-05-14"}, "tenor_out_of_band", "/due_date"),
    ({"buyer_company_number": "99999999"}, "buyer_unknown", "/buyer_company_number"),
    ({"document_sha256": "0" * 64}, "document_unknown", "/document_sha256"),
])
def test_what_the_form_cannot_be(town: Town, changes: dict[str, Any], code: str, pointer: str) -> None:
    problem = refused(town.submits(town.new_reference(), **changes), 422, code)
    assert problem["errors"][0]["pointer"] == pointer


def rejection(town: Town, reference: str) -> str:
    """What the seller is told, once the read model has it."""
    def told() -> str | None:
        return accepted(town.person("coppergate").get(f"/v1/invoices/{reference}"))["rejection"]
    town.wait(told, f"{reference}'s seller to be told why")
    return told() or ""


def test_the_same_invoice_is_financed_once(town: Town) -> None:
    first = town.awaiting()
    again, number = town.new_reference(), f"CG-{first[-5:]}"
    accepted(town.submits(again, pdf=invoice_pdf(first, face_of(first), town.due()), seller_reference=number,
                          face_value_pence=face_of(first)))
    town.wait_state(again, "REJECTED_DUPLICATE")
    assert town.invoice(first).state == "AWAITING_BUYER"
    assert "duplicate" in rejection(town, again)
    assert first not in rejection(town, again)


def test_two_invoices_of_one_amount_and_date_are_two_debts(town: Town) -> None:
    first, other = town.awaiting(), town.new_reference()
    doors = (Line("Twelve pine doors with brass handles, hung and eased", 1, face_of(first)),)
    accepted(town.submits(other, pdf=invoice_pdf(other, face_of(first), town.due(), lines=doors),
                          face_value_pence=face_of(first)))
    town.wait_state(other, "AWAITING_BUYER")
    assert town.invoice(first).due_on == town.invoice(other).due_on


def test_the_same_work_under_another_number_is_a_duplicate(town: Town) -> None:
    """The document was drawn again, with nothing but its number changed."""
    first, again = town.awaiting(), town.new_reference()
    accepted(town.submits(again, face_value_pence=face_of(first)))
    town.wait_state(again, "REJECTED_DUPLICATE")
    assert "Nearly the same document" in rejection(town, again)


SPELLINGS = ("{}", "T{n}", "{n}", "CG", "Invoice", "{}²", "ＣＧ－{n}", "{}ж", "cg t{n}", "CG/T{n}", "СG-T{n}",
             "#CG_T{n}", "2026")
"""How one invoice's number may be written, whole, in part and with letters that only look like its own."""


def test_of_one_document_exactly_one_invoice_lives_however_its_number_is_spelled(town: Town) -> None:
    first = town.new_reference()
    number, pdf = f"CG-{first[-5:]}", invoice_pdf(first, face_of(first), town.due())
    tried = [first, *(town.new_reference() for _ in SPELLINGS[1:])]
    answers = {reference: town.submits(reference, pdf=pdf, face_value_pence=face_of(first),
                                       seller_reference=spelled.format(number, n=first[-4:]))
               for reference, spelled in zip(tried, SPELLINGS, strict=True)}
    taken = [reference for reference, answer in answers.items() if answer.status_code < 300]
    assert {answer.status_code for answer in answers.values()} <= {201, 202, 422}
    ended = ("AWAITING_BUYER", "REJECTED_VISION", "REJECTED_DUPLICATE")
    for reference in taken:
        town.wait(lambda reference=reference: town.invoice(reference).state in ended, f"{reference} to be examined")
    living = [reference for reference in taken if town.invoice(reference).state == "AWAITING_BUYER"]
    assert len(living) == 1 and town.invoice(living[0]).document_sha256 == town.invoice(first).document_sha256
    later = [town.invoice(reference).state for reference in taken if reference != living[0]]
    assert "REJECTED_DUPLICATE" in later


def test_an_invoice_nobody_confirmed_may_be_brought_again(town: Town) -> None:
    first = town.awaiting()
    facts = {"face_value_pence": face_of(first), "due_date": town.due().isoformat(),
             "seller_reference": f"CG-{first[-5:]}"}
    pdf = invoice_pdf(first, face_of(first), town.due())
    town.forward(days=12)
    town.wait_state(first, "EXPIRED")
    again = town.new_reference()
    accepted(town.submits(again, pdf=pdf, **facts))
    town.wait_state(again, "AWAITING_BUYER")


def test_a_document_that_says_something_else_is_turned_away_with_the_reason(town: Town) -> None:
    reference = town.new_reference()
    other = invoice_pdf(reference, face_of(reference) + 1, town.due(), seller="Somebody Else Ltd")
    accepted(town.submits(reference, pdf=other))
    town.wait_state(reference, "REJECTED_VISION")
    assert "seller name" in rejection(town, reference) and "face value" in rejection(town, reference)
    assert town.entries("notice.requested.1", lambda entry: entry.resource.startswith(reference)) == []


def test_a_reference_is_used_once(town: Town) -> None:
    reference = town.awaiting()
    refused(town.submits(reference), 409, "reference_taken")
