"""The pricing policy: what a receivable would indicatively cost, and the bounds of what anybody may ask for it.

Source: `spec/decisions.md` rows 81 (grade and tenor band give basis points, versioned) and 105 (the seller's least
cash, capped bands). Basis points are flat for the whole tenor.
"""

from __future__ import annotations

import msgspec

from domain import fees, money

DISCOUNT_CAP_BPS = 500
"""No lender's band reaches beyond it: the sandbox's profile, as its band of face values is."""

LEAST_CASH_MARGIN_BPS = 100
"""How far beyond the indicative discount a seller who says nothing lets an offer go."""


class Policy(msgspec.Struct, frozen=True):
    """One version, named by the date it takes effect. Per grade: (longest tenor in days, basis points), ascending."""

    id: str = "2026-05-01"
    bands: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
        ("LOW", ((30, 210), (60, 240), (90, 270), (120, 300))),
        ("MEDIUM", ((30, 240), (60, 270), (90, 300), (120, 330))),
        ("HIGH", ((30, 300), (60, 330), (90, 360), (120, 390))),
    )


CURRENT = Policy()


def indicative_bps(grade: str, tenor_days: int, policy: Policy = CURRENT) -> int:
    """The band a tenor lies in; beyond the longest, the longest."""
    bands = dict(policy.bands)[grade]
    return next((bps for longest, bps in bands if tenor_days <= longest), bands[-1][1])


def cash_at(face_pence: int, bps: int) -> int:
    """What reaches the seller at a discount, after the platform's fees."""
    return face_pence - money.discount_pence(face_pence, bps) - fees.total(fees.platform_fee(face_pence))


def usual_least_cash(face_pence: int, indicative: int) -> int:
    """What a seller who says nothing takes at the least."""
    return cash_at(face_pence, indicative + LEAST_CASH_MARGIN_BPS)
