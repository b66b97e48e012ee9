"""The hand-set scorecard, readable: the source of `models/sparsescore-1.json`.

    python -m ai.scorecard        writes the artefact again; a test holds the two together

The application reads the artefact only and never imports this file.

Weights are thousandths of a log-odds of "bad": the officer declines the file, or the customer is frozen
within a year. The artefact holds millionths. They were set by hand, to be checked by hand.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path

from ai import canonical, model, schema
from ai.model import Calibration, Model, Pair, Term

PROVENANCE = (
    "sparsescore-1: weights set by hand from the risk factors of the Money Laundering Regulations 2017 and "
    "from the platform's own rules. No customer data was used. Not fitted; not validated on outcomes."
)

POUND = 100
MILLI = 1_000

INTERCEPT = -3_900
"""About 2 % of files are bad before anything is known."""

SHIFT = 17
HALF = 92
"""The probability table: 92 steps of 2**17 micro-log-odds (0.131) to either side of even odds."""


def term(
    name: str, edges: tuple[int, ...], weights: tuple[int, ...], *, unanswered: int, ordinary: int = 0
) -> Term:
    """`weights` go with the values below the first edge, from the first edge on, and so on."""
    return Term(name, edges, tuple(MILLI * weight for weight in (unanswered, *weights)), MILLI * ordinary)


TERMS = (
    term("company_age_days", (183, 365, 3 * 365, 10 * 365), (1_400, 900, 300, 0, -300), unanswered=600),
    term("identity_referred", (1,), (0, 1_500), unanswered=400),
    term("screening_hit", (1,), (0, 2_000), unanswered=500),
    term("higher_risk_sic", (1,), (0, 900), unanswered=200),
    term("turnover_pence", (100_000 * POUND, 1_000_000 * POUND, 10_000_000 * POUND), (500, 150, 0, -100),
         unanswered=200),
    term("onboarding_files", (2, 4), (200, 0, -150), unanswered=200),
    term("refresh_overdue_days", (1, 15), (0, 100, 700), unanswered=0),
    term("invoices_submitted", (1, 5), (100, 0, -50), unanswered=100),
    term("invoices_rejected", (1, 2, 3), (0, 500, 1_100, 1_900), unanswered=0),
    term("invoices_settled", (1, 5, 12), (0, -200, -450, -700), unanswered=0),
    term("rule_grade", (1, 2), (0, 500, 1_200), unanswered=300),
)

YOUNG_AND_REFERRED = Pair(
    "identity_referred",
    "company_age_days",
    (
        (0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
        (200_000, 400_000, 400_000, 200_000, 0, 0),
    ),
    0,
)
"""A mismatch with the register weighs more on a company that the register has not known for long."""


def logistic_table() -> Calibration:
    """The logistic function at the middle of each step, in exact decimal arithmetic, rounded half to even."""
    low = -HALF << SHIFT
    table: list[int] = []
    with localcontext() as context:
        context.prec = 30
        for step in range(2 * HALF):
            middle = Decimal(low + (step << SHIFT) + (1 << (SHIFT - 1))) / model.MILLION
            ppm = model.MILLION / (1 + (-middle).exp())
            table.append(int(ppm.to_integral_value(rounding=ROUND_HALF_EVEN)))
    return Calibration(low, SHIFT, tuple(table))


def build() -> bytes:
    card = Model(
        format=model.FORMAT,
        name=model.CURRENT,
        feature_schema=schema.HASH,
        provenance=PROVENANCE,
        intercept=MILLI * INTERCEPT,
        terms=TERMS,
        pairs=(YOUNG_AND_REFERRED,),
        calibration=logistic_table(),
    )
    model.validate(card)
    return canonical.canonical(card)


if __name__ == "__main__":
    target = Path(__file__).parent / "models" / f"{model.CURRENT}.json"
    target.write_bytes(build())
    print(model.version_of(target.read_bytes()), target.name)
