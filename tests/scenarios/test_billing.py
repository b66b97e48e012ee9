"""A listing is charged once for each lister, billed in the next month, paid by transfer, and cleared in the books."""

from __future__ import annotations

from typing import Any

from domain.bill import BILL
from domain.rails import is_checked
from domain.token import TOKEN
from scripts.story import COLLECTIONS
from tests.scenarios.town import Town, accepted


def bills(town: Town, who: str = "pennine") -> list[dict[str, Any]]:
    return accepted(town.person(who).get("/v1/bills"))["data"]


def test_a_listing_fee_is_billed_paid_and_cleared(town: Town) -> None:
    reference = town.disbursed()
    name, pennine, subject = reference.replace("FX-", "FXR-"), town.person("pennine"), town.id_of("pennine")
    face = town.invoice(reference).face_pence
    accepted(pennine.post(f"/v1/tokens/{name}/slices", {"faces_pence": [200_000, face - 200_000]}))
    town.wait(lambda: len(town.house.platform.store.load(TOKEN, name).slices) == 2, "two slices")
    fees = [accepted(pennine.post("/v1/listings", {"token_reference": name, "slice": index, "price_pence": 199_150}))[
        "listing_fee_pence"] for index in (1, 2)]
    assert fees == [15_000, 0], "once per lister and receivable"
    town.wait(lambda: town.ledger().get(f"listing_fee_receivable:{subject}") == 15_000, "the fee in the books")
    assert bills(town) == []

    town.forward(days=32)
    town.wait(lambda: bills(town), "the bill")
    bill, = bills(town)
    assert (bill["total_pence"], bill["state"], [line["code"] for line in bill["lines"]]) == (
        15_000, "ISSUED", ["LISTING"])
    assert is_checked(bill["reference"]) and bill["pay_into"]["reference"] == bill["reference"]
    assert bills(town, "brunel") == []
    assert [row["subject"] for row in accepted(town.person("admin").get("/v1/admin/bills"))["data"]] == [subject]
    town.wait(lambda: any(bill["reference"] in mail["text"] for mail in
                          town.outside.get("/email/mail.json", to="c.beck@pennineam.co.uk")), "the mail")

    town.forward(days=16)
    town.wait(lambda: town.house.platform.store.load(BILL, bill["reference"]).state == "OVERDUE", "the reminder")
    town.wait(lambda: [row for row in town.incidents() if row["kind"] == "BILL"], "the incident")
    lender = {"remitter_name": "Pennine", "remitter_sort_code": "30-95-12", "remitter_account_number": "22487719"}
    town.pays(COLLECTIONS, 15_000, f" {bill['reference'].lower()} ", payer=lender)
    town.wait(lambda: bills(town)[0]["state"] == "PAID", "the payment")
    town.wait(lambda: not [row for row in town.incidents() if row["kind"] == "BILL"], "the incident to be over")
    town.wait(lambda: town.ledger()[f"listing_fee_receivable:{subject}"] == 0
              and town.ledger()[f"bill_receipts:{bill['reference']}"] == 0, "the books")
    town.wait(lambda: any(row["reference"] == f"FEE{bill['reference']}" for row in town.bank()), "our own fee")
