"""Bank accounts on their way between the vault and the bank, and virtual accounts for one expected payment."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import msgspec

from domain.invoice import INVOICE, invoice_reference
from domain.party import Personal
from domain.payment import ACCOUNT, CreditText, OpenAccount, account_key
from domain.trade import TRADE
from eventstore.vault import SubjectGone
from processes.outside import Outside
from providers.bank import Account, CreditNotice


def bank_account(outside: Outside, sealed: Personal) -> Account:
    return msgspec.json.decode(outside.vault.reveal(sealed), type=Account)


def open_account(outside: Outside, purpose: str, resource: str, payment: str) -> tuple[Account, OpenAccount]:
    """A virtual account that stands for one payment; asking again for the same payment gives the same account."""
    account = outside.bank.open_virtual_account(payment, "FinToken X collections")
    return account, OpenAccount(account=account_key(account.sort_code, account.account_number), purpose=purpose,
                                resource=resource, payment=payment)


def seal_for_payer(outside: Outside, notice: CreditNotice, text: CreditText) -> Personal:
    """What a bank notice says in people's words, sealed for whoever was expected to pay: it goes when they go.

    Money that nobody expected, or that comes after the payer was erased, is sealed under a key of its own.
    """
    payer = expected_payer(outside, notice, named_invoice(outside, text))
    if payer:
        with suppress(SubjectGone):
            return outside.vault.seal_struct(payer, text)
    return outside.vault.seal_struct(credit_id(notice.bank_ref), text)


def expected_payer(outside: Outside, notice: CreditNotice, reference: str | None) -> str:
    """The lender or investor whose virtual account was paid into, else the debtor of the invoice named; or nobody."""
    account = outside.look(ACCOUNT, account_key(notice.account.sort_code, notice.account.account_number))
    match account.purpose:
        case "funding":
            return outside.look(INVOICE, account.resource).lender or ""
        case "trade":
            return outside.look(TRADE, account.resource).investor
        case _:
            return outside.look(INVOICE, reference).buyer if reference else ""


def named_invoice(outside: Outside, text: CreditText) -> str | None:
    """The invoice the narration names, if there is one: 'FX-INV-23A4F JONES' looks like a reference and is a name."""
    reference = invoice_reference(text.narration)
    return reference if reference and outside.look(INVOICE, reference).state != "NEW" else None


def credit_id(bank_ref: str) -> str:
    """Names the key of a credit that is nobody's; the bank's own reference is left to the log."""
    return "crd_" + hashlib.sha256(b"credit\n" + bank_ref.encode()).hexdigest()[:32]
