"""Invoices as people lay them out: rows of (millimetres from the left, text), drawn as a PDF or placed without one."""

from __future__ import annotations

from datetime import date

import msgspec
from fpdf import FPDF

from providers.documents import Check, InvoiceFields
from providers.documents.judging import judge
from providers.documents.layout import lines_of
from providers.documents.reader import read

FIELDS = InvoiceFields("Northwind Retail plc", "Coppergate Joinery Ltd", "CG-2026-114", 1_000_000, date(2026, 7, 21))

Row = list[tuple[int, str]]

HEAD: list[Row] = [[(10, "Coppergate Joinery Ltd")], [(10, "Unit 4, Coppergate Industrial Estate, York, YO1 9NQ")]]
TITLE: list[Row] = [[(10, "INVOICE")]]
BILL_TO: list[Row] = [[(10, "Bill to:"), (50, "Northwind Retail plc")]]
NUMBER: list[Row] = [[(10, "Invoice number:"), (50, "CG-2026-114")]]
DATES: list[Row] = [[(10, "Invoice date:"), (50, "22 May 2026")], [(10, "Due date:"), (50, "21 July 2026")]]
HEADING: list[Row] = [[(10, "Description"), (110, "Quantity"), (140, "Unit price"), (175, "Amount")]]
ITEMS: list[Row] = [[(10, "Oak counters, made and fitted"), (110, "2"), (140, "£2,000.00"), (175, "£4,000.00")],
                    [(10, "Wall shelving"), (110, "3"), (140, "£1,000.00"), (175, "£3,000.00")],
                    [(10, "Installation and making good"), (110, "1"), (140, "£3,000.00"), (175, "£3,000.00")]]
TOTAL: list[Row] = [[(10, "Total due"), (175, "£10,000.00")]]
FOOT: list[Row] = [[(10, "Please quote CG-2026-114 with your payment. Thank you.")]]


def sheet(*, head: list[Row] = HEAD, title: list[Row] = TITLE, bill_to: list[Row] = BILL_TO, number: list[Row] = NUMBER,
          dates: list[Row] = DATES, heading: list[Row] = HEADING, items: list[Row] = ITEMS, total: list[Row] = TOTAL,
          foot: list[Row] = FOOT) -> list[Row]:
    """The usual invoice of £10,000.00, with some parts written otherwise."""
    return [*head, [], *title, *bill_to, *number, *dates, [], *heading, *items, *total, [], *foot]


def drawn(rows: list[Row], size: float = 10) -> bytes:
    """In the built-in font, which knows Windows' western letters (cp1252)."""
    pdf = FPDF(format="A4")
    pdf.add_page()
    pdf.set_auto_page_break(auto=False)
    pdf.core_fonts_encoding = "cp1252"
    pdf.set_font("helvetica", size=size)
    for at, row in enumerate(rows):
        for x, text in row:
            pdf.text(x, 15 + 6 * at, text)
    return bytes(pdf.output())


def examined(rows: list[Row], **changes: object) -> tuple[Check, ...]:
    """What is found when somebody submits this sheet as the usual invoice, but for `changes` in what was typed."""
    words, marks = read(drawn(rows), 20, 200_000)
    return judge(lines_of(words), marks, msgspec.structs.replace(FIELDS, **changes))


def failures(checks: tuple[Check, ...]) -> str:
    return " | ".join(check.detail for check in checks if check.verdict == "FAIL")
