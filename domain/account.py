"""Virtual account: an account number of ours that stands for one expected payment, so that money says what it is for.

Source: `spec/decisions.md` rows 51, 52 (the lender pushes into an account of its own).
"""

from __future__ import annotations

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require


class OpenAccount(Command, frozen=True, kw_only=True):
    """The account number is the key; `payer` the subject who is expected to pay in."""

    kind = "account"
    account: str
    purpose: str
    resource: str
    payment: str
    payer: str

    @property
    def key(self) -> str:
        return self.account


class AccountOpened(Event, frozen=True, kw_only=True):
    tag = "account.opened.1"
    action = "VIRTUAL_ACCOUNT_OPENED"
    account: str
    purpose: str
    resource: str
    payment: str
    payer: str


class AccountKnown(Conflict):
    code = "account_known"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    purpose: str = ""
    resource: str = ""
    payment: str = ""
    payer: str = ""


def account_key(sort_code: str, account_number: str) -> str:
    return f"{sort_code.replace('-', '')}-{account_number}"


def _decide(account: Account, command: OpenAccount, context: Context) -> list[Event]:
    require(not account.purpose, AccountKnown("this virtual account is already open"))
    return [AccountOpened(account=command.account, purpose=command.purpose, resource=command.resource,
                          payment=command.payment, payer=command.payer)]


def _evolve(account: Account, event: Event) -> Account:
    if isinstance(event, AccountOpened):
        return Account(purpose=event.purpose, resource=event.resource, payment=event.payment, payer=event.payer)
    return account


ACCOUNT: Kind[Account] = Kind("account", Account(), _decide, _evolve)
