"""Reservations of one lender that race, against the real log: the caps hold, and what fits gets in."""

from __future__ import annotations

import threading

import pytest

from domain.base import Refusal
from domain.exposure import EXPOSURE, ReduceExposure, ReserveExposure
from domain.platform import ClaimFingerprint
from tests.processes.conftest import Works
from tests.projections.story import context

CAP, EACH, LENDERS = 1_000, 300, ("sub_a", "sub_b")


@pytest.mark.parametrize("seed", range(3))
def test_a_cap_that_three_fit_admits_three_of_twenty(works: Works, seed: int) -> None:
    """Each reservation is one append with another aggregate's, as the API's is with the invoice's."""
    won: list[tuple[str, str]] = []
    begin = threading.Barrier(20)

    def reserve(lender: str, number: int) -> None:
        invoice = f"FX-INV-{seed}{number:03d}"
        command = ReserveExposure(lender=lender, invoice=invoice, obligor="sub_north", originator=f"sub_{number % 5}",
                                  pence=EACH, max_obligor_pence=CAP, max_originator_pence=CAP)
        begin.wait()
        try:
            works.store.execute(ClaimFingerprint(fingerprint=f"{lender}{invoice}", invoice=invoice), command,
                                context=context(), key=f"race:{lender}:{invoice}")
            won.append((lender, invoice))
        except Refusal as refused:
            assert refused.code == "outside_appetite", refused

    threads = [threading.Thread(target=reserve, args=(LENDERS[number % 2], number)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lender in LENDERS:
        assert works.store.load(EXPOSURE, lender).of_obligor("sub_north") == 3 * EACH
        assert sum(who == lender for who, _ in won) == 3

    lender, invoice = won[0]
    works.store.execute(ReduceExposure(lender=lender, invoice=invoice), context=context(), key=f"sold:{seed}")
    assert works.store.load(EXPOSURE, lender).of_obligor("sub_north") == 2 * EACH
