"""A page's words by where they stand: lines, and in each line the cells that a wide gap keeps apart.

What belongs together on an invoice stands side by side or one below the other, so every reader here asks for places,
not only for the order of the words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise

import msgspec

from domain.forms import composed

LONGEST_WORD = 80
"""No name, number or date is longer; what is, is cut, so that no reader meets more."""

BLANK = 3.0
"""Lines whose feet are further apart than this many times the upper one's height do not belong together."""

LONGEST_LINE = 150
"""Words; a printed line has some thirty."""

GAP = 0.9
"""Words further apart than this part of their height stand in two cells."""


class Word(msgspec.Struct, frozen=True):
    """`x0`, `x1`, `bottom` and `height` in points; `page` from 0."""

    text: str
    x0: float
    x1: float
    page: int = 0
    bottom: float = 0.0
    height: float = 10.0


class Span(msgspec.Struct, frozen=True):
    """A stretch of a line: `start` and `end` in its text, `x0` and `x1` on the page."""

    start: int
    end: int
    x0: float
    x1: float

    def overlaps(self, other: Span) -> bool:
        return self.x0 < other.x1 and other.x0 < self.x1


class Line(msgspec.Struct, frozen=True, dict=True):
    words: tuple[Word, ...]

    @cached_property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [], 0
        for word in self.words:
            starts.append(at)
            at += len(word.text) + 1
        return starts

    def span(self, start: int, end: int) -> Span:
        """Where the words stand that the characters from `start` to `end` belong to."""
        inside = [word for word, at in zip(self.words, self._starts, strict=True)
                  if at < end and at + len(word.text) > start]
        return Span(start, end, inside[0].x0 if inside else 0.0, inside[-1].x1 if inside else 0.0)

    @cached_property
    def cells(self) -> tuple[Span, ...]:
        cells: list[Span] = []
        for at, (word, start) in enumerate(zip(self.words, self._starts, strict=True)):
            end = start + len(word.text)
            if at and word.x0 - self.words[at - 1].x1 <= GAP * word.height:
                cells[-1] = Span(cells[-1].start, end, cells[-1].x0, word.x1)
            else:
                cells.append(Span(start, end, word.x0, word.x1))
        return tuple(cells)

    def between(self, start: int, end: int) -> Line:
        return Line(tuple(word for word, at in zip(self.words, self._starts, strict=True) if start <= at < end))

    def said(self, span: Span) -> str:
        return self.text[span.start : span.end]


def lines_of(words: Iterable[Word]) -> list[Line]:
    """Words whose feet stand on one height are a line; lines in reading order, words from left to right."""
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda word: (word.page, word.bottom, word.x0)):
        first = lines[-1][0] if lines else None
        if first and word.page == first.page and word.bottom - first.bottom <= 0.35 * max(word.height, first.height):
            lines[-1].append(word)
        else:
            lines.append([word])
    return [Line(tuple(sorted(line, key=lambda word: word.x0)[:LONGEST_LINE])) for line in lines]


def plain_lines(text: str) -> list[Line]:
    """A text's own lines, each character five points wide; two spaces or more stand between cells."""
    lines = []
    for row, written in enumerate(text.splitlines()):
        at, words = 0, []
        for piece in written.split(" "):
            if piece:
                words.append(word_of(piece, 5.0 * at, 5.0 * (at + len(piece)), bottom=12.0 * row, height=6.0))
            at += len(piece) + 1
        if words:
            lines.append(Line(tuple(words[:LONGEST_LINE])))
    return lines


def word_of(text: str, x0: float, x1: float, *, page: int = 0, bottom: float = 0.0, height: float = 10.0) -> Word:
    """Composed (NFC), so that an accent is never a character of its own; without what has no shape."""
    seen = "".join(letter for letter in composed(text[:LONGEST_WORD])
                   if unicodedata.category(letter) not in ("Cc", "Cf", "Zl", "Zp"))
    return Word(seen, x0, x1, page, bottom, height)


def below(lines: Sequence[Line], at: int, span: Span, reach: int) -> list[tuple[Line, Span]]:
    """The cells under a place in line `at`, nearest first, at most `reach` lines down and not across a wide blank."""
    found: list[tuple[Line, Span]] = []
    for above, line in pairwise(lines[at : at + 1 + reach]):
        if above.words[0].page != line.words[0].page or (
                line.words[0].bottom - above.words[0].bottom > BLANK * above.words[0].height):
            break
        found += [(line, cell) for cell in line.cells if cell.overlaps(span)]
    return found
