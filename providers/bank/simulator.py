"""ClearBank, simulated: virtual accounts, payments out at once or when released, credits in that notify.

Magic account numbers: a payment to one that ends in 99 is rejected by the scheme. While payments are held
they stay accepted, until they are released. A credited payment can be returned by hand: its money comes in again, and
the platform is told by a notice of its own.
"""

import re
import sqlite3
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from eventstore.foreign import UNREADABLE
from providers.bank.account import digits
from providers.bank.signature import headers, refused
from providers.bank.simulator_wire import Payments, VirtualAccounts, encode, notice, transaction
from providers.credentials import Credentials
from providers.errors import Final
from providers.stage.outbox import Outbox
from providers.stage.page import Html, element, form, pounds, table
from providers.stage.room import BadInput, Fields, Room, answer, flag, word
from providers.stage.store import Store

ACCOUNT_ID = "6f1c5d1e-4a53-4c3e-9d0e-6d1f0b7a4c11"
SORT_CODE = "040075"
ACCOUNT_NUMBER = "10000001"
OWNER = "FinToken X Ltd"
"""The platform's real account at the simulated bank: what `ClearBank(account_id=…, …)` is given."""

REMITTER = ("200000", "55779911")
"""Where a credit comes from when nobody says."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS bank_account (
    number TEXT PRIMARY KEY, external_id TEXT NOT NULL, owner TEXT NOT NULL, opened_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS bank_transaction (
    ref TEXT PRIMARY KEY, end_to_end TEXT NOT NULL, direction TEXT NOT NULL, status TEXT NOT NULL,
    amount_pence INTEGER NOT NULL CHECK (amount_pence > 0), account TEXT NOT NULL, counterpart TEXT NOT NULL,
    counterpart_name TEXT NOT NULL, reference TEXT NOT NULL, made_at TEXT NOT NULL,
    UNIQUE (direction, end_to_end));
"""


class BankSimulator:
    def __init__(self, app: web.Application, store: Store, credentials: Credentials, notify_url: str) -> None:
        self.store = store
        self.credentials = credentials
        store.script(SCHEMA)
        if notify_url:
            store.set("bank notify", notify_url)
        secret = credentials.clearbank_secret.encode()
        self.outbox = Outbox(
            store, lambda body, now: headers(secret, None, body, now), lambda: store.setting("bank notify")
        )
        self.room = room = Room(
            app,
            store,
            "/bank",
            "ClearBank",
            "The banking partner. Pay in to a virtual account as a buyer or a lender would; the platform is "
            "told by a signed notice, again and again until it answers.",
        )
        room.vendor("POST", "/v2/Accounts/{account_id}/Virtual", self.open)
        room.vendor("POST", "/v3/payments/fps", self.pay)
        room.vendor("GET", "/v2/Transactions", self.transactions)
        room.control("/control/hold", self.hold)
        room.control("/control/release", self.release)
        room.control("/control/credits", self.credit)
        room.control("/control/credits/{ref}/redeliver", self.redeliver)
        room.control("/control/payments/{ref}/return", self.send_back)
        room.control("/control/notify-url", self.set_notify_url)
        app.router.add_get("/bank/transactions.json", self.transactions_json)
        room.home(self.page)

    def holder(self, account: str) -> str | None:
        """Who owns `sort code + number`, if it is one of ours."""
        if account == SORT_CODE + ACCOUNT_NUMBER:
            return OWNER
        row = self.store.row("SELECT owner FROM bank_account WHERE number = ?", account)
        return row["owner"] if row else None

    # The vendor's endpoints

    async def open(self, request: web.Request) -> web.Response:
        wanted: VirtualAccounts = await self._read(request, VirtualAccounts)
        if request.match_info["account_id"] != ACCOUNT_ID:
            return _problem(404, "no such account")
        for each in wanted.virtual_accounts:
            match = re.fullmatch(r"CLRB([0-9]{6})([0-9]{8})", each.account_identifier.bban)
            if not match or match[1] != SORT_CODE or not 1 <= len(each.owner_name) <= 140:
                return _problem(400, "accountIdentifier or ownerName is not acceptable")
            number, external_id = match[1] + match[2], each.account_identifier.external_identifier
            self.store.run(
                "INSERT OR IGNORE INTO bank_account VALUES (?, ?, ?, ?)",
                number,
                external_id,
                each.owner_name,
                _now(),
            )
            row = self.store.row("SELECT * FROM bank_account WHERE number = ?", number)
            if row is None or row["external_id"] != external_id or number == SORT_CODE + ACCOUNT_NUMBER:
                return _problem(409, "accountIdentifier is in use")
            if row["owner"] != each.owner_name:
                return _problem(400, "the account was opened for another owner")
        return answer({"halLinks": []}, 202)

    async def pay(self, request: web.Request) -> web.Response:
        wanted: Payments = await self._read(request, Payments)
        if len(wanted.payment_instructions) != 1 or len(wanted.payment_instructions[0].credit_transfers) != 1:
            return _problem(400, "the simulator takes one payment at a time")
        instruction = wanted.payment_instructions[0]
        transfer = instruction.credit_transfers[0]
        end_to_end = transfer.payment_identification.end_to_end_identification
        debtor = instruction.debtor_account.identification.other.identification
        payee = transfer.creditor_account.identification.other.identification
        reference = transfer.remittance_information.structured.creditor_reference_information.reference
        pence = transfer.amount.instructed_amount.scaleb(2)
        if (
            not 1 <= len(end_to_end) <= 35
            or len(reference) > 35
            or not 1 <= len(transfer.creditor.name) <= 140
        ):
            return _problem(400, "an element is too long or missing")
        outcome = _objection(debtor, payee, transfer.amount.currency, pence)
        if outcome:
            return answer(
                {"transactions": [{"endToEndIdentification": end_to_end, "response": outcome}]}, 400
            )
        new = self.store.run(
            "INSERT OR IGNORE INTO bank_transaction VALUES (?, ?, 'DBIT', ?, ?, ?, ?, ?, ?, ?)",
            str(uuid.uuid4()),
            end_to_end,
            self._first_status(payee[3:]),
            int(pence),
            debtor[3:],
            payee[3:],
            transfer.creditor.name,
            reference[:18],
            _now(),
        )
        if not new:
            return _problem(409, "endToEndIdentification is a duplicate")
        return answer(
            {
                "transactions": [{"endToEndIdentification": end_to_end, "response": "Accepted"}],
                "halLinks": [],
            },
            202,
        )

    async def transactions(self, request: web.Request) -> web.Response:
        await self._read(request, None)
        wanted = request.query.get("endToEndIdentifier")
        rows = self.store.rows(
            "SELECT * FROM bank_transaction WHERE ? IS NULL OR end_to_end = ? ORDER BY rowid DESC LIMIT 1000",
            wanted,
            wanted,
        )
        return web.Response(
            body=encode({"transactions": [transaction(row) for row in rows], "halLinks": []}),
            content_type="application/json",
        )

    # The controls

    def hold(self, fields: Fields) -> dict[str, bool]:
        self.store.set("bank hold", "on" if flag(fields) else "off")
        return {"hold": self._held()}

    def release(self, _fields: Fields) -> dict[str, int]:
        """Credits everything held. `hold` stays as it is: later payments are held again until told
        otherwise.
        """
        released = self.store.run(
            "UPDATE bank_transaction SET status = 'ACSC' WHERE direction = 'DBIT' AND status = 'ACCP'"
        )
        return {"released": released}

    def credit(self, fields: Fields) -> dict[str, Any]:
        """Somebody pays in. With a `key`, a repeated call is the same credit.

        `settled_at` dates it, for a platform that runs on a test clock; the notice itself is always sent now.
        `remitter_sort_code` and `remitter_account_number` are the account it comes from.
        """
        account = self._own_account(fields)
        payer = _account(fields, "remitter_sort_code", "remitter_account_number", REMITTER)
        pence = _whole(fields.get("amount_pence"))
        reference, remitter = (
            word(fields, "narration", ""),
            word(fields, "remitter_name", "Example Remitter Ltd"),
        )
        if len(reference) > 140:
            raise BadInput("narration has at most 140 characters")
        ref = str(uuid.uuid4())
        key = str(fields.get("key") or ref)
        with self.store.transaction():
            new = self.store.run(
                "INSERT OR IGNORE INTO bank_transaction "
                "VALUES (?, ?, 'CRDT', 'ACSC', ?, ?, ?, ?, ?, ?)",
                ref,
                key,
                pence,
                account,
                payer,
                remitter,
                reference,
                _moment(fields.get("settled_at")),
            )
            row = self.store.row(
                "SELECT * FROM bank_transaction WHERE direction = 'CRDT' AND end_to_end = ?", key
            )
            assert row is not None
            if new:
                self.outbox.add(ref, notice(row, self.holder(account) or ""))
        if (row["amount_pence"], row["account"], row["reference"]) != (pence, account, reference):
            raise BadInput("the key belongs to another credit")
        self.outbox.nudge()
        return {"ref": row["ref"], "key": key, "amount_pence": row["amount_pence"], "new": bool(new)}

    def redeliver(self, fields: Fields) -> dict[str, str]:
        ref = word(fields, "ref")
        if not self.outbox.again(ref):
            raise BadInput("no such credit")
        return {"ref": ref}

    def send_back(self, fields: Fields) -> dict[str, str]:
        """Once; to send back what is sent back already changes nothing."""
        ref = word(fields, "ref")
        with self.store.transaction():
            row = self.store.row("SELECT * FROM bank_transaction WHERE ref = ? AND direction = 'DBIT'", ref)
            if row is None or row["status"] not in ("ACSC", "RTND"):
                raise BadInput("no such credited payment")
            if row["status"] == "ACSC":
                self.store.run("UPDATE bank_transaction SET status = 'RTND' WHERE ref = ?", ref)
                self._come_in_again(row)
        self.outbox.nudge()
        return {"ref": ref, "status": "RTND"}

    def _come_in_again(self, paid: sqlite3.Row) -> None:
        ref = str(uuid.uuid4())
        self.store.run(
            "INSERT INTO bank_transaction SELECT ?, end_to_end, 'CRDT', 'ACSC', amount_pence, account, counterpart, "
            "counterpart_name, reference, ? FROM bank_transaction WHERE ref = ?",
            ref,
            _now(),
            paid["ref"],
        )
        row = self.store.row("SELECT * FROM bank_transaction WHERE ref = ?", ref)
        assert row is not None
        self.outbox.add(ref, notice(row, self.holder(row["account"]) or "", is_return=True))

    def set_notify_url(self, fields: Fields) -> dict[str, str]:
        url = word(fields, "url", "")
        if url and not url.startswith(("http://", "https://")):
            raise BadInput("url must start with http:// or https://")
        self.store.set("bank notify", url)
        self.outbox.retry_all()
        return {"url": url}

    async def transactions_json(self, _request: web.Request) -> web.Response:
        rows = self.store.rows(
            "SELECT t.*, n.attempts, n.deliveries, n.delivered_at, n.last_answer FROM bank_transaction t "
            "LEFT JOIN notice n ON n.ref = t.ref ORDER BY t.rowid"
        )
        return answer([dict(row) for row in rows])

    def page(self) -> list[Html]:
        held = self._held()
        accounts = self.store.rows("SELECT * FROM bank_account ORDER BY rowid DESC LIMIT 100")
        rows = self.store.rows(
            "SELECT t.*, n.attempts, n.delivered_at, n.last_answer FROM bank_transaction t "
            "LEFT JOIN notice n ON n.ref = t.ref ORDER BY t.rowid DESC LIMIT 200"
        )
        return [
            element("h2", "Pay in"),
            form(
                "/bank/control/credits",
                "Pay in",
                sort_code=SORT_CODE,
                account_number="",
                amount_pence="1000000",
                narration="",
                remitter_name="Northwind Retail plc",
                remitter_sort_code="402761",
                remitter_account_number="10482956",
            ),
            element("h2", "Outgoing payments"),
            element("p", "Payments are held until released." if held else "Payments are credited at once."),
            form(
                "/bank/control/hold",
                "Credit at once" if held else "Hold payments",
                _on="false" if held else "true",
            ),
            form("/bank/control/release", "Release what is held"),
            element("h2", "Notices"),
            form("/bank/control/notify-url", "Notify this address", url=self.store.setting("bank notify")),
            element("h2", "Transactions"),
            table(
                ["When", "", "Status", "Amount", "Account", "Other party", "Reference", "Notice"],
                map(_shown, rows),
            ),
            element("h2", "Virtual accounts"),
            table(
                ["Sort code", "Number", "Owner"],
                [[r["number"][:6], r["number"][6:], r["owner"]] for r in accounts],
            ),
        ]

    async def _read(self, request: web.Request, shape: type[Any] | None) -> Any:
        raw = await request.read()
        given: Mapping[str, str] = request.headers
        if problem := refused(
            self.credentials.clearbank_secret, self.credentials.clearbank_token, given, raw
        ):
            raise web.HTTPForbidden(
                text=msgspec.json.encode({"title": problem}).decode(), content_type="application/json"
            )
        if shape is None:
            return None
        try:
            return msgspec.json.decode(raw, type=shape)
        except UNREADABLE as error:
            raise web.HTTPBadRequest(text=str(error)) from error

    def _first_status(self, payee: str) -> str:
        if payee.endswith("99") and self.holder(payee) is None:
            return "RJCT"
        return "ACCP" if self._held() else "ACSC"

    def _held(self) -> bool:
        return self.store.setting("bank hold") == "on"

    def _own_account(self, fields: Fields) -> str:
        given = fields.get("account")
        source: Fields = given if isinstance(given, dict) else fields
        account = _account(source, "sort_code", "account_number", (SORT_CODE, None))
        if self.holder(account) is None:
            raise BadInput("no such account at this bank")
        return account


def _account(fields: Fields, sort_code: str, number: str, usual: tuple[str, str | None]) -> str:
    """Sort code and account number, fourteen digits; `usual` where nothing is given."""
    try:
        return digits(word(fields, sort_code, usual[0]), 6) + digits(word(fields, number, usual[1]), 8)
    except Final as error:
        raise BadInput(str(error)) from error


def _objection(debtor: str, payee: str, currency: str, pence: Decimal) -> str | None:
    if debtor != f"GBR{SORT_CODE}{ACCOUNT_NUMBER}" or not re.fullmatch(r"GBR[0-9]{14}", payee):
        return "InvalidAccount"
    if currency != "GBP":
        return "InvalidCurrency"
    return None if pence == pence.to_integral_value() and 0 < pence <= 100_000_000 else "Rejected"


def _whole(value: object) -> int:
    """A form sends text, JSON a number; neither may be a fraction of a penny."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and int(value) > 0:
        return int(value)
    raise BadInput("amount_pence must be a whole number of pence")


def _shown(row: sqlite3.Row) -> list[object]:
    incoming = row["direction"] == "CRDT"
    if incoming:
        state = (
            f"delivered ({row['last_answer']})"
            if row["delivered_at"]
            else f"{row['attempts']} attempts {row['last_answer']}"
        )
        told: list[object] = [state, form(f"/bank/control/credits/{row['ref']}/redeliver", "Redeliver")]
    else:
        returnable = row["status"] == "ACSC"
        told = [form(f"/bank/control/payments/{row['ref']}/return", "Return")] if returnable else []
    return [
        row["made_at"][:19],
        "in" if incoming else "out",
        row["status"],
        pounds(row["amount_pence"]),
        f"{row['account'][:6]} {row['account'][6:]}",
        f"{row['counterpart_name']} ({row['counterpart'][:6]} {row['counterpart'][6:]})",
        row["reference"],
        element("div", *told),
    ]


def _problem(status: int, title: str) -> web.Response:
    return answer({"title": title, "status": status}, status)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(given: object) -> str:
    if not given:
        return _now()
    try:
        moment = datetime.fromisoformat(str(given))
    except ValueError as error:
        raise BadInput("settled_at must be an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise BadInput("settled_at must say its time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
