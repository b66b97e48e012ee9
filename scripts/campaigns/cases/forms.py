"""Fields, parameters, and the order of checks: what comes near a form is refused with its place, and tells nothing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scripts.campaigns.cases import World, Wrong, case, seen
from scripts.campaigns.cases.acts import submitted
from scripts.campaigns.cases.edge import expect
from scripts.campaigns.cases.holds import frozen

ABSENT = "FX-INV-00000"
CLOCK = "/v1/sandbox/clock/advance"
SIGN_UP: dict[str, Any] = {"role": "sme_seller", "legal_name": "Near Miss Ltd", "representative": "Nora Miss",
                           "email": "nora@near-miss.co.uk", "company_number": "07452111"}


def refused_at(world: World, who: str | None, path: str, body: Any, pointer: str) -> None:
    """422 with that pointer, or Wrong."""
    answer = world.post(who, path, body)
    seen(answer, 422)
    if (told := answer.json()["errors"][0]["pointer"]) != pointer:
        raise Wrong(f"points at {told}, not at {pointer}")


def parameter_refused(world: World, who: str, path: str, name: str, *values: str) -> str:
    for value in values:
        answer = world.get(who, path, **{name: value})
        seen(answer, 400)
        if answer.json()["errors"][0]["pointer"] != f"/{name}":
            raise Wrong(f"{value}: {answer.text[:200]}")
    return f"400 at /{name}, {len(values)} times"


@case("K4", "discount_min=inf, nan, 1e300; tenor_max and after out of all bounds")
def numbers_without_bounds(world: World) -> str:
    parameter_refused(world, "pennine", "/v1/marketplace", "discount_min", "inf", "nan", "1e300", "-1", "٢")
    parameter_refused(world, "pennine", "/v1/marketplace", "tenor_max", "-" + "9" * 26, "9" * 30, "1e2", "null")
    for path in ("/v1/audit/entries", "/v1/audit/anchors", "/v1/admin/ledger/lines"):
        parameter_refused(world, "admin", path, "after", "-" + "9" * 30, "9" * 30, "nan")
    return "400 with the parameter's name"


@case("K4", "the clock: year 9999, a bare number, eleven years ahead")
def clock_without_bounds(world: World) -> str:
    now = int(world.anyone.get("/v1/sandbox/clock").json()["now"][:4])
    for to in ("9999-12-31T23:59:59-23:59", f"{now + 11}-01-01T00:00:00Z", 1764350000, 1.5, "2026-07-21T10:14:00"):
        refused_at(world, "admin", CLOCK, {"to": to}, "/to")
    return "422 at /to"


@case("K10", "somebody else's invoice, token, subject and a buyer who may not be invoiced, beside absent ones")
def existence(world: World) -> str:
    there = submitted(world)[0]
    coppergate = world.get("coppergate", "/v1/me").json()["id"]
    unfinished = f"9{uuid.uuid4().int % 10**7:07d}"
    seen(world.post(None, "/v1/subjects", {**SIGN_UP, "role": "corporate_buyer", "company_number": unfinished}), 201)
    for name, other in ((there, ABSENT), (there.replace("FX-", "FXR-"), ABSENT.replace("FX-", "FXR-"))):
        alike(world, "brunel", lambda it: f"/v1/invoices/{it}", None, name, other)
        alike(world, "pennine", lambda it: f"/v1/tokens/{it}", None, name, other)
        alike(world, "pennine", lambda _: "/v1/payments", payment, name, other)
        alike(world, "brunel", lambda _: "/v1/pre-trade-checks", check, name, other)
    alike(world, "northwind", lambda it: f"/v1/subjects/{it}", None, coppergate, "sub_0000000000000000")
    alike(world, "coppergate", lambda _: "/v1/invoices", invoice_to, unfinished, "99999999")
    return "the same answer, status and words"


def alike(world: World, who: str, path: Callable[[str], str], body: Callable[[str], Any] | None, *names: str) -> None:
    """The same answer for each name, or Wrong. A body makes it a POST."""
    said: list[Any] = []
    for name in names:
        at = path(name)
        answer = world.get(who, at) if body is None else world.post(who, at, body(name))
        said.append((answer.status_code, {**answer.json(), "request_id": ""}))
    if said[0] != said[1] or said[0][0] < 400:
        raise Wrong(f"{path('…')}: {said[0]} beside {said[1]}")


def payment(name: str) -> dict[str, Any]:
    return {"receivable_reference": name, "typed_reference": name, "discount_bps": 240, "net_advance_pence": 1}


def check(name: str) -> dict[str, Any]:
    return {"token_reference": name, "slice": 0, "answers": [True] * 7}


def invoice_to(company_number: str) -> dict[str, Any]:
    return {"buyer_company_number": company_number, "buyer_email": "t@near-miss.co.uk", "face_value_pence": 1_000_000,
            "due_date": "2026-07-21", "seller_reference": "CG-1", "document_sha256": "0a" * 32}


@case("K16", "a trailing newline, Arabic digits in mailbox, company number, account, hash")
def newline_and_digits(world: World) -> str:
    for name, value in (("email", "x@gmail.com\n"), ("company_number", "07452983\n"),
                        ("company_number", "٠٧٤٥٢٩٨٣"), ("legal_name", "Near Miss Ltd\n")):
        refused_at(world, None, "/v1/subjects", {**SIGN_UP, name: value}, f"/{name}")
    account = {"name": "Near Miss Ltd", "sort_code": "204817", "account_number": "53910462"}
    for name, value in (("account_number", "٥٣٩١٠٤٦٢"), ("sort_code", "٢٠٤٨١٧"), ("account_number", "53910462\n")):
        refused_at(world, "coppergate", "/v1/onboarding", {"bank_account": {**account, name: value}},
                   f"/bank_account/{name}")
    newline = {**invoice_to("04382671"), "document_sha256": "0a" * 32 + "\n"}
    refused_at(world, "coppergate", "/v1/invoices", newline, "/document_sha256")
    return "422 with the field's place"


@case("K2", "49,000 accents on one letter, by a stranger, eight at once: 40 s, and everybody waits")
def heaped_accents(world: World) -> str:
    body = {**SIGN_UP, "legal_name": "a" + "\u0300" * 24_000 + "\u0316" * 24_000}
    with ThreadPoolExecutor(9) as pool:
        began = time.monotonic()
        shots = [pool.submit(refused_at, world, None, "/v1/subjects", body, "/legal_name") for _ in range(8)]
        health = pool.submit(world.get, None, "/health/live")
        expect(health.result().status_code == 200, "health does not answer")
        waited = time.monotonic() - began
        for shot in shots:
            shot.result()
    took = time.monotonic() - began
    expect(waited < 1 and took < 4, f"health waited {waited:.1f} s, all took {took:.1f} s")
    return f"422; health waited {waited * 1000:.0f} ms"


@case("K29", "mailboxes no mail server takes: a..b@, .a@, tomás@, \"a\"@, a zero-width space")
def mailboxes(world: World) -> str:
    for local in ("a..b", ".a", "a.", "tomás", "a,b", '"a"', "a(b)", "a\u200b"):
        refused_at(world, None, "/v1/subjects", {**SIGN_UP, "email": f"{local}@near-miss.co.uk"}, "/email")
    return "422 at /email"


@case("K30", "blank and zero-width names, a look-alike in Cyrillic, a firm reference in other digits")
def names(world: World) -> str:
    for name in (" ", "\u200b", "\u3164", "---", "Соppergate Joinery Ltd", "a\u202eb"):
        refused_at(world, None, "/v1/subjects", {**SIGN_UP, "legal_name": name}, "/legal_name")
    refused_at(world, "pennine", "/v1/onboarding", {"firm_reference": "٦٩٧٢٤١"}, "/firm_reference")
    return "422 with the field's place"


@case("K36", "1e6, \"1000000\", 1.0 for an integer; 1, \"true\" for a boolean")
def coercion(world: World) -> str:
    for raw in (b"1e6", b'"1000000"', b"1.0", b"true"):
        body = (b'{"receivable_reference":"FX-INV-00000","typed_reference":"FX-INV-00000","discount_bps":240,'
                b'"net_advance_pence":' + raw + b"}")
        refused_at(world, "pennine", "/v1/payments", body, "/net_advance_pence")
    for answer in (1, "true", 0, 1.0):
        sent = {"token_reference": "FXR-INV-00000", "slice": 1, "answers": [answer, *[True] * 6]}
        refused_at(world, "brunel", "/v1/pre-trade-checks", sent, "/answers/0")
    return "422 with the field's place"


@case("D4", "limits out of range, a parameter nobody knows")
def limits(world: World) -> str:
    for who, path in (("coppergate", "/v1/invoices"), ("mlro", "/v1/compliance/cases"), ("pennine", "/v1/portfolio"),
                      ("mlro", "/v1/compliance/incidents"), ("admin", "/v1/audit/entries")):
        parameter_refused(world, who, path, "limit", "0", "-1", "1001", "ten")
        parameter_refused(world, who, path, "k" + uuid.uuid4().hex[:6], "1")
    return "400 with the parameter's name"


@case("D4", "lists read in pages of three: nothing is cut off, nothing comes twice")
def pages(world: World) -> str:
    for who, path in (("coppergate", "/v1/invoices"), ("mlro", "/v1/compliance/subjects"),
                      ("mlro", "/v1/compliance/incidents"), ("mlro", "/v1/audit/entries")):
        whole = read(world, who, path, 100)
        if read(world, who, path, 3)[:len(whole)] != whole:
            raise Wrong(f"{path}: the pages are not the list")
    return "the pages are the list"


def read(world: World, who: str, path: str, limit: int) -> list[Any]:
    """The list from its pages; a log grows while it is read, so 100 pages are enough."""
    found: list[Any] = []
    params: dict[str, Any] = {}
    for _ in range(100):
        answer = world.get(who, path, limit=limit, **params).json()
        found += answer["data"]
        if limit == 100 or not answer["page"]["has_more"]:
            break
        params = {"cursor": answer["page"]["cursor"]}
    return found


@case("D10", "the states shown of a subject that was opened, frozen and unfrozen")
def states(world: World) -> str:
    pennine = world.get("pennine", "/v1/me").json()["id"]
    with frozen(world, "pennine"):
        held = shown(world, pennine)
    after = shown(world, pennine)
    if (held[-1], after[-1]) != ("FROZEN", "ACTIVE") or None in after or after[:len(held)] != held:
        raise Wrong(f"{held}, then {after}")
    return f"{held[0]} … {held[-1]}, {after[-1]}"


def shown(world: World, resource: str) -> list[str | None]:
    """The states after each entry of a thing's own."""
    rows = world.get("mlro", "/v1/audit/entries", resource=resource, limit=1_000).json()["data"]
    return [row["state"] for row in rows if row["type"].startswith("subject.")]
