"""Who a company is and who speaks for it: forms, registers, mailboxes, keys, call-backs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from scripts.campaigns.cases import World, Wrong, case, seen

PATIENCE_S = 30.0


def _signs_up(world: World, role: str, name: str, number: str, mailbox: str) -> dict[str, Any]:
    """Signed up and its mailbox proved; the sign-up's answer."""
    made = world.post(None, "/v1/subjects", {"role": role, "legal_name": name, "company_number": number,
                                             "representative": "Ann Other", "email": mailbox}).json()
    _wait(lambda: bool(world.story.codes(made["id"], mailbox)), "the code by mail")
    code = world.story.codes(made["id"], mailbox)[-1]
    seen(_send(world, made["api_key"], "/v1/me/mailbox", {"code": code}), 200)
    return made


def _send(world: World, key: str, path: str, body: Any) -> httpx.Response:
    return world.anyone.post(path, json=body, headers={"Authorization": f"Bearer {key}",
                                                       "FX-Idempotency-Key": uuid.uuid4().hex})


def _me(world: World, key: str) -> httpx.Response:
    return world.anyone.get("/v1/me", headers={"Authorization": f"Bearer {key}"})


def _case(world: World, subject: str, status: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        rows = world.get("mlro", "/v1/compliance/cases", status=status).json()["data"]
        return [row for row in rows if row["subject"] == subject]
    _wait(lambda: bool(found()), f"a case that is {status}")
    return found()[0]


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise Wrong(f"waited {PATIENCE_S:.0f} s for {what}")
        time.sleep(0.1)


@case("K14", "corporate buyer with Northwind's number and an unrelated mailbox, empty form")
def impostor(world: World) -> str:
    made = _signs_up(world, "corporate_buyer", "Northwind Retail plc", "04382671", "tom@payments-desk.com")
    seen(_send(world, made["api_key"], "/v1/onboarding", {}), 202)
    reasons = _case(world, made["id"], "open")["reasons"]
    state = _me(world, made["api_key"]).json()["state"]
    wanted = ("mailbox_domain_unknown", "company_contested")
    if state != "IN_REVIEW" or not all(any(reason.startswith(word) for reason in reasons) for word in wanted):
        raise Wrong(f"{state}: {reasons}")
    return f"{state}, a case for {', '.join(wanted)}"


@case("K14", "the form before the mailbox is proved")
def unproved(world: World) -> str:
    made = world.post(None, "/v1/subjects", {
        "role": "corporate_buyer", "legal_name": "Teasel Mills plc", "company_number": "07460001",
        "representative": "Ann Other", "email": "ann@teasel.co.uk"}).json()
    seen(_send(world, made["api_key"], "/v1/me/mailbox", {"code": "AAAA-AAAA"}), 422, "code_wrong")
    return seen(_send(world, made["api_key"], "/v1/onboarding", {}), 409, "mailbox_unproved")


@case("K9", "a sign-up repeated with its idempotency key")
def told_once(world: World) -> str:
    body = {"role": "corporate_buyer", "legal_name": "Sorrel Mills plc", "company_number": "07460002",
            "representative": "Ann Other", "email": "ann@sorrel.co.uk"}
    key = {"FX-Idempotency-Key": uuid.uuid4().hex}
    first, again = (world.post(None, "/v1/subjects", body, **key).json() for _ in range(2))
    if not first["api_key"] or again["api_key"] is not None or first["id"] != again["id"]:
        raise Wrong("the key was answered again")
    return "api_key: null the second time"


@case("K18", "a key with another environment, generation or letter")
def parts_of_a_key(world: World) -> str:
    parts = world.story.keys["coppergate"].split("_")
    letter = "a" if parts[5][0] != "a" else "b"
    for place, instead in ((1, "live"), (1, "foo"), (4, "2"), (5, letter + parts[5][1:])):
        seen(_me(world, "_".join([*parts[:place], instead, *parts[place + 1:]])), 401)
    seen(_me(world, world.story.keys["coppergate"]), 200)
    return "401 for each, 200 for the right one"


@case("K18", "the key of a closed account, and of one that was rolled")
def dead_keys(world: World) -> str:
    made = _signs_up(world, "corporate_buyer", "Bracken Mills plc", "07460003", "ann@bracken.co.uk")
    rolled = _send(world, made["api_key"], "/v1/api-keys", {}).json()
    seen(_me(world, made["api_key"]), 401)
    seen(_send(world, rolled["api_key"], f"/v1/subjects/{made['id']}/closure", {}), 201)
    return seen(_me(world, rolled["api_key"]), 401)


@case("K19", "a lender whose firm reference is another company's")
def another_firm(world: World) -> str:
    world.outside.post("/companies-house/control/companies", json={"number": "07460004", "name": "YARROW CREDIT LTD"})
    made = _signs_up(world, "lender", "Yarrow Credit Ltd", "07460004", "ann@yarrowcredit.co.uk")
    seen(_send(world, made["api_key"], "/v1/onboarding", {
        "firm_reference": "697241", "bank_account": {"name": "Yarrow Credit Ltd", "sort_code": "20-48-99",
                                                     "account_number": "53910477"}}), 202)
    case_of = _case(world, made["id"], "ended")
    shown = _me(world, made["api_key"]).json()
    if shown["state"] != "CLOSED" or not shown["application"]["again_from"]:
        raise Wrong(f"the customer sees {shown}")
    return f"CLOSED for the customer; the case: {case_of['reasons'][0]}"


@case("K30", "a company number the register does not know")
def returned(world: World) -> str:
    made = _signs_up(world, "corporate_buyer", "Fennel Mills plc", "99999998", "ann@fennel.co.uk")
    seen(_send(world, made["api_key"], "/v1/onboarding", {}), 202)
    _wait(lambda: _me(world, made["api_key"]).json()["state"] == "FORM_RETURNED", "the form to come back")
    return f"FORM_RETURNED, correct {_me(world, made['api_key']).json()['application']['correct']}"


@case("D1", "an investor whose bank account is a person's")
def a_persons_account(world: World) -> str:
    world.outside.post("/companies-house/control/companies", json={"number": "07460005", "name": "TANSY FUND LTD"})
    made = _signs_up(world, "investor", "Tansy Fund Ltd", "07460005", "ann@tansyfund.co.uk")
    seen(_send(world, made["api_key"], "/v1/onboarding", {
        "mifid_category": "PROFESSIONAL", "bank_account": {"name": "Ann Other", "sort_code": "20-48-99",
                                                           "account_number": "53910488"}}), 202)
    return _case(world, made["id"], "open")["reasons"][0]
