"""Reading foreign text takes time in proportion to it: every pattern, and the whole judgement, as the text grows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from providers.documents.judging import judge
from providers.documents.layout import Line, lines_of, plain_lines, word_of
from scripts.campaigns.malformed import FIELDS
from tests.house.test_foreign_text import PATTERNS

PIECES = ("1,111,", "1", "1.1", "1-", "1/", "£1,", "(£", "- ", " ", "a", "a ", "total ", "due ", "invoice no ",
          "vat ", "1 £1.00 ",
          "credit note ", "bill to ", "-", "(", "one of which ", "\u0301", "21 July ")
SIZES = (3_000, 12_000)
GROWTH = 3.0
"""Four times the text may take this much more than four times as long, for a busy machine; quadratic is 16 times."""


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_is_linear(name: str) -> None:
    for piece in PIECES:
        assert _grows_linearly(lambda text: sum(1 for _ in PATTERNS[name].finditer(text)), piece, str), repr(piece)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("shape", ["one word", "one line", "many lines"])
def test_the_whole_judgement_is_linear(piece: str, shape: str) -> None:
    shapes: dict[str, Callable[[str], list[Line]]] = {
        "one word": lambda text: lines_of([word_of(text.replace(" ", "_"), 0, 100)]), "one line": plain_lines,
        "many lines": lambda text: plain_lines("\n".join(text[at : at + 40] for at in range(0, len(text), 40)))}
    assert _grows_linearly(lambda lines: judge(lines, (), FIELDS), piece, shapes[shape])


def _grows_linearly(work: Callable[[Any], Any], piece: str, shaped: Callable[[str], Any]) -> bool:
    """Three tries: a machine with other work to do may be slow at any moment, but a quadratic pattern always is."""
    for _ in range(3):
        first, *_, last = (_time(work, shaped((piece * size)[:size])) for size in SIZES)
        if last < 0.02 or last < GROWTH * first * SIZES[-1] / SIZES[0]:
            return True
    return False


def _time(work: Callable[[Any], Any], given: Any) -> float:
    started = time.process_time()
    work(given)
    return time.process_time() - started
