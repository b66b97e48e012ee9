"""Both sides of a price are kept: the seller's least cash, the lender's band and caps, and the days that are left."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest

from domain.exposure import EXPOSURE
from domain.maturity import record_date
from domain.money import discount_pence
from scripts.story import ACCOUNTS
from tests.scenarios.town import Town, accepted, refused


def test_the_seller_is_shown_cash_and_no_rate_and_names_the_least_it_takes(town: Town) -> None:
    answer = accepted(town.submits(town.new_reference()))
    face = answer["face_value_pence"]
    assert answer["estimated_cash_pence"] == face - discount_pence(face, 240) - 10_000
    assert answer["least_cash_pence"] == face - discount_pence(face, 340) - 10_000
    assert not any(word in json.dumps(answer) for word in ("discount", "rate", "advance", "bps"))
    reference = town.new_reference()
    for least in (0, 10_000_000):
        problem = refused(town.submits(reference, least_cash_pence=least), 422, "least_cash_out_of_band")
        assert problem["errors"][0]["pointer"] == "/least_cash_pence"
    answer = accepted(town.submits(reference, least_cash_pence=970_000))
    assert answer["least_cash_pence"] == 970_000
    town.wait_state(reference, "AWAITING_BUYER")
    accepted(town.confirms(reference))
    town.wait_state(reference, "LISTED")

    problem = refused(town.reserves(reference), 409, "below_sellers_minimum")
    assert "970" not in json.dumps(problem)
    town.wait(lambda: offers(town, reference), "the offer")
    pennine = town.person("pennine")
    shown = json.dumps([offers(town, reference), accepted(pennine.get(f"/v1/invoices/{reference}"))])
    assert "970000" not in shown and "cash" not in shown and "least" not in shown
    seen = accepted(town.person("coppergate").get(f"/v1/invoices/{reference}"))
    assert (seen["least_cash_pence"], seen["seller_cash_pence"]) == (970_000, None)
    assert town.invoice(reference).state == "LISTED"
    accepted(town.reserves(reference, bps=200))


def offers(town: Town, reference: str, who: str = "pennine") -> list[dict[str, Any]]:
    rows = accepted(town.person(who).get("/v1/marketplace", limit=100))["data"]
    return [row for row in rows if row["reference"] == reference]


@pytest.mark.parametrize("most", [501, 9_999])
def test_no_band_reaches_beyond_the_profiles_cap(town: Town, most: int) -> None:
    """As Salford's refresh; the open file is not touched by a form that is refused."""
    answer = town.person("salford").post("/v1/onboarding", {
        "bank_account": ACCOUNTS["salford"], "firm_reference": "697241", "appetite": {"discount_max_bps": most}})
    assert refused(answer, 422, "band_too_wide")["errors"][0]["pointer"] == "/appetite/discount_max_bps"


def test_two_reservations_that_race_do_not_both_pass_a_cap(town: Town) -> None:
    first, second = town.listed(), town.listed()
    faces = [town.invoice(reference).face_pence for reference in (first, second)]
    accepted(town.person("salford").post("/v1/onboarding", {
        "bank_account": ACCOUNTS["salford"], "firm_reference": "697241",
        "appetite": {"max_obligor_pence": max(faces)}}))
    town.story.wait_active("salford", refreshed=True)
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda reference=reference: answers.append(
        town.reserves(reference, "salford"))) for reference in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    refused(next(answer for answer in answers if answer.status_code == 409), 409, "outside_appetite")
    held = town.house.platform.store.load(EXPOSURE, town.id_of("salford")).receivables
    (taken,) = held
    town.forward(hours=4)
    town.wait_state(taken, "LISTED")
    town.wait(lambda: not town.house.platform.store.load(EXPOSURE, town.id_of("salford")).receivables, "headroom")
    accepted(town.reserves(taken, "salford"))


def test_what_is_shown_and_allowed_is_todays(town: Town) -> None:
    """The last test here: the clock passes the record date."""
    reference, held = town.listed(), town.disbursed()
    name, faisal = held.replace("FX-", "FXR-"), town.person("brunel")
    face, due = town.invoice(held).face_pence, town.invoice(held).due_on
    assert due is not None
    accepted(town.person("pennine").post(f"/v1/tokens/{name}/slices", {"faces_pence": [200_000, face - 200_000]}))
    town.wait(lambda: len(accepted(town.person("pennine").get(f"/v1/tokens/{name}"))["slices"]) == 2, "two slices")
    accepted(town.person("pennine").post("/v1/listings", {
        "token_reference": name, "slice": 1, "price_pence": 199_150}))

    def slices() -> list[dict[str, Any]]:
        rows = accepted(faisal.get("/v1/listings", limit=100))["data"]
        return [row for row in rows if row["token_reference"] == name]

    town.wait(lambda: slices() and offers(town, reference), "both on the market")
    assert offers(town, reference)[0]["tenor_days"] == 60
    before = slices()[0]["yield_to_maturity_bps"]
    town.forward(days=30)
    left = offers(town, reference)[0]
    assert left["tenor_days"] == 30 and left["annualised_yield_bps"] > 1_480
    assert slices()[0]["yield_to_maturity_bps"] > before

    while town.now.date() < record_date(due):
        town.forward(days=1)
    assert slices() == [] and offers(town, reference) == []
    refused(faisal.post("/v1/pre-trade-checks", {"token_reference": name, "slice": 1, "answers": [True] * 7}), 409,
            "trading_closed")
    refused(town.person("pennine").post("/v1/listings", {
        "token_reference": name, "slice": 2, "price_pence": 199_150}), 409, "trading_closed")
    refused(town.reserves(reference), 409, "trading_closed")
