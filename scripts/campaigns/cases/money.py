"""Money's door: notices, payers, prices, dates, references."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx

from providers.bank.signature import headers, signature
from providers.credentials import Credentials
from scripts.campaigns.cases import World, Wrong, case, seen
from scripts.story import ACCOUNTS

WEBHOOK = "/webhooks/providers/bank"
COLLECTIONS = ("040075", "10000001")


def notice(ref: str, amount: str = "42.00", settled: str = "2026-05-22T09:40:00Z", account: str = "04007510000001",
           reference: bytes = b"thank you") -> bytes:
    """A credit as the bank words it, each value as it is given here."""
    payload = {"TransactionId": ref, "Amount": 0, "TimestampSettled": settled, "CurrencyCode": "GBP",
               "DebitCreditCode": "Credit", "Reference": "@", "IsReturn": False,
               "Account": {"BBAN": f"CLRB{account}"},
               "CounterpartAccount": {"BBAN": "MRCB40276110482956", "OwnerName": "Northwind Retail plc"}}
    body = json.dumps({"Type": "TransactionSettled", "Version": 6, "Payload": payload, "Nonce": 1}).encode()
    return body.replace(b'"Amount": 0', f'"Amount": {amount}'.encode()).replace(b'"@"', b'"' + reference + b'"')


def deliver(world: World, body: bytes, stamp: str | None = None) -> httpx.Response:
    secret = Credentials().clearbank_secret.encode()
    if stamp is None:
        sent = headers(secret, None, body, datetime.now(UTC))
    else:
        sent = {"X-Request-Time": stamp, "DigitalSignature": signature(secret, stamp, body)}
    return world.anyone.post(WEBHOOK, content=body, headers=sent)


def incidents(world: World, reason: str) -> list[dict[str, Any]]:
    rows = world.get("mlro", "/v1/compliance/incidents").json()["data"]
    return [row for row in rows if row["reason"] == reason]


def wait(what: str, condition: Any) -> Any:
    deadline = time.monotonic() + 20
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Wrong(f"waited 20 s for {what}")
        time.sleep(0.1)
    return found


@case("K5", "signed bank notices: time 999999999999, Infinity, 1e400000, years 1 and 9999, broken UTF-8")
def insane_notices(world: World) -> str:
    ref = uuid.uuid4().hex
    before = len(incidents(world, "bank_notice_unreadable"))
    seen(deliver(world, notice(ref), "999999999999"), 400, "unreadable")
    for body in (notice(ref, amount="Infinity"), notice(ref, amount="1e400000"),
                 notice(ref, settled="0001-01-01T00:00:00Z"), notice(ref, settled="9999-12-31T23:59:59Z"),
                 notice(ref, reference=b"\xff")):
        started = time.monotonic()
        seen(deliver(world, body), 400, "unreadable")
        if time.monotonic() - started > 1:
            raise Wrong("took over a second")
    wait("an alarm each", lambda: len(incidents(world, "bank_notice_unreadable")) == before + 6)
    return "400 each, six alarms, six sealed notices"


@case("K31", "a bank notice with a time and no offset")
def naive_time(world: World) -> str:
    return seen(deliver(world, notice(uuid.uuid4().hex, settled="2026-05-22T09:40:00")), 400, "unreadable")


@case("K37", "one bank id with two amounts; an empty id; an account that is not ours")
def reused_ids(world: World) -> str:
    ref = uuid.uuid4().hex
    seen(deliver(world, notice(ref)), 200)
    if deliver(world, notice(ref, amount="43.00")).json()["repeated"]:
        raise Wrong("another amount was called a repeat")
    wait("the alarm", lambda: incidents(world, "bank_id_reused"))
    seen(deliver(world, notice("")), 400, "unreadable")
    elsewhere = uuid.uuid4().hex
    seen(deliver(world, notice(elsewhere, account="04007512345678")), 200)
    wait("suspense", lambda: any(row["resource"] == elsewhere for row in incidents(world, "not_our_account")))
    return "alarm and suspense; 400; suspense"


@case("K13", "a lender with a band up to 9,999 basis points")
def capped_band(world: World) -> str:
    bank = ACCOUNTS["pennine"]
    form = {"bank_account": bank, "firm_reference": "432119", "appetite": {"discount_max_bps": 9_999}}
    return seen(world.post("pennine", "/v1/onboarding", form), 422, "band_too_wide")
