"""ClearBank: virtual accounts, Faster Payments, transactions, and the TransactionSettled webhook.

Follows clearbank.github.io/uk: Manage sterling accounts (Create accounts (virtual)), Faster Payments (Send
Faster Payments, FI Initiation API 3.0), Transaction data, Webhooks (Transaction Settled v6). See
`signature` for the one departure. Requests are idempotent at the bank by `endToEndIdentification` and by
`accountIdentifier`, both derived here from the caller's key.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from providers.bank import Account, Notice, Payment, PaymentStatus, settled
from providers.bank.account import digits, end_to_end, scheme_text
from providers.bank.signature import WINDOW, authentic, headers, moment
from providers.errors import Final, Retryable
from providers.http import Wire

MAX_PENCE = 1_000_000_00
"""The Faster Payments limit per payment."""

_STATUSES: dict[str, PaymentStatus] = {
    "ACCP": "ACCEPTED",
    "PDNG": "ACCEPTED",
    "ACSC": "CREDITED",
    "SETT": "CREDITED",
    "RJCT": "FAILED",
    "CANC": "FAILED",
    "RTND": "RETURNED",
}
_ATTEMPTS = 8

_encode = msgspec.json.Encoder(decimal_format="number").encode


class _Instruction(msgspec.Struct, rename="camel"):
    end_to_end_identification: str
    response: str


class _Instructions(msgspec.Struct):
    transactions: list[_Instruction]


class _Amount(msgspec.Struct, rename="camel"):
    instructed_amount: Decimal
    currency: str


class _Identification(msgspec.Struct, rename="camel"):
    sort_code: str
    account_number: str


class _Counterpart(msgspec.Struct):
    identification: _Identification


class _Transaction(msgspec.Struct, rename="camel"):
    amount: _Amount
    counterpart_account: _Counterpart
    debit_credit_code: str
    transaction_id: str
    status: str


class _Transactions(msgspec.Struct):
    transactions: list[_Transaction]


class ClearBank:
    def __init__(
        self,
        base_url: str,
        api_token: str,
        secret: str,
        *,
        account_id: str,
        sort_code: str,
        account_number: str,
    ) -> None:
        """`account_id`, `sort_code` and `account_number` are the platform's real account, which payments
        leave and virtual accounts hang from.
        """
        self._wire = Wire("ClearBank", base_url)
        self._api_token = api_token
        self._secret = secret.encode()
        self._account_id = account_id
        self._sort_code = digits(sort_code, 6)
        self._debtor = _bban_account(self._sort_code, digits(account_number, 8))

    def open_virtual_account(self, key: str, owner_name: str) -> Account:
        # The institution chooses the number. Should two keys derive the same one, the bank says 409 to the
        # second, and for ever after, so that its next candidate is as settled as the first.
        for attempt in range(_ATTEMPTS):
            number = _account_number(key, attempt)
            identifier = {"bban": f"CLRB{self._sort_code}{number}", "externalIdentifier": end_to_end(key)}
            body = _encode({"virtualAccounts": [{"ownerName": owner_name, "accountIdentifier": identifier}]})
            path = f"/v2/Accounts/{self._account_id}/Virtual"
            if self._call("POST", path, body, also=frozenset({409})).is_success:
                return Account(owner_name, self._sort_code, number)
        raise Final("conflict", f"no free account number in {_ATTEMPTS} attempts")

    def pay(self, key: str, amount_pence: int, to: Account, narration: str) -> Payment:
        if not 0 < amount_pence <= MAX_PENCE:
            raise Final("refused", "a payment is between 1p and £1,000,000")
        payee = _Identification(digits(to.sort_code, 6), digits(to.account_number, 8))
        body = _encode(self._instruction(key, amount_pence, to.name, payee, narration))
        response = self._call("POST", "/v3/payments/fps", body, also=frozenset({400, 409}))
        made = self._transaction(key)
        if made is not None:
            if _pence(made.amount) != amount_pence or made.counterpart_account.identification != payee:
                raise Final("key_reused", "the key belongs to another payment")
            return _payment(key, made)
        if response.status_code == 409:
            raise Retryable("unavailable", "ClearBank knows the key but does not show the payment yet")
        if response.status_code == 400:
            raise Final("refused", "ClearBank does not accept the instruction")
        taken = self._wire.read(response, _Instructions).transactions
        if not taken or taken[0].response != "Accepted":
            raise Final("refused", taken[0].response if taken else "no answer to the instruction")
        # Their transaction data is eventually consistent: accepted and not yet shown is normal.
        return Payment(key, end_to_end(key), "ACCEPTED", amount_pence)

    def payment(self, key: str) -> Payment | None:
        made = self._transaction(key)
        return None if made is None else _payment(key, made)

    def verify_notice(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> Notice:
        given = {name.lower(): value for name, value in headers.items()}
        timestamp = given.get("x-request-time", "")
        if not authentic(self._secret, timestamp, raw, given.get("digitalsignature", "")):
            raise Final("bad_signature")
        sent_at = moment(timestamp)
        if sent_at is None or not settled.EARLIEST <= sent_at <= now + settled.AHEAD:
            raise Final("unreadable", "X-Request-Time")
        if abs(now - sent_at) > WINDOW:
            raise Final("stale")
        try:
            return settled.read(raw, now)
        except settled.Unsound as error:
            raise Final("unreadable", str(error)) from error
        except settled.NotSettled as other:
            raise Final("not_settled", str(other)) from other

    def _instruction(
        self, key: str, amount_pence: int, name: str, payee: _Identification, narration: str
    ) -> dict[str, Any]:
        transfer = {
            "paymentIdentification": {
                "instructionIdentification": end_to_end(key),
                "endToEndIdentification": end_to_end(key),
            },
            "amount": {"currency": "GBP", "instructedAmount": Decimal(amount_pence).scaleb(-2)},
            "creditor": {"name": scheme_text(name)[:140]},
            "creditorAccount": _bban_account(payee.sort_code, payee.account_number),
            "remittanceInformation": {
                "structured": {"creditorReferenceInformation": {"reference": scheme_text(narration)[:35]}}
            },
        }
        return {
            "paymentInstructions": [
                {
                    "debtor": {},
                    "debtorAccount": self._debtor,
                    "creditTransfers": [transfer],
                    "paymentInstructionIdentification": end_to_end(key),
                }
            ]
        }

    def _transaction(self, key: str) -> _Transaction | None:
        answer = self._call("GET", f"/v2/Transactions?endToEndIdentifier={end_to_end(key)}")
        found = self._wire.read(answer, _Transactions).transactions
        return next((each for each in found if each.debit_credit_code == "DBIT"), None)

    def _call(
        self, method: str, path: str, body: bytes | None = None, also: frozenset[int] = frozenset()
    ) -> httpx.Response:
        sent = headers(self._secret, self._api_token, body or b"", datetime.now(UTC))
        return self._wire.call(method, path, body=body, headers=sent, also=also)


def _account_number(key: str, attempt: int) -> str:
    seed = hashlib.sha256(f"{key}:{attempt}".encode()).digest()
    return f"{int.from_bytes(seed[:8], 'big') % 90_000_000 + 10_000_000}"


def _bban_account(sort_code: str, number: str) -> dict[str, Any]:
    scheme = {"code": "BBAN", "proprietary": "PRTY_COUNTRY_SPECIFIC"}
    return {"identification": {"other": {"identification": f"GBR{sort_code}{number}", "schemeName": scheme}}}


def _pence(amount: _Amount) -> int:
    pence = amount.instructed_amount.scaleb(2)
    if pence != pence.to_integral_value():
        raise Final("unreadable", "an amount in fractions of a penny")
    return int(pence)


def _payment(key: str, made: _Transaction) -> Payment:
    status = _STATUSES.get(made.status)
    if status is None:
        raise Retryable("unreadable", f"ClearBank: unknown transaction status {made.status!r}")
    return Payment(key, made.transaction_id, status, _pence(made.amount))
