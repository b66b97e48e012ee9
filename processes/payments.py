"""Payments: an ordered payout goes to the bank once, and is confirmed only when its arrival is corroborated."""

from __future__ import annotations

from collections.abc import Iterable

from domain.base import Command
from domain.payment import PaymentRequested, PaymentSent, RecordBounced, RecordCredited, RecordSent
from eventstore.entry import Entry
from processes.accounts import bank_account
from processes.outside import Outside
from processes.process import Process
from providers.errors import Final, Retryable

payments = Process("payments")

ASK_AGAIN_S = 0.5


@payments.effect(PaymentRequested, port="bank", moves_money=True)
def send(entry: Entry, event: PaymentRequested, outside: Outside) -> Iterable[Command]:
    account = bank_account(outside, event.account) if event.account else outside.platform_account
    try:
        sent = outside.bank.pay(event.payment, event.pence, account, event.narration)
    except Final as refused:
        return [RecordBounced(payment=event.payment, reason=refused.code)]
    return [RecordSent(payment=event.payment, provider_reference=sent.provider_ref)]


@payments.effect(PaymentSent, port="bank")
def corroborate(entry: Entry, event: PaymentSent, outside: Outside) -> Iterable[Command]:
    """S6: the payout counts when the payee's bank shows it, not when ours accepted it."""
    seen = outside.bank.payment(event.payment)
    match seen.status if seen else "UNKNOWN":
        case "CREDITED":
            return [RecordCredited(payment=event.payment)]
        case "FAILED" | "RETURNED":
            return [RecordBounced(payment=event.payment, reason=seen.status if seen else "")]
        case _:
            raise Retryable("not_credited_yet", retry_after_s=ASK_AGAIN_S)
