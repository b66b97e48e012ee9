"""The texts of the e-mails. Each names only what its reader may know: no rate, no chain, no other party's bank.

What a customer typed (`TYPED`) never stands in a subject, and in a text only as a quotation on a line of its own: the
reader must not take it for our word.
"""

from __future__ import annotations

from string import Formatter

TEMPLATES: dict[str, tuple[str, str]] = {
    "welcome": (
        "Welcome to FinToken X",
        "Your account for {name} is open.\n",
    ),
    "mailbox_code": (
        "Your code for FinToken X",
        "Your code is {code}\n\nIt shows that you read this mailbox, and is good once, for 24 hours, for the account "
        "{account}.\n\nWe never ask for it by telephone. If you did not ask for it, do nothing.\n",
    ),
    "confirm_request": (
        "Please confirm invoice {reference}",
        "{seller} asks you to confirm this invoice:\n\n"
        "  Reference  {reference}\n  Amount     {amount}\n  Due        {due}\n\n"
        "{seller} calls it:\n\n  > {seller_reference}\n\n"
        "You confirm that it is real and that you will pay it on the due date. The date and the amount do not "
        "change; only the account you pay into does.\n\n{link}\n\n"
        "The part after #token= goes into the header FX-Confirmation-Code: GET shows what you confirm, POST confirms "
        "it. If this invoice is not yours, do nothing; it expires after five working days.\n",
    ),
    "buyer_confirmed": (
        "{reference} is confirmed",
        "{buyer} confirmed {reference} ({amount}). We are now finding a lender for it.\n",
    ),
    "buyer_unreachable": (
        "{reference}: your customer's mailbox takes no mail",
        "Our request to confirm {reference} could not be delivered to the mailbox that you gave for {buyer}.\n\n"
        "Please give another one of {buyer}'s own within five working days; otherwise the invoice expires, and you "
        "may submit it again.\n",
    ),
    "cash_landed": (
        "{cash} has arrived for {reference}",
        "{cash} has been credited to your bank account for invoice {reference} ({amount}, {buyer}).\n",
    ),
    "seller_credited": (
        "{reference}: seller credit confirmed",
        "The advance on {reference} has reached the seller. The receivable is due on {due}.\n",
    ),
    "payment_reminder": (
        "Reminder ({which}): {reference} is due on {due}",
        "The invoice of {seller}, {amount}, is due on {due}. {seller} calls it:\n\n  > {seller_reference}\n\n"
        "Please pay FinToken X collections with exactly this reference: {reference}\n\n"
        "The account is the one on the page that you confirmed. It does not change, and no mail will ever tell you "
        "another.\n",
    ),
    "bill_issued": (
        "Your FinToken X bill {reference} of {amount}",
        "Your bill {reference} of {amount} is due on {due}: its lines are at GET /v1/bills.\n\n"
        "Please pay FinToken X collections with exactly this reference: {reference}\n",
    ),
    "bill_overdue": (
        "Reminder: bill {reference} of {amount} was due on {due}",
        "Your bill {reference} of {amount} was due on {due} and is not paid yet.\n\n"
        "Please pay FinToken X collections with exactly this reference: {reference}\n",
    ),
    "money_returned": (
        "{amount} has gone back to the account it came from",
        "{amount} came in for you and could not be used: it was not the amount we asked for, came too late, or did not "
        "come from the account you registered with us. It has gone back to the account it came from.\n",
    ),
    "share_paid": (
        "{reference}: {share} has been paid to you",
        "{reference}, due {due}, is settled. Your share of it, {share}, has been credited to your bank account.\n",
    ),
    "settled": (
        "{reference} is settled",
        "Invoice {reference} ({amount}, due {due}) has been paid in full and is closed.\n",
    ),
}

TYPED = ("seller_reference",)


def named_by(template: str) -> set[str]:
    """The facts that a template names."""
    return {name for text in TEMPLATES[template] for _, name, _, _ in Formatter().parse(text) if name}


def render(template: str, facts: dict[str, str]) -> tuple[str, str]:
    """(subject, text). A fact the template needs and was not given is a bug and raises KeyError."""
    subject, text = TEMPLATES[template]
    return subject.format_map(facts), text.format_map(facts)
