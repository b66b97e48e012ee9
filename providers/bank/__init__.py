"""Port: the banking partner. Virtual accounts, Faster Payments out, signed notices of credits in.

Source: lender L7 and money-control rules; decisions 51 (the lender pushes into a virtual account, money and
not a click makes FUNDED) and 56 (exact reference after normalisation and exact amount, else suspense).

Money is integer pence sterling. Errors of note:

    Final("key_reused")       the key already belongs to a payment of another amount or to another account
    Final("refused")          the bank will not take the instruction
    Final("bad_signature")    a notice that the bank did not sign, or that was altered
    Final("stale")            a genuine notice sent over five minutes from `now`: the bank will send another
    Final("not_settled")      a genuine notice of anything but settled money: acknowledge and ignore
    Final("unreadable")       a genuine notice that cannot be booked: it does not parse, or its figures are insane
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol

import msgspec

PaymentStatus = Literal["ACCEPTED", "CREDITED", "FAILED", "RETURNED"]


class Account(msgspec.Struct, frozen=True):
    name: str
    sort_code: str
    account_number: str


class Payment(msgspec.Struct, frozen=True):
    """CREDITED is the corroboration that the money reached the payee's bank (seller S6).

    FAILED means it never left; RETURNED that it went and came back. ACCEPTED is under way: ask `payment`
    again.
    """

    key: str
    provider_ref: str
    status: PaymentStatus
    amount_pence: int


class CreditNotice(msgspec.Struct, frozen=True):
    """Somebody paid in. `bank_ref` is unique per credit and repeats when the notice does.

    `received_at` is when the money settled at the bank, by the bank's clock. `payer` is the account the money came
    from; None where the bank does not say.
    """

    bank_ref: str
    account: Account
    amount_pence: int
    currency: str
    narration: str
    remitter_name: str
    received_at: datetime
    payer: Account | None = None


class ReturnNotice(msgspec.Struct, frozen=True):
    """A payment that left us is back in our account: `order` is the id it travelled under (`account.end_to_end`), empty
    where the bank does not say. It may come days after the payment was CREDITED.
    """

    order: str
    credit: CreditNotice


class DebitNotice(msgspec.Struct, frozen=True):
    """Money has left an account of ours. `order` is the id of what we ordered, if we did."""

    bank_ref: str
    order: str
    account: Account
    amount_pence: int
    currency: str
    settled_at: datetime


Notice = CreditNotice | ReturnNotice | DebitNotice


class Bank(Protocol):
    def open_virtual_account(self, key: str, owner_name: str) -> Account: ...

    def pay(self, key: str, amount_pence: int, to: Account, narration: str) -> Payment:
        """The payee sees the first 18 characters of the narration, in the characters the scheme carries."""
        ...

    def payment(self, key: str) -> Payment | None:
        """What became of `pay(key, …)`; None if the bank never saw the key."""
        ...

    def verify_notice(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> Notice:
        """`raw` is the body as received, before any parsing; `now` is the wall clock, not a business clock.

        No I/O. Money must not be booked on a notice's `bank_ref` twice: the bank delivers at least once.
        """
        ...
