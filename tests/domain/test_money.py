"""Money, fees and yields: integers to the penny, and the figures of the source that bind (decisions rows 1-9)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import fees, money


@pytest.mark.parametrize(("face", "lines"), [
    (1_000_000, [2_000, 5_000, 1_500, 1_500]),
    (25_000_000, [50_000, 125_000, 1_500]),
    (1_214_285, [2_429, 6_071, 1_500]),
    (1_214_284, [2_429, 6_071, 1_500]),
    (50_001, [100, 250, 1_500, 8_150]),
    (1_892_000, [3_784, 9_460, 1_500]),
])
def test_fee_lines(face: int, lines: list[int]) -> None:
    """Tokenisation 0.20 %, settlement 0.50 %, scoring £15, and the top-up to £100 where the three fall short."""
    assert [line.pence for line in fees.platform_fee(face)] == lines
    assert fees.total(fees.platform_fee(face)) == sum(lines)


def test_the_canonical_fee_is_one_hundred_pounds() -> None:
    lines = fees.platform_fee(1_000_000)
    assert {line.code: money.pounds(line.pence) for line in lines} == {
        "TOKENISATION": "£20.00", "SETTLEMENT": "£50.00", "SCORING": "£15.00", "MINIMUM_FEE_TOP_UP": "£15.00"}
    assert fees.total(lines) == 10_000
    assert {line.code for line in lines if line.earned == "settlement"} == {"SETTLEMENT"}


def test_the_canonical_advance() -> None:
    discount = money.discount_pence(1_000_000, 240)
    assert discount == 24_000 and 1_000_000 - discount == 976_000
    assert 976_000 - fees.total(fees.platform_fee(1_000_000)) == 966_000


def test_the_advance_is_never_rounded_to_pounds() -> None:
    """Decisions row 9: £3,420 at 2.4 % is £3,337.92, at 2.6 % £3,331.08; the screen's £3,338.00 is neither."""
    assert 342_000 - money.discount_pence(342_000, 240) == 333_792
    assert 342_000 - money.discount_pence(342_000, 260) == 333_108


def test_the_canonical_slice_price_is_a_known_error_of_the_source() -> None:
    """Decisions row 5: £1,991.50 binds and means 2.596 %, shown as 2.60 %, where the source says 2.42 %.

    2.42 % is £1,992.0754: the row's formula floors it to £1,992.07, its text rounds it to £1,992.08.
    """
    assert money.yield_bps(199_150, 200_000, 60) == 260
    assert money.round_half_up((200_000 - 199_150) * 365 * 100_000, 199_150 * 60) == 2_596
    assert money.price_at_yield(200_000, 242, 60) == 199_207
    assert money.round_half_up(200_000 * 365 * 10_000, 365 * 10_000 + 242 * 60) == 199_208


def test_the_canonical_trading_fee() -> None:
    assert fees.trading_fee(199_150) == 797
    assert fees.trading_fee(124) == 0 and fees.trading_fee(125) == 1


def test_a_flat_discount_is_another_number_than_its_annual_yield() -> None:
    """Decisions row 6: 2.4 % flat over 60 days is 14.96 % a year on the advance."""
    assert money.yield_bps(976_000, 1_000_000, 60) == 1_496


@pytest.mark.parametrize(("price", "face", "days"), [(100, 100, 60), (90, 100, 0), (90, 100, -1), (0, 100, 60)])
def test_no_yield_where_there_is_none(price: int, face: int, days: int) -> None:
    assert money.yield_bps(price, face, days) == 0


@pytest.mark.parametrize(("numerator", "denominator", "rounded"), [
    (0, 10, 0), (4, 10, 0), (5, 10, 1), (14, 10, 1), (15, 10, 2), (25, 10, 3), (1, 3, 0), (2, 3, 1)])
def test_halves_round_up(numerator: int, denominator: int, rounded: int) -> None:
    assert money.round_half_up(numerator, denominator) == rounded


def test_pounds_for_people() -> None:
    assert [money.pounds(pence) for pence in (966_000, 7, -1_050, 0)] == ["£9,660.00", "£0.07", "-£10.50", "£0.00"]


@given(st.integers(50_001, 25_000_000), st.integers(0, 1_000))
@settings(max_examples=200, database=None, deadline=None)
def test_face_is_discount_fee_and_seller_cash(face: int, bps: int) -> None:
    discount, fee = money.discount_pence(face, bps), fees.total(fees.platform_fee(face))
    seller = face - discount - fee
    assert fee >= fees.CURRENT.minimum_platform_fee_pence and seller > 0
    assert seller + fee + discount == face


@given(st.integers(1, 25_000_000), st.integers(0, 3_000), st.integers(1, 365))
@settings(max_examples=200, database=None, deadline=None)
def test_a_price_at_a_yield_never_yields_less(face: int, bps: int, days: int) -> None:
    price = money.price_at_yield(face, bps, days)
    assert 0 <= price <= face
    if price:
        assert (face - price) * 365 * 10_000 >= bps * price * days
