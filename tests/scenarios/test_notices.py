"""The bank's notices: what is signed may be insane, an id proves which credit it is and no more; money has a payer."""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.credit import CREDIT, NoticeRefused
from domain.payment import PAYMENT
from providers.bank.account import end_to_end
from providers.bank.signature import headers, signature
from providers.bank.simulator_wire import notice
from providers.credentials import Credentials
from scripts.story import COLLECTIONS
from tests.scenarios.town import Town, accepted, refused

WEBHOOK = "/webhooks/providers/bank"
SECRET = Credentials().clearbank_secret.encode()
STRANGER = {"remitter_name": "A Stranger Ltd", "remitter_sort_code": "11-22-33", "remitter_account_number": "12345678"}


def a_notice(ref: str, *, pence: int = 4_200, account: str = "04007510000001", reference: str = "thank you",
             **changes: Any) -> bytes:
    """A credit as the bank words it, with some of its payload replaced."""
    row: Any = {"ref": str(uuid.uuid5(uuid.NAMESPACE_URL, ref)), "end_to_end": "E2E1", "amount_pence": pence,
                "made_at": "2026-07-11T10:00:00Z", "reference": reference, "account": account,
                "counterpart": "40276110482956", "counterpart_name": "Northwind Retail plc"}
    body = json.loads(notice(row, "FinToken X Ltd"))
    return json.dumps({**body, "Payload": {**body["Payload"], "TransactionId": ref, **changes}}).encode()


def deliver(town: Town, body: bytes) -> Any:
    signed = headers(SECRET, None, body, datetime.now(UTC))
    return town.person("nobody").http.post(WEBHOOK, content=body, headers=signed)


def alarms(town: Town, code: str) -> list[dict[str, Any]]:
    return [row for row in town.incidents() if row["kind"] == "ALARM" and row["reason"] == code]


INSANE = {
    "infinite": lambda body: body.replace(b'"Amount": 42.0', b'"Amount": Infinity'),
    "exponent": lambda body: body.replace(b'"Amount": 42.0', b'"Amount": 1e400000'),
    "year 1": lambda body: body.replace(b"2026-07-11T10:00:00Z", b"0001-01-01T00:00:00Z"),
    "year 9999": lambda body: body.replace(b"2026-07-11T10:00:00Z", b"9999-12-31T23:59:59-23:59"),
    "naive": lambda body: body.replace(b"2026-07-11T10:00:00Z", b"2026-05-22T09:40:00"),
    "utf-8": lambda body: body.replace(b"thank you", b"thank \xff"),
    "no id": lambda body: body.replace(b"insane-1", b""),
    "no json": lambda body: body[:-1],
}


@pytest.mark.parametrize("kind", INSANE)
def test_a_signed_notice_that_cannot_be_booked_is_kept_with_one_alarm(town: Town, kind: str) -> None:
    body = INSANE[kind](a_notice("insane-1"))
    before, received = alarms(town, "bank_notice_unreadable"), len(town.entries("credit.received.2"))
    started = time.monotonic()
    for _ in range(2):
        refused(deliver(town, body), 400, "unreadable")
    assert time.monotonic() - started < 2
    town.wait(lambda: len(alarms(town, "bank_notice_unreadable")) == len(before) + 1, "one alarm")
    raised = alarms(town, "bank_notice_unreadable")[0]
    assert "Northwind" not in raised["detail"] and "thank" not in raised["detail"]
    kept = json.loads(raised["payer_said"])["notice"]
    history = town.house.platform.store.history(CREDIT, raised["resource"])
    assert len(history) == 1 and isinstance(history[0].event, NoticeRefused)
    assert base64.b64decode(kept) == body
    assert len(town.entries("credit.received.2")) == received


def test_a_signed_time_beyond_all_calendars_is_refused(town: Town) -> None:
    body = a_notice("late-1")
    for stamp in ("999999999999", "99999999999", "0"):
        sent = {"X-Request-Time": stamp, "DigitalSignature": signature(SECRET, stamp, body)}
        refused(town.person("nobody").http.post(WEBHOOK, content=body, headers=sent), 400, "unreadable")
    assert accepted(deliver(town, body)) == {"received": True, "repeated": False}


def test_an_id_used_for_other_money_is_alarming_and_never_a_repeat(town: Town) -> None:
    first, other = a_notice("reused-1", pence=500), a_notice("reused-1", pence=700)
    assert not accepted(deliver(town, first))["repeated"]
    assert not accepted(deliver(town, other))["repeated"]
    for body in (first, other):
        assert accepted(deliver(town, body))["repeated"]
    suspended = [entry for entry in town.entries("credit.suspended.1") if entry.resource.startswith("reused-1~")]
    assert [(getattr(entry.event, "reason", ""), getattr(entry.event, "pence", 0)) for entry in suspended] == [
        ("bank_id_reused", 700)]
    town.wait(lambda: alarms(town, "bank_id_reused"), "the alarm")
    assert town.house.platform.store.load(CREDIT, "reused-1").pence == 500


def test_money_into_an_account_that_is_not_ours_waits(town: Town) -> None:
    accepted(deliver(town, a_notice("elsewhere-1", account="04007512345678")))
    town.wait(lambda: town.house.platform.store.load(CREDIT, "elsewhere-1").state == "SUSPENSE", "suspense")
    assert town.house.platform.store.load(CREDIT, "elsewhere-1").reason == "not_our_account"


def test_a_lenders_money_from_another_account_goes_back_to_that_account(town: Town) -> None:
    reference = town.listed()
    payment = town.reserved(reference)
    credit = town.pays(payment["pay_into"], payment["net_advance_pence"], reference, payer=STRANGER)
    town.wait(lambda: town.gone_back(credit), "the stranger's money to be back")
    town.still(reference, "RESERVED", 0.2)
    assert town.house.platform.store.load(CREDIT, credit).reason == "not_the_designated_account"
    back = [row for row in town.bank() if row["counterpart"] == "11223312345678"]
    assert [row["amount_pence"] for row in back] == [payment["net_advance_pence"]]
    town.wait(lambda: not [row for row in town.incidents() if row["resource"] == credit], "the incident to be over")
    assert town.ledger()[f"return_payable:{credit}"] == 0
    rows = json.dumps([str(entry.event) for entry in town.entries(
        "credit.received.2", lambda entry: entry.resource == credit)])
    assert "12345678" not in rows and "Stranger" not in rows, "whose account it is stands sealed"
    town.pays(payment["pay_into"], payment["net_advance_pence"], reference)
    town.wait_state(reference, "DISBURSED")


def test_a_strangers_money_pays_nobodys_invoice(town: Town) -> None:
    reference = town.disbursed()
    face = town.invoice(reference).face_pence
    credit = town.pays(COLLECTIONS, face, reference, payer=STRANGER)
    town.wait(lambda: town.house.platform.store.load(CREDIT, credit).state == "SUSPENSE", "suspense")
    assert town.house.platform.store.load(CREDIT, credit).reason == "third_party_payer"
    town.still(reference, "DISBURSED", 0.2)
    town.pays(COLLECTIONS, face, reference)
    town.wait_state(reference, "SETTLED")
    later = town.disbursed()
    known = {**STRANGER, "remitter_sort_code": "402761", "remitter_account_number": "10482956"}
    town.pays(COLLECTIONS, town.invoice(later).face_pence, later, payer=known)
    town.wait_state(later, "SETTLED")


def test_a_signed_return_that_fits_no_payout_waits_in_suspense_with_an_alarm(town: Town) -> None:
    """It names an invoice that was advanced, as the payout did, and not the payment that it would be."""
    reference = town.disbursed()
    pence = town.house.platform.store.load(PAYMENT, f"{reference}/advance").pence
    body = a_notice("ret-1", pence=pence, reference=reference, IsReturn=True)
    assert accepted(deliver(town, body)) == {"received": True, "repeated": False}
    assert accepted(deliver(town, body)) == {"received": True, "repeated": True}
    town.wait(lambda: len(alarms(town, "return_of_no_payout")) == 1, "one alarm")
    assert town.house.platform.store.load(CREDIT, "ret-1").reason == "return_of_no_payout"
    waiting = [row for row in town.incidents() if row["kind"] == "SUSPENSE" and row["resource"] == "ret-1"]
    assert [(row["reason"], row["pence"]) for row in waiting] == [("return_of_no_payout", pence)]
    town.still(reference, "DISBURSED", 0.2)


def test_a_signed_return_of_another_amount_is_not_taken_for_the_payout(town: Town) -> None:
    payout = f"{town.disbursed()}/advance"
    body = a_notice("ret-2", pence=1, IsReturn=True, EndToEndTransactionId=end_to_end(payout))
    assert not accepted(deliver(town, body))["repeated"]
    town.wait(lambda: alarms(town, "return_differs"), "the alarm")
    assert town.house.platform.store.load(PAYMENT, payout).state == "CONFIRMED"
    found = town.house.platform.store.load(CREDIT, "ret-2")
    assert (found.state, found.suggestion) == ("SUSPENSE", payout)


def test_a_debit_that_nobody_ordered_is_kept_with_one_alarm(town: Town) -> None:
    payout = f"{town.disbursed()}/advance"
    pence = town.house.platform.store.load(PAYMENT, payout).pence
    ours = a_notice("dbt-1", pence=pence, DebitCreditCode="Debit", EndToEndTransactionId=end_to_end(payout))
    twice = a_notice("dbt-2", pence=pence, DebitCreditCode="Debit", EndToEndTransactionId=end_to_end(payout))
    stranger = a_notice("dbt-3", pence=966_000, DebitCreditCode="Debit", EndToEndTransactionId="E2E-STRANGER")
    for body in (ours, twice, stranger):
        assert not accepted(deliver(town, body))["repeated"]
        assert accepted(deliver(town, body))["repeated"]
    town.wait(lambda: len(alarms(town, "debit_not_ordered")) == 2, "an alarm for each but our own")
    kept = [base64.b64decode(json.loads(row["payer_said"])["notice"]) for row in alarms(town, "debit_not_ordered")]
    assert sorted(kept) == sorted([twice, stranger])
    assert all("Northwind" not in row["detail"] for row in alarms(town, "debit_not_ordered"))
