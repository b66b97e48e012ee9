"""Bank accounts on their way between the vault and the bank, and virtual accounts for one expected payment."""

from __future__ import annotations

import msgspec

from domain.party import Personal
from domain.payment import OpenAccount, account_key
from processes.outside import Outside
from providers.bank import Account


def bank_account(outside: Outside, sealed: Personal) -> Account:
    return msgspec.json.decode(outside.vault.open(sealed), type=Account)


def open_account(outside: Outside, purpose: str, resource: str, payment: str) -> tuple[Account, OpenAccount]:
    """A virtual account that stands for one payment; asking again for the same payment gives the same account."""
    account = outside.bank.open_virtual_account(payment, "FinToken X collections")
    return account, OpenAccount(account=account_key(account.sort_code, account.account_number), purpose=purpose,
                                resource=resource, payment=payment)
