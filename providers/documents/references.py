"""The invoice's own number, as the document gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import msgspec

from domain.reference import reference_key
from providers.documents.dates import dates_in
from providers.documents.layout import Line, below

LONGEST = 60
BELOW = 2

_LABEL = re.compile(
    r"(?<![a-z])(?:"
    r"(?P<other>(?:your|customer|client|purchase|sales|job|account|order|delivery|vat|company|project|contract"
    r"|registration|supplier|p\.?o\.?) (?:order )?(?:no|num|number|nr|ref|reference|id|code)(?![a-z])|purchase order"
    r"|invoice (?:date|to|total|amount|address|period|for|from)(?![a-z])|vat reg)"
    r"|(?P<own>(?:tax |vat |sales )?inv(?:oice)?\.? ?(?:no|num|number|nr|ref|reference|id)(?![a-z])|invoice ?#(?!\w))"
    r"|(?P<title>(?:tax |vat |sales )?invoice(?![a-z]))"
    r"|(?P<weak>(?:our |document |payment )?(?:reference|ref)(?: no| number)?(?![a-z])|quot(?:e|ing)(?![a-z]))"
    r")[.:#]{0,2} ?[:#-]? ?", re.I)  # fmt: skip
_MONEY = re.compile(r"(?:[£$€]|GBP ?)\d[\d,]{0,15}(?:\.\d\d)?"
                    r"|(?<![\w.,-])\d{1,3}(?:,\d{3}){1,3}(?:\.\d\d)?(?![\w-])")
_DIGIT = re.compile(r"[0-9]")
_LEADING = re.compile(r"[\w/-]{1,6}")
_JOIN = frozenset("-–/._#")


class _Number(msgspec.Struct, frozen=True):
    written: str
    strength: str


def references(lines: Sequence[Line]) -> list[str]:
    """What the document calls its invoice number; else what follows its title; else what it asks to be quoted."""
    numbers = [number for at in range(len(lines)) for number in _numbers(lines, at)]
    for strength in ("own", "title", "weak"):
        if found := [number.written for number in numbers if number.strength == strength]:
            return list(dict.fromkeys(found))
    return []


def is_reference(typed: str, written: Sequence[str]) -> bool:
    """The whole number, however it is spelled: `CG` and `114` are not CG-2026-114."""
    key = reference_key(typed)
    return bool(key) and key in {reference_key(each) for each in written}


def _numbers(lines: Sequence[Line], at: int) -> Iterator[_Number]:
    line = lines[at]
    labels = list(_LABEL.finditer(line.text))
    for label, following in zip_longest(labels, labels[1:]):
        strength = label.lastgroup or "other"
        if strength == "other":
            continue
        end = following.start() if following else len(line.text)
        written = _first(line, label.end(), end, plain=strength != "own")
        if not written and strength == "own":
            place = line.span(label.start(), label.end())
            under = (_first(other, cell.start, cell.end, plain=False) for other, cell in below(lines, at, place, BELOW))
            written = next(filter(None, under), "")
        if written:
            yield _Number(written, strength)


def _first(line: Line, start: int, end: int, *, plain: bool) -> str:
    """The number that begins here: in the rest of this cell, or where that is empty in the next one. `plain`: at once,
    without words before it."""
    blank = _without_dates_and_money(line)
    for cell in line.cells:
        said = blank[max(start, cell.start) : min(end, cell.end)].strip(" :#-")
        if said and cell.end > start:
            return _run(said.split(" "), plain)
    return ""


def _run(words: Sequence[str], plain: bool) -> str:
    """Words up to the first one without a digit once there was one: `CG 2026 114`, `INV 1001`, `CG - 2026 - 114`."""
    run: list[str] = []
    for word in words:
        has_digit = _DIGIT.search(word) is not None
        begun = any(_DIGIT.search(each) for each in run)
        leads = not begun and len(run) < 2 and _LEADING.fullmatch(word) and (word.isupper() or not plain)
        if "|" in word or len(word) > LONGEST or not (has_digit or set(word) <= _JOIN or leads):
            break
        run.append(word)
    written = " ".join(run).strip(" .,;:-–/")
    return written[:LONGEST] if _DIGIT.search(written) else ""


def _without_dates_and_money(line: Line) -> str:
    """What is certainly no number of an invoice is a break; every other character stays in its place."""
    text = line.text
    spans = [(found.span.start, found.span.end) for found in dates_in(line)]
    for start, end in [*spans, *(each.span() for each in _MONEY.finditer(text))]:
        text = text[:start] + "|" * (end - start) + text[end:]
    return text
