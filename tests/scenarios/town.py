"""A town where the story's people live. They are onboarded once; then each acts as they like, also wrongly."""

from __future__ import annotations

import itertools
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bootstrap import Sandbox, load_secrets, open_database
from chain.anvil import free_port
from domain.account import ACCOUNT, account_key
from domain.calendar import london_date
from domain.invoice import INVOICE, Invoice
from domain.money import discount_pence
from domain.pair import PAIR, pair_key
from domain.party import COMPLIANCE, same_account_name
from domain.payment import PAYMENT
from domain.subject import SUBJECT
from eventstore.entry import Entry
from providers.documents import InvoiceFields
from providers.documents.sample import Line, draw, usual_lines
from scripts.sandbox_witness import witnessed
from scripts.serve import served
from scripts.staff import enrol
from scripts.story import ACCOUNTS, BEGINS, WAIT_S, Client, Story, remitter
from tests.conftest import House, staff_of

TENOR_DAYS = 60
FACE_PENCE = 1_000_000
DISCOUNT_BPS = 240
BUYER_MAIL = "tom.whitfield@northwind.co.uk"


@dataclass
class Person:
    """One caller. What the platform refuses is an answer here, not a failure."""

    url: str
    key: str | None = None
    before_reading: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        self.http = httpx.Client(base_url=self.url, timeout=20, headers=headers)

    def get(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
        self.before_reading()
        return self.http.get(path, params=params, headers=headers)

    def post(self, path: str, body: Any, *, key: str | None = None,
             headers: dict[str, str] | None = None) -> httpx.Response:
        idempotency = {"FX-Idempotency-Key": key or uuid.uuid4().hex}
        return self.http.post(path, json=body, headers={**idempotency, **(headers or {})})


def accepted(answer: httpx.Response) -> Any:
    assert answer.status_code < 300, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The refusal, which is a problem document with that status and code."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), answer.text
    return body


@dataclass
class Town:
    house: House
    story: Story = field(init=False)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.story = self.house.story()
        self.outside = Client(self.house.platform.settings.providers_url)
        self._people: dict[str, Person] = {}

    def settle_in(self) -> Town:
        """The story's four, a second lender, and a buyer who has nothing to do with it."""
        story = self.story
        for act in (story.coppergate_joins, story.mlro_approves_onboarding, story.northwind_joins,
                    story.pennine_joins, story.brunel_joins):
            act()
        story.sign_up("salford", role="lender", legal_name="Salford Commercial Finance Ltd",
                      company_number="08715526", representative="Dev Anand", email="d.anand@salfordcf.co.uk")
        accepted(self.person("salford").post("/v1/onboarding", {
            "bank_account": ACCOUNTS["salford"], "firm_reference": "697241"}))
        story.sign_up("mercia", role="corporate_buyer", legal_name="Mercia Bank plc", company_number="02914467",
                      representative="Ann Lowe", email="ann.lowe@mercia.co.uk")
        accepted(self.person("mercia").post("/v1/onboarding", {}))
        story.wait_active("salford")
        story.wait_active("mercia")
        return self

    # ------------------------------------------------------------ looking

    def person(self, who: str) -> Person:
        if who not in self._people:
            self._people[who] = Person(self.house.url, self._key(who), self.shown)
        return self._people[who]

    def _key(self, who: str) -> str | None:
        if who == "deputy":  # a second compliance officer
            return enrol(self.house.platform, COMPLIANCE, "Owen Reid", "owen.reid@fintokenx.uk")
        return {**self.story.keys, "mlro": self.house.mlro_key, "admin": self.house.admin_key, "nobody": None}[who]

    def shown(self) -> None:
        """The read models show all that the log holds: no scenario compares with what was true a moment ago."""
        platform = self.house.platform
        assert platform.projector.wait_for(platform.store.head(), WAIT_S), "the read models do not follow the log"

    def id_of(self, who: str) -> str:
        return accepted(self.person(who).get("/v1/me"))["id"]

    def invoice(self, reference: str) -> Invoice:
        return self.house.platform.store.load(INVOICE, reference)

    def entries(self, tag: str, where: Callable[[Entry], bool] = lambda _: True) -> list[Entry]:
        """The log's entries of one kind."""
        log = self.house.platform.store.read(0, 100_000)
        return [entry for entry in log if entry.event.tag == tag and where(entry)]

    def ledger(self) -> dict[str, int]:
        book = accepted(self.person("admin").get("/v1/admin/ledger"))
        assert book["sum_pence"] == 0
        return {row["account"]: row["pence"] for row in book["accounts"]}

    def bank(self, direction: str = "DBIT") -> list[dict[str, Any]]:
        """What the bank itself has on its books."""
        rows = self.outside.get("/bank/transactions.json")
        return [row for row in rows if row["direction"] == direction]

    def incidents(self) -> list[dict[str, Any]]:
        return accepted(self.person("mlro").get("/v1/compliance/incidents"))["data"]

    def wait(self, condition: Callable[[], object], what: str) -> None:
        self.story.wait(condition, what)

    def wait_state(self, reference: str, state: str) -> None:
        self.wait(lambda: self.invoice(reference).state == state, f"{reference} to be {state}")

    def still(self, reference: str, state: str, seconds: float = 0.6) -> None:
        """The invoice is in that state, and stays there although the machinery runs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.invoice(reference).state == state
            time.sleep(0.05)

    @property
    def now(self) -> datetime:
        return self.house.platform.clock.now()

    def forward(self, **span: float) -> None:
        self.story.clock_to(self.now + timedelta(**span))

    # ------------------------------------------------------------ acting

    def registers(self, number: str, name: str) -> None:
        """Companies House has heard of this company."""
        self.outside.post("/companies-house/control/companies", "", {"number": number, "name": name})

    def new_reference(self) -> str:
        return f"FX-INV-T{next(self._numbers):04d}"

    def submits(self, reference: str, *, who: str = "coppergate", pdf: bytes | None = None,
                **changes: Any) -> httpx.Response:
        """Aisha uploads her document and submits; every invoice differs in its amount unless told otherwise."""
        face = changes.get("face_value_pence", face_of(reference))
        due = date.fromisoformat(changes.get("due_date", self.due().isoformat()))
        person = self.person(who)
        uploaded = person.http.post("/v1/documents", content=pdf or invoice_pdf(reference, face, due),
                                    headers={"Content-Type": "application/pdf"})
        return person.post("/v1/invoices", {
            "reference": reference, "buyer_company_number": "04382671", "buyer_email": BUYER_MAIL,
            "face_value_pence": face, "due_date": due.isoformat(), "seller_reference": f"CG-{reference[-5:]}",
            "document_sha256": accepted(uploaded)["sha256"], **changes})

    def due(self) -> date:
        return london_date(self.now) + timedelta(days=TENOR_DAYS)

    def awaiting(self) -> str:
        """An invoice that its debtor has been asked to confirm."""
        reference = self.new_reference()
        accepted(self.submits(reference))
        self.wait_state(reference, "AWAITING_BUYER")
        return reference

    def token_of(self, reference: str) -> dict[str, str]:
        mails = self.outside.get("/email/mail.json", to=BUYER_MAIL)
        found = [link for mail in mails if reference in mail["text"]
                 for link in re.findall(r"#token=([0-9a-f]{64})", mail["text"])]
        return {"FX-Confirmation-Code": found[-1]}

    def confirmation(self, reference: str) -> dict[str, Any]:
        """What a careful reader of the page sends."""
        page = accepted(self.person("nobody").get(f"/v1/confirmations/{reference}",
                                                  headers=self.token_of(reference)))
        return {"page_hash": page["page_hash"], "reference_end": reference[-5:],
                "pounds": page["face_value_pence"] // 100}

    def confirms(self, reference: str) -> httpx.Response:
        """The customer confirms; the first time for this seller, compliance calls it back."""
        answer = self.person("nobody").post(f"/v1/confirmations/{reference}", self.confirmation(reference),
                                            headers=self.token_of(reference))
        invoice = self.invoice(reference)
        if not self.house.platform.store.load(PAIR, pair_key(invoice.seller, invoice.buyer)).known:
            self.story.call_back(reference, uuid.uuid4().hex)
        return answer

    def listed(self) -> str:
        reference = self.awaiting()
        accepted(self.confirms(reference))
        self.wait_state(reference, "LISTED")
        return reference

    def reserves(self, reference: str, who: str = "pennine", *, key: str | None = None,
                 bps: int = DISCOUNT_BPS) -> httpx.Response:
        face = self.invoice(reference).face_pence
        return self.person(who).post("/v1/payments", {
            "receivable_reference": reference, "discount_bps": bps,
            "net_advance_pence": face - discount_pence(face, bps), "typed_reference": reference}, key=key)

    def reserved(self, reference: str, who: str = "pennine") -> dict[str, Any]:
        """The payment, once it has an account to pay into."""
        payment = accepted(self.reserves(reference, who))["id"]
        def shown() -> dict[str, Any]:
            return accepted(self.person(who).get(f"/v1/payments/{payment}"))
        self.wait(lambda: shown()["pay_into"], "a payment instruction")
        return shown()

    def pays(self, account: dict[str, str], pence: int, narration: str = "", *, key: str | None = None,
             payer: dict[str, str] | None = None) -> str:
        """Somebody pays in at the bank: whoever is expected to, unless told otherwise; the bank's own reference."""
        return self.outside.post("/bank/control/credits", "", {
            "key": key or uuid.uuid4().hex, "sort_code": account["sort_code"],
            "account_number": account["account_number"], "amount_pence": pence, "narration": narration,
            **(payer or remitter(self._expected(account)))}).json()["ref"]

    def _expected(self, account: dict[str, str]) -> str:
        """Whose money this account waits for: a virtual account's lender or investor, else the debtor's."""
        key = account_key(account["sort_code"], account["account_number"])
        store = self.house.platform.store
        name = store.load(SUBJECT, store.load(ACCOUNT, key).payer).legal_name
        return next((who for who, bank in ACCOUNTS.items() if same_account_name(bank["name"], name)), "northwind")

    def gone_back(self, credit: str) -> bool:
        """Whether a credit has come back to the account it was paid from."""
        return self.house.platform.store.load(PAYMENT, f"{credit}/return").state == "CONFIRMED"

    def disbursed(self, who: str = "pennine") -> str:
        reference = self.listed()
        payment = self.reserved(reference, who)
        self.pays(payment["pay_into"], payment["net_advance_pence"], reference)
        self.wait_state(reference, "DISBURSED")
        return reference


@contextmanager
def opened_town(database_url: str, home: Path, chain_url: str, *, witness: bool = False) -> Iterator[Town]:
    """A house on free ports over an empty database, with everybody in it; with a witness, if asked, beside it."""
    settings = Sandbox(home=home, database_url=database_url, chain_url=chain_url, http_port=free_port(),
                        simulator_port=free_port(), smtp_port=free_port(), clock=f"sandbox:{BEGINS.isoformat()}")
    open_database(settings, load_secrets(home), migrate=True)
    beside = witnessed(settings) if witness else nullcontext(settings)
    with beside as settings, served(settings) as platform:
        yield Town(House(platform, *staff_of(platform))).settle_in()


def face_of(reference: str) -> int:
    """Every invoice of the town has an amount of its own, so that none looks like another."""
    return FACE_PENCE + 100 * int(reference[-4:])


def invoice_pdf(reference: str, face_pence: int, due: date, *, seller: str = "Coppergate Joinery Ltd",
                lines: tuple[Line, ...] = ()) -> bytes:
    fields = InvoiceFields(buyer_name="Northwind Retail plc", seller_name=seller,
                           seller_reference=f"CG-{reference[-5:]}", face_pence=face_pence, due_on=due)
    return draw(fields, lines or usual_lines(face_pence), issued_on=due - timedelta(days=TENOR_DAYS))
