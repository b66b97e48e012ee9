"""Money's door: notices, payers, prices, dates, references."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from domain.rails import is_checked
from providers.bank.account import end_to_end
from providers.bank.signature import headers, signature
from providers.credentials import Credentials
from scripts.campaigns.cases import World, Wrong, case, seen
from scripts.campaigns.cases.acts import (
    answered,
    checks,
    debits,
    listed,
    now,
    offered,
    paid_for,
    reserves,
    sliced,
    state,
    until,
)
from scripts.story import ACCOUNTS
from scripts.story import COLLECTIONS as INTO

WEBHOOK = "/webhooks/providers/bank"


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


@case("K17", "a slice four days past maturity; a receivable nobody can fund any more")
def past_maturity(world: World) -> str:
    token, (reference, _) = sliced(world, days=14), listed(world, days=14)
    forward(world, days=5)
    days = next(row["tenor_days"] for row in world.get("pennine", "/v1/marketplace", limit=100).json()["data"]
                if row["reference"] == reference)
    if days != 9:
        raise Wrong(f"five days later it is shown with {days} days")
    forward(world, days=13)
    said = seen(checks(world, token), 409, "trading_closed")
    seen(reserves(world, reference), 409, "trading_closed")
    if reference in offered(world) or any(
            row["token_reference"] == token for row in world.get("brunel", "/v1/listings").json()["data"]):
        raise Wrong("it is still offered")
    return f"{said}; offered to nobody; days count from today"


@case("K20", "a listing fee in listing_fee_receivable, a month later")
def listing_fee(world: World) -> str:
    sliced(world)
    forward(world, days=32)
    bills = until(world, lambda: [row for row in world.get("pennine", "/v1/bills").json()["data"]
                                  if row["state"] == "ISSUED"])
    for bill in bills:
        world.story.pay_in(bill["reference"], INTO, bill["total_pence"], bill["reference"], "pennine")
    until(world, lambda: all(row["state"] == "PAID" for row in world.get("pennine", "/v1/bills").json()["data"]))
    until(world, lambda: not owed(world, "listing_fee_receivable:"))
    return f"billed £{bills[0]['total_pence'] / 100:,.2f}, paid by transfer, nothing left receivable"


@case("K35", "the reference an investor is asked to write")
def trade_reference(world: World) -> str:
    trade = answered(checks(world, sliced(world)))["id"]
    path = f"/v1/pre-trade-checks/{trade}"
    until(world, lambda: world.get("brunel", path).json()["status"] != "PRE_TRADE_PENDING")
    total = world.get("brunel", path).json()["total_pence"]
    answered(world.post("brunel", "/v1/trades", {"pre_trade_check": trade, "accepted_total_pence": total}))
    account = until(world, lambda: world.get("brunel", f"/v1/trades/{trade}").json()["pay_into"])
    if not is_checked(account["reference"]) or not account["reference"].isalnum():
        raise Wrong(account["reference"])
    world.story.pay_in(trade, account, total, account["reference"], "brunel")
    until(world, lambda: world.get("brunel", f"/v1/trades/{trade}").json()["status"] == "TRADE_SETTLED")
    return f"{account['reference']}, {len(account['reference'])} characters, the last a check; paid and settled"


@case("D5", "two receivables of one seller, of which the lender's cap has room for one, reserved at once")
def originator_cap(world: World) -> str:
    """The cap is £500,000.00 unless the lender says otherwise."""
    first, *both = (listed(world, face=20_000_000)[0] for _ in range(3))
    answered(reserves(world, first))
    with ThreadPoolExecutor(2) as threads:
        answers = sorted(threads.map(lambda reference: reserves(world, reference), both),
                         key=lambda answer: answer.status_code)
    if "originator" not in answers[1].text:
        raise Wrong(answers[1].text[:200])
    return f"{seen(answers[0], 201)} and {seen(answers[1], 409, 'outside_appetite')}"


@case("D4", "the seller's bank returns the advance")
def returned_payout(world: World) -> str:
    world.outside.post("/bank/control/hold", json={"on": True})
    reference, _ = paid_for(world)
    payout = f"{reference}/advance"
    until(world, lambda: debits(world, payout))
    world.outside.post("/bank/control/outage", json={"on": True})
    world.outside.post("/bank/control/hold", json={"on": False})
    world.outside.post("/bank/control/release", json={})
    ref = next(row["ref"] for row in world.outside.get("/bank/transactions.json").json()
               if row["end_to_end"] == end_to_end(payout))
    world.outside.post(f"/bank/control/payments/{ref}/return", json={})
    world.outside.post("/bank/control/outage", json={"on": False})
    return _sent_again(world, reference, payout)


@case("D4", "the seller's bank returns the advance after it was credited")
def returned_late(world: World) -> str:
    reference, _ = paid_for(world)
    payout = f"{reference}/advance"
    until(world, lambda: state(world, reference) == "DISBURSED")
    ref = next(row["ref"] for row in world.outside.get("/bank/transactions.json").json()
               if row["end_to_end"] == end_to_end(payout))
    world.outside.post(f"/bank/control/payments/{ref}/return", json={})
    until(world, lambda: state(world, reference) == "FUNDED")
    return _sent_again(world, reference, payout)


def _sent_again(world: World, reference: str, payout: str) -> str:
    until(world, lambda: came_back(world, payout))
    release = answered(world.post("mlro", "/v1/compliance/reroutes", {"payment": payout}))
    path, body = f"/v1/compliance/releases/{release['id']}/approve", {"content_sha256": release["content_sha256"]}
    said = seen(world.post("mlro", path, body), 403, "release_needs_another_officer")
    answered(world.post("mlro2", path, body))
    until(world, lambda: state(world, reference) == "DISBURSED")
    until(world, lambda: not came_back(world, payout))
    until(world, lambda: not owed(world, f"seller_payable:{reference}"))
    if (debits(world, payout), debits(world, f"{payout}/2")) != (1, 1):
        raise Wrong("not paid exactly once")
    return f"{said} by one; by two sent again once, DISBURSED, the incident over"


def came_back(world: World, payout: str) -> bool:
    rows = world.get("mlro", "/v1/compliance/incidents", limit=100).json()["data"]
    return any(row["kind"] == "PAYOUT" and row["resource"] == payout for row in rows)


def owed(world: World, accounts: str) -> int:
    """Pence on the ledger's accounts whose names begin so."""
    rows = world.get("admin", "/v1/admin/ledger").json()["accounts"]
    return sum(row["pence"] for row in rows if row["account"].startswith(accounts))


def forward(world: World, **span: float) -> None:
    """The seller renews its file when that has fallen due, so that those who come after find it as it was."""
    world.story.clock_to(now(world) + timedelta(**span))
    if world.get("coppergate", "/v1/me").json()["state"] == "ACTIVE":
        return
    story, name = world.story, "Coppergate Joinery Ltd"
    before = sum(row["legal_name"] == name for row in story.cases())
    answered(world.post("coppergate", "/v1/onboarding", story.coppergate_form()))
    story.wait_for_case(name, decided=before)
    story.approve(f"renewal-{before}", "Six-month refresh: no adverse change, screening clear. Approved.",
                  decided=before)
    story.wait_active("coppergate", refreshed=True)
