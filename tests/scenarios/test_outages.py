"""The outside goes away: nothing passes by silence, nothing is lost, and what was owed happens once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chain.client import token_id
from domain.subject import SUBJECT
from domain.token import TOKEN
from scripts.story import COLLECTIONS
from tests.scenarios.town import Town, accepted

PLATFORM = "FinToken X Ltd"


@contextlib.contextmanager
def outage(town: Town, room: str) -> Iterator[None]:
    """One provider answers nothing while this lasts."""
    town.outside.post(f"/{room}/control/outage", "", {"on": True})
    try:
        yield
    finally:
        town.outside.post(f"/{room}/control/outage", "", {"on": False})


def joins(town: Town, number: int) -> str:
    """A new buyer signs up and hands in the form; its id."""
    who, name = f"buyer-{number}", ("Ashford", "Brompton", "Cranleigh")[number - 1]
    town.registers(f"0000000{number}", f"{name.upper()} PLC")
    town.story.sign_up(who, role="corporate_buyer", legal_name=f"{name} plc", company_number=f"0000000{number}",
                       representative="Ann Other", email=f"ann@{name.lower()}.co.uk")
    accepted(town.person(who).post("/v1/onboarding", {}))
    return town.id_of(who)


@pytest.mark.parametrize(("number", "room", "gate"), [
    (1, "identity", "KYC_PENDING"), (2, "companies-house", "KYC_PENDING"), (3, "screening", "SCREENING_PENDING")])
def test_a_gate_stays_pending_while_its_provider_is_away(town: Town, number: int, room: str, gate: str) -> None:
    store = town.house.platform.store
    with outage(town, room):
        subject = joins(town, number)
        town.wait(lambda: store.load(SUBJECT, subject).stage == gate, f"the gate to be {gate}")
        for _ in range(15):
            assert store.load(SUBJECT, subject).stage == gate
            time.sleep(0.05)
        shown = accepted(town.person(f"buyer-{number}").get("/v1/me"))
        assert shown["state"] == "IN_REVIEW"
        assert health(town)["oldest_effect"] in ("identity", "screening")
    town.wait(lambda: store.load(SUBJECT, subject).state == "ACTIVE", "the gate to pass when the provider is back")
    for tag in ("subject.kyc_passed.1", "subject.screening_passed.1", "subject.activated.1"):
        assert len(town.entries(tag, lambda entry: entry.resource == subject)) == 1


def health(town: Town) -> dict[str, Any]:
    return accepted(town.person("nobody").get("/health/ready"))


def test_a_payout_waits_for_the_bank_and_is_made_once(town: Town) -> None:
    reference = town.listed()
    payment = town.reserved(reference)
    with outage(town, "bank"):
        town.pays(payment["pay_into"], payment["net_advance_pence"], reference)
        town.wait_state(reference, "FUNDED")
        town.still(reference, "FUNDED")
        assert town.bank() == []
        assert health(town)["oldest_effect"] == "bank"
    town.wait_state(reference, "DISBURSED")
    face = town.invoice(reference).face_pence
    fee = 2_000 + 5_000 + 1_500 + 1_500
    town.wait(lambda: len(town.bank()) == 2, "advance and fee")
    paid = sorted(row["amount_pence"] for row in town.bank())
    assert sum(paid) == payment["net_advance_pence"]
    assert paid[0] == pytest.approx(fee, abs=5) and face > paid[1]


def test_mail_that_cannot_be_sent_is_sent_later(town: Town) -> None:
    reference = town.new_reference()
    with outage(town, "email"):
        accepted(town.submits(reference))
        town.wait_state(reference, "RISK_SCORED")
        town.still(reference, "RISK_SCORED")
    town.wait_state(reference, "AWAITING_BUYER")
    mails = [mail for mail in town.outside.get("/email/mail.json") if reference in mail["text"]]
    assert len(mails) == 1


def test_a_payout_that_comes_back_is_an_incident_and_disburses_nothing(town: Town) -> None:
    """The seller's bank returns the advance: the money is back in collections, owed, and somebody is told."""
    reference = town.listed()
    payment = town.reserved(reference)
    before = {row["ref"] for row in town.bank()}
    town.outside.post("/bank/control/hold", "", {"on": True})
    town.pays(payment["pay_into"], payment["net_advance_pence"], reference)
    town.wait(lambda: len({row["ref"] for row in town.bank()} - before) == 2, "the payouts to be on their way")
    town.still(reference, "FUNDED", 0.3)
    with outage(town, "bank"):
        town.outside.post("/bank/control/hold", "", {"on": False})
        town.outside.post("/bank/control/release", "", {})
        advance = next(row for row in town.bank() if row["ref"] not in before and row["counterpart_name"] != PLATFORM)
        town.outside.post(f"/bank/control/payments/{advance['ref']}/return", "", {})
    town.wait(lambda: any(row["kind"] == "PAYOUT" and row["resource"] == f"{reference}/advance"
                          for row in town.incidents()), "the incident")
    town.still(reference, "FUNDED", 0.1)
    town.wait(lambda: town.ledger()["transit"] == 0, "nothing to be on its way")
    assert town.ledger()[f"seller_payable:{reference}"] == -advance["amount_pence"]


def test_the_chain_goes_away_and_the_mint_waits(town: Town, chain_node: Any) -> None:
    """Confirmed stays confirmed, the token is pending, health says degraded; when the node is back, one mint."""
    reference = town.awaiting()
    token = reference.replace("FX-", "FXR-")
    store = town.house.platform.store
    chain_node.save()
    chain_node.stop()
    accepted(town.confirms(reference))
    town.wait(lambda: store.load(TOKEN, token).state == "PENDING_MINT", "the mint to be ordered")
    town.wait(lambda: health(town)["status"] == "degraded", "health to say so")
    assert health(town)["chain"] == "down"
    town.still(reference, "CONFIRMED")
    shown = accepted(town.person("northwind").get(f"/v1/invoices/{reference}"))
    assert shown["state"] == "CONFIRMED"

    chain_node.start()
    town.wait_state(reference, "LISTED")
    town.wait(lambda: health(town)["status"] == "ready", "health to recover")
    assert len(town.entries("token.minted.1", lambda entry: entry.resource == token)) == 1
    chain = town.house.platform.outside.chain()
    assert chain.receivable(token_id(token)).status == "live"
    assert chain.holders(token_id(token)) == {chain.platform_wallet: town.invoice(reference).face_pence}


def test_a_mint_ordered_while_the_contract_is_paused_is_made_when_it_is_not(town: Town) -> None:
    """The refusal is recorded in the journal and no verdict: one mint, and nobody is left with an incident."""
    reference = town.awaiting()
    token = reference.replace("FX-", "FXR-")
    chain = town.house.platform.outside.chain()
    before = town.incidents()
    chain.set_paused(f"{reference}:pause", True)
    try:
        accepted(town.confirms(reference))
        town.wait(lambda: town.entries("token.mint_requested.1", lambda entry: entry.resource == token), "the order")
        (ordered,) = town.entries("token.mint_requested.1", lambda entry: entry.resource == token)

        def refusal() -> str | None:
            row = chain.journal.rows.find(f"mint:{ordered.position}")
            return row and row.refusal

        town.wait(lambda: refusal() == "PAUSED", "the contract to refuse the mint")
        town.still(reference, "CONFIRMED")
        assert chain.journal.rows.find(f"mint:{ordered.position}#2") is None
    finally:
        chain.set_paused(f"{reference}:resume", False)
    town.wait_state(reference, "LISTED")
    assert len(town.entries("token.minted.1", lambda entry: entry.resource == token)) == 1
    assert chain.holders(token_id(token)) == {chain.platform_wallet: town.invoice(reference).face_pence}
    assert town.incidents() == before


def test_the_chain_forgets_and_is_told_again(town: Town, chain_node: Any) -> None:
    """The node comes back with an old state: the journal sends the same bytes, and nothing exists twice."""
    chain_node.save()
    reference = town.disbursed()
    token = reference.replace("FX-", "FXR-")
    before = town.house.platform.outside.chain().holders(token_id(token))
    chain_node.stop()
    chain_node.start()
    town.pays(COLLECTIONS, town.invoice(reference).face_pence, reference)
    town.wait_state(reference, "SETTLED")
    assert sum(before.values()) == town.invoice(reference).face_pence
    for tag in ("token.minted.1", "token.transferred.1", "token.burned.1"):
        assert len(town.entries(tag, lambda entry: entry.resource == token)) == 1
    assert town.house.platform.outside.chain().receivable(token_id(token)).status == "burned"
