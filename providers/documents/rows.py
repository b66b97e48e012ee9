"""The rows of an invoice that end in money, and what each is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from providers.documents.dates import dates_in
from providers.documents.layout import Line, below

_ISO = ("EUR|USD|CHF|JPY|AUD|CAD|NZD|HKD|SGD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|ISK|TRY|ZAR|INR|CNY|RMB|KRW|THB|AED|SAR"
        "|ILS|BRL|MXN|NGN|KES|PKR|BDT|LKR|MYR|PHP|IDR|VND|UAH|RUB|EGP")
_FOREIGN = rf"(?:US|AU|CA|NZ|HK|SG|A|C|R|Z)?\$|[€¥₹₽₺₩₪฿₫₦]|(?<![A-Za-z])(?:{_ISO}|kr|zł|Fr|Rs|R)(?![A-Za-z])"
_ANY = rf"(?:£|(?<![A-Za-z])GBP(?![A-Za-z])|{_FOREIGN})"
FOREIGN = re.compile(_FOREIGN)
FOREIGN_WORDS = re.compile(
    rf"currency(?: is| of invoice)? ?:? ?(?:{_ISO}|us dollars?|euros?)(?![a-z])"
    rf"|(?:amounts?|prices?|figures|values?)(?: \w{{1,12}}){{0,4}} in (?:{_ISO}|(?:us |u\.s\. )?dollars?|euros?|yen)"
    r"(?![a-z])", re.I)
STERLING = re.compile(r"£|(?<![a-z])(?:gbp|sterling)(?![a-z])", re.I)

_NUMBER = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3}){1,3}|\d{1,9})(\.\d{2}|\.-)?(?![.,]?\d)")
_LEFT = re.compile(rf"(?P<sign>(?<!\w)[-−–(\[])?(?P<currency>{_ANY})? ?(?P<inner>[-−–(])?$")
_RIGHT = re.compile(
    rf"(?P<rate> ?%)|(?: ?(?P<currency>{_ANY})(?! ?[-−–(]?\d))?(?P<sign> ?CR(?![A-Za-z])|[)\]]|-(?!\w))?")
_TAIL = re.compile(r"\W{0,6}(?:\w{1,3}\W{0,6})?")
"""After a row's amount there may be a tax code, a rate, a mark; no more words."""

Kind = Literal["item", "subtotal", "discount", "tax", "included", "paid", "total", "skipped"]

_WORD = re.compile(r"[a-z/]{1,30}")
_CURRENCY_WORDS = frozenset(("gbp", "sterling", "pounds", "eur", "usd"))
_SUBTOTAL = re.compile(r"(?:invoice )?(?:sub ?total|net(?: amount| total| value)?|goods total"
                       r"|total (?:net|before|ex|excl?|excluding|exclusive)(?: of)?(?: vat| tax)?)")
_TAX = re.compile(r"(?:plus |add |total )?(?:vat|tax|value added tax)(?! (?:point|invoice|no|reg))(?: .{0,40})?")
_INCLUDED = re.compile(r"of which|incl|(?:vat|tax) incl|total includes")
_SKIPPED = re.compile(r"page total|carried (?:forward|over)|brought forward|(?:balance )?[cb]/f")
_DISCOUNT = frozenset(("discount", "rebate", "less", "deduct", "deduction", "retention", "cis", "allowance"))
_PAID_WORDS = frozenset((
    "less", "minus", "deposit", "amount", "payment", "payments", "already", "paid", "received", "prepaid", "to", "date",
    "on", "account", "in", "advance", "total", "thank", "you", "with", "thanks", "prior", "previous"))
_PAID = frozenset(("paid", "received", "prepaid"))
_TOTAL_WORDS = frozenset((
    "grand", "invoice", "total", "totals", "amount", "due", "payable", "balance", "outstanding", "inc", "incl",
    "including", "inclusive", "of", "vat", "to", "pay", "now", "by", "on", "the", "this", "please", "net", "final",
    "gross", "overall", "in", "for", "payment", "within", "days"))
_TOTAL = frozenset(("total", "totals", "due", "payable", "balance", "pay", "outstanding"))
_PAYABLE = _TOTAL - {"total", "totals"}


class Amount(msgspec.Struct, frozen=True):
    """`currency` is "GBP", "" where none stands beside it, or the foreign sign. `money`: it has a currency, pence or a
    thousands comma; a bare number may be anything."""

    pence: int
    currency: str
    money: bool
    start: int
    end: int


class Row(msgspec.Struct, frozen=True):
    label: str
    kind: Kind
    amounts: tuple[Amount, ...]
    text: str

    @property
    def pence(self) -> int:
        """A row that gives its amount in sterling and in another currency means the sterling."""
        return ([each for each in self.amounts if each.currency == "GBP"] or list(self.amounts))[-1].pence

    @property
    def payable(self) -> bool:
        """It says that this is to be paid, not only that it is a total."""
        return bool(_words(self.label) & _PAYABLE)


def rows_of(lines: Sequence[Line]) -> Iterator[tuple[int, Row]]:
    """Each row with the number of its line. Totals whose money stands under them, as in a box, are rows too."""
    for at, line in enumerate(lines):
        found = amounts_in(line.text)
        spoken = tuple(each for each in found if each.money)
        if spoken and _TAIL.fullmatch(line.text, spoken[-1].end):
            yield at, _row(line, spoken)
        elif not found and len(line.cells) > 1:
            yield from ((at, row) for row in _boxed(lines, at))


def amounts_in(text: str) -> list[Amount]:
    found: list[Amount] = []
    for number in _NUMBER.finditer(text):
        left = _LEFT.search(text, max(0, number.start() - 8), number.start())
        right = _RIGHT.match(text, number.end())
        if left is None or right is None or right["rate"]:
            continue
        pence = int(number[1].replace(",", "")) * 100 + int((number[2] or "").strip(".-") or 0)
        signs = {left["sign"], left["inner"], (right["sign"] or "").strip()}
        negative = bool(signs & {"-", "−", "–", "CR"}) or ("(" in signs and ")" in signs)
        currency = left["currency"] or right["currency"] or ""
        is_money = bool(currency or number[2] or "," in number[1])
        found.append(Amount(-pence if negative else pence, "GBP" if currency == "£" else currency, is_money,
                            left.start(), right.end()))
    return found


def kind_of(label: str) -> Kind:
    said = " ".join(word for word in _WORD.findall(label.casefold()) if word not in _CURRENCY_WORDS)
    words = set(said.split())
    if _SKIPPED.match(said):
        return "skipped"
    if _INCLUDED.match(said):
        return "included"
    if _SUBTOTAL.fullmatch(said):
        return "subtotal"
    if _TAX.fullmatch(said):
        return "tax"
    if words <= _PAID_WORDS and (words & _PAID or {"less", "deposit"} <= words):
        return "paid"
    if words & _TOTAL and words <= _TOTAL_WORDS:
        return "total"
    return "discount" if words & _DISCOUNT else "item"


def _row(line: Line, found: tuple[Amount, ...]) -> Row:
    label = line.text[: found[0].start]
    for day in dates_in(line):
        label = label[: day.span.start] + " " * (day.span.end - day.span.start) + label[day.span.end :]
    kind = kind_of(label)
    if kind == "total" and label.rstrip().endswith(("-", "–", "−")):  # "Total due - £10.00": in doubt, a minus
        found = tuple(msgspec.structs.replace(each, pence=-abs(each.pence)) for each in found)
    return Row(label.strip(), kind, found, line.text)


def _boxed(lines: Sequence[Line], at: int) -> Iterator[Row]:
    for cell in lines[at].cells:
        label = lines[at].said(cell)
        kind = kind_of(label)
        for other, place in below(lines, at, cell, 1) if kind in ("total", "subtotal", "tax") else ():
            found = tuple(amounts_in(other.said(place)))
            if len(found) == 1 and found[0].money:
                yield Row(label, kind, found, f"{label} {other.said(place)}")


def _words(label: str) -> set[str]:
    return set(_WORD.findall(label.casefold()))
