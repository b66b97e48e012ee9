"""Retired event versions: how the data of each becomes that of the version after it.

A released event never changes. When it must hold something else, the class takes the next tag (`noun.verb.2`) and this
table gets the step from the old one; the old golden file stays. Steps are pure, from JSON data to JSON data, and each
leads one version on, so that adding version 3 leaves the step from 1 to 2 alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from domain import credit

Data = dict[str, Any]


class Step(NamedTuple):
    """From a retired tag to the next one: `run` gets the stored data and returns the next version's."""

    to: str
    run: Callable[[Data], Data]


UPCASTS: Mapping[str, Step] = {
    "credit.received.1": Step("credit.received.2", credit.credit_received_2),
}
"""Retired tag -> the step to the version after it."""
