"""Whose invoice it is: a name is a whole cell of the document, or a part of one that punctuation sets apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile, zip_longest

from domain.party import same_name
from providers.documents.layout import Line, Span, below

LONGEST_NAME = 160
PIECES = 4
BLOCK = 4
"""Lines of an address under "Bill to"."""

_LABEL = re.compile(r"(?:(?:bill(?:ed)?|invoiced?|sold|payable|pay|made payable|ship|deliver) to|to|from|for"
                    r"|customer|client|buyer|seller|supplier|account name|issued by|on behalf of) ", re.I)
_ADDRESSED = re.compile(r"(?:(?:bill(?:ed)?|invoiced?|sold) to|customer(?: name)?|client(?: name)?|buyer|to)(?: ?: ?|$)"
                        r"|(?:bill(?:ed)?|invoiced?|sold) to ", re.I)
_ELSEWHERE = re.compile(
    r"(?:ship(?:ped)?|deliver(?:ed|y)?|site|remit|pay(?:able)?|from)(?: to| address)?(?: ?:|$)", re.I)
_BREAK = re.compile(r"[,;|•·:()]| [-–—/] ")


def names(lines: Sequence[Line], name: str) -> bool:
    """Whether a whole name among these lines is this one; a name may run on into the next line."""
    return any(same_name(said, name) for at, line in enumerate(lines) for cell in line.cells
               for said in _readings(lines, at, cell))


def addressed_to(lines: Sequence[Line]) -> list[list[Line]]:
    """What stands beside and below each "Bill to": the addressee's name and address, a list of lines for each."""
    found: list[list[Line]] = []
    for at, line in enumerate(lines):
        for cell, right in zip_longest(line.cells, line.cells[1:]):
            if label := _ADDRESSED.match(line.said(cell)):
                alone = cell.start + label.end() >= cell.end
                column = right if alone and right else cell
                beside = line.between(column.start if alone else cell.start + label.end(), column.end)
                block = [] if column is cell and alone else [beside]
                under = below(lines, at, column, BLOCK)
                block += [other.between(each.start, each.end) for other, each in takewhile(_goes_on, under)]
                if block:
                    found.append(block)
    return found


def _goes_on(place: tuple[Line, Span]) -> bool:
    line, cell = place
    return not _ELSEWHERE.match(line.said(cell))


def _readings(lines: Sequence[Line], at: int, cell: Span) -> Iterator[str]:
    said = lines[at].said(cell)
    if len(said) > LONGEST_NAME:
        return
    yield from _pieces(said)
    for line, under in below(lines, at, cell, 1)[:1]:
        yield f"{said} {line.said(under)}"[:LONGEST_NAME]


def _pieces(said: str) -> Iterator[str]:
    """The whole, without the word that introduces it, and each run of up to four parts between punctuation."""
    label = _LABEL.match(said)
    yield from (said, said[label.end() :]) if label else (said,)
    breaks = [each.span() for each in _BREAK.finditer(said)]
    starts, ends = [0, *(end for _, end in breaks)], [*(start for start, _ in breaks), len(said)]
    for first, start in enumerate(starts):
        for end in ends[first : first + PIECES]:
            if 0 < len(piece := said[start:end].strip()) < len(said):
                yield piece
