"""Who may read what: every GET route for every persona, and no field that is another's business."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from domain.subject import SUBJECT
from domain.token import TOKEN
from tests.api.conftest import Past
from tests.scenarios.town import Person, accepted, refused

STAFF = ("mlro", "admin")
PARTIES = ("coppergate", "northwind", "pennine", "brunel")
SELLERS, BUYERS = ("coppergate", "brightside"), ("northwind", "mercia")
LENDERS, INVESTORS = ("pennine", "salford"), ("brunel", "clifton")
EVERYBODY = (*SELLERS, *BUYERS, *LENDERS, *INVESTORS, *STAFF)

READS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "/v1/me": (EVERYBODY, ()),
    "/v1/invoices": ((*SELLERS, *BUYERS), ()),
    "/v1/invoices/{reference}": ((*PARTIES, *STAFF), EVERYBODY),
    "/v1/invoices/{reference}/timeline": ((*PARTIES, *STAFF), EVERYBODY),
    "/v1/confirmations/{reference}": (("northwind",), BUYERS),
    "/v1/marketplace": (LENDERS, ()),
    "/v1/payments/{payment}": (("pennine",), LENDERS),
    "/v1/tokens/{token}": (("pennine",), (*LENDERS, *INVESTORS)),
    "/v1/listings": (("brunel",), ()),
    "/v1/portfolio": ((*LENDERS, *INVESTORS), ()),
    "/v1/pre-trade-questions": (INVESTORS, ()),
    "/v1/pre-trade-checks/{trade}": (("brunel",), INVESTORS),
    "/v1/trades/{trade}": (("brunel",), INVESTORS),
    "/v1/subjects/{subject}": (("coppergate", "mlro"), EVERYBODY),
    "/v1/compliance/subjects": (("mlro",), ()),
    "/v1/compliance/cases": (("mlro",), ()),
    "/v1/compliance/cases/{file_number}": (("mlro",), ()),
    "/v1/compliance/callbacks": (("mlro",), ()),
    "/v1/compliance/incidents": (STAFF, ()),
    "/v1/compliance/tokens/{token}": (("mlro",), ()),
    "/v1/compliance/orders": (("mlro",), ()),
    "/v1/bills": ((*LENDERS, *INVESTORS), ()),
    "/v1/admin/bills": (("admin",), ()),
    "/v1/compliance/releases": (("mlro",), ()),
    "/v1/compliance/releases/{release}": (("mlro",), ()),
    "/v1/compliance/orders/{order}": (("mlro",), ()),
    "/v1/audit/entries": (STAFF, ()),
    "/v1/audit/anchors": ((*LENDERS, *INVESTORS, *STAFF), ()),
    "/v1/audit/proofs/{position}": (STAFF, EVERYBODY),
    "/v1/audit/receipts/{position}": (STAFF, EVERYBODY),
    "/v1/admin/ledger": (STAFF, ()),
    "/v1/admin/ledger/lines": (STAFF, ()),
}
"""Route -> (who reads it, for whom else the thing does not exist). Everybody else has the wrong role.

Clifton has signed up as an investor and not finished onboarding.
"""

OPEN = ("/v1/sandbox/clock", "/v1/audit/keys", "/health/live", "/health/ready")
FILES = ("/v1/audit/bundles",)
"""Answers that are no JSON; who gets them is in the tests of their own."""

HIDDEN_FIELDS = {
    "coppergate": r"discount|advance|lender|token(?!isation)|contract|yield|slice|holder|mint|burn|page_hash|holds"
                  r"|retention|report|restricted|frozen",
    "northwind": r"discount|advance|lender|token|contract|yield|slice|holder|mint|burn|fee|cash|sort_code"
                 r"|account_number|bank|grade",
    "pennine": r"^fee|_fee_|seller_cash|turnover|bank_account|trading_fee",
    "brunel": r"^fee|platform_fee|seller_cash|turnover|bank_account|lender|net_advance|discount",
}
"""What a persona never sees, by name (money-control rules). An investor's own trading fee is its own."""

PUBLIC = ("/v1/audit/anchors", "/v1/audit/proofs/{position}", *OPEN)
"""Evidence about the log itself: hashes and where they are anchored."""


def address(route: str, past: Past, reference: str) -> str:
    return route.format(reference=reference, token=past.token, payment=past.payment, trade=past.trade,
                        file_number=past.file_number, order=past.order, release=past.release, position=1,
                        subject=past.town.id_of("coppergate"))


def reads(past: Past, who: str) -> Iterator[tuple[str, Any]]:
    """Everything this persona can read."""
    person = past.town.person(who)
    for route, (readers, _) in READS.items():
        if who in readers:
            references = (past.settled, past.outstanding) if who != "brunel" else (past.settled,)
            for reference in references:
                yield route, accepted(person.get(address(route, past, reference)))


def names(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                yield name
                yield from names(inner)
        case list():
            for inner in value:
                yield from names(inner)


def test_the_table_names_every_route(past: Past) -> None:
    described = accepted(past.town.person("nobody").get("/docs/openapi.json"))["paths"]
    routes = {re.sub(r"{\w+}", "{}", path) for path, methods in described.items() if "get" in methods}
    assert routes == {re.sub(r"{\w+}", "{}", route) for route in (*READS, *OPEN, *FILES)}


@pytest.mark.parametrize("route", READS)
def test_who_may_read(past: Past, route: str) -> None:
    readers, hidden_from = READS[route]
    path = address(route, past, past.settled)
    for who in EVERYBODY:
        answer = past.town.person(who).get(path)
        if who in readers:
            accepted(answer)
        elif who in hidden_from:
            refused(answer, 404, "not_found")
        else:
            unfinished = who in INVESTORS and route == "/v1/listings"
            refused(answer, 403, "not_an_investor" if unfinished else "not_your_role")
    refused(past.town.person("nobody").get(path), 401, "not_authenticated")


def test_what_does_not_exist_and_what_is_anothers_look_the_same(past: Past) -> None:
    brightside = past.town.person("brightside")
    other = refused(brightside.get(f"/v1/invoices/{past.settled}"), 404, "not_found")
    none = refused(brightside.get("/v1/invoices/FX-INV-00000"), 404, "not_found")
    assert {**other, "request_id": ""} == {**none, "request_id": ""}


def test_strangers_cannot_act_on_what_is_not_theirs(past: Past) -> None:
    salford, clifton = past.town.person("salford"), past.town.person("clifton")
    refused(salford.post(f"/v1/tokens/{past.token}/slices", {"faces_pence": [1, 2]}), 404, "not_found")
    refused(salford.post("/v1/listings", {"token_reference": past.token, "slice": 2, "price_pence": 1}), 404,
            "not_found")
    refused(clifton.post("/v1/trades", {"pre_trade_check": past.trade, "accepted_total_pence": 1}), 403,
            "not_an_investor")
    decision = {"decision": "approve", "rationale": "because I would like to"}
    for who in (*PARTIES, "admin"):
        answer = past.town.person(who).post(f"/v1/compliance/cases/{past.file_number}/decision", decision)
        refused(answer, 403, "not_your_role")
    refused(past.town.person("mlro").post("/v1/sandbox/clock/advance", {"to": "2027-01-01T00:00:00Z"}), 403,
            "not_your_role")


@pytest.mark.parametrize("who", HIDDEN_FIELDS)
def test_no_field_is_anothers_business(past: Past, who: str) -> None:
    hidden = re.compile(HIDDEN_FIELDS[who])
    seen = {(route, name) for route, body in reads(past, who) if route not in PUBLIC for name in names(body)}
    assert len(seen) > 10
    assert {(route, name) for route, name in seen if hidden.search(name)} == set()


@pytest.mark.parametrize("who", HIDDEN_FIELDS)
def test_no_value_is_anothers_business(past: Past, who: str) -> None:
    said = json.dumps([body for route, body in reads(past, who) if route not in PUBLIC])
    assert past.settled in said
    assert [secret for secret in secrets_from(past, who) if secret in said] == []


def test_no_mail_says_what_its_reader_may_not_know(past: Past) -> None:
    for who, mailbox in (("coppergate", "aisha@coppergate.co.uk"), ("northwind", "tom.whitfield@northwind.co.uk"),
                         ("pennine", "c.beck@pennineam.co.uk"), ("brunel", "f.quereshi@brunelpp.co.uk")):
        mails = past.town.outside.get("/email/mail.json", to=mailbox)
        assert mails
        said = " ".join(mail["subject"] + mail["text"] for mail in mails).replace("FinToken X", "")
        assert [secret for secret in secrets_from(past, who) if secret in said] == []
        assert re.search(r"discount|blockchain|token\b(?!=)|0x[0-9a-f]{8}", said, re.IGNORECASE) is None


def test_no_mail_names_an_amount_that_is_not_its_readers(past: Past) -> None:
    """The face is the seller's and the debtor's, the cash the seller's alone; whoever holds a part knows its part."""
    for mailbox, known in (("aisha@coppergate.co.uk", {"£10,000.00", "£9,660.00"}),
                           ("tom.whitfield@northwind.co.uk", {"£10,000.00"}),
                           ("c.beck@pennineam.co.uk", {"£8,000.00"}), ("f.quereshi@brunelpp.co.uk", {"£2,000.00"})):
        mails = [mail["subject"] + mail["text"] for mail in past.town.outside.get("/email/mail.json", to=mailbox)]
        named = {amount for mail in mails if past.settled in mail for amount in re.findall(r"£[0-9,.]*[0-9]", mail)}
        assert named == known, mailbox


def secrets_from(past: Past, who: str) -> list[str]:
    """Values a persona must meet nowhere."""
    store = past.town.house.platform.store
    token = store.load(TOKEN, past.token)
    ids = {name: past.town.id_of(name) for name in PARTIES}
    seller_bank = ["53910462", "204817", "20-48-17"]
    chain = [token.token_id, token.contract, past.token]
    money = ["Pennine", "Brunel", "Caroline", "Faisal", ids["pennine"], ids["brunel"], past.payment, "976000"]
    sealed = [personal.sealed for name in PARTIES
              if (personal := store.load(SUBJECT, ids[name]).email) is not None]
    return [*sealed, *{
        "coppergate": [*chain, *money, "199150"],
        "northwind": [*chain, *money, *seller_bank, "966000", "199150"],
        "pennine": [*seller_bank, "966000", "aisha@", "tom.whitfield@"],
        "brunel": [*seller_bank, "966000", "976000", "aisha@", "tom.whitfield@", ids["pennine"]],
    }[who]]


def test_reading_writes_nothing(past: Past) -> None:
    """Every GET by everybody, also the refused ones, and the log has not grown."""
    store = past.town.house.platform.store
    head = -1
    while head != store.head():  # whatever the story left to do is done
        head = store.head()
        time.sleep(0.7)
    for route in (*READS, *OPEN):
        for who in (*EVERYBODY, "nobody"):
            past.town.person(who).get(address(route, past, past.settled))
        past.town.person("nobody").http.head(address(route, past, past.settled))
    assert store.head() == head


def test_staff_read_the_log_in_pages(past: Past) -> None:
    admin: Person = past.town.person("admin")
    first = accepted(admin.get("/v1/audit/entries", limit=5))["data"]
    after = accepted(admin.get("/v1/audit/entries", limit=5, after=first[-1]["position"]))["data"]
    assert [row["position"] for row in (*first, *after)] == list(range(1, 11))
