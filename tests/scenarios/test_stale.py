"""The chain stays away past the hour: money stands still and says so, everything else goes on, and it flows again."""

from __future__ import annotations

from typing import Any

import httpx

from chain.client import token_id
from domain.audit_freeze import AuditFrozen, AuditReleased
from domain.register_order import ORDER
from domain.subject import SUBJECT
from domain.token import TOKEN
from tests.scenarios.town import Person, Town, accepted, refused


def health(town: Town) -> dict[str, Any]:
    return accepted(town.person("nobody").get("/health/ready"))


def freezes(town: Town) -> list[Any]:
    return [entry.event for tag in ("audit.frozen.1", "audit.released.1") for entry in town.entries(tag)]


def proposed(town: Town, reference: str) -> list[dict[str, Any]]:
    """Two orders that wait for a second officer: a token of Pennine's to Brunel, and a new wallet for Salford."""
    town.disbursed("salford")
    return [accepted(town.person("mlro").post(f"/v1/compliance/orders/{kind}", {"reason_code": reason, **content}))
            for kind, reason, content in (
                ("forced-transfers", "COURT_ORDER", {"token_reference": reference.replace("FX-", "FXR-"),
                                                     "to": town.id_of("brunel")}),
                ("wallet-recoveries", "KEY_LOST", {"subject": town.id_of("salford")}))]


def approves(who: Person, order: dict[str, Any]) -> httpx.Response:
    return who.post(f"/v1/compliance/orders/{order['id']}/approve", {"content_sha256": order["content_sha256"]})


def test_days_that_pass_while_the_chain_is_there_stop_nobody(town: Town) -> None:
    reference = town.listed()
    town.forward(days=3)
    assert health(town)["anchoring"] == "fresh" and health(town)["anchor_lag_seconds"] <= 600
    accepted(town.reserves(reference))
    assert freezes(town) == []


def test_past_an_hour_without_the_chain_no_money_moves(town: Town, chain_node: Any) -> None:
    """Funding and the mint wait; reads, confirmations and a freeze go on; the chain comes back and it all drains."""
    open_, waiting, paid_for = town.listed(), town.awaiting(), town.listed()
    payment = town.reserved(paid_for)
    mercia = town.id_of("mercia")
    deputy = town.person("deputy")
    store, salford = town.house.platform.store, town.id_of("salford")
    forced, recovery = proposed(town, town.disbursed())
    before = len(town.bank())
    chain_node.save()
    chain_node.stop()
    try:
        town.forward(minutes=55)
        accepted(town.confirms(waiting))
        accepted(approves(deputy, recovery))
        assert health(town)["anchoring"] == "fresh"
        town.forward(minutes=6)
        assert health(town)["anchoring"] == "stale" and health(town)["status"] == "degraded"
        assert health(town)["anchor_lag_seconds"] > 3_600

        answer = town.reserves(open_)
        refused(answer, 503, "audit_anchor_stale")
        assert int(answer.headers["Retry-After"]) > 0
        refused(approves(deputy, forced), 503, "audit_anchor_stale")
        town.pays(payment["pay_into"], payment["net_advance_pence"], paid_for)
        town.wait_state(paid_for, "CASH_MATCHED")
        town.still(paid_for, "CASH_MATCHED")
        assert len(town.bank()) == before

        assert accepted(town.person("pennine").get("/v1/marketplace"))["data"]
        accepted(town.person("coppergate").get(f"/v1/invoices/{open_}"))
        accepted(town.person("mlro").post(f"/v1/compliance/subjects/{mercia}/freeze", {"reason_code": "LIST_HIT"}))
        assert store.load(SUBJECT, mercia).state == "FROZEN"
        accepted(town.person("mlro").post(f"/v1/compliance/subjects/{salford}/freeze", {"reason_code": "LIST_HIT"}))
        assert store.load(ORDER, recovery["id"]).state == "APPROVED" and store.load(SUBJECT, salford).recovery
        town.wait(lambda: {"audit_anchor_stale", "mint_delayed"} <= {row["reason"] for row in town.incidents()},
                  "the incidents")
        assert isinstance(freezes(town)[0], AuditFrozen) and len(freezes(town)) == 1
    finally:
        chain_node.start()
    town.wait(lambda: store.load(SUBJECT, salford).claims == "REVOKED", "the wallet that waits to be replaced to stop")
    town.wait(lambda: store.load(ORDER, recovery["id"]).state == "REFUSED", "the end of its recovery")
    lost, chain = store.load(SUBJECT, salford).wallet or "", town.house.platform.outside.chain()
    assert lost == recovery["content"]["from_wallet"]
    held = token_id(recovery["content"]["tokens"][0])
    assert chain.can_transfer(lost, chain.platform_wallet, held, 1)[1] == "RESTRICTED"
    token = waiting.replace("FX-", "FXR-")
    town.wait(lambda: health(town)["anchoring"] == "fresh", "the log to be anchored")
    town.wait_state(paid_for, "DISBURSED")
    town.wait_state(waiting, "LISTED")
    assert store.load(TOKEN, token).state == "HELD"
    assert len(town.entries("token.minted.1", lambda entry: entry.resource == token)) == 1
    accepted(town.reserves(open_))
    accepted(deputy.post(f"/v1/compliance/subjects/{mercia}/unfreeze", None))
    assert isinstance(freezes(town)[1], AuditReleased)
    town.wait(lambda: not {"audit_anchor_stale", "mint_delayed"} & {row["reason"] for row in town.incidents()},
              "the incidents to be over")
