"""The price book: what the platform charges, line by line, in integer pence.

Source: seeds 000 §6 (fee table) and `spec/decisions.md` rows 1-3: tokenisation 0.20 %, settlement 0.50 % (kept at
funding, earned at settlement), scoring £15.00, and a tenant minimum booked as its own line.
"""

from __future__ import annotations

import msgspec

from domain.money import share_ppm


class PriceBook(msgspec.Struct, frozen=True):
    """One version of the prices, named by the date it takes effect."""

    id: str = "2026-05-01"
    tokenisation_ppm: int = 2_000
    settlement_ppm: int = 5_000
    scoring_pence: int = 1_500
    minimum_platform_fee_pence: int = 10_000
    listing_pence: int = 15_000
    trading_ppm: int = 4_000


CURRENT = PriceBook()


class FeeLine(msgspec.Struct, frozen=True):
    code: str
    pence: int
    earned: str
    """When it becomes income: `funding` or `settlement`."""
    price_book: str


def platform_fee(
    face_pence: int, book: PriceBook = CURRENT, accrued: FeeLine | None = None
) -> tuple[FeeLine, ...]:
    """The seller's fee lines for one invoice; their sum is what the advance is reduced by.

    `accrued` is the tokenisation fee booked at the mint: funding collects exactly that, so that the two cancel even
    when the prices changed in between (decisions row 3).
    """
    lines = [
        accrued or FeeLine("TOKENISATION", share_ppm(face_pence, book.tokenisation_ppm), "funding", book.id),
        FeeLine("SETTLEMENT", share_ppm(face_pence, book.settlement_ppm), "settlement", book.id),
        FeeLine("SCORING", book.scoring_pence, "funding", book.id),
    ]
    top_up = book.minimum_platform_fee_pence - total(lines)
    if top_up > 0:
        lines.append(FeeLine("MINIMUM_FEE_TOP_UP", top_up, "funding", book.id))
    return tuple(lines)


def trading_fee(price_pence: int, book: PriceBook = CURRENT) -> int:
    return share_ppm(price_pence, book.trading_ppm)


def total(lines: tuple[FeeLine, ...] | list[FeeLine]) -> int:
    return sum(line.pence for line in lines)
