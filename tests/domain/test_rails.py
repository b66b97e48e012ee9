"""Every reference we give out or write ourselves fits the rails, and one slip of the pen names nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import rails as r

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MADE = [r.trade_reference("trd_0123456789abcdef"), r.bill_reference("sub_1", "2026-06"), r.checked("FX-INV-23A4F")]


@pytest.mark.parametrize("made", MADE)
def test_a_slip_of_the_pen_names_nothing(made: str) -> None:
    """Every single character replaced, every two neighbours swapped."""
    assert r.is_checked(made)
    letters = [place for place, letter in enumerate(made) if letter != "-"]
    for place in letters:
        for other in LETTERS.replace(made[place], ""):
            assert not r.is_checked(made[:place] + other + made[place + 1:])
    for one, two in itertools.pairwise(letters):
        if made[one] != made[two]:
            swapped = list(made)
            swapped[one], swapped[two] = made[two], made[one]
            assert not r.is_checked("".join(swapped))


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=200, database=None, deadline=None)
def test_whatever_a_reference_is_made_of_the_rails_carry_it(seed: str) -> None:
    for made in (r.trade_reference(seed), r.bill_reference(seed, seed), r.fee_narration(r.trade_reference(seed))):
        assert r.carried(made)


@pytest.mark.parametrize("text", ["trd_0123456789abcdef", "FX-INV-23A4F FEE", "", "A" * 19, "fx-inv-23a4f", "A--B",
                                  "-A", "A-", "É", "A\n", "٣"])
def test_what_the_rails_do_not_carry(text: str) -> None:
    assert not r.carried(text)


def test_the_longest_invoices_fee_still_fits() -> None:
    assert r.carried("FX-INV-" + "Z" * 10) and r.carried(r.fee_narration("FX-INV-" + "Z" * 10))
