"""When the invoice says it is due."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import msgspec

from providers.documents.layout import Line, Span

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_DAY_FIRST = re.compile(r"(?<![\d/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![/.-]?\d)")
_YEAR_FIRST = re.compile(r"(?<![\d/.-])(\d{4})([/-])(\d{1,2})\2(\d{1,2})(?![/.-]?\d)")
_IN_WORDS = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?(?: of)?[ /.-]([a-z]{3,9})[.,]{0,2}[ /-]?'?(\d{4}|\d{2})(?!\d)", re.I)
_MONTH_FIRST = re.compile(r"(?<![a-z])([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})(?!\d)", re.I)

_LABEL = re.compile(
    r"(?<![a-z])(?:"
    r"(?P<due>date due|(?:payment |total |amount |balance )?due(?: date| on| by| for payment| before)?"
    r"|(?:please )?pa(?:y|id|yable|yment)(?: \w{1,10})?(?: on or before| no later than| before| by| date)"
    r"|settle(?:ment)?(?: date| by))"
    r"|(?:invoice|issue|tax|order|supply|delivery|despatch|dispatch|completion|print|start|end)? ?(?:date|point)"
    r"|date of (?:issue|invoice|supply)|dated|issued(?: on)?|delivered|completed|ordered|sort code|account no"
    r"|expir(?:y|es)|valid until|period|week(?: ending)?|month(?: ending)?"
    r")(?![a-z])", re.I)  # fmt: skip
_TERMS = re.compile(
    r"(?:within|terms|net|payment|pay|due)(?: \w{1,12}| ?:){0,4} (\d{1,3}) days|"
    r"(?<!\d)(\d{1,3}) days?'? (?:net|terms|from (?:the )?(?:invoice|date of invoice))", re.I)

ABOVE = 3
"""A date's label may stand so many lines above it."""


class Found(msgspec.Struct, frozen=True):
    day: date
    span: Span


class _Labelled(msgspec.Struct, frozen=True):
    span: Span
    due: bool


def due_dates(lines: Sequence[Line]) -> set[date]:
    """Dates that are called due; without any, what the terms make of the invoice's date, or the dates that stand
    there without a name."""
    due: set[date] = set()
    issued: set[date] = set()
    unnamed: set[date] = set()
    for at, line in enumerate(lines):
        for found in dates_in(line):
            label = _label_of(lines, at, found.span)
            (unnamed if label is None else due if label.due else issued).add(found.day)
    if due:
        return due
    days = {int(each[1] or each[2]) for line in lines for each in _TERMS.finditer(line.text)}
    if len(days) == 1 and len(issued) == 1:
        return {issued.pop() + timedelta(days=days.pop())}
    return unnamed


def dates_in(line: Line) -> list[Found]:
    return [Found(day, line.span(start, end)) for day, start, end in sorted(_dates(line.text), key=lambda it: it[1])]


def _label_of(lines: Sequence[Line], at: int, place: Span) -> _Labelled | None:
    """The nearest label to its left on its line; else the one above it."""
    before = [label for label in _labels(lines[at]) if label.span.end <= place.start]
    if before:
        return before[-1]
    for line in reversed(lines[max(0, at - ABOVE) : at]):
        over = [label for label in _labels(line) if _column(line, label.span).overlaps(place)]
        if over:
            return min(over, key=lambda label: abs(label.span.x0 - place.x0))
    return None


def _column(line: Line, label: Span) -> Span:
    """The label's cell, if the label is all there is in it: a date may stand under any part of that."""
    for cell in line.cells:
        if cell.start <= label.start and label.end <= cell.end:
            return cell if len(_LABEL.findall(line.said(cell))) == 1 else label
    return label


def _labels(line: Line) -> list[_Labelled]:
    return [_Labelled(line.span(*label.span()), label["due"] is not None) for label in _LABEL.finditer(line.text)]


def _dates(text: str) -> Iterator[tuple[date, int, int]]:
    for each in _DAY_FIRST.finditer(text):
        yield from _date(each, each[4], int(each[3]), each[1])
    for each in _YEAR_FIRST.finditer(text):
        yield from _date(each, each[1], int(each[3]), each[4])
    for each in _IN_WORDS.finditer(text):
        yield from _date(each, each[3], _month(each[2]), each[1])
    for each in _MONTH_FIRST.finditer(text):
        yield from _date(each, each[3], _month(each[1]), each[2])


def _month(name: str) -> int:
    return next((at for at, month in enumerate(_MONTHS, 1) if month.startswith(name.casefold())), 0)


def _date(found: re.Match[str], year: str, month: int, day: str) -> Iterator[tuple[date, int, int]]:
    try:
        yield date(int(year) + (2000 if len(year) == 2 else 0), month, int(day)), *found.span()
    except ValueError:
        return  # the 31st of June
