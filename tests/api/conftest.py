"""A town with a past: one invoice settled long ago, one outstanding in slices, and people with no part in either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from chain.anvil import Anvil, free_port
from domain.credit import CREDIT
from domain.token import TOKEN
from scripts.story import COLLECTIONS, REFERENCE
from tests.scenarios.town import Town, accepted, opened_town


@dataclass(frozen=True)
class Past:
    """The town and what can be asked about."""

    town: Town
    settled: str
    outstanding: str
    token: str
    payment: str
    trade: str
    file_number: str
    order: str
    release: str


@pytest.fixture(scope="package")
def past(empty_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    with (Anvil(tmp_path_factory.mktemp("chain"), free_port()) as node,
          opened_town(empty_database(), tmp_path_factory.mktemp("home"), node.url, witness=True) as town):
        town.story.play()
        strangers(town)
        outstanding = town.disbursed()
        token = outstanding.replace("FX-", "FXR-")
        face = town.invoice(outstanding).face_pence
        pennine = town.person("pennine")
        accepted(pennine.post(f"/v1/tokens/{token}/slices", {"faces_pence": [200_000, face - 200_000]}))
        town.wait(lambda: len(town.house.platform.store.load(TOKEN, token).slices) == 2, "two slices")
        accepted(pennine.post("/v1/listings", {"token_reference": token, "slice": 1, "price_pence": 199_000}))
        case = accepted(town.person("mlro").get("/v1/compliance/cases", status="decided"))["data"][0]
        yield Past(town, REFERENCE, outstanding, token, town.invoice(outstanding).payment or "",
                   town.story.trade_id(), case["file_number"], proposed(town, token), released(town))


def strangers(town: Town) -> None:
    """A seller and an investor who have only signed up."""
    town.story.sign_up("brightside", role="sme_seller", legal_name="Brightside Ltd", company_number="07452984",
                       representative="Bea Bright", email="bea@brightside.co.uk")
    town.story.sign_up("clifton", role="investor", legal_name="Clifton Endowment", company_number="07452986",
                       representative="Cy Clifton", email="cy@clifton.org.uk")


def proposed(town: Town, token: str) -> str:
    """A register order that waits for its second officer."""
    order = {"token_reference": token, "slice": 2, "to": town.id_of("salford"), "reason_code": "COURT_ORDER"}
    return accepted(town.person("mlro").post("/v1/compliance/orders/forced-transfers", order))["id"]


def released(town: Town) -> str:
    """A proposal for money in suspense that waits for its second officer."""
    credit = town.pays(COLLECTIONS, 4_200, "thank you")
    town.wait(lambda: town.house.platform.store.load(CREDIT, credit).state == "SUSPENSE", "money in suspense")
    return accepted(town.person("mlro").post(f"/v1/compliance/suspense/{credit}/releases", {"outcome": "return"}))["id"]


@pytest.fixture
def town(past: Past) -> Town:
    return past.town
