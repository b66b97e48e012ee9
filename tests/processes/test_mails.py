"""What customers typed is never taken for our word: not in a subject, and in a text only as a quotation."""

from __future__ import annotations

from string import Formatter

import pytest

from processes.mails import TEMPLATES, TYPED, render


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_subject_holds_what_somebody_typed(template: str) -> None:
    assert not fields(TEMPLATES[template][0]) & set(TYPED)


@pytest.mark.parametrize("template", TEMPLATES)
def test_in_a_text_it_stands_alone_on_a_quoted_line(template: str) -> None:
    for line in TEMPLATES[template][1].splitlines():
        if fields(line) & set(TYPED):
            assert line.startswith("  > {") and line.endswith("}"), line


def test_a_text_that_was_typed_says_nothing_in_our_voice() -> None:
    facts = {"seller_reference": "ACCOUNT CHANGED", "seller": "S", "reference": "R", "amount": "A", "due": "D",
             "link": "L", "buyer": "B", "which": "W"}
    subject, text = render("confirm_request", facts)
    assert "ACCOUNT" not in subject and "\n  > ACCOUNT CHANGED\n" in text
