"""A few orders of the frozen-payee campaign (`make campaign-frozen-payee`): every kind of payment of one life."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.campaigns.frozen_life import lived
from scripts.campaigns.frozen_payee import LIFE, Campaign

pytestmark = pytest.mark.long

SEED = 4
"""Kills the platform twice, and has every other blow as well."""


@pytest.mark.timeout(240)
def test_nobody_is_paid_while_frozen_and_everybody_once_afterwards(
    empty_database: Callable[..., str], tmp_path: Path
) -> None:
    with lived(tmp_path, empty_database()) as life:
        figures = Campaign(life, SEED).run(len(LIFE))
    assert figures.wrong == [] and figures.faults == 0
    assert figures.orders_run == len(LIFE) and figures.freezes >= len(LIFE)
    assert figures.held > 0 and figures.kills > 0
