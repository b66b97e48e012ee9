"""Draws an invoice as a small business would send it. The same input gives the same bytes."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import msgspec
from fpdf import FPDF

from providers.documents import InvoiceFields

_GREY = (90, 90, 90)


class Line(msgspec.Struct, frozen=True):
    description: str
    quantity: int
    unit_pence: int


def draw(
    fields: InvoiceFields,
    lines: Sequence[Line],
    *,
    issued_on: date,
    vat_pence: int = 0,
    seller_address: str = "Unit 4, Coppergate Industrial Estate, York, YO1 9NQ",
    pay_to: str = "",
) -> bytes:
    """Draws what it is told, whether or not it adds up: the total is `fields.face_pence`."""
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime.combine(issued_on, time(9), UTC))
    pdf.set_title(f"Invoice {_latin(fields.seller_reference)}")
    pdf.set_author(_latin(fields.seller_name))
    pdf.add_page()
    _letterhead(pdf, fields, seller_address, issued_on)
    _items(pdf, lines)
    _totals(pdf, fields, lines, vat_pence)
    pdf.set_font("helvetica", size=9)
    pdf.set_text_color(*_GREY)
    pdf.ln(8)
    pdf.multi_cell(
        0, 5, _latin(pay_to or f"Please quote {fields.seller_reference} with your payment. Thank you.")
    )
    return bytes(pdf.output())


def usual_lines(face_pence: int, vat_pence: int = 0) -> tuple[Line, ...]:
    """Three lines of a shop fit-out that, with the VAT, add up to the face value."""
    net = face_pence - vat_pence
    counters, shelving = net // 5, net // 8
    return (
        Line("Oak counters, made and fitted", 2, counters),
        Line("Wall shelving, supplied and fitted", 3, shelving),
        Line("Installation and making good", 1, net - 2 * counters - 3 * shelving),
    )


def _letterhead(pdf: FPDF, fields: InvoiceFields, seller_address: str, issued_on: date) -> None:
    pdf.set_font("helvetica", style="B", size=18)
    pdf.cell(0, 10, _latin(fields.seller_name), new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("helvetica", size=9)
    pdf.set_text_color(*_GREY)
    pdf.cell(0, 5, _latin(seller_address), new_x="LMARGIN", new_y="NEXT")
    pdf.set_text_color(0, 0, 0)
    pdf.ln(10)
    pdf.set_font("helvetica", style="B", size=13)
    pdf.cell(0, 8, "INVOICE", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("helvetica", size=10)
    for label, value in (
        ("Bill to", fields.buyer_name),
        ("Invoice reference", fields.seller_reference),
        ("Invoice date", _day(issued_on)),
        ("Due date", _day(fields.due_on)),
    ):
        pdf.cell(40, 6, f"{label}:")
        pdf.cell(0, 6, _latin(value), new_x="LMARGIN", new_y="NEXT")
    pdf.ln(8)


def _items(pdf: FPDF, lines: Sequence[Line]) -> None:
    pdf.set_font("helvetica", style="B", size=10)
    _row(pdf, "Description", "Quantity", "Unit price", "Amount", border="B")
    pdf.set_font("helvetica", size=10)
    for line in lines:
        amount = line.quantity * line.unit_pence
        _row(pdf, line.description, str(line.quantity), _pounds(line.unit_pence), _pounds(amount))


def _totals(pdf: FPDF, fields: InvoiceFields, lines: Sequence[Line], vat_pence: int) -> None:
    pdf.ln(3)
    if vat_pence:
        _row(
            pdf,
            "Subtotal",
            "",
            "",
            _pounds(sum(line.quantity * line.unit_pence for line in lines)),
            border="T",
        )
        _row(pdf, "VAT", "", "", _pounds(vat_pence))
    pdf.set_font("helvetica", style="B", size=11)
    _row(pdf, "Total due", "", "", _pounds(fields.face_pence), border="T")


def _row(pdf: FPDF, description: str, quantity: str, unit: str, amount: str, border: str = "") -> None:
    pdf.cell(100, 7, _latin(description), border=border)
    pdf.cell(20, 7, quantity, border=border, align="R")
    pdf.cell(35, 7, unit, border=border, align="R")
    pdf.cell(35, 7, amount, border=border, align="R", new_x="LMARGIN", new_y="NEXT")


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _pounds(pence: int) -> str:
    return f"\u00a3{pence / 100:,.2f}"


def _latin(text: str) -> str:
    """The built-in fonts know Latin-1 only."""
    return (
        text.replace("—", "-")
        .replace("–", "-")
        .replace("’", "'")
        .encode("latin-1", "replace")
        .decode("latin-1")
    )
