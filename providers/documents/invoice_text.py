"""What the text of an invoice says: names, reference, dates, money lines. Pure functions on strings."""

import hashlib
import re
from datetime import date
from decimal import Decimal

import msgspec

_MONEY = r"(?:£|GBP)?\s?(\d{1,3}(?:,\d{3})+\.\d{2}|\d+\.\d{2})"
_ENDS_IN_MONEY = re.compile(_MONEY + r"\s*(?:GBP)?$")
_PRICED = re.compile(r"(?<![\d.,])(\d+(?:\.\d+)?)\s+" + _MONEY + r"\s+" + _MONEY + r"$")
_SUBTOTAL = re.compile(
    r"\b(sub-?\s?total|net (?:amount|total)|total (?:net|ex(?:cl?(?:uding)?)?\.? vat))\b", re.I
)
_TAX = re.compile(r"^\s*(?:vat|tax|value added tax)\b", re.I)
_TOTAL = re.compile(r"\b(total|amount due|balance due|amount payable|to pay)\b", re.I)
_HEADING = re.compile(r"\bdescription\b.*\bamount\b|\bitem\b.*\b(?:amount|total)\b", re.I)

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_DAY_FIRST = re.compile(r"\b(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})\b")
_YEAR_FIRST = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_IN_WORDS = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)?\s+([A-Za-z]{3,9})\.?,?\s+(\d{4})\b")
_DUE = re.compile(r"\b(due|pay(?:able)? by|payment date)\b", re.I)

_LEGAL_FORMS = {"limited": "ltd", "company": "co", "and": "&"}


class Money(msgspec.Struct, frozen=True):
    """The money on an invoice, in pence. `wrong` quotes lines whose quantity × price is not their amount."""

    items: tuple[int, ...]
    subtotal: int | None
    tax: int | None
    total: int | None
    wrong: tuple[str, ...]


def money(text: str) -> Money:
    lines = [line.strip() for line in text.splitlines()]
    start = next((index + 1 for index, line in enumerate(lines) if _HEADING.search(line)), 0)
    items: list[int] = []
    wrong: list[str] = []
    subtotal = tax = total = None
    for line in lines[start:]:
        found = _ENDS_IN_MONEY.search(line)
        if not found:
            continue
        pence = _pence(found[1])
        if _SUBTOTAL.search(line):
            subtotal = pence
        elif _TAX.search(line):
            tax = (tax or 0) + pence
        elif _TOTAL.search(line):
            total = pence
        elif subtotal is None and tax is None and total is None:
            items.append(pence)
            priced = _PRICED.search(line)
            if priced and Decimal(priced[1]) * _pence(priced[2]) != pence:
                wrong.append(line[:80])
    return Money(tuple(items), subtotal, tax, total, tuple(wrong))


def says_name(text: str, name: str) -> bool:
    wanted = _words(name)
    return bool(wanted) and f" {wanted} " in f" {_words(text)} "


def says_reference(text: str, reference: str) -> bool:
    """Case, spaces and hyphens do not matter; what stands next to it does: CG-2026-11 is not CG-2026-114."""
    pieces = re.findall(r"[a-z0-9]+", reference.casefold())
    return bool(pieces) and bool(
        re.search(r"(?<![a-z0-9])" + r"[\s\-/.]*".join(pieces) + r"(?![a-z0-9])", text.casefold())
    )


def due_dates(text: str) -> set[date]:
    """Dates on lines that speak of being due; any date at all when no line does."""
    due = {day for line in text.splitlines() if _DUE.search(line) for day in _dates(line)}
    return due or _dates(text)


def fingerprint(text: str) -> str:
    """Simhash over three-word runs, 64 bits: each run votes on every bit, so a small edit moves few of
    them.
    """
    words = _words(text).split()
    runs = {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}
    votes = [0] * 64
    for run in runs:
        bits = int.from_bytes(hashlib.sha256(run.encode()).digest()[:8], "big")
        for at in range(64):
            votes[at] += 1 if bits >> at & 1 else -1
    return f"{sum(1 << at for at in range(64) if votes[at] > 0):016x}"


def _words(text: str) -> str:
    plain = text.casefold().replace("public limited company", "plc")
    return " ".join(_LEGAL_FORMS.get(word) or word for word in re.findall(r"[^\W_]+|&", plain))


def _pence(amount: str) -> int:
    return int(Decimal(amount.replace(",", "")) * 100)


def _dates(text: str) -> set[date]:
    found = [(int(y), int(m), int(d)) for d, m, y in _DAY_FIRST.findall(text)]
    found += [(int(y), int(m), int(d)) for y, m, d in _YEAR_FIRST.findall(text)]
    for day, month, year in _IN_WORDS.findall(text):
        named = [at for at, name in enumerate(_MONTHS, 1) if name.startswith(month.casefold())]
        found += [(int(year), at, int(day)) for at in named[:1]]
    return {each for parts in found if (each := _date(*parts))}


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
