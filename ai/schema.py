"""The signals the agent may look at: what each one means, which way it points, and the law it rests on.

The order is the order of the row. A model names the hash of this registry, so that a row is never read under
another meaning than the one it was written with. Changing anything here calls for a new model version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ai import canonical

MISSING = -(2**31)
"""No answer is on the log: the smallest int32, below every value and in a bin of its own."""

INT32_MAX = 2**31 - 1
SATURATED = INT32_MAX - 1

HIGHER_RISK_SIC = ("41100", "46720", "64999", "92000")
"""The agent's own copy of the rule list: changing the rules must not change what an old row meant."""


class FeatureSpec(msgspec.Struct, frozen=True, kw_only=True):
    """`monotone` is +1 where more means more risk, -1 where it means less, 0 where it may go either way.

    `actionable` says whether the customer can change it, and so whether a counterfactual may use it.
    """

    name: str
    meaning: str
    anchor: str
    monotone: Literal[-1, 0, 1]
    actionable: bool = False
    low: int = 0
    high: int = SATURATED
    missing: int = MISSING
    parameters: tuple[str, ...] = ()

    def saturate(self, value: int) -> int:
        return min(max(value, self.low), self.high)


FEATURES: tuple[FeatureSpec, ...] = (
    FeatureSpec(
        name="company_age_days", monotone=-1, anchor="MLR 2017 reg. 28",
        meaning="days from incorporation, as the register gives it, to the last event seen",
    ),
    FeatureSpec(
        name="identity_referred", monotone=1, actionable=True, high=1, anchor="MLR 2017 reg. 28",
        meaning="1 when the open file's identity check was not a clean pass",
    ),
    FeatureSpec(
        name="screening_hit", monotone=1, high=1, anchor="SAMLA 2018",
        meaning="1 when the open file's screening gave a possible match",
    ),
    FeatureSpec(
        name="higher_risk_sic", monotone=1, high=1, anchor="MLR 2017 reg. 33", parameters=HIGHER_RISK_SIC,
        meaning="1 when a registered industry code is one of the parameters",
    ),
    FeatureSpec(
        name="turnover_pence", monotone=-1, anchor="MLR 2017 reg. 28(13)",
        meaning="last declared turnover of twelve months, saturated at the largest int32 less one",
    ),
    FeatureSpec(
        name="onboarding_files", monotone=-1, anchor="MLR 2017 reg. 28(13)",
        meaning="onboarding files submitted, the first and every refresh",
    ),
    FeatureSpec(
        name="refresh_overdue_days", monotone=1, actionable=True, anchor="MLR 2017 reg. 28(11)",
        meaning="whole days by which the last event seen lies past the due date of the refresh",
    ),
    FeatureSpec(
        name="invoices_submitted", monotone=0, anchor="MLR 2017 reg. 28(11)",
        meaning="invoices the seller submitted",
    ),
    FeatureSpec(
        name="invoices_rejected", monotone=1, actionable=True, anchor="Fraud Act 2006",
        meaning="the seller's invoices rejected by examination or as duplicates",
    ),
    FeatureSpec(
        name="invoices_settled", monotone=-1, actionable=True, anchor="MLR 2017 reg. 28(13)",
        meaning="the seller's invoices that were paid in full and settled",
    ),
    FeatureSpec(
        name="rule_grade", monotone=1, high=2, anchor="MLR 2017 reg. 18",
        meaning="the open file's grade by rule: 0 LOW, 1 MEDIUM, 2 HIGH",
    ),
)

NAMES = tuple(feature.name for feature in FEATURES)
INDEX = {name: column for column, name in enumerate(NAMES)}
HASH = canonical.sha256(FEATURES)


class BadRow(ValueError):
    """A row that no fold under this schema could have produced."""


def check_row(row: Sequence[int]) -> None:
    if len(row) != len(FEATURES):
        raise BadRow(f"a row has {len(FEATURES)} values, not {len(row)}")
    for feature, value in zip(FEATURES, row, strict=True):
        if type(value) is not int:
            raise BadRow(f"{feature.name} is a {type(value).__name__}, not an integer")
        if value != feature.missing and not feature.low <= value <= feature.high:
            raise BadRow(f"{feature.name} = {value} lies outside {feature.low}..{feature.high}")
