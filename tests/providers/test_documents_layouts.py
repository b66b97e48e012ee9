"""Honest invoices are read right however they are laid out, and dishonest ones are told what is wrong with them."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Any

import pytest

from tests.providers.sheets import (
    BILL_TO,
    HEAD,
    HEADING,
    ITEMS,
    Row,
    examined,
    failures,
    sheet,
)

NFD = unicodedata.normalize("NFD", "Café Réunion Ltd")


def dated(day: str, label: str = "Due date:") -> list[Row]:
    return [[(10, "Invoice date:"), (50, "22 May 2026")], [(10, label), (50, day)]]


def numbered(*row: tuple[int, str]) -> dict[str, Any]:
    return {"number": [list(row)], "foot": []}


def priced(*rows: tuple[str, str]) -> list[Row]:
    return [[(10, label), (175, amount)] for label, amount in rows]


def vat(*last: tuple[str, str]) -> dict[str, Any]:
    items = priced(("Oak counters", "£5,000.00"), ("Shelving", "£3,333.33"))
    return {"items": items, "total": priced(("Subtotal", "£8,333.33"), *last)}


HONEST: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as usual": ({}, {}),
    # references
    "underscores": (numbered((10, "Invoice No"), (50, "INV_2026_001")), {"seller_reference": "INV_2026_001"}),
    "a hash inside": (numbered((10, "Invoice number: INV#1001")), {"seller_reference": "INV#1001"}),
    "a hash before": (numbered((10, "Invoice #1001")), {"seller_reference": "1001"}),
    "typed otherwise": ({}, {"seller_reference": "cg 2026/114"}),
    "with spaces": (numbered((10, "Invoice ref:"), (50, "CG 2026 114")), {}),
    "an accent": (numbered((10, "Invoice number:"), (50, "RÉF-2026-7")), {"seller_reference": "RÉF-2026-7"}),
    "an accent, decomposed": (numbered((10, "Invoice number:"), (50, "RÉF-2026-7")),
                              {"seller_reference": unicodedata.normalize("NFD", "RÉF-2026-7")}),
    "on the title's line": ({**numbered(), "title": [[(10, "Tax Invoice CG-2026-114")]]}, {}),
    "right of the title": ({**numbered(), "title": [[(10, "INVOICE"), (140, "CG-2026-114")]]}, {}),
    "beside an order number": (
        {"number": [[(10, "Invoice number:"), (50, "CG-2026-114"), (110, "Your order no:"), (150, "PO-4471")]]}, {}),
    "only asked to be quoted": ({"number": []}, {}),
    "called our ref": (numbered((10, "Our ref: CG-2026-114")), {}),
    "under its label": ({**numbered((10, "Invoice no."), (60, "Account no."), (110, "Page")),
                         "dates": [[(10, "CG-2026-114"), (60, "NW-1"), (110, "1")], *dated("21 July 2026")]}, {}),
    # dates
    "a date with hyphens": ({"dates": dated("21-Jul-2026")}, {}),
    "a short year": ({"dates": dated("21/07/26")}, {}),
    "a full year": ({"dates": dated("21/07/2026")}, {}),
    "points": ({"dates": dated("21.07.2026")}, {}),
    "year first": ({"dates": dated("2026-07-21")}, {}),
    "an ordinal": ({"dates": dated("21st July 2026", "Payment due by:")}, {}),
    "month first": ({"dates": dated("July 21, 2026")}, {}),
    "a weekday": ({"dates": dated("Tuesday 21 July 2026", "Please pay by")}, {}),
    "both dates under one header line": (
        {"dates": [[(10, "Invoice date"), (60, "Due date")], [(10, "22 May 2026"), (60, "21 July 2026")]]}, {}),
    "both dates and the number under one header line": (
        {**numbered(), "dates": [[(10, "Invoice no"), (60, "Date"), (110, "Payment due")],
                                 [(10, "CG-2026-114"), (60, "22/05/2026"), (110, "21/07/2026")]]}, {}),
    "both dates on one line": (
        {"dates": [[(10, "Invoice date: 22 May 2026 Due date: 21 July 2026")]]}, {}),
    "terms instead of a date": ({"dates": [[(10, "Invoice date:"), (50, "22 May 2026")],
                                           [(10, "Payment terms: 60 days from invoice date")]]}, {}),
    "a delivery date too": ({"dates": [*dated("21 July 2026"), [(10, "Delivery date:"), (50, "1 May 2026")]]}, {}),
    # names
    "capitals": ({"head": [[(10, "COPPERGATE JOINERY LIMITED")]],
                  "bill_to": [[(10, "Bill to:"), (50, "NORTHWIND RETAIL P.L.C.")]]}, {}),
    "P.L.C.": ({"bill_to": [[(10, "Bill to:"), (50, "Northwind Retail P.L.C.")]]}, {}),
    "written out": ({"bill_to": [[(10, "Invoice to")], [(10, "Accounts payable")],
                                 [(10, "Northwind Retail Public Limited Company")], [(10, "1 High Street, Leeds")]]},
                    {}),
    "over two lines": ({"bill_to": [[(10, "Bill to:"), (50, "Northwind Retail Public")], [(50, "Limited Company")]]},
                       {}),
    "and, not &": ({"bill_to": [[(10, "Bill to:"), (50, "Halton and Crane LLP")]]},
                   {"buyer_name": "Halton & Crane LLP"}),
    "a decomposed accent": ({"head": [[(10, "Café Réunion Ltd")]]}, {"seller_name": NFD}),
    "name and address in one line": (
        {"head": [[(10, "Coppergate Joinery Ltd, Unit 4, York YO1 9NQ")]],
         "bill_to": [[(10, "Bill to: Northwind Retail plc, 1 High Street, Leeds LS1 1AA")]]}, {}),
    "two blocks side by side": (
        {"head": [[(10, "From"), (110, "To")], [(10, "Coppergate Joinery Ltd"), (110, "Northwind Retail plc")],
                  [(10, "Unit 4, York"), (110, "1 High Street, Leeds")]], "bill_to": []}, {}),
    "number beside the name": (
        {**numbered(), "head": [[(10, "Coppergate Joinery Ltd"), (120, "Invoice No: CG-2026-114")]]}, {}),
    # money
    "without pence": ({"items": priced(("Counters", "£7,000"), ("Shelving", "£3,000")),
                       "total": priced(("Total due", "£10,000"))}, {}),
    "GBP instead of £": ({"items": priced(("Counters", "7,000.00"), ("Shelving", "3,000.00")),
                          "total": priced(("Total due GBP", "10,000.00"))}, {}),
    "the sign in the heading": (
        {"heading": [[(10, "Description"), (175, "Amount (£)")]],
         "items": priced(("Counters", "7000.00"), ("Shelving", "3000.00")),
         "total": priced(("Total", "10000.00"))}, {}),
    "VAT": (vat(("VAT @ 20%", "£1,666.67"), ("Total", "£10,000.00")), {}),
    "VAT with its base": (vat(("VAT 20% on £8,333.33", "£1,666.67"), ("Invoice total inc. VAT", "£10,000.00")), {}),
    "net, VAT and gross in columns": (
        {"heading": [[(10, "Description"), (110, "Net"), (140, "VAT"), (175, "Gross")]],
         "items": [[(10, "Counters"), (110, "£5,000.00"), (140, "£1,000.00"), (175, "£6,000.00")],
                   [(10, "Shelving"), (110, "£3,333.33"), (140, "£666.67"), (175, "£4,000.00")]],
         "total": priced(("Net total", "£8,333.33"), ("Total VAT", "£1,666.67"), ("Total", "£10,000.00"))}, {}),
    "a discount line": (
        {"items": priced(("Counters", "£7,500.00"), ("Shelving", "£3,000.00")),
         "total": priced(("Subtotal", "£10,500.00"), ("Trade discount", "-£500.00"), ("Total due", "£10,000.00"))}, {}),
    "a discount in brackets": (
        {"items": priced(("Counters", "£7,500.00"), ("Shelving", "£3,000.00")),
         "total": priced(("Less 5% discount", "(£500.00)"), ("Sub-total", "£10,000.00"), ("Total", "£10,000.00"))}, {}),
    "carriage after the subtotal": (
        {"items": priced(("Counters", "£7,000.00"), ("Shelving", "£2,950.00")),
         "total": priced(("Subtotal", "£9,950.00"), ("Carriage", "£50.00"), ("Total", "£10,000.00"))}, {}),
    "a deposit paid": (
        {"items": priced(("Counters", "£9,000.00"), ("Shelving", "£3,000.00")),
         "total": priced(("Total", "£12,000.00"), ("Less deposit paid", "£2,000.00"), ("Balance due", "£10,000.00"))},
        {}),
    "nothing paid yet": (
        {"total": priced(("Total", "£10,000.00"), ("Amount paid", "£0.00"), ("Balance due", "£10,000.00"))}, {}),
    "a footnote with another amount": (
        {"foot": [[(10, "Late payment: statutory interest and a charge of £70.00")],
                  [(10, "Orders so far this year: £99,000.00")],
                  [(10, "In total you have saved £1,250.00")]]}, {}),
    "the total at the top as well": (
        {"title": [[(10, "INVOICE"), (120, "Amount due: £10,000.00")]]}, {}),
    "a due date in the total's line": (
        {"total": priced(("Total due by 21 July 2026", "£10,000.00"))}, {}),
    "a box of totals": (
        {"items": priced(("Counters", "£5,000.00"), ("Shelving", "£3,333.33")),
         "total": [[(90, "Subtotal"), (130, "VAT"), (170, "Total due")],
                   [(90, "£8,333.33"), (130, "£1,666.67"), (170, "£10,000.00")]]}, {}),
    "hours with a fraction": (
        {"items": [[(10, "Design"), (110, "2.5"), (140, "£1,000.00"), (175, "£2,500.00")],
                   [(10, "Fitting"), (110, "10 hrs"), (140, "£750.00"), (175, "£7,500.00")]]}, {}),
    "a euro amount for information": (
        {"total": priced(("Total due", "£10,000.00 (€11,700.00)"))}, {}),
    "a line about credit notes": ({"foot": [[(10, "Returns within 14 days against a credit note.")]]}, {}),
    "an allowance among the items": (
        {"items": priced(("Counters", "£10,200.00"), ("Return of pallets", "-£200.00"))}, {}),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_invoice_is_read_right(name: str) -> None:
    written, typed = HONEST[name]
    assert failures(examined(sheet(**written), **typed)) == ""


def total(text: str, label: str = "Total due") -> dict[str, Any]:
    return {"total": priced((label, text))}


FOREIGN = {
    sign: {"items": priced(("Counters", f"{sign}7,000.00"), ("Shelving", f"{sign}3,000.00")),
           **total(f"{sign}10,000.00")} for sign in ("€", "$", "US$", "EUR ", "USD ", "CHF ", "¥")}

DISHONEST: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    # references: a part of it, or a word that stands there too
    **{f"reference {typed}": ({}, {"seller_reference": typed}, "invoice reference (we read CG-2026-114)")
       for typed in ("114", "CG", "2026-114", "2026", "Invoice", "Coppergate", "YO1", "10,000.00", "21", "CG-2026-11",
                     "CG-2026-1145", "CG-2026-114²", "CG-2026-114 ж", "ЖCG-2026-114")},
    "another's order number": ({"number": [[(10, "Invoice number:"), (50, "CG-2026-114"), (110, "PO number:"),
                                            (150, "PO-4471")]]}, {"seller_reference": "PO-4471"}, "invoice reference"),
    # names: a part of a longer one
    "seller inside a longer name": ({}, {"seller_name": "Joinery Ltd"}, "seller name"),
    "seller longer than the name": ({"head": [[(10, "Joinery Ltd")]]}, {}, "seller name"),
    "seller of another form": ({}, {"seller_name": "Coppergate Joinery LLP"}, "seller name"),
    "buyer inside a longer name": ({}, {"buyer_name": "Retail plc"}, "buyer name"),
    "buyer longer than the name": ({}, {"buyer_name": "Northwind Retail Holdings plc"}, "buyer name"),
    "buyer and seller the other way round": (
        {"head": [[(10, "Northwind Retail plc")]], "bill_to": [[(10, "Bill to:"), (50, "Coppergate Joinery Ltd")]]},
        {}, "buyer name (it is addressed to somebody else)"),
    "delivered to the buyer, owed by another": (
        {"bill_to": [[(10, "Bill to:"), (50, "Southwind Retail plc")], [(10, "Delivered to: Northwind Retail plc")]]},
        {}, "buyer name (it is addressed to somebody else)"),
    # dates
    "due another day": ({}, {"due_on": date(2026, 7, 22)}, "due date (we read 21 July 2026)"),
    "due on two days": ({"dates": [*dated("21 July 2026"), [(10, "Payment due:"), (50, "21 June 2026")]]}, {},
                        "due date (we read 21 June 2026 and 21 July 2026)"),
    "the invoice's date for the due date": ({}, {"due_on": date(2026, 5, 22)}, "due date"),
    "no due date": ({"dates": []}, {}, "due date (we can't find one)"),
    # amounts
    "a penny more": ({}, {"face_pence": 1_000_001}, "face value (we read £10,000.00)"),
    "the total before VAT": (vat(("VAT", "£1,666.67"), ("Total", "£10,000.00")), {"face_pence": 833_333}, "face value"),
    "the total before the deposit": (
        {"items": priced(("Counters", "£9,000.00"), ("Shelving", "£3,000.00")),
         "total": priced(("Total", "£12,000.00"), ("Less deposit paid", "£2,000.00"), ("Balance due", "£10,000.00"))},
        {"face_pence": 1_200_000}, "face value (we read £10,000.00)"),
    "two totals": ({"total": priced(("Total due", "£10,000.00"), ("Amount due", "£1,000.00"))}, {},
                   "face value (we read £10,000.00 and £1,000.00)"),
    "an amount in a footnote": ({"foot": [[(10, "In total you have saved £1,250.00")]]}, {"face_pence": 125_000},
                                "face value"),
    "paid already": ({"total": priced(("Total", "£10,000.00"), ("Paid", "£10,000.00"), ("Balance due", "£0.00"))}, {},
                     "face value (we read £0.00)"),
    "no total": ({"total": []}, {}, "can't read the line items and the total"),
    "items that do not add up": ({"items": ITEMS[:2]}, {}, "add up to £7,000.00, the total says £10,000.00"),
    "a row that does not multiply out": (
        {"items": [[(10, "Oak"), (110, "2"), (140, "£2,000.00"), (175, "£10,000.00")]]}, {}, "does not multiply out"),
    "a subtotal that is not theirs": (
        {"total": priced(("Subtotal", "£9,000.00"), ("Total due", "£10,000.00"))}, {}, "the subtotal says £9,000.00"),
    "a discount that was not taken off": (
        {"total": priced(("Subtotal", "£10,000.00"), ("Discount", "£500.00"), ("Total due", "£10,000.00"))}, {},
        "add up to £9,500.00, the total says £10,000.00"),
    "continental": ({"items": priced(("Counters", "€10.000,00")), **total("€10.000,00")}, {}, "face value"),
    # not a debt in pounds
    **{f"in {sign.strip()}": (parts, {}, "not in pounds sterling") for sign, parts in FOREIGN.items()},
    "euros in the heading": ({"heading": [[(10, "Description"), (170, "Amount EUR")]],
                              "items": priced(("Counters", "7,000.00"), ("Shelving", "3,000.00")),
                              **total("10,000.00")}, {}, "not in pounds sterling: we read “EUR”"),
    "euros in words": ({"items": priced(("Counters", "10,000.00")), **total("10,000.00"),
                        "foot": [[(10, "All amounts are in euros.")]]}, {}, "not in pounds sterling"),
    "dollars at the total": ({"items": priced(("Counters", "10,000.00")), **total("10,000.00", "Total due (USD)")}, {},
                             "not in pounds sterling: we read “USD”"),
    "no currency at all": ({"items": priced(("Counters", "10,000.00")), **total("10,000.00")}, {},
                           "does not say that its amounts are in pounds"),
    "a credit note": ({"title": [[(10, "CREDIT NOTE")]]}, {}, "is a credit note"),
    "a credit note with a number": ({"title": [[(10, "Credit Note No: CG-2026-114")]]}, {}, "is a credit note"),
    "total credit": (total("£10,000.00", "Total credit"), {}, "is a credit note"),
    **{f"a total of {text}": (total(text), {}, "The total is negative")
       for text in ("-£10,000.00", "£-10,000.00", "(£10,000.00)", "–£10,000.00", "£10,000.00 CR", "- £10,000.00")},
    "a pro forma": ({"title": [[(10, "PRO FORMA INVOICE")]]}, {}, "a quotation, a draft or a pro forma"),
    "a quotation": ({"title": [[(10, "QUOTATION")]]}, {}, "a quotation, a draft or a pro forma"),
}


@pytest.mark.parametrize("name", DISHONEST)
def test_a_dishonest_invoice_is_told_what_is_wrong(name: str) -> None:
    written, typed, said = DISHONEST[name]
    assert said in failures(examined(sheet(**written), **typed))


def test_the_tables_are_long_enough() -> None:
    assert len(HONEST) >= 40 and len(DISHONEST) >= 30 and HEAD and BILL_TO and HEADING
