"""Bank accounts on their way between the vault and the bank, virtual accounts, and whose account money comes from."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress

import msgspec

from domain.account import ACCOUNT, OpenAccount, account_key
from domain.bill import BILL
from domain.credit import CreditText
from domain.invoice import INVOICE, invoice_reference, normalise
from domain.party import Personal, same_name
from domain.payer import PAYER, payer_key
from domain.subject import SUBJECT
from eventstore.vault import SubjectGone
from processes.outside import Outside
from providers.bank import Account, CreditNotice


def bank_account(outside: Outside, sealed: Personal) -> Account:
    return msgspec.json.decode(outside.vault.reveal(sealed), type=Account)


def open_account(
    outside: Outside, purpose: str, resource: str, payment: str, payer: str
) -> tuple[Account, OpenAccount]:
    """A virtual account that stands for one payment; asking again for the same payment gives the same account."""
    account = outside.bank.open_virtual_account(payment, "FinToken X collections")
    return account, OpenAccount(account=account_key(account.sort_code, account.account_number), purpose=purpose,
                                resource=resource, payment=payment, payer=payer)


# ---------------------------------------------------------------- whose account money comes from


def mark(outside: Outside, account: Account) -> str:
    """The account as the log may hold it: a keyed hash. Equal accounts have equal marks, however they are written."""
    written = f"payer\n{account_key(account.sort_code, account.account_number)}"
    return hmac.new(outside.link_secret, written.encode(), hashlib.sha256).hexdigest()


def designated_mark(outside: Outside, subject: str) -> str:
    """Of the account that passed the subject's gates, the only one its money may come from (decisions row 79)."""
    sealed = outside.look(SUBJECT, subject).payout_account
    with suppress(SubjectGone):
        return mark(outside, bank_account(outside, sealed)) if sealed else ""
    return ""


def pays_for_itself(outside: Outside, said: Personal | None, payer: str, debtor: str, name: str) -> bool:
    """Whether the payer is the debtor: by its whole name, or by an account that has paid for it (decisions row 91)."""
    if payer and outside.look(PAYER, payer_key(debtor, payer)).known:
        return True
    with suppress(SubjectGone):
        return said is not None and same_name(_text(outside, said).remitter, name)
    return False


def _text(outside: Outside, said: Personal) -> CreditText:
    return msgspec.json.decode(outside.vault.reveal(said), type=CreditText)


# ---------------------------------------------------------------- what a notice says, sealed


def seal_for_payer(
    outside: Outside, notice: CreditNotice, reference: str | None, *values: msgspec.Struct
) -> list[Personal]:
    """What a bank notice says of people, sealed for whoever was expected to pay: it goes when they go.

    Money that nobody expected, or that comes after the payer was erased, is sealed under a key of its own.
    """
    payer = expected_payer(outside, notice, reference)
    if payer:
        with suppress(SubjectGone):
            return [outside.vault.seal_struct(payer, value) for value in values]
    return [outside.vault.seal_struct(credit_id(notice.bank_ref), value) for value in values]


def expected_payer(outside: Outside, notice: CreditNotice, reference: str | None) -> str:
    """The lender or investor whose virtual account was paid into, else the debtor of the invoice named; or nobody."""
    account = outside.look(ACCOUNT, account_key(notice.account.sort_code, notice.account.account_number))
    return account.payer or (debtor_of(outside, reference) if reference else "")


def debtor_of(outside: Outside, reference: str) -> str:
    """Who owes what a reference names: an invoice's debtor, or the subject of a bill; nobody, if it names nothing."""
    return outside.look(BILL, reference).subject or outside.look(INVOICE, reference).buyer


def named_reference(outside: Outside, narration: str) -> str | None:
    """The invoice or bill the narration names, if there is one: 'FX-INV-23A4F JONES' looks like a reference and is a
    name."""
    bill = normalise(narration)
    if outside.look(BILL, bill).state != "NEW":
        return bill
    reference = invoice_reference(narration)
    return reference if reference and outside.look(INVOICE, reference).state != "NEW" else None


def credit_id(bank_ref: str) -> str:
    """Names the key of a credit that is nobody's; the bank's own reference is left to the log."""
    return "crd_" + hashlib.sha256(b"credit\n" + bank_ref.encode()).hexdigest()[:32]
