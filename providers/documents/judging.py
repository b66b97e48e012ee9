"""Judges the text of a document against what the seller typed: pure functions on placed words.

All of it runs in the cell (`cell.py`). Every pattern here and in the readers beside it has bounded repeats only, and
every line a bounded length, so that the time grows with the document and no faster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from providers.documents import Check, InvoiceFields
from providers.documents.dates import due_dates
from providers.documents.layout import Line
from providers.documents.money import Money, money, pounds, wrong_sums
from providers.documents.parties import addressed_to, names
from providers.documents.references import is_reference, references

_NUMBER = r"(?: ?(?:no|number|ref|reference)?\.? ?[:#]? ?[\w/-]{0,40})?"
_CREDIT_TITLE = re.compile(r"(?:tax |vat |sales )?credit (?:note|memo|memorandum|invoice)" + _NUMBER, re.I)
_CREDIT_TOTAL = re.compile(
    r"(?<![a-z])(?:total (?:credit|refund)(?:ed)?|credit total|total (?:amount )?(?:credited|refunded)"
    r"|amount (?:credited|refunded)|credit (?:due|amount))(?![a-z])", re.I)
_NO_INVOICE = re.compile(r"(?:pro[ -]?forma(?: invoice)?|quotation|draft(?: invoice)?)" + _NUMBER, re.I)
_INVOICE = re.compile(r"(?<![a-z-])(?<!forma )(?<!draft )invoice(?![a-z])", re.I)


def judge(lines: Sequence[Line], marks: Sequence[str], fields: InvoiceFields) -> tuple[Check, ...]:
    read = money(lines)
    return (fields_match(lines, read, fields), invoice_in_sterling(lines, read), lines_reconcile(read),
            stamp_or_signature(lines, marks))


def fields_match(lines: Sequence[Line], read: Money, fields: InvoiceFields) -> Check:
    if not lines:
        return Check("fields_match", "FAIL",
                     "The document has no text: it may be a scan. Please upload a digital copy.")
    problems = [f"{field} ({why})" if why else field for field, why in _differences(lines, read, fields)]
    if problems:
        return Check("fields_match", "FAIL", f"The document does not say what you typed: {', '.join(problems)}.")
    return Check("fields_match", "PASS", "Buyer, seller, reference, face value and due date match.")


def _differences(lines: Sequence[Line], read: Money, fields: InvoiceFields) -> list[tuple[str, str]]:
    """(field, what was read instead) of each that does not match."""
    found: list[tuple[str, str]] = []
    blocks = addressed_to(lines)
    if not names(lines, fields.buyer_name):
        found.append(("buyer name", ""))
    elif blocks and not any(names(block, fields.buyer_name) for block in blocks):
        found.append(("buyer name", "it is addressed to somebody else"))
    if not names(lines, fields.seller_name):
        found.append(("seller name", ""))
    written = references(lines)
    if not is_reference(fields.seller_reference, written):
        found.append(("invoice reference", f"we read {' and '.join(written[:3])}" if written else "we can't find one"))
    if read.due != fields.face_pence:
        said = " and ".join(map(pounds, (read.payable or read.totals)[:3]))
        found.append(("face value", f"we read {said}" if said else "we can't find a total"))
    due = due_dates(lines)
    if due != {fields.due_on}:
        said = " and ".join(f"{day.day} {day:%B %Y}" for day in sorted(due)[:3])
        found.append(("due date", f"we read {said}" if said else "we can't find one"))
    return found


def invoice_in_sterling(lines: Sequence[Line], read: Money) -> Check:
    """Only a debt in pounds can be financed: a credit note is the opposite of one, an estimate is none yet."""
    problem = _kind_problem(lines, read) or _currency_problem(read)
    if problem:
        return Check("invoice_in_sterling", "FAIL", problem)
    return Check("invoice_in_sterling", "PASS", "An invoice in pounds sterling.")


def _kind_problem(lines: Sequence[Line], read: Money) -> str:
    cells = [line.said(cell).strip(" :.") for line in lines for cell in line.cells if len(line.cells) < 3]
    if any(_CREDIT_TITLE.fullmatch(cell) for cell in cells) or any(_CREDIT_TOTAL.search(line.text) for line in lines):
        return "The document is a credit note, not an invoice."
    if any(amount < 0 for amount in (*read.totals, *read.payable)):
        return "The total is negative, as on a credit note."
    if any(_NO_INVOICE.fullmatch(cell) for cell in cells) and not any(_INVOICE.fullmatch(cell) for cell in cells):
        return "The document is a quotation, a draft or a pro forma, not an invoice."
    return ""


def _currency_problem(read: Money) -> str:
    if read.currency == "GBP":
        return ""
    if read.currency:
        return f"The amounts are not in pounds sterling: we read “{read.currency[:40]}”."
    return "The document does not say that its amounts are in pounds sterling."


def lines_reconcile(read: Money) -> Check:
    if wrong := wrong_sums(read):
        said = "; ".join(dict.fromkeys(wrong))
        return Check("lines_reconcile", "FAIL", f"{said[0].upper()}{said[1:]}.")
    return Check("lines_reconcile", "PASS", f"{len(read.items)} line items add up to {pounds(read.due or 0)}.")


def stamp_or_signature(lines: Sequence[Line], marks: Sequence[str]) -> Check:
    if marks:
        return Check("stamp_or_signature", "PASS", f"The document carries a {marks[0]}.")
    if lines:
        return Check("stamp_or_signature", "ABSENT_NOT_REQUIRED", "A digital document needs no stamp or signature.")
    return Check("stamp_or_signature", "FAIL", "A scanned document needs a stamp or a signature.")
