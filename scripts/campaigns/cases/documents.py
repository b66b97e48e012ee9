"""Documents and duplicates: what a foreign file may do, and what an invoice must say of itself."""

from __future__ import annotations

import itertools
import time
from typing import Any

import msgspec

from providers.documents.sample import Line, draw, usual_lines
from scripts.campaigns.cases import World, Wrong, case, seen
from scripts.campaigns.malformed import FIELDS, malformed, text_page
from scripts.campaigns.malformed import VALID as INVOICE

ENDED = ("AWAITING_BUYER", "REJECTED_VISION", "REJECTED_DUPLICATE")
UNDER_WAY = ("SUBMITTED", "VERIFYING", "VERIFIED", "RISK_SCORED", "IN_VERIFICATION")
WAIT_S = 90.0
_numbers = itertools.count(1)


def submitted(world: World, pdf: bytes, **typed: Any) -> str:
    """The new invoice's reference, or the code it was refused with."""
    uploaded = world.as_("coppergate").post("/v1/documents", content=pdf, headers={"Content-Type": "application/pdf"})
    seen(uploaded, 201)
    answer = world.post("coppergate", "/v1/invoices", {
        "buyer_company_number": "04382671", "buyer_email": "tom.whitfield@northwind.co.uk",
        "face_value_pence": FIELDS.face_pence, "due_date": FIELDS.due_on.isoformat(),
        "seller_reference": FIELDS.seller_reference, "document_sha256": uploaded.json()["sha256"], **typed})
    return answer.json()["reference"] if answer.status_code == 201 else answer.json()["code"]


def ended(world: World, reference: str) -> tuple[str, str]:
    """State and reason."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        shown = world.get("coppergate", f"/v1/invoices/{reference}").json()
        if shown["state"] not in UNDER_WAY:
            return shown["state"], shown["rejection"] or ""
        time.sleep(0.1)
    raise Wrong(f"still under way after {WAIT_S:.0f} s")


def examined(world: World, pdf: bytes, **typed: Any) -> tuple[str, str]:
    return ended(world, submitted(world, pdf, **typed))


def rejected(world: World, pdf: bytes, says: str, **typed: Any) -> str:
    state, why = examined(world, pdf, **typed)
    if state != "REJECTED_VISION" or says not in why:
        raise Wrong(f"{state} {why}")
    return f"{state}: {why[:70]}"


def drawn(**changes: Any) -> tuple[bytes, dict[str, Any]]:
    """An invoice of an amount of its own, and what its seller types."""
    fields = msgspec.structs.replace(FIELDS, face_pence=1_100_000 + 100 * next(_numbers), **changes)
    pdf = draw(fields, usual_lines(fields.face_pence), issued_on=FIELDS.due_on.replace(month=5))
    return pdf, {"face_value_pence": fields.face_pence, "seller_reference": fields.seller_reference}


@case("K2", "a line of 60,000 characters 1,111,111,… in a PDF, while health is asked")
def long_number(world: World) -> str:
    reference, worst = submitted(world, text_page("INVOICE", "1,111," * 10_000, size=1)), 0.0
    while world.get("coppergate", f"/v1/invoices/{reference}").json()["state"] in UNDER_WAY:
        started = time.monotonic()
        world.alive()
        worst = max(worst, time.monotonic() - started)
    state, _ = ended(world, reference)
    if not state.startswith("REJECTED"):
        raise Wrong(state)
    return f"{state}; health at most {worst * 1000:.0f} ms"


@case("K2", "a bomb of 700 MB in 60 kB")
def bomb(world: World) -> str:
    return rejected(world, malformed("nested_flate_bomb", 1), "the document can be read")


@case("K24", "one PDF under thirteen spellings of its number")
def spellings(world: World) -> str:
    number = "CG-2026-114"
    tried = (number, "2026-114", "114", "CG", "Invoice", f"{number}²", "ＣＧ－２０２６－１１４", f"{number}ж",
             "СG-2026-114", "cg 2026 114", "CG/2026/114", "#CG_2026.114", "2026")
    answers = [submitted(world, INVOICE, seller_reference=each) for each in tried]
    states = [ended(world, each)[0] for each in answers if each.startswith("FX-INV-")]
    if states.count("AWAITING_BUYER") != 1:
        raise Wrong(" ".join(states))
    return f"1 lives, {states.count('REJECTED_DUPLICATE')} duplicates, {states.count('REJECTED_VISION')} refused"


@case("K24", "the same work drawn again with another number")
def another_number(world: World) -> str:
    pdf, typed = drawn()
    if (first := examined(world, pdf, **typed)[0]) != "AWAITING_BUYER":
        raise Wrong(f"the first is {first}")
    face = typed["face_value_pence"]
    fields = msgspec.structs.replace(FIELDS, face_pence=face, seller_reference="CG-2026-115")
    again = draw(fields, usual_lines(face), issued_on=FIELDS.due_on.replace(month=5))
    state, why = examined(world, again, face_value_pence=face, seller_reference="CG-2026-115")
    if state != "REJECTED_DUPLICATE":
        raise Wrong(f"{state} {why}")
    return state


@case("K25", "a total of -£10,000.00")
def negative(world: World) -> str:
    pdf = draw(msgspec.structs.replace(FIELDS, face_pence=-1_000_000), [Line("Returned", 1, -1_000_000)],
               issued_on=FIELDS.due_on.replace(month=5))
    return rejected(world, pdf, "negative", face_value_pence=1_000_100)


@case("K25", "an invoice in euros")
def euros(world: World) -> str:
    lines = ("Coppergate Joinery Ltd", "INVOICE", "Bill to: Northwind Retail plc", "Invoice number: CG-2026-114",
             "Due date: 21 July 2026", "Description Amount EUR", "Counters 10,000.00", "Total due EUR 10,000.00")
    return rejected(world, text_page(*lines), "not in pounds sterling", face_value_pence=1_000_200)


@case("K26", "the seller Coppergate Joinery Ltd with an invoice of Joinery Ltd")
def shorter_name(world: World) -> str:
    pdf, typed = drawn(seller_name="Joinery Ltd")
    return rejected(world, pdf, "seller name", **typed)


@case("K26", "the seller Coppergate Joinery Ltd with an invoice of New Coppergate Joinery Ltd")
def longer_name(world: World) -> str:
    pdf, typed = drawn(seller_name="New Coppergate Joinery Ltd")
    return rejected(world, pdf, "seller name", **typed)


@case("K27", "honest references and names: INV_2026_001, INV#1001, RÉF-7, P.L.C.")
def honest(world: World) -> str:
    for changes in ({"seller_reference": "INV_2026_001"}, {"seller_reference": "INV#1001"},
                    {"seller_reference": "RÉF-7"},
                    {"buyer_name": "Northwind Retail P.L.C."}, {"seller_name": "COPPERGATE JOINERY LIMITED"}):
        pdf, typed = drawn(**changes)
        state, why = examined(world, pdf, **typed)
        if state != "AWAITING_BUYER":
            raise Wrong(f"{changes}: {state} {why}")
    return "5 of 5 read right"
