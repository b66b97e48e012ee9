"""The canonical story as its people live it, over HTTP and at the providers' own doors.

Source: seeds 001 "Happy path · invoice FX-INV-23A4F". Every step can be repeated: mutations carry keys derived from
the step, clocks only move forward, simulators know their keys. A story that was interrupted anywhere is simply played
again and finishes where it would have.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from domain.calendar import LONDON
from providers.documents import InvoiceFields
from providers.documents.sample import draw, usual_lines

REFERENCE = "FX-INV-23A4F"
TOKENISED = "FXR-INV-23A4F"
FACE_PENCE = 1_000_000
DUE = date(2026, 7, 21)
NET_ADVANCE_PENCE = 976_000
SLICE_PRICE_PENCE = 199_150
BEGINS = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)
COLLECTIONS = {"sort_code": "040075", "account_number": "10000001"}
"""The sandbox's account that debtors pay into."""

ACCOUNTS = {
    "coppergate": {"name": "Coppergate Joinery Ltd", "sort_code": "20-48-17", "account_number": "53910462"},
    "northwind": {"name": "Northwind Retail plc", "sort_code": "40-27-61", "account_number": "10482956"},
    "pennine": {"name": "Pennine Asset Management LLP — Trade Finance", "sort_code": "30-95-12",
                "account_number": "22487719"},
    "brunel": {"name": "Brunel Pension Partners LLP", "sort_code": "16-00-15", "account_number": "10733821"},
    "salford": {"name": "Salford Commercial Finance Ltd", "sort_code": "09-01-27", "account_number": "76431205"},
    "severn": {"name": "Severn Family Office Ltd", "sort_code": "20-11-43", "account_number": "40718266"},
}
"""Where everybody banks: what they are paid out to, and the only account their money may come from."""

RETRY_S = 90.0
WAIT_S = 60.0


class StoryFailed(Exception):
    """A step did not come out as told."""


def london(text: str) -> datetime:
    """'2026-05-22 14:21' in London, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON).astimezone(UTC)


def remitter(who: str) -> dict[str, str]:
    """That person as a payer at the simulated bank."""
    account = ACCOUNTS[who]
    return {"remitter_name": account["name"], "remitter_sort_code": account["sort_code"],
            "remitter_account_number": account["account_number"]}


@dataclass
class Client:
    """One person's HTTP client. A request that got no answer is sent again with the same key."""

    base_url: str
    key: str | None = None
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.base_url, timeout=20,
                                 headers={"Authorization": f"Bearer {self.key}"} if self.key else {})

    def get(self, path: str, **params: Any) -> Any:
        return self._send("GET", path, params=params).json()

    def post(self, path: str, key: str, body: Any, *, headers: dict[str, str] | None = None) -> httpx.Response:
        return self._send("POST", path, json=body, headers={"FX-Idempotency-Key": key, **(headers or {})})

    def upload(self, path: str, content: bytes) -> Any:
        return self._send("POST", path, content=content, headers={"Content-Type": "application/pdf"}).json()

    def _send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        deadline = time.monotonic() + RETRY_S
        while True:
            try:
                answer = self.http.request(method, path, **kwargs)
                if answer.status_code != 503:
                    break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                raise StoryFailed(f"{method} {path}: no answer within {RETRY_S:.0f} s")
            time.sleep(0.1)
        if answer.status_code >= 400:
            raise StoryFailed(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer


@dataclass
class Story:
    """The people and what they do. `steps()` gives (name, what to do) in order."""

    api_url: str
    outside_url: str
    mlro_key: str
    admin_key: str
    salt: str = "the-story-of-fx-inv-23a4f"
    """Begins the keys of the sign-ups; random wherever anybody else can reach the platform."""

    keys: dict[str, str] = field(default_factory=dict)
    people: dict[str, Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.anyone = Client(self.api_url)
        self.mlro = Client(self.api_url, self.mlro_key)
        self.admin = Client(self.api_url, self.admin_key)
        self.outside = Client(self.outside_url)

    def steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "November 2025: Coppergate joins as a seller", self.coppergate_joins
        yield "the MLRO approves Coppergate", self.mlro_approves_onboarding
        yield "Northwind joins as a buyer", self.northwind_joins
        yield "May 2026: Pennine joins as a lender", self.pennine_joins
        yield "Brunel joins as an investor", self.brunel_joins
        yield "22 May 10:42: Aisha submits the invoice", self.aisha_submits
        yield "10:48: Coppergate's six-month refresh", self.coppergate_refreshes
        yield "12:18: Priya approves the refresh", self.mlro_approves_refresh
        yield "14:21: Tom confirms", self.tom_confirms
        yield "14:22: Priya calls Northwind back", self.priya_calls_back
        yield "14:24: Caroline funds", self.caroline_reserves
        yield "Pennine's money arrives", self.pennine_pays
        yield "14:31: cash lands with the seller", self.cash_lands
        yield "14:38: Pennine slices and lists slice 2", self.pennine_slices
        yield "slice 2 is listed", self.pennine_lists
        yield "14:39: Faisal answers the seven questions", self.faisal_answers
        yield "Faisal accepts the trade", self.faisal_accepts
        yield "Brunel's money arrives, the slice moves", self.brunel_pays
        yield "14 July: reminder", self.first_reminder
        yield "21 July 08:00: due-day reminder", self.second_reminder
        yield "21 July 11:14: Northwind pays", self.northwind_pays
        yield "everybody is paid, the token burned", self.settled
        yield "the last batch is anchored", self.anchored

    def play(self) -> None:
        for _, act in self.steps():
            act()

    # ------------------------------------------------------------ joining

    def coppergate_joins(self) -> None:
        self.clock_to(BEGINS + timedelta(minutes=1))
        self.sign_up("coppergate", role="sme_seller", legal_name="Coppergate Joinery Ltd", company_number="07452983",
                     representative="Aisha Mahmood", email="aisha@coppergate.co.uk")
        self.as_("coppergate").post("/v1/onboarding", "coppergate-form", self.coppergate_form())
        self.wait_for_case("Coppergate Joinery Ltd")

    def coppergate_form(self) -> dict[str, Any]:
        return {"turnover_pence": 320_000_000,
                "bank_account": ACCOUNTS["coppergate"]}

    def mlro_approves_onboarding(self) -> None:
        self.approve("coppergate-approval", "Company active since 2010, owners disclosed and screened clear, "
                                            "turnover matches filed accounts. Approved.")
        self.wait_active("coppergate")

    def northwind_joins(self) -> None:
        self.sign_up("northwind", role="corporate_buyer", legal_name="Northwind Retail plc",
                     company_number="04382671", representative="Tom Whitfield",
                     email="tom.whitfield@northwind.co.uk")
        self.as_("northwind").post("/v1/onboarding", "northwind-form", {})
        self.wait_active("northwind")

    def pennine_joins(self) -> None:
        self.clock_to(london("2026-05-12 10:00"))
        self.sign_up("pennine", role="lender", legal_name="Pennine Asset Management LLP", company_number="OC348217",
                     representative="Caroline Beck", email="c.beck@pennineam.co.uk")
        self.as_("pennine").post("/v1/onboarding", "pennine-form",
                                 {"bank_account": ACCOUNTS["pennine"], "firm_reference": "432119"})
        self.wait_active("pennine")

    def brunel_joins(self) -> None:
        self.sign_up("brunel", role="investor", legal_name="Brunel Pension Partners LLP",
                     company_number="OC361904", representative="Faisal Quereshi", email="f.quereshi@brunelpp.co.uk")
        self.as_("brunel").post("/v1/onboarding", "brunel-form",
                                {"bank_account": ACCOUNTS["brunel"], "mifid_category": "PROFESSIONAL"})
        self.wait_active("brunel")

    # ------------------------------------------------------------ 22 May

    def aisha_submits(self) -> None:
        self.clock_to(london("2026-05-22 10:42"))
        aisha = self.as_("coppergate")
        document = aisha.upload("/v1/documents", self.invoice_pdf())
        aisha.post("/v1/invoices", "invoice", {
            "reference": REFERENCE, "buyer_company_number": "04382671",
            "buyer_email": "tom.whitfield@northwind.co.uk", "face_value_pence": FACE_PENCE,
            "due_date": DUE.isoformat(), "seller_reference": "CG-2026-114", "document_sha256": document["sha256"]})
        self.wait_state("AWAITING_BUYER")

    def invoice_pdf(self) -> bytes:
        fields = InvoiceFields(buyer_name="Northwind Retail plc", seller_name="Coppergate Joinery Ltd",
                               seller_reference="CG-2026-114", face_pence=FACE_PENCE, due_on=DUE)
        return draw(fields, usual_lines(FACE_PENCE), issued_on=date(2026, 5, 22))

    def coppergate_refreshes(self) -> None:
        self.clock_to(london("2026-05-22 10:48"))
        self.as_("coppergate").post("/v1/onboarding", "coppergate-refresh", self.coppergate_form())
        self.wait_for_case("Coppergate Joinery Ltd", decided=1)

    def mlro_approves_refresh(self) -> None:
        self.clock_to(london("2026-05-22 12:18"))
        self.approve("refresh-approval", "Six-month refresh: no adverse change, screening clear, one clean year of "
                                         "trading on the platform. Approved.", decided=1)
        self.wait_active("coppergate", refreshed=True)

    def tom_confirms(self) -> None:
        self.clock_to(london("2026-05-22 14:21"))
        mails = self.outside.get("/email/mail.json", to="tom.whitfield@northwind.co.uk")
        texts = [mail["text"] for mail in mails if REFERENCE in mail["text"] and "#token=" in mail["text"]]
        found = re.search(r"#token=([0-9a-f]{64})", texts[-1])
        assert found is not None
        token = {"FX-Confirmation-Code": found[1]}
        page = self.anyone._send("GET", f"/v1/confirmations/{REFERENCE}", headers=token).json()
        self.anyone.post(f"/v1/confirmations/{REFERENCE}", "confirmation", {
            "page_hash": page["page_hash"], "reference_end": REFERENCE[-5:], "pounds": FACE_PENCE // 100},
            headers=token)
        self.wait_state("CONFIRMED")

    def priya_calls_back(self) -> None:
        self.clock_to(london("2026-05-22 14:22"))
        self.call_back(REFERENCE, "call-back")
        self.wait_state("LISTED")

    def call_back(self, reference: str, key: str) -> None:
        """A customer's first confirmation for a seller waits until compliance has telephoned."""
        def wanted(status: str) -> bool:
            rows = self.mlro.get("/v1/compliance/callbacks", status=status)["data"]
            return any(row["reference"] == reference for row in rows)
        self.wait(lambda: wanted("open") or wanted("confirmed"), f"the call-back about {reference}")
        self.mlro.post(f"/v1/compliance/callbacks/{reference}", key, {
            "outcome": "confirmed", "note": "Accounts payable at the registered office knows the invoice."})

    def caroline_reserves(self) -> None:
        self.clock_to(london("2026-05-22 14:24"))
        caroline = self.as_("pennine")
        offers = caroline.get("/v1/marketplace", tenor_max=120, discount_min=2.0)["data"]
        if not any(offer["reference"] == REFERENCE for offer in offers) and not self.funded():
            raise StoryFailed(f"{REFERENCE} is not on Pennine's marketplace")
        self.outside.post("/bank/control/hold", "hold", {"on": True})
        self.payment = caroline.post("/v1/payments", "funding", {
            "receivable_reference": REFERENCE, "discount_bps": 240, "net_advance_pence": NET_ADVANCE_PENCE,
            "typed_reference": REFERENCE}).json()["id"]
        self.wait(lambda: caroline.get(f"/v1/payments/{self.payment}")["pay_into"], "Pennine's payment instruction")

    def pennine_pays(self) -> None:
        caroline = self.as_("pennine")
        payment = caroline.post("/v1/payments", "funding", {
            "receivable_reference": REFERENCE, "discount_bps": 240, "net_advance_pence": NET_ADVANCE_PENCE,
            "typed_reference": REFERENCE}).json()["id"]
        account = caroline.get(f"/v1/payments/{payment}")["pay_into"]
        self.pay_in("pennine-cash", account, NET_ADVANCE_PENCE, REFERENCE, "pennine")
        self.wait_state("FUNDED")

    def cash_lands(self) -> None:
        self.clock_to(london("2026-05-22 14:31"))
        self.outside.post("/bank/control/hold", "unhold", {"on": False})
        self.outside.post("/bank/control/release", "release", {})
        self.wait_state("DISBURSED")

    def pennine_slices(self) -> None:
        self.clock_to(london("2026-05-22 14:38"))
        caroline = self.as_("pennine")
        caroline.post(f"/v1/tokens/{TOKENISED}/slices", "slices", {"faces_pence": [200_000] * 5})
        self.wait(lambda: sum(row["slice"] > 0 for row in caroline.get("/v1/portfolio")["data"]) >= 4, "five slices")

    def pennine_lists(self) -> None:
        self.as_("pennine").post("/v1/listings", "listing",
                                 {"token_reference": TOKENISED, "slice": 2, "price_pence": SLICE_PRICE_PENCE})

    def faisal_answers(self) -> None:
        self.clock_to(london("2026-05-22 14:39"))
        faisal = self.as_("brunel")
        self.trade = faisal.post("/v1/pre-trade-checks", "pre-trade", {
            "token_reference": TOKENISED, "slice": 2, "answers": [True] * 7}).json()["id"]
        self.wait(lambda: faisal.get(f"/v1/pre-trade-checks/{self.trade}")["status"] != "PRE_TRADE_PENDING",
                  "the pre-trade check")

    def faisal_accepts(self) -> None:
        faisal = self.as_("brunel")
        trade = self.trade_id()
        total = faisal.get(f"/v1/pre-trade-checks/{trade}")["total_pence"]
        faisal.post("/v1/trades", "trade", {"pre_trade_check": trade, "accepted_total_pence": total})
        self.wait(lambda: faisal.get(f"/v1/trades/{trade}")["pay_into"], "Brunel's payment instruction")

    def brunel_pays(self) -> None:
        faisal = self.as_("brunel")
        trade = faisal.get(f"/v1/trades/{self.trade_id()}")
        self.pay_in("brunel-cash", trade["pay_into"], trade["total_pence"], trade["pay_into"]["reference"], "brunel")
        self.wait(lambda: faisal.get(f"/v1/trades/{trade['id']}")["status"] == "TRADE_SETTLED", "the trade to settle")

    # ------------------------------------------------------------ July

    def first_reminder(self) -> None:
        self.clock_to(london("2026-07-14 09:00"))
        self.wait(lambda: self.reminders() >= 1, "the first reminder")

    def second_reminder(self) -> None:
        self.clock_to(london("2026-07-21 08:00"))
        self.wait(lambda: self.reminders() >= 2, "the due-day reminder")

    def northwind_pays(self) -> None:
        self.clock_to(london("2026-07-21 11:14"))
        confirmation = self.as_("northwind").get(f"/v1/confirmations/{REFERENCE}")
        if confirmation["state"] == "PAID":  # the story is played again
            return
        sort_code, number = confirmation["pay_to"].split()[-2:]
        self.pay_in("northwind-cash", {"sort_code": sort_code, "account_number": number}, FACE_PENCE, REFERENCE,
                    "northwind")

    def settled(self) -> None:
        self.wait_state("SETTLED")
        self.wait(lambda: len(self.outside.get("/email/mail.json", to="aisha@coppergate.co.uk")) >= 4, "closing mails")

    def anchored(self) -> None:
        head = self.admin.get("/v1/audit/entries", invoice=REFERENCE, limit=1_000)["data"][-1]["position"]
        self.clock_to(london("2026-07-21 11:25"))
        self.wait(lambda: any(batch["to_position"] >= head for batch in
                              self.admin.get("/v1/audit/anchors")["data"]), "the last anchor")

    # ------------------------------------------------------------ how

    def as_(self, who: str) -> Client:
        if who not in self.people:
            self.people[who] = Client(self.api_url, self.keys[who])
        return self.people[who]

    def sign_up(self, who: str, **facts: Any) -> None:
        """Sign up and prove the mailbox. The key is answered once: whoever did not get that answer has it made anew."""
        made = self.anyone.post("/v1/subjects", f"{self.salt}/sign-up/{who}", facts).json()
        if made["api_key"] is not None:
            self.keys[who] = made["api_key"]
        elif who not in self.keys:
            self.keys[who] = self.recovered_key(made["id"], facts["email"])
        if not self.as_(who).get("/v1/me")["mailbox_proved"]:
            self.wait(lambda: self.codes(made["id"], facts["email"]), f"{who}'s code by mail")
            self.as_(who).post("/v1/me/mailbox", f"{self.salt}/mailbox/{who}",
                               {"code": self.codes(made["id"], facts["email"])[-1]})

    def codes(self, account: str, mailbox: str) -> list[str]:
        """The codes mailed for an account, oldest first."""
        mails = self.outside.get("/email/mail.json", to=mailbox)
        return [code for mail in mails if account in mail["text"]
                for code in re.findall(r"Your code is ([A-Z2-7]{4}-[A-Z2-7]{4})", mail["text"])]

    def recovered_key(self, account: str, mailbox: str) -> str:
        """A new API key for the next code that is mailed; the answer to a repeated request holds none."""
        while True:
            before = len(self.codes(account, mailbox))
            self.anyone.post("/v1/api-keys/recovery", uuid4().hex, {"subject": account})
            self.wait(lambda seen=before: len(self.codes(account, mailbox)) > seen, "a code by mail")
            key = self.anyone.post("/v1/api-keys/redeem", uuid4().hex, {
                "subject": account, "code": self.codes(account, mailbox)[-1]}).json()["api_key"]
            if key is not None:
                return key

    def clock_to(self, moment: datetime) -> None:
        now = datetime.fromisoformat(self.anyone.get("/v1/sandbox/clock")["now"])
        if now < moment:
            self.admin.post("/v1/sandbox/clock/advance", f"clock-{moment:%Y%m%dT%H%M}", {"to": moment.isoformat()})

    def approve(self, key: str, rationale: str, *, decided: int = 0) -> None:
        """The MLRO decides Coppergate's open case; `decided` cases came before it."""
        mine = [row for row in self.cases() if row["legal_name"] == "Coppergate Joinery Ltd"]
        file_number = mine[decided]["file_number"]
        self.mlro.post(f"/v1/compliance/cases/{file_number}/decision", key,
                       {"decision": "approve", "rationale": rationale})

    def cases(self) -> list[dict[str, Any]]:
        both = [row for status in ("decided", "open")
                for row in self.mlro.get("/v1/compliance/cases", status=status)["data"]]
        return sorted(both, key=lambda row: row["opened_at"])

    def wait_for_case(self, name: str, *, decided: int = 0) -> None:
        """Until the next case of this company is in the queue with the agent's proposal."""
        def there() -> bool:
            found = [row for row in self.cases() if row["legal_name"] == name]
            return len(found) > decided and found[decided]["proposal"] is not None
        self.wait(there, f"{name}'s case in the MLRO's queue")

    def wait_active(self, who: str, *, refreshed: bool = False) -> None:
        """Until the account is open; a refresh that has fallen due meanwhile does not close it."""
        def there() -> bool:
            standing = self.as_(who).get("/v1/me")
            if refreshed:
                return standing["state"] == "ACTIVE" and standing["application"] is None
            return standing["state"] in ("ACTIVE", "REFRESH_DUE")
        self.wait(there, f"{who} to be active")

    def pay_in(self, key: str, account: dict[str, str], pence: int, narration: str, who: str) -> None:
        self.outside.post("/bank/control/credits", key, {
            "key": key, "sort_code": account["sort_code"], "account_number": account["account_number"],
            "amount_pence": pence, "narration": narration, **remitter(who)})

    ORDER = ("SUBMITTED", "VERIFYING", "VERIFIED", "RISK_SCORED", "AWAITING_BUYER", "CONFIRMED", "TOKENISED", "LISTED",
             "RESERVED", "CASH_MATCHED", "FUNDED", "DISBURSED", "OBLIGOR_PAID", "SETTLED")

    def state(self) -> str:
        return self.admin.get(f"/v1/invoices/{REFERENCE}")["state"]

    def funded(self) -> bool:
        return self.ORDER.index(self.state()) >= self.ORDER.index("RESERVED")

    def wait_state(self, state: str) -> None:
        """Until the invoice is there, or beyond (when the story is played again)."""
        def there() -> bool:
            now = self.state()
            if now not in self.ORDER:
                raise StoryFailed(f"{REFERENCE} is {now}")
            return self.ORDER.index(now) >= self.ORDER.index(state)
        self.wait(there, f"{REFERENCE} to be {state}")

    def trade_id(self) -> str:
        """The trade of this story: asked for again with the same key, hence the same answer."""
        return self.as_("brunel").post("/v1/pre-trade-checks", "pre-trade", {
            "token_reference": TOKENISED, "slice": 2, "answers": [True] * 7}).json()["id"]

    def reminders(self) -> int:
        entries = self.admin.get("/v1/audit/entries", invoice=REFERENCE, limit=1_000)["data"]
        return sum(entry["action"] == "BUYER_REMINDED" for entry in entries)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise StoryFailed(f"waited {WAIT_S:.0f} s for {what}")
            time.sleep(0.05)
