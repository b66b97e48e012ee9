"""What a mail may name, for each reader: a template that names more, or is not listed, fails here."""

from __future__ import annotations

from processes.mails import TEMPLATES, named_by, render

INVOICE = {"reference", "due"}
SELLERS = {*INVOICE, "seller_reference", "amount", "buyer", "cash"}
DEBTORS = {*INVOICE, "seller_reference", "amount", "seller", "which", "link"}
HOLDERS = {*INVOICE, "share"}
BILLED = {*INVOICE, "amount"}

READERS: dict[str, set[str]] = {
    "welcome": {"name"},
    "mailbox_code": {"code", "account"},
    "confirm_request": DEBTORS,
    "buyer_confirmed": SELLERS,
    "buyer_unreachable": SELLERS,
    "cash_landed": SELLERS,
    "seller_credited": HOLDERS,
    "money_returned": {"amount"},
    "payment_reminder": DEBTORS,
    "bill_issued": BILLED,
    "bill_overdue": BILLED,
    "settled": SELLERS & DEBTORS,
    "share_paid": HOLDERS,
}


def test_every_template_has_its_reader() -> None:
    assert set(TEMPLATES) == set(READERS)


def test_no_template_names_what_its_reader_may_not_know() -> None:
    assert {template: named_by(template) - known for template, known in READERS.items()
            if named_by(template) - known} == {}


def test_a_template_can_be_written_from_what_it_names() -> None:
    for template in TEMPLATES:
        subject, text = render(template, dict.fromkeys(named_by(template), "x"))
        assert subject and text
