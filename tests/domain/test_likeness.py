"""The registry of documents: one claim for each invoice, none that is nearly another's and due in the same days."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from domain import likeness as k
from domain.likeness import NEAR_BITS, NEAR_DAYS, bits_apart
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given

NOW = at("2026-05-22T14:00")
DUE = date(2026, 7, 21)
ONE = "00000000000000ff"
CLAIM = k.ClaimLikeness(registry="l1", invoice="FX-INV-1", likeness=ONE, due_on=DUE)
OTHER = msgspec.structs.replace(CLAIM, invoice="FX-INV-2")
RELEASE = k.ReleaseLikeness(registry="l1", invoice="FX-INV-1")
CLAIMED = k.LikenessClaimed(invoice="FX-INV-1", likeness=ONE, due_on=DUE)
PATH = [Step(CLAIM, NOW, (CLAIMED,)), Step(RELEASE, NOW, (k.LikenessReleased(invoice="FX-INV-1"),))]
REFUSED = [
    Row(k.LikenessTaken, (CLAIMED,), OTHER, NOW), Row(k.LikenessNotHeld, (), RELEASE, NOW),
    Row(k.LikenessNotHeld, (CLAIMED,), k.ReleaseLikeness(registry="l1", invoice="FX-INV-2"), NOW)]


def flipped(bits: int) -> str:
    return f"{int(ONE, 16) ^ ((1 << bits) - 1) << 20:016x}"


def test_golden_path_and_its_order() -> None:
    check_path(PATH)
    check_order(PATH, allowed={(1, 0), (2, 0)})


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


@pytest.mark.parametrize(("bits", "days", "near"), [
    (0, 0, True), (NEAR_BITS, 0, True), (NEAR_BITS + 1, 0, False), (0, NEAR_DAYS - 1, True), (0, 1 - NEAR_DAYS, True),
    (0, NEAR_DAYS, False), (32, 0, False)])
def test_what_is_near(bits: int, days: int, near: bool) -> None:
    """A retainer billed every week is due a week later each time; other work reads otherwise."""
    assert bits_apart(ONE, flipped(bits)) == bits
    known = fold("likeness", [CLAIMED])
    assert known.near("FX-INV-2", flipped(bits), DUE + timedelta(days=days)) == ("FX-INV-1" if near else None)
    assert known.near("FX-INV-1", flipped(bits), DUE + timedelta(days=days)) is None


def test_what_is_released_may_come_again_and_several_unlike_ones_stand_together() -> None:
    released = k.LikenessReleased(invoice="FX-INV-1")
    again = k.LikenessClaimed(invoice="FX-INV-2", likeness=ONE, due_on=DUE)
    given(CLAIMED, released).when(OTHER, NOW).then(again)
    unlike = msgspec.structs.replace(OTHER, likeness=flipped(30))
    given(CLAIMED).when(unlike, NOW).then(msgspec.structs.replace(again, likeness=flipped(30)))
    given(CLAIMED).when(CLAIM, NOW).then()
