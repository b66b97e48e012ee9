"""Integer money: pence, basis points, parts per million. Rounding is half up, once per fee line.

Source: seeds 002 principle "money is integer pence", `spec/decisions.md` rows 5, 6, 8. Days count Act/365.
"""

from __future__ import annotations

PPM = 1_000_000
BPS = 10_000
YEAR_DAYS = 365


def round_half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, halves up; for non-negative amounts."""
    return (2 * numerator + denominator) // (2 * denominator)


def share_ppm(amount_pence: int, rate_ppm: int) -> int:
    return round_half_up(amount_pence * rate_ppm, PPM)


def discount_pence(face_pence: int, discount_bps_flat: int) -> int:
    """The lender's discount for the whole tenor (flat, not annual)."""
    return round_half_up(face_pence * discount_bps_flat, BPS)


def yield_bps(price_pence: int, face_pence: int, days: int) -> int:
    """Annual simple yield to maturity, Act/365, in basis points: derived from the price, never the reverse."""
    if days <= 0 or price_pence <= 0:
        return 0
    return round_half_up((face_pence - price_pence) * YEAR_DAYS * BPS, price_pence * days)


def price_at_yield(face_pence: int, bps: int, days: int) -> int:
    """P = floor(F * 365 / (365 + y * d)), in pence (decisions row 5)."""
    return face_pence * YEAR_DAYS * BPS // (YEAR_DAYS * BPS + bps * days)


def pounds(amount_pence: int) -> str:
    """'£9,660.00' for people; never parsed back."""
    sign = "-" if amount_pence < 0 else ""
    return f"{sign}£{abs(amount_pence) // 100:,}.{abs(amount_pence) % 100:02d}"
