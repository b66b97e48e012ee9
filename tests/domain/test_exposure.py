"""A lender's caps hold for one obligor and one originator, whatever is reserved, sold and settled in whatever order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from domain import exposure as e
from domain.base import Event, Refusal
from domain.invoice import OutsideAppetite
from tests.domain.scenario import Row, at, fold, given

NOW = at("2026-05-22T14:00")
RESERVED = e.ExposureReserved(invoice="FX-INV-1", obligor="sub_north", originator="sub_copper", pence=600)


def reserve(invoice: str = "FX-INV-2", **fields: Any) -> e.ReserveExposure:
    return msgspec.structs.replace(e.ReserveExposure(
        lender="sub_pennine", invoice=invoice, obligor="sub_north", originator="sub_copper", pence=400,
        max_obligor_pence=1_000, max_originator_pence=1_000), **fields)


REFUSED = [
    Row(OutsideAppetite, (RESERVED,), reserve(pence=401), NOW),
    Row(OutsideAppetite, (RESERVED,), reserve(max_obligor_pence=999), NOW),
    Row(OutsideAppetite, (RESERVED,), reserve(max_originator_pence=999), NOW),
    Row(OutsideAppetite, (RESERVED,), reserve(obligor="another", max_originator_pence=999), NOW),
    Row(OutsideAppetite, (RESERVED,), reserve(originator="another", max_obligor_pence=999), NOW),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_a_cap_is_reached_to_the_penny_and_others_do_not_count() -> None:
    expected = e.ExposureReserved(invoice="FX-INV-2", obligor="sub_north", originator="sub_copper", pence=400)
    given(RESERVED).when(reserve(), NOW).then(expected)
    given(RESERVED).when(reserve(obligor="b", originator="c", pence=1_000), NOW).decide()


def test_what_is_sold_settled_or_released_is_no_longer_at_risk() -> None:
    def reduce(pence: int | None) -> e.ReduceExposure:
        return e.ReduceExposure(lender="sub_pennine", invoice="FX-INV-1", pence=pence)

    sold = e.ExposureReduced(invoice="FX-INV-1", pence=200)
    given(RESERVED).when(reduce(200), NOW).then(sold)
    assert fold("exposure", (RESERVED, sold)).of_obligor("sub_north") == 400
    given(RESERVED, sold).when(reduce(None), NOW).then(e.ExposureReduced(invoice="FX-INV-1", pence=400))
    nothing: tuple[Event, ...] = ()
    given().when(reduce(None), NOW).then(*nothing)
    assert fold("exposure", (RESERVED, sold, e.ExposureReduced(invoice="FX-INV-1", pence=400))) == e.Exposure()


names = st.sampled_from(["a", "b"])


@for_all(st.lists(st.tuples(st.integers(1, 6), names, names, st.integers(1, 700), st.booleans()), max_size=30))
@settings(max_examples=200, database=None, deadline=None)
def test_no_history_passes_a_cap(steps: list[tuple[int, str, str, int, bool]]) -> None:
    history: list[Event] = []
    for number, obligor, originator, pence, reserves in steps:
        known = fold("exposure", history).receivables
        if reserves and f"FX-INV-{number}" not in known:
            command: Any = reserve(f"FX-INV-{number}", obligor=obligor, originator=originator, pence=pence)
        else:
            command = e.ReduceExposure(lender="sub_pennine", invoice=f"FX-INV-{number}", pence=pence)
        try:
            history += given(*history).when(command, NOW).decide()
        except Refusal:
            continue
        state = fold("exposure", history)
        for who in ("a", "b"):
            assert state.of_obligor(who) <= 1_000 and state.of_originator(who) <= 1_000
