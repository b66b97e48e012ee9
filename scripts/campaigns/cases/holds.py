"""Cases of freezes: a frozen party is offered nothing and paid nothing, and what was held resumes once."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

from domain.calendar import london_date
from domain.money import discount_pence
from providers.bank.account import end_to_end
from providers.documents import InvoiceFields
from providers.documents.sample import draw, usual_lines
from scripts.campaigns.cases import World, Wrong, case, seen

COLLECTIONS = {"sort_code": "040075", "account_number": "10000001"}
MAILBOX, BPS = "tom.whitfield@northwind.co.uk", 240
_numbers = itertools.count(1)


@case("K15", "a frozen seller's receivable is funded")
def frozen_sellers_listing(world: World) -> str:
    reference, _ = _listed(world)
    with frozen(world, "coppergate"):
        if reference in _offered(world):
            raise Wrong("it is on the marketplace")
        said = seen(_reserves(world, reference), 404, "not_found")
    if reference not in _offered(world):
        raise Wrong("it does not come back to the marketplace")
    seen(_reserves(world, reference), 201)
    return f"{said}; back when lifted"


@case("D2", "the bank is away while an advance is due, the seller is frozen meanwhile, the debtor pays")
def frozen_payee(world: World) -> str:
    reference, face = _listed(world)
    payment = _json(_reserves(world, reference))["id"]
    account = _until(world, lambda: world.get("pennine", f"/v1/payments/{payment}").json()["pay_into"])
    world.outside.post("/bank/control/outage", json={"on": True})
    world.story.pay_in(f"{reference}-cash", account, face - discount_pence(face, BPS), reference,
                       "pennine")
    _until(world, lambda: _state(world, reference) == "FUNDED")
    with frozen(world, "coppergate"):
        world.outside.post("/bank/control/outage", json={"on": False})
        _until(world, lambda: f"{reference}/advance" in _held(world))
        world.story.pay_in(f"{reference}-debt", COLLECTIONS, face, reference, "northwind")
        _until(world, lambda: _state(world, reference) == "SETTLED")
        if _debits(world, f"{reference}/advance"):
            raise Wrong("the frozen seller was paid")
    _until(world, lambda: _debits(world, f"{reference}/advance") == 1)
    _until(world, lambda: f"{reference}/advance" not in _held(world))
    return "held, settled without it, paid once when lifted"


@contextmanager
def frozen(world: World, who: str) -> Iterator[None]:
    subject = world.get(who, "/v1/me").json()["id"]
    seen(world.post("mlro", f"/v1/compliance/subjects/{subject}/freeze", {"reason_code": "LIST_HIT"}), 201)
    try:
        yield
    finally:
        seen(world.post("mlro2", f"/v1/compliance/subjects/{subject}/unfreeze", None), 201)


def submitted(world: World) -> tuple[str, int]:
    """Reference and face of a new invoice of Coppergate's to Northwind."""
    number = next(_numbers)
    reference, face, today = f"FX-INV-HOLD{number}", 1_000_000 + 700 * number, _today(world)
    due, sellers = today + timedelta(days=60), f"CG-HOLD-{number}"
    document = draw(InvoiceFields(buyer_name="Northwind Retail plc", seller_name="Coppergate Joinery Ltd",
                                  seller_reference=sellers, face_pence=face, due_on=due), usual_lines(face),
                    issued_on=today)
    sha256 = world.story.as_("coppergate").upload("/v1/documents", document)["sha256"]
    seen(world.post("coppergate", "/v1/invoices", {
        "reference": reference, "buyer_company_number": "04382671", "buyer_email": MAILBOX, "face_value_pence": face,
        "due_date": due.isoformat(), "seller_reference": sellers, "document_sha256": sha256}), 201)
    return reference, face


def _listed(world: World) -> tuple[str, int]:
    reference, face = submitted(world)
    code = _until(world, lambda: _code(world, reference))
    header, path = {"FX-Confirmation-Code": code}, f"/v1/confirmations/{reference}"
    page = world.anyone.get(path, headers=header).json()
    seen(world.post(None, path, {"page_hash": page["page_hash"], "reference_end": reference[-5:],
                                 "pounds": face // 100}, **header), 201)
    _until(world, lambda: _state(world, reference) == "LISTED" or _called_back(world, reference))
    _until(world, lambda: _state(world, reference) == "LISTED")
    return reference, face


def _called_back(world: World, reference: str) -> bool:
    """A pair's first confirmation waits for a call: made here, if this is the first."""
    waiting = world.get("mlro", "/v1/compliance/callbacks", status="open").json()["data"]
    if all(row["reference"] != reference for row in waiting):
        return False
    world.story.call_back(reference, f"{reference}-call")
    return True


def _reserves(world: World, reference: str) -> Any:
    face = world.get("admin", f"/v1/invoices/{reference}").json()["face_value_pence"]
    return world.post("pennine", "/v1/payments", {
        "receivable_reference": reference, "discount_bps": BPS, "net_advance_pence": face - discount_pence(face, BPS),
        "typed_reference": reference})


def _json(answer: Any) -> Any:
    seen(answer, 201)
    return answer.json()


def _offered(world: World) -> list[str]:
    return [row["reference"] for row in world.get("pennine", "/v1/marketplace", limit=100).json()["data"]]


def _held(world: World) -> list[str]:
    rows = world.get("mlro", "/v1/compliance/incidents").json()["data"]
    return [row["resource"] for row in rows if row["kind"] == "HELD"]


def _debits(world: World, payment: str) -> int:
    rows = world.outside.get("/bank/transactions.json").json()
    return sum(row["direction"] == "DBIT" and row["end_to_end"] == end_to_end(payment) for row in rows)


def _state(world: World, reference: str) -> str:
    return world.get("admin", f"/v1/invoices/{reference}").json()["state"]


def _code(world: World, reference: str) -> str | None:
    mails = world.outside.get("/email/mail.json", params={"to": MAILBOX}).json()
    codes = [found[1] for mail in mails if reference in mail["text"]
             and (found := re.search(r"#token=([0-9a-f]{64})", mail["text"]))]
    return codes[-1] if codes else None


def _today(world: World) -> date:
    return london_date(datetime.fromisoformat(world.anyone.get("/v1/sandbox/clock").json()["now"]))


def _until(world: World, condition: Any) -> Any:
    """What the condition gives once it gives anything."""
    last: list[Any] = []

    def there() -> bool:
        last[:] = [condition()]
        return bool(last[0])
    world.story.wait(there, "the platform")
    return last[0]
