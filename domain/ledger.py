"""Double entry: what each event does to the books. Debits are positive, credits negative; every event sums to zero.

`collections` is the pooled account at the banking partner, `transit` what the bank has taken but not yet delivered,
`platform_cash` the platform's own account. Source: `spec/state-machines.md` "Double entry, canonical path".
"""

from __future__ import annotations

import msgspec

from domain import bill, credit, invoice, payment, token, trade
from domain.base import Event

COLLECTIONS = "collections"
TRANSIT = "transit"
SUSPENSE = "suspense"
PLATFORM_CASH = "platform_cash"

HELD_FOR = "held_for"
"""Ring-fenced, one account per payee: what may not be paid to it now. Its invoices close without it."""

CLEARING = ("collections", "transit", "suspense", "lender_funding", "seller_payable", "obligor_receipts",
            "holder_payable", "trade_funds", "proceeds_payable", "refund_payable", "return_payable", "bill_receipts",
            "fee_receivable", "deferred_fees")
"""Account families that must be at zero once an invoice is closed."""

_FUNDS = {"funding": "lender_funding", "obligor": "obligor_receipts", "trade": "trade_funds", "bill": "bill_receipts"}
"""Where a matched credit stands until it is used, by its purpose."""


class Posting(msgspec.Struct, frozen=True):
    """`account` is `family` or `family:detail`; `pence` > 0 debits, < 0 credits."""

    account: str
    pence: int


def family(account: str) -> str:
    return account.partition(":")[0]


def postings(event: Event) -> tuple[Posting, ...]:
    """The lines of one event; empty for events that move no money."""
    match event:
        case credit.CreditReceived():
            return _move(_in(event.currency, COLLECTIONS), _in(event.currency, SUSPENSE), event.pence)
        case credit.CreditMatched():
            return _move(SUSPENSE, f"{_FUNDS[event.purpose]}:{event.resource}", event.pence)
        case bill.BillPaid():  # every line of a bill is a listing fee, until the price book brings others
            return _move(f"bill_receipts:{event.bill}", f"listing_fee_receivable:{event.subject}", event.total_pence)
        case credit.CreditReturned():
            return _move(SUSPENSE, f"return_payable:{event.credit}", event.pence)
        case credit.CreditVoided():
            return _move(_in(event.currency, SUSPENSE), _in(event.currency, COLLECTIONS), event.pence)
        case invoice.InvoiceTokenised():
            return _move(f"fee_receivable:{event.accrued_fee.code}", "fee_income:TOKENISATION", event.accrued_fee.pence)
        case invoice.InvoiceFunded():
            return _funded(event)
        case invoice.PayoutRequested():
            reference = event.payout.partition("/")[0]
            return _move(f"obligor_receipts:{reference}", f"holder_payable:{event.payout}", event.pence)
        case invoice.InvoiceSettled():
            return _move("deferred_fees", "fee_income:SETTLEMENT", event.earned_fee.pence)
        case token.SliceListed() if event.listing_fee_pence:
            return _move(f"listing_fee_receivable:{event.holder}", "fee_income:LISTING", event.listing_fee_pence)
        case trade.TradeExecuted():
            funds = event.price_pence + event.fee_pence
            return (Posting(f"trade_funds:{event.trade}", funds),
                    Posting(f"proceeds_payable:{event.trade}", -event.price_pence),
                    Posting("fee_income:TRADING", -event.fee_pence))
        case payment.PaymentHeld() if event.purpose != "fee":
            return _move(_payable(event), f"{HELD_FOR}:{event.payee}", event.pence)
        case payment.PaymentReleased() if event.purpose != "fee":
            return _move(f"{HELD_FOR}:{event.payee}", _payable(event), event.pence)
        case payment.PaymentSent():
            return _move(TRANSIT, COLLECTIONS, event.pence)
        case payment.PaymentConfirmed():
            return _move(_payable(event), TRANSIT, event.pence)
        case payment.PaymentReturned() if event.was == "SENT":
            return _move(COLLECTIONS, TRANSIT, event.pence)
        case payment.PaymentReturned() if event.was == "CONFIRMED":  # it had settled what was owed, which is owed again
            return _move(COLLECTIONS, _payable(event), event.pence)
        case _:
            return ()


def _move(debit: str, credit: str, pence: int) -> tuple[Posting, ...]:
    return (Posting(debit, pence), Posting(credit, -pence))


def _in(currency: str, account: str) -> str:
    """Foreign money stands in an account of its own, so that each currency sums to zero by itself."""
    return account if currency == "GBP" else f"{account}:{currency}"


def _funded(event: invoice.InvoiceFunded) -> tuple[Posting, ...]:
    """The advance is owed to the seller; fees become income now, or wait as deferred until settlement."""
    lines = [Posting(f"lender_funding:{event.reference}", event.net_advance_pence),
             Posting(f"seller_payable:{event.reference}", -event.seller_cash_pence)]
    for line in event.fee_lines:
        if line.earned == "settlement":
            lines.append(Posting("deferred_fees", -line.pence))
        elif line.code == "TOKENISATION":  # accrued when the token was minted
            lines.append(Posting(f"fee_receivable:{line.code}", -line.pence))
        else:
            lines.append(Posting(f"fee_income:{line.code}", -line.pence))
    return tuple(lines)


_AboutPayment = payment.PaymentHeld | payment.PaymentReleased | payment.PaymentConfirmed | payment.PaymentReturned


def _payable(event: _AboutPayment) -> str:
    """What a payment settles when it is delivered."""
    match event.purpose:
        case "advance":
            return f"seller_payable:{event.resource}"
        case "settlement":
            return f"holder_payable:{event.payment}"
        case "proceeds":
            return f"proceeds_payable:{event.resource}"
        case "return":
            return f"return_payable:{event.resource}"
        case "refund":
            return f"{'trade_funds' if event.resource.startswith('trd_') else 'lender_funding'}:{event.resource}"
        case _:
            return PLATFORM_CASH
