"""Two officers and two keys change the register: a slice that is forced, a wallet that is replaced, and refusals."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from chain.client import token_id
from domain.party import COMPLIANCE
from domain.register_order import ORDER
from domain.subject import SUBJECT
from domain.token import TOKEN
from scripts.story import COLLECTIONS
from tests.scenarios.town import Person, Town, accepted, refused

ORDERS = "/v1/compliance/orders"


@pytest.fixture
def reference(town: Town) -> str:
    """A receivable that Pennine holds in two slices."""
    reference = town.disbursed()
    faces = [200_000, town.invoice(reference).face_pence - 200_000]
    accepted(town.person("pennine").post(f"/v1/tokens/{token_of(reference)}/slices", {"faces_pence": faces}))
    town.wait(lambda: len(town.house.platform.store.load(TOKEN, token_of(reference)).slices) == 2, "two slices")
    return reference


def token_of(reference: str) -> str:
    return reference.replace("FX-", "FXR-")


def forces(town: Town, reference: str, slice_: int, to: str, **changes: Any) -> httpx.Response:
    return town.person("mlro").post(f"{ORDERS}/forced-transfers", {
        "token_reference": token_of(reference), "slice": slice_, "to": town.id_of(to), "reason_code": "COURT_ORDER",
        **changes})


def approves(who: Person, order: dict[str, Any]) -> httpx.Response:
    return who.post(f"{ORDERS}/{order['id']}/approve", {"content_sha256": order["content_sha256"]})


def ended(town: Town, order: dict[str, Any]) -> str:
    """How the order ended, once it has."""
    def state() -> str:
        return town.house.platform.store.load(ORDER, order["id"]).state
    town.wait(lambda: state() not in ("PROPOSED", "APPROVED"), "the order's outcome")
    return state()


def wallet(town: Town, who: str) -> str:
    return town.house.platform.store.load(SUBJECT, town.id_of(who)).wallet or ""


def test_a_slice_is_moved_by_two_officers_and_two_keys(town: Town, deputy: Person, reference: str) -> None:
    accepted(town.person("pennine").post("/v1/listings", {
        "token_reference": token_of(reference), "slice": 1, "price_pence": 199_150}))
    order = accepted(forces(town, reference, 1, "salford"))
    refused(approves(town.person("mlro"), order), 403, "order_needs_another_officer")
    refused(approves(town.person("pennine"), order), 403, "not_your_role")
    refused(approves(deputy, {**order, "content_sha256": "0" * 64}), 409, "other_content")
    read = accepted(deputy.get(f"{ORDERS}/{order['id']}"))
    assert (read["state"], read["content_sha256"]) == ("PROPOSED", order["content_sha256"])
    accepted(approves(deputy, read))
    assert ended(town, order) == "EXECUTED"

    part = town.house.platform.store.load(TOKEN, token_of(reference)).slice(1)
    assert (part.holder, part.wallet, part.state) == (town.id_of("salford"), wallet(town, "salford"), "HELD")
    chain = town.house.platform.outside.chain()
    assert chain.balance(wallet(town, "salford"), token_id(token_of(reference))) == 200_000
    held = accepted(town.person("salford").get("/v1/portfolio"))["data"]
    assert [row["slice"] for row in held if row["receivable_reference"] == reference] == [1]
    assert accepted(town.person("mlro").get(ORDERS))["data"][0]["state"] == "EXECUTED"
    for tag in ("order.proposed.1", "order.approved.1"):
        entry, = town.entries(tag, lambda entry: entry.resource == order["id"])
        assert (entry.actor_role, entry.on_behalf_of) == (COMPLIANCE, town.id_of("pennine"))
    refused(approves(deputy, order), 409, "wrong_order_state")

    town.pays(COLLECTIONS, town.invoice(reference).face_pence, reference)
    town.wait_state(reference, "SETTLED")
    paid = {getattr(entry.event, "holder", ""): getattr(entry.event, "pence", 0)
            for entry in town.entries("invoice.payout_confirmed.1", lambda entry: entry.resource == reference)}
    assert paid[town.id_of("salford")] == 200_000


def test_the_rules_have_the_last_word(town: Town, deputy: Person, reference: str) -> None:
    """The receiver is restricted on the chain alone: the refusal is recorded once, and nothing has moved."""
    order = accepted(forces(town, reference, 2, "salford"))
    chain = town.house.platform.outside.chain()
    chain.set_active("test:restrict salford", wallet(town, "salford"), False)
    accepted(approves(deputy, order))
    assert ended(town, order) == "REFUSED"
    chain.set_active("test:restore salford", wallet(town, "salford"), True)
    assert accepted(deputy.get(f"{ORDERS}/{order['id']}"))["reason"] == "RESTRICTED"
    part = town.house.platform.store.load(TOKEN, token_of(reference)).slice(2)
    assert (part.holder, part.state) == (town.id_of("pennine"), "HELD")
    assert len(town.entries("order.refused.1", lambda entry: entry.resource == order["id"])) == 1
    assert [row for row in town.incidents() if row["kind"] == "ALARM"] == []

    again = accepted(forces(town, reference, 2, "salford"))
    accepted(approves(deputy, again))
    assert ended(town, again) == "EXECUTED"


def test_what_cannot_be_ordered_is_refused_before_the_chain(town: Town, deputy: Person, reference: str) -> None:
    mlro = town.person("mlro")
    refused(forces(town, reference, 1, "northwind"), 409, "not_a_holder")
    refused(forces(town, reference, 1, "pennine"), 409, "not_a_holder")
    refused(forces(town, reference, 9, "salford"), 422, "no_such_slice")
    refused(forces(town, reference, 1, "salford", reason_code="BECAUSE"), 422, "order_reason_unknown")
    refused(forces(town, town.listed(), 0, "salford"), 404, "not_found")
    refused(mlro.post(f"{ORDERS}/wallet-recoveries", {"subject": town.id_of("brunel"), "reason_code": "KEY_LOST"}),
            409, "not_recoverable")
    late, withdrawn = accepted(forces(town, reference, 1, "salford")), accepted(forces(town, reference, 1, "salford"))
    accepted(mlro.post(f"{ORDERS}/{withdrawn['id']}/withdraw", None))
    refused(approves(deputy, withdrawn), 409, "wrong_order_state")
    town.forward(hours=4)
    assert ended(town, late) == "EXPIRED"
    refused(approves(deputy, late), 409, "wrong_order_state")
    voided = accepted(forces(town, reference, 1, "salford"))
    first = accepted(forces(town, reference, 1, "brunel"))
    accepted(approves(deputy, first))
    assert ended(town, first) == "EXECUTED"
    refused(approves(deputy, voided), 409, "other_content")
    locked = accepted(forces(town, reference, 2, "salford"))
    accepted(mlro.post(f"/v1/compliance/tokens/{token_of(reference)}/lock", {"reason_code": "OBLIGOR_INSOLVENT"}))
    refused(approves(deputy, locked), 409, "token_locked")


def test_a_lost_wallet_is_replaced_with_all_that_lies_in_it(town: Town, deputy: Person) -> None:
    """A whole token and a divided one move; the old wallet is retired, and the new one is paid and trades."""
    whole, divided = town.disbursed("salford"), town.disbursed("salford")
    faces = [200_000, town.invoice(divided).face_pence - 200_000]
    accepted(town.person("salford").post(f"/v1/tokens/{token_of(divided)}/slices", {"faces_pence": faces}))
    store, chain = town.house.platform.store, town.house.platform.outside.chain()
    town.wait(lambda: len(store.load(TOKEN, token_of(divided)).slices) == 2, "two slices")
    old, mlro = wallet(town, "salford"), town.person("mlro")
    locked = [entry.resource for entry in town.entries("token.lock_requested.1")]
    for token in locked:  # a locked token moves for nobody, a recovery least of all
        town.wait(lambda token=token: store.load(TOKEN, token).lock == "LOCKED", "the lock")
        accepted(deputy.post(f"/v1/compliance/tokens/{token}/unlock", {"reason_code": "RESOLVED"}))
        town.wait(lambda token=token: store.load(TOKEN, token).lock is None, "the end of the lock")

    order = accepted(mlro.post(f"{ORDERS}/wallet-recoveries", {
        "subject": town.id_of("salford"), "reason_code": "KEY_LOST"}))
    assert {token_of(whole), token_of(divided)} <= set(order["content"]["tokens"])
    refused(approves(mlro, order), 403, "order_needs_another_officer")
    accepted(approves(deputy, order))
    assert ended(town, order) == "EXECUTED"
    new = wallet(town, "salford")
    assert new == order["content"]["to_wallet"] != old
    for reference in (whole, divided):
        number = token_id(token_of(reference))
        assert (chain.balance(old, number), chain.balance(new, number)) == (0, town.invoice(reference).face_pence)
        assert {part.wallet for part in store.load(TOKEN, token_of(reference)).slices} == {new}
    assert all(claim.valid for claim in chain.claims(new).values())
    assert chain.can_transfer(chain.platform_wallet, old, token_id(token_of(town.listed())), 1)[1] == "RESTRICTED"
    town.disbursed("salford")
    town.pays(COLLECTIONS, town.invoice(whole).face_pence, whole)
    town.wait_state(whole, "SETTLED")
