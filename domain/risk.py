"""Rule-based risk grades: what Gate 3 and an invoice rest on when no model answers (and even when one does).

Source: seeds 003 O4 "Risk inputs"; `spec/decisions.md` row 12 (an invoice carries its own grade).
"""

from __future__ import annotations

from datetime import date

RULES_VERSION = "2026-05-01"
YOUNG_COMPANY_DAYS = 365
HIGHER_RISK_SIC = frozenset({"64999", "92000", "46720", "41100"})
"""Other financial services, gambling, precious metals, property development."""


def subject_grade(
    incorporated_on: date | None, sic_codes: tuple[str, ...], flags: tuple[str, ...], today: date
) -> tuple[str, tuple[str, ...]]:
    """LOW, MEDIUM or HIGH with the plain reasons, worst first."""
    reasons = list(flags)
    if incorporated_on is not None and (today - incorporated_on).days < YOUNG_COMPANY_DAYS:
        reasons.append("company younger than one year")
    if HIGHER_RISK_SIC.intersection(sic_codes):
        reasons.append("higher-risk industry")
    if flags or len(reasons) > 1:
        return "HIGH", tuple(reasons)
    return ("MEDIUM" if reasons else "LOW"), tuple(reasons)


def invoice_grade(face_pence: int, turnover_pence: int, tenor_days: int) -> tuple[str, tuple[str, ...]]:
    """Grade of one receivable from its size against the seller's turnover, and its length."""
    reasons: list[str] = []
    if turnover_pence and face_pence * 10 > turnover_pence:
        reasons.append("face value above 10 % of the seller's turnover")
    if tenor_days > 90:
        reasons.append("tenor above 90 days")
    return ("LOW", "MEDIUM", "HIGH")[len(reasons)], tuple(reasons)
