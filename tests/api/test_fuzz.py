"""Requests nobody would send, a short volley of them: none is answered 5xx, none takes a second."""

from __future__ import annotations

import random
from itertools import chain, islice

import httpx

from domain.party import ADMIN, BUYER, COMPLIANCE, INVESTOR, LENDER, SELLER
from scripts.campaigns.fuzzing import Maker, Seen, fire, handlers
from tests.conftest import House

ROLES = {"seller": SELLER, "buyer": BUYER, "lender": LENDER, "investor": INVESTOR}
NEAR, NOISE = 900, 300


def clients(house: House) -> dict[str, httpx.Client]:
    """One of each role, signed up and no more; an officer, an administrator, and somebody without a key."""
    story = house.story()
    for number, (who, role) in enumerate(ROLES.items()):
        story.sign_up(who, role=role, legal_name=f"{who.title()} Works Ltd", company_number=f"0745299{number}",
                      representative="Ann Other", email=f"ann@{who}-works.co.uk")
    keys: dict[str, str | None] = {**story.keys, "mlro": house.mlro_key, "admin": house.admin_key, "nobody": None}
    return {who: httpx.Client(base_url=house.url, timeout=30, headers={"Authorization": f"Bearer {key}"} if key else {})
            for who, key in keys.items()}


def test_no_request_breaks_it(house: House) -> None:
    people = clients(house)
    subjects = [people[who].get("/v1/me").json()["id"] for who in ROLES]
    roles = {**ROLES, "mlro": COMPLIANCE, "admin": ADMIN, "nobody": ""}
    maker = Maker(18, roles, {"subject": subjects, "position": ["1", "7", "12"]})
    every = list(maker.every_field())
    assert {shot.method for shot in every} == {"GET", "POST"} and len(every) > 40 * len(list(handlers()))
    seen = Seen()
    fire(chain(random.Random(18).sample(every, NEAR), islice(maker.noise(NOISE), NOISE)), people, seen)
    assert (seen.failed, seen.slow) == ([], [])
    assert seen.requests == NEAR + NOISE and {200, 400, 401, 403, 404, 422} <= set(seen.statuses)
