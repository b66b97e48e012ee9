"""Holds: what waits for a subject stands under it, once each, and is let go together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain import holds as h
from tests.domain.scenario import Row, at, fold, given

NOW, COPPER = at("2026-05-22T14:00"), "sub_copper"
ADVANCE: dict[str, Any] = {"step": h.PAYMENT, "reference": "FX-INV-23A4F/advance", "resource": "FX-INV-23A4F",
                           "pence": 966_000, "reason": "payee_barred"}
HOLD = h.HoldStep(subject=COPPER, **ADVANCE)
MINT = msgspec.structs.replace(HOLD, step=h.MINT, reference="FX-INV-23A4G", pence=0)
HELD = h.StepHeld(**ADVANCE)
MINT_HELD = h.StepHeld(step=h.MINT, reference="FX-INV-23A4G", resource="FX-INV-23A4F", pence=0, reason="payee_barred")
LET_GO = h.ReleaseSteps(subject=COPPER)
RELEASED = (h.StepReleased(step=h.PAYMENT, reference="FX-INV-23A4F/advance"),
            h.StepReleased(step=h.MINT, reference="FX-INV-23A4G"))

REFUSED = [
    Row(h.StepIsHeld, (HELD,), HOLD, NOW),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_what_is_held_is_let_go_together_and_may_be_held_again() -> None:
    given().when(HOLD, NOW).then(HELD)
    given(HELD).when(MINT, NOW).then(MINT_HELD)
    given(HELD, MINT_HELD).when(LET_GO, NOW).then(*RELEASED)
    given(HELD, MINT_HELD, *RELEASED).when(HOLD, NOW).then(HELD)
    given(HELD, *RELEASED).when(LET_GO, NOW).then()
    assert fold("holds", (HELD, MINT_HELD, *RELEASED)) == h.Holds()
