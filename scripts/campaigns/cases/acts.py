"""What several cases do on their way: an invoice is listed, reserved, paid for, cut into slices and offered."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import httpx

from domain.calendar import london_date
from domain.money import discount_pence
from providers.bank.account import end_to_end
from providers.documents import InvoiceFields
from providers.documents.sample import draw, usual_lines
from scripts.campaigns.cases import World, seen

MAILBOX, BPS = "tom.whitfield@northwind.co.uk", 240
_numbers = itertools.count(1)


def submitted(world: World, face: int = 1_000_000, days: int = 60) -> tuple[str, int]:
    """Reference and face of a new invoice of Coppergate's to Northwind, due in so many days."""
    number, today = next(_numbers), london_today(world)
    reference, sellers = f"FX-INV-ACTS{number}", f"CG-ACTS-{number}"
    face, due = face + 700 * number, today + timedelta(days=days)
    document = draw(InvoiceFields(buyer_name="Northwind Retail plc", seller_name="Coppergate Joinery Ltd",
                                  seller_reference=sellers, face_pence=face, due_on=due), usual_lines(face),
                    issued_on=today)
    sha256 = world.story.as_("coppergate").upload("/v1/documents", document)["sha256"]
    answered(world.post("coppergate", "/v1/invoices", {
        "reference": reference, "buyer_company_number": "04382671", "buyer_email": MAILBOX, "face_value_pence": face,
        "due_date": due.isoformat(), "seller_reference": sellers, "document_sha256": sha256}))
    return reference, face


def listed(world: World, face: int = 1_000_000, days: int = 60) -> tuple[str, int]:
    """It is on the marketplace; its reference and its face, a little more than was asked for."""
    reference, face = submitted(world, face, days)
    until(world, lambda: state(world, reference) == "AWAITING_BUYER")
    header = {"FX-Confirmation-Code": until(world, lambda: _code(world, reference))}
    path = f"/v1/confirmations/{reference}"
    page = world.anyone.get(path, headers=header).json()
    answered(world.post(None, path, {"page_hash": page["page_hash"], "reference_end": reference[-5:],
                                     "pounds": face // 100}, **header))
    until(world, lambda: state(world, reference) == "LISTED" or _called_back(world, reference))
    until(world, lambda: state(world, reference) == "LISTED")
    return reference, face


def reserves(world: World, reference: str) -> httpx.Response:
    face = world.get("admin", f"/v1/invoices/{reference}").json()["face_value_pence"]
    return world.post("pennine", "/v1/payments", {
        "receivable_reference": reference, "discount_bps": BPS, "net_advance_pence": face - discount_pence(face, BPS),
        "typed_reference": reference})


def paid_for(world: World, days: int = 60) -> tuple[str, int]:
    """Pennine has reserved one and paid; the advance is on its way."""
    reference, face = listed(world, days=days)
    payment = answered(reserves(world, reference))["id"]
    account = until(world, lambda: world.get("pennine", f"/v1/payments/{payment}").json()["pay_into"])
    world.story.pay_in(f"{reference}-cash", account, face - discount_pence(face, BPS), reference, "pennine")
    return reference, face


def sliced(world: World, days: int = 60) -> str:
    """Pennine holds one in two slices and offers the first, of £2,000.00, for £1,991.50; the token."""
    reference, face = paid_for(world, days)
    token = reference.replace("FX-", "FXR-")
    until(world, lambda: state(world, reference) == "DISBURSED")
    answered(world.post("pennine", f"/v1/tokens/{token}/slices", {"faces_pence": [200_000, face - 200_000]}))
    until(world, lambda: sum(row["token_reference"] == token and row["slice"] > 0
                             for row in world.get("pennine", "/v1/portfolio", limit=100).json()["data"]) == 2)
    answered(world.post("pennine", "/v1/listings", {"token_reference": token, "slice": 1, "price_pence": 199_150}))
    return token


def checks(world: World, token: str) -> httpx.Response:
    """Brunel answers the seven questions about the first slice."""
    return world.post("brunel", "/v1/pre-trade-checks", {"token_reference": token, "slice": 1, "answers": [True] * 7})


def offered(world: World) -> list[str]:
    return [row["reference"] for row in world.get("pennine", "/v1/marketplace", limit=100).json()["data"]]


def debits(world: World, payment: str) -> int:
    """How many payments of that id the bank has made."""
    rows = world.outside.get("/bank/transactions.json").json()
    return sum(row["direction"] == "DBIT" and row["end_to_end"] == end_to_end(payment) for row in rows)


def state(world: World, reference: str) -> str:
    return world.get("admin", f"/v1/invoices/{reference}").json()["state"]


def now(world: World) -> datetime:
    return datetime.fromisoformat(world.anyone.get("/v1/sandbox/clock").json()["now"])


def london_today(world: World) -> date:
    return london_date(now(world))


def answered(answer: httpx.Response) -> Any:
    """What an accepted mutation says; Wrong for any other answer."""
    if answer.status_code != 202:
        seen(answer, 201)
    return answer.json()


def until(world: World, condition: Callable[[], Any]) -> Any:
    """What the condition gives once it gives anything."""
    last: list[Any] = []

    def there() -> bool:
        last[:] = [condition()]
        return bool(last[0])
    world.story.wait(there, "the platform")
    return last[0]


def _called_back(world: World, reference: str) -> bool:
    """A pair's first confirmation waits for a call: made here, if this is the first."""
    waiting = world.get("mlro", "/v1/compliance/callbacks", status="open").json()["data"]
    if all(row["reference"] != reference for row in waiting):
        return False
    world.story.call_back(reference, f"{reference}-call")
    return True


def _code(world: World, reference: str) -> str | None:
    mails = world.outside.get("/email/mail.json", params={"to": MAILBOX}).json()
    codes = [found[1] for mail in mails if reference in mail["text"]
             and (found := re.search(r"#token=([0-9a-f]{64})", mail["text"]))]
    return codes[-1] if codes else None
