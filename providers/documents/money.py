"""What an invoice comes to, in which currency, and whether its rows add up to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from providers.documents.layout import Line
from providers.documents.rows import FOREIGN, FOREIGN_WORDS, STERLING, Row, amounts_in, rows_of

_HEADING = re.compile(r"(?<![a-z])(?:description|detail|item|product|service|particular|work)s?(?![a-z])", re.I)
_HEADED = re.compile(r"(?<![a-z])(?:amount|total|price|value|net|cost|gross)(?![a-z])", re.I)
_QUANTITY = re.compile(
    r"(?<![\d.,/:-])(\d{1,6}(?:\.\d{1,3})?)(?: ?(?:hrs?|hours?|days?|ea|each|no|nr|m2?|pcs?|units?))?"
    r"(?: ?[x×@])?$", re.I)


class Money(msgspec.Struct, frozen=True):
    """In pence. `totals` and `payable` are the different amounts so called: more than one is a contradiction."""

    items: tuple[Row, ...] = ()
    subtotals: tuple[int, ...] = ()
    adjustments: int = 0
    """Discounts, carriage and the like between the items and the total."""

    tax: int = 0
    paid: int = 0
    totals: tuple[int, ...] = ()
    payable: tuple[int, ...] = ()
    currency: str = ""
    """"GBP", "" when none is named, or the foreign sign or words."""

    @property
    def due(self) -> int | None:
        """The one amount payable; None when there is none, or more than one."""
        asked = self.payable or self.totals
        return asked[0] if len(asked) == 1 else None


def money(lines: Sequence[Line]) -> Money:
    rows = list(rows_of(lines))
    heading = next((at for at, line in enumerate(lines) if _is_heading(line)), -1)
    body, after = _divided([row for at, row in rows if at > heading])
    totals = [row for at, row in rows if at <= heading and row.kind == "total"]
    totals += [row for row in (*body, *after) if row.kind == "total"]
    first_subtotal = next((at for at, row in enumerate(body) if row.kind == "subtotal"), len(body))
    items = tuple(row for row in body[:first_subtotal] if row.kind == "item")
    late = [row.pence for row in body[first_subtotal:] if row.kind == "item"]
    discounts = [-abs(row.pence) for row in body if row.kind == "discount"]
    return Money(
        items=items,
        subtotals=tuple(row.pence for row in body if row.kind == "subtotal"),
        adjustments=sum(late) + sum(discounts),
        tax=sum(row.pence for row in body if row.kind == "tax"),
        paid=sum(abs(row.pence) for row in (*body, *after) if row.kind == "paid"),
        totals=_different(row for row in totals if not row.payable),
        payable=_different(row for row in totals if row.payable),
        currency=_currency(lines, totals, items, lines[heading] if heading >= 0 else None),
    )


def _divided(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """At the first total that has items before it: a footnote after it is no item."""
    for at, row in enumerate(rows):
        if row.kind == "total" and any(each.kind == "item" for each in rows[:at]):
            return rows[:at], rows[at:]
    return rows, ()


def _different(rows: Iterable[Row]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(row.pence for row in rows))


def _is_heading(line: Line) -> bool:
    return bool(_HEADING.search(line.text) and _HEADED.search(line.text)) and not amounts_in(line.text)


def _currency(lines: Sequence[Line], totals: Sequence[Row], items: Sequence[Row], heading: Line | None) -> str:
    """What the document says of its currency in words or in the heading, else beside its totals, else beside its items,
    else anywhere."""
    stated = [found[0] for line in lines if (found := FOREIGN_WORDS.search(line.text))]
    if heading is not None and (found := FOREIGN.search(heading.text)):
        stated.append(found[0])
    if stated:
        return stated[0]
    for rows in (totals, items):
        beside = {each.currency for row in rows for each in row.amounts if each.currency}
        beside |= {found[0] for row in rows if row.kind == "total" and (found := FOREIGN.search(row.label))}
        if beside:
            return "GBP" if "GBP" in beside else sorted(beside)[0]
    return "GBP" if any(STERLING.search(line.text) for line in lines) else ""


# ---------------------------------------------------------------- do the sums come out


def wrong_sums(read: Money) -> list[str]:
    """What does not add up, each in words for the seller; empty when all does."""
    due = read.due
    if not read.items or due is None:
        return ["we can't read the line items and the total on the document"]
    wrong = [f"“{row.text[:80]}” does not multiply out" for row in read.items if not _multiplies_out(row)]
    gross = due + read.paid if read.payable else due
    columns = range(1, 1 + min(len(row.amounts) for row in read.items))
    if not any(_comes_out(read, sum(row.amounts[-at].pence for row in read.items), gross) for at in columns):
        wrong += _differences(read, sum(row.pence for row in read.items), gross)
    if read.payable and read.totals and gross not in read.totals:
        wrong.append(f"the total says {pounds(read.totals[0])}, what is left to pay {pounds(due)}")
    return wrong


def _comes_out(read: Money, items: int, gross: int) -> bool:
    """`items` is one column's sum: net amounts that the tax is added to, or amounts with their tax in them."""
    net = items + read.adjustments
    adds_up = net + read.tax == gross and all(each in (items, net) for each in read.subtotals)
    has_tax_in_it = net == gross and bool(read.subtotals) and read.subtotals[-1] + read.tax == gross
    return adds_up or has_tax_in_it


def _differences(read: Money, items: int, gross: int) -> list[str]:
    net, wrong = items + read.adjustments, list[str]()
    if odd := [each for each in read.subtotals if each not in (items, net)]:
        wrong.append(f"the line items add up to {pounds(items)}, the subtotal says {pounds(odd[0])}")
    if net + read.tax != gross or not wrong:
        wrong.append(f"the line items and VAT add up to {pounds(net + read.tax)}, the total says {pounds(gross)}")
    return wrong


def _multiplies_out(row: Row) -> bool:
    """Quantity × price = amount, where the row ends in these three, to the penny."""
    if len(row.amounts) != 2:
        return True
    price, amount = row.amounts
    quantity = _QUANTITY.search(row.text, max(0, price.start - 24), len(row.text[: price.start].rstrip()))
    if not quantity or "%" in row.text[price.end : amount.start]:
        return True
    return abs(Decimal(quantity[1]) * price.pence - amount.pence) < 1


def pounds(pence: int) -> str:
    return f"{'-' if pence < 0 else ''}£{abs(pence) / 100:,.2f}"
