"""What the frozen-payee campaign is played with: a platform that can be killed while its outside lives on, the story's
people, and the steps of an invoice's life up to the moment somebody pays in.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bootstrap import Sandbox, load_secrets, open_store
from bootstrap.embedded import start_simulators
from chain.anvil import Anvil, free_port
from domain.calendar import london_date
from domain.invoice import INVOICE
from domain.money import discount_pence
from domain.pair import PAIR, pair_key
from domain.subject import SUBJECT
from domain.token import TOKEN
from domain.trade import TRADE
from eventstore.store import Store
from providers.documents import InvoiceFields
from providers.documents.sample import draw, usual_lines
from scripts.campaigns.served import LAST_TO_JOIN, Apart
from scripts.story import COLLECTIONS, Story

MAILBOX = "tom.whitfield@northwind.co.uk"
FACE, SLICE, PRICE, DISCOUNT_BPS = 1_000_000, 200_000, 199_150, 240
TENOR = timedelta(days=60)
PATIENCE_S = 120.0
PEOPLE = ("coppergate", "northwind", "pennine", "brunel")


class PaysIn(msgspec.Struct, frozen=True):
    """What somebody is asked to pay, and how."""

    account: dict[str, str]
    pence: int
    narration: str
    who: str


class Life:
    """One platform and its people. Every method comes back when the platform has done its part."""

    def __init__(self, apart: Apart, story: Story, staff: dict[str, str], anvil: Anvil):
        self.apart, self.story, self._anvil = apart, story, anvil
        self.deputy = type(story.mlro)(apart.settings.http_url, staff["mlro2"])
        self.store: Store = open_store(apart.settings, load_secrets(apart.home))
        self.ids = {who: story.as_(who).get("/v1/me")["id"] for who in PEOPLE}
        self.paid_in = 0
        """How many credits the bank has been given."""

        self._numbers = itertools.count(1)

    # ------------------------------------------------------------ an invoice's life

    def listed(self) -> str:
        """A new receivable on the marketplace; no two have the same amount."""
        number = next(self._numbers)
        reference, face, due = f"FX-INV-F{number:04d}", FACE + 100 * number, self.today + TENOR
        seller_reference = f"CG-F{number:04d}"
        document = draw(InvoiceFields(buyer_name="Northwind Retail plc", seller_name="Coppergate Joinery Ltd",
                                      seller_reference=seller_reference, face_pence=face, due_on=due),
                        usual_lines(face), issued_on=due - TENOR)
        sha256 = self.story.as_("coppergate").upload("/v1/documents", document)["sha256"]
        self._post("coppergate", "/v1/invoices", {
            "reference": reference, "buyer_company_number": "04382671", "buyer_email": MAILBOX,
            "face_value_pence": face, "due_date": due.isoformat(), "seller_reference": seller_reference,
            "document_sha256": sha256})
        self.wait_state(reference, "AWAITING_BUYER")
        self._confirm(reference, face)
        if not self.store.load(PAIR, pair_key(self.ids["coppergate"], self.ids["northwind"])).known:
            self.story.call_back(reference, uuid.uuid4().hex)
        self.wait_state(reference, "LISTED")
        return reference

    def _confirm(self, reference: str, face: int) -> None:
        mails = self.story.outside.get("/email/mail.json", to=MAILBOX)
        code = next(found[1] for mail in reversed(mails) if reference in mail["text"]
                    and (found := re.search(r"#token=([0-9a-f]{64})", mail["text"])))
        header, path = {"FX-Confirmation-Code": code}, f"/v1/confirmations/{reference}"
        page = self.story.anyone._send("GET", path, headers=header).json()
        self.story.anyone.post(path, uuid.uuid4().hex, {
            "page_hash": page["page_hash"], "reference_end": reference[-5:], "pounds": face // 100}, headers=header)

    def reserved(self, reference: str) -> PaysIn:
        face = self.store.load(INVOICE, reference).face_pence
        net = face - discount_pence(face, DISCOUNT_BPS)
        payment = self._post("pennine", "/v1/payments", {
            "receivable_reference": reference, "discount_bps": DISCOUNT_BPS, "net_advance_pence": net,
            "typed_reference": reference})["id"]
        account = self._instructed("pennine", f"/v1/payments/{payment}")["pay_into"]
        return PaysIn(account, net, reference, "pennine")

    def listed_again(self, reference: str) -> bool:
        """Its money went back."""
        return self.store.load(INVOICE, reference).state == "LISTED"

    def sliced(self, reference: str) -> None:
        """In five; each of the first four is offered."""
        token, face = token_of(reference), self.store.load(INVOICE, reference).face_pence
        self._post("pennine", f"/v1/tokens/{token}/slices", {"faces_pence": [SLICE] * 4 + [face - 4 * SLICE]})
        self.wait(lambda: len(self.store.load(TOKEN, token).slices) == 5, "five slices")
        for index in range(1, 5):
            self._post("pennine", "/v1/listings", {"token_reference": token, "slice": index, "price_pence": PRICE})

    def offered(self, reference: str) -> int | None:
        """The first slice that is for sale."""
        slices = self.store.load(TOKEN, token_of(reference)).slices
        return next((part.index for part in slices if part.state == "LISTED"), None)

    def accepted(self, reference: str, index: int) -> PaysIn:
        trade = self._post("brunel", "/v1/pre-trade-checks", {
            "token_reference": token_of(reference), "slice": index, "answers": [True] * 7})["id"]
        self.wait(lambda: self.store.load(TRADE, trade).state == "PRE_TRADE_PASSED", "the pre-trade check")
        total = self.store.load(TRADE, trade).total_pence
        self._post("brunel", "/v1/trades", {"pre_trade_check": trade, "accepted_total_pence": total})
        account = self._instructed("brunel", f"/v1/trades/{trade}")["pay_into"]
        return PaysIn(account, total, "slice", "brunel")

    def owed(self, reference: str) -> PaysIn:
        face = self.store.load(INVOICE, reference).face_pence
        return PaysIn(COLLECTIONS, face, reference, "northwind")

    def pays(self, money: PaysIn) -> None:
        self.paid_in += 1
        self.story.pay_in(uuid.uuid4().hex, money.account, money.pence, money.narration, money.who)

    # ------------------------------------------------------------ orders and blows

    def freeze(self, who: str) -> None:
        self.story.mlro.post(f"/v1/compliance/subjects/{self.ids[who]}/freeze", uuid.uuid4().hex,
                             {"reason_code": "LIST_HIT"})

    def unfreeze(self, who: str) -> None:
        self.deputy.post(f"/v1/compliance/subjects/{self.ids[who]}/unfreeze", uuid.uuid4().hex, None)

    def frozen(self) -> list[str]:
        return [who for who, subject in self.ids.items() if self.store.load(SUBJECT, subject).state == "FROZEN"]

    def bank_away(self, away: bool) -> None:
        self.story.outside.post("/bank/control/outage", "", {"on": away})

    def stale(self, stale: bool) -> None:
        """The chain stands still and more than an hour goes by: no anchor, so no money moves."""
        assert self._anvil.pid is not None
        os.kill(self._anvil.pid, signal.SIGSTOP if stale else signal.SIGCONT)
        if stale:
            self.story.admin.post("/v1/sandbox/clock/advance", uuid.uuid4().hex, {
                "to": (self.now + timedelta(minutes=61)).isoformat()})

    def kill(self) -> None:
        """kill -9, and up again. The chain must answer for that."""
        self.apart.kill()
        self.stale(False)
        self.apart.start()

    # ------------------------------------------------------------ how

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.story.anyone.get("/v1/sandbox/clock")["now"])

    @property
    def today(self) -> date:
        return london_date(self.now)

    def wait_state(self, reference: str, *states: str) -> None:
        self.wait(lambda: self.store.load(INVOICE, reference).state in states, f"{reference} to be {states[0]}")

    def wait(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s for {what}"
            time.sleep(0.03)

    def _post(self, who: str, path: str, body: Any) -> Any:
        return self.story.as_(who).post(path, uuid.uuid4().hex, body).json()

    def _instructed(self, who: str, path: str) -> dict[str, Any]:
        self.wait(lambda: self.story.as_(who).get(path)["pay_into"], "a payment instruction")
        return self.story.as_(who).get(path)


def _ended(apart: Apart) -> None:
    """It is used to that, and the database is not its own to stop."""
    if apart.process is not None and apart.process.is_alive():
        apart.kill()


def token_of(reference: str) -> str:
    return reference.replace("FX-", "FXR-")


@contextmanager
def lived(folder: Path, database_url: str) -> Iterator[Life]:
    """A platform over an empty database with the story's people in it; bank, chain and database outlive its kills."""
    with ExitStack() as stack:
        anvil = stack.enter_context(Anvil(folder / "chain", free_port()))
        outside = Sandbox(home=folder / "outside", http_port=free_port(), simulator_port=free_port(),
                           smtp_port=free_port())
        simulators = start_simulators(outside)
        stack.callback(simulators.wait, 10)
        stack.callback(simulators.terminate)
        apart = Apart(folder / "home", {
            "FX_DATABASE_URL": database_url, "FX_CHAIN_URL": anvil.url, "FX_HTTP_PORT": str(outside.http_port),
            "FX_SIMULATORS_URL": outside.providers_url, "FX_SMTP_PORT": str(outside.smtp_port)})
        apart.fx("migrate")
        stack.callback(_ended, apart)
        apart.start()
        staff = apart.staff()
        story = Story(apart.settings.http_url, apart.settings.providers_url, staff["mlro"], staff["admin"])
        for title, act in story.steps():
            act()
            if LAST_TO_JOIN in title:
                break
        life = Life(apart, story, staff, anvil)
        stack.callback(life.store.close)
        stack.callback(life.stale, False)
        yield life
