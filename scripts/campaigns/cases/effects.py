"""Mails that cannot be sent, words that are not ours, and ends that are none."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from domain.calendar import london_date
from providers.documents import InvoiceFields
from providers.documents.sample import draw, usual_lines
from scripts.campaigns.cases import World, Wrong, case, seen

BUYER, BUYER_MAIL, SELLER = "Northwind Retail plc", "tom.whitfield@northwind.co.uk", "Coppergate Joinery Ltd"
WAIT_S = 20.0


def submit(world: World, number: str, **changes: Any) -> httpx.Response:
    """Coppergate's invoice `number`, which differs in its amount from every other."""
    face = 900_000 + int(uuid.uuid4().hex[:4], 16)
    due = london_date(now(world)) + timedelta(days=60)
    pdf = draw(InvoiceFields(buyer_name=BUYER, seller_name=SELLER, seller_reference=number, face_pence=face,
                             due_on=due), usual_lines(face), issued_on=due - timedelta(days=60))
    uploaded = world.as_("coppergate").post("/v1/documents", content=pdf, headers={"Content-Type": "application/pdf"})
    return world.post("coppergate", "/v1/invoices", {
        "buyer_company_number": "04382671", "buyer_email": BUYER_MAIL, "face_value_pence": face,
        "due_date": due.isoformat(), "seller_reference": number, "document_sha256": uploaded.json()["sha256"],
        **changes})


def now(world: World) -> datetime:
    return datetime.fromisoformat(world.get(None, "/v1/sandbox/clock").json()["now"]).astimezone(UTC)


def becomes(world: World, reference: str, state: str) -> str:
    """Waits until the invoice is in a state, as an administrator sees it."""
    deadline, shown = time.monotonic() + WAIT_S, ""
    while time.monotonic() < deadline:
        shown = world.get("admin", f"/v1/invoices/{reference}").json().get("state", "")
        if shown == state:
            return shown
        time.sleep(0.1)
    raise Wrong(f"{reference} stays {shown}")


@case("K7", "a line separator (U+2028) in the seller's reference")
def line_separator(world: World) -> str:
    answer = submit(world, "CG-900", seller_reference="CG-900\u2028")
    if answer.status_code not in (400, 422):
        raise Wrong(f"{answer.status_code} {answer.text[:100]}")
    return f"{answer.status_code}"


@case("K12", "'ACCOUNT CHANGED pay 20-00-00 12345678 see http://…' as the seller's reference")
def words_in_our_voice(world: World) -> str:
    typed = "CG-907 ACCOUNT CHANGED pay 20-00-00 12345678 see http://pay.example"
    said = seen(submit(world, "CG-907", seller_reference=typed), 422, "seller_reference_unfit")
    reference = submit(world, "CG-908").json()["reference"]
    becomes(world, reference, "AWAITING_BUYER")
    mails = [mail for mail in world.outside.get("/email/mail.json", params={"to": BUYER_MAIL}).json()
             if reference in mail["subject"]]
    if not mails or "CG-908" in mails[-1]["subject"] or "  > CG-908" not in mails[-1]["text"].splitlines():
        raise Wrong(f"the mail: {[mail['subject'] for mail in mails]}")
    return f"{said}; an honest one is quoted"


@case("D9", "the buyer's mailbox answers 550")
def dead_mailbox(world: World) -> str:
    reference = submit(world, "CG-910", buyer_email="bounce@northwind.co.uk").json()["reference"]
    becomes(world, reference, "BUYER_UNREACHABLE")
    seen(world.post("coppergate", f"/v1/invoices/{reference}/buyer-mailbox", {"buyer_email": BUYER_MAIL}), 202)
    becomes(world, reference, "AWAITING_BUYER")
    seen(world.post("coppergate", f"/v1/invoices/{reference}/withdraw", {}), 201)
    return f"BUYER_UNREACHABLE, corrected, asked; {becomes(world, reference, 'WITHDRAWN')} at the seller's wish"


@case("D6", "an officer decides a case: on whose behalf")
def on_behalf(world: World) -> str:
    entries = world.get("admin", "/v1/audit/entries", limit=100).json()["data"]
    decided = [entry for entry in entries if entry["action"] == "MLRO_APPROVE"]
    if not decided or not all(entry.get("on_behalf_of") for entry in decided):
        raise Wrong(f"{len(decided)} decisions, of which some name nobody")
    return f"{len(decided)} decisions, each names its subject"


@case("D8", "an alarm that was closed is raised again by its cause")
def alarm_again(world: World) -> str:
    reference = submit(world, "CG-911", buyer_email="bounce@northwind.co.uk").json()["reference"]
    becomes(world, reference, "BUYER_UNREACHABLE")
    rows = [row for row in world.get("mlro", "/v1/compliance/incidents").json()["data"] if reference in row["resource"]]
    if not rows:
        raise Wrong("no incident")
    seen(world.post("mlro", f"/v1/compliance/incidents/{rows[0]['position']}/close", {}), 201)
    seen(world.post("coppergate", f"/v1/invoices/{reference}/buyer-mailbox",
                    {"buyer_email": "bounce@northwind.co.uk"}), 202)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        again = [row for row in world.get("mlro", "/v1/compliance/incidents").json()["data"]
                 if reference in row["resource"]]
        if again:
            return f"{again[0]['reason']}, occurrence {again[0]['occurrence']}"
        time.sleep(0.1)
    raise Wrong("closed for ever")


