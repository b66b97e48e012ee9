"""The debtor pays: exactly, or into suspense; and the bank may say so as often as it likes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.credit import CREDIT
from providers.bank.signature import headers
from providers.bank.simulator_wire import notice
from providers.credentials import Credentials
from scripts.story import COLLECTIONS
from tests.scenarios.town import Town, accepted, refused

WEBHOOK = "/webhooks/providers/bank"


@pytest.fixture
def owed(town: Town) -> str:
    """A disbursed invoice: only the debtor's money is missing."""
    return town.disbursed()


@pytest.mark.parametrize("wrong", ["too little", "too much", "a mistyped reference", "no reference"])
def test_a_payment_that_is_not_exact_waits_in_suspense(town: Town, owed: str, wrong: str) -> None:
    face = town.invoice(owed).face_pence
    pence, narration, reason = {
        "too little": (face - 1, owed, "amount differs"), "too much": (face + 1, owed, "amount differs"),
        "a mistyped reference": (face, "FX-INV-ZZZZZ", "no invoice reference"),
        "no reference": (face, "thank you", "no invoice reference")}[wrong]
    paid_out, suspense = town.bank(), town.ledger().get("suspense", 0)

    credit = town.pays(COLLECTIONS, pence, narration)
    town.wait(lambda: town.house.platform.store.load(CREDIT, credit).state == "SUSPENSE", "the credit in suspense")
    town.still(owed, "DISBURSED")
    assert town.bank() == paid_out
    town.wait(lambda: town.ledger()["suspense"] == suspense - pence, "the suspense account")
    incident = next(row for row in town.incidents() if row["resource"] == credit)
    assert (incident["kind"], incident["reason"], incident["pence"]) == ("SUSPENSE", reason, pence)

    town.pays(COLLECTIONS, face, f"  {owed.lower().replace('-', ' ')} ")
    town.wait_state(owed, "SETTLED")
    left = {"collections": pence - suspense, "suspense": suspense - pence}
    town.wait(lambda: not_cleared(town) == left, "nothing but the wrong payments to be left")


def not_cleared(town: Town) -> dict[str, int]:
    rows = accepted(town.person("admin").get("/v1/admin/ledger"))["not_cleared"]
    return {row["account"]: row["pence"] for row in rows}


def test_a_second_payment_of_a_settled_invoice_pays_nobody(town: Town, owed: str) -> None:
    face = town.invoice(owed).face_pence
    town.pays(COLLECTIONS, face, owed)
    town.wait_state(owed, "SETTLED")
    paid_out = len(town.bank())
    second = town.pays(COLLECTIONS, face, owed)
    town.wait(lambda: town.house.platform.store.load(CREDIT, second).state == "SUSPENSE", "the second in suspense")
    assert len(town.bank()) == paid_out
    for tag in ("invoice.settled.1", "invoice.obligor_paid.1", "token.burned.1"):
        assert len(town.entries(tag, lambda entry: owed[-5:] in entry.resource)) == 1


def test_the_bank_repeats_itself_and_nothing_happens_twice(town: Town, owed: str) -> None:
    credit = town.pays(COLLECTIONS, town.invoice(owed).face_pence, owed)
    town.wait_state(owed, "SETTLED")
    town.wait(lambda: delivered(town, credit) == 1, "the first delivery")
    for times in (2, 3, 4):
        town.outside.post(f"/bank/control/credits/{credit}/redeliver", "", {})
        town.wait(lambda times=times: delivered(town, credit) == times, f"delivery {times}")
    assert len(town.entries("credit.received.2", lambda entry: entry.resource == credit)) == 1
    assert len(town.entries("invoice.obligor_paid.1", lambda entry: entry.resource == owed)) == 1


def delivered(town: Town, credit: str) -> int:
    return next(row["deliveries"] for row in town.bank("CRDT") if row["ref"] == credit)


def test_a_forged_a_stale_and_an_altered_notice_are_refused(town: Town, owed: str) -> None:
    body = a_notice(owed, town.invoice(owed).face_pence)
    secret, now = Credentials().clearbank_secret.encode(), datetime.now(UTC)
    nobody = town.person("nobody").http

    forged = nobody.post(WEBHOOK, content=body, headers=headers(b"somebody else's", None, body, now))
    refused(forged, 401, "bad_signature")
    refused(nobody.post(WEBHOOK, content=body), 401, "bad_signature")
    altered = body.replace(owed.encode(), b"FX-INV-T9999")
    refused(nobody.post(WEBHOOK, content=altered, headers=headers(secret, None, body, now)), 401, "bad_signature")
    for when in (now - timedelta(minutes=6), now + timedelta(minutes=6)):
        refused(nobody.post(WEBHOOK, content=body, headers=headers(secret, None, body, when)), 400, "stale")
    nonsense = b'{"Type": "TransactionSettled"}'
    refused(nobody.post(WEBHOOK, content=nonsense, headers=headers(secret, None, nonsense, now)), 400, "unreadable")
    town.still(owed, "DISBURSED", 0.2)

    genuine = nobody.post(WEBHOOK, content=body, headers=headers(secret, None, body, now))
    assert accepted(genuine) == {"received": True, "repeated": False}
    assert accepted(nobody.post(WEBHOOK, content=body, headers=headers(secret, None, body, now)))["repeated"]
    town.wait_state(owed, "SETTLED")


def test_a_notice_of_no_settled_money_is_acknowledged_and_ignored(town: Town) -> None:
    body = json.dumps({**json.loads(a_notice("FX-INV-T0001", 100)), "Type": "TransactionRejected"}).encode()
    head = town.house.platform.store.head()
    signed = headers(Credentials().clearbank_secret.encode(), None, body, datetime.now(UTC))
    assert accepted(town.person("nobody").http.post(WEBHOOK, content=body, headers=signed)) == {"ignored": True}
    written = town.house.platform.store.read(head, 1000)
    assert not [entry for entry in written if entry.event.tag.startswith(("credit.", "bankorder.", "alarm."))]


def a_notice(reference: str, pence: int) -> bytes:
    """A credit on the collections account as the bank words it."""
    row: Any = {"ref": "5e0c9c6a-3f6f-4f57-9b56-5b1f4b5a7c11", "end_to_end": "E2E1", "amount_pence": pence,
                "made_at": "2026-07-11T10:00:00Z", "reference": reference, "account": "04007510000001",
                "counterpart": "40276110482956", "counterpart_name": "Northwind Retail plc"}
    return notice(row, "FinToken X Ltd")
