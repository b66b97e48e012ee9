"""Payments: the one door money leaves by. An ordered payout is cleared or held by its payee's standing, goes to the
bank once, and is confirmed only when its arrival is corroborated.

The clearing is the intent, appended only while the payee may receive: after a freeze no new one exists. One that waits
for the bank or for an anchor is looked at again at every attempt, and held if the bank has not been asked for it yet.
A payout may come back while we ask or after it has arrived: the bank's notice says so (`processes/crediting.py`), and
whichever is second finds it done.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from domain.bank_order import NameOrder
from domain.base import Command
from domain.holds import PAYMENT as STEP
from domain.holds import HoldStep
from domain.payment import (
    NO_ACCOUNT,
    PAYEE_BARRED,
    PAYMENT,
    PLATFORM,
    ClearPayment,
    HoldPayment,
    Payment,
    PaymentCleared,
    PaymentConfirmed,
    PaymentReleased,
    PaymentRequested,
    PaymentRerouted,
    PaymentSent,
    RecordBounced,
    RecordCredited,
    RecordSent,
)
from eventstore.entry import Entry
from processes.accounts import bank_account
from processes.freezes import barred, standing
from processes.outside import Outside
from processes.process import Look, NotYet, Process
from providers.bank.account import end_to_end
from providers.errors import Final, Retryable

payments = Process("payments")

ASK_AGAIN_S = 0.5

SECOND_LOOK = timedelta(days=2)
"""After a payout arrived. A payee's bank sends back what it cannot place within days; should the notice of it be lost,
it is seen then."""


@payments.reacts_to(PaymentRequested, PaymentReleased, PaymentRerouted)
def clear(entry: Entry, event: PaymentRequested | PaymentReleased | PaymentRerouted, look: Look) -> Iterable[Command]:
    payment = look(PAYMENT, event.payment)
    if barred(look, payment.owner):
        return _hold(payment, PAYEE_BARRED)
    if payment.account is None and payment.payee != PLATFORM:
        return _hold(payment, NO_ACCOUNT)
    return [*standing(payment.owner), ClearPayment(payment=payment.id), _named(payment)]


def _named(payment: Payment) -> Command:
    return NameOrder(order=end_to_end(payment.bank_id), payment=payment.id, attempt=payment.attempt)


@payments.effect(PaymentCleared, port="bank", moves_money=True)
def send(entry: Entry, event: PaymentCleared, outside: Outside) -> Iterable[Command]:
    payment = outside.look(PAYMENT, event.payment)
    if payment.state != "CLEARED":
        return []  # it came back in the meantime
    if barred(outside.look, payment.owner):
        asked = outside.bank.payment(payment.bank_id)
        if asked is None:
            return _hold(payment, PAYEE_BARRED)
        return [RecordSent(payment=payment.id, provider_reference=asked.provider_ref)]
    account = bank_account(outside, payment.account) if payment.account else outside.platform_account
    try:
        sent = outside.bank.pay(payment.bank_id, payment.pence, account, payment.narration)
    except Final as refused:
        return [RecordBounced(payment=payment.id, reason=refused.code)]
    return [RecordSent(payment=payment.id, provider_reference=sent.provider_ref)]


def _hold(payment: Payment, reason: str) -> list[Command]:
    """Under its owner, who is told nothing; compliance sees it among the incidents."""
    return [*standing(payment.owner, receives=reason != PAYEE_BARRED), HoldPayment(payment=payment.id, reason=reason),
            HoldStep(subject=payment.owner, step=STEP, reference=payment.id, resource=payment.resource,
                     pence=payment.pence, reason=reason)]


@payments.effect(PaymentSent, port="bank")
def corroborate(entry: Entry, event: PaymentSent, outside: Outside) -> Iterable[Command]:
    """S6: the payout counts when the payee's bank shows it, not when ours accepted it."""
    payment = outside.look(PAYMENT, event.payment)
    if payment.state != "SENT":
        return []  # the notice that it came back was faster
    seen = outside.bank.payment(payment.bank_id)
    match seen.status if seen else "UNKNOWN":
        case "CREDITED":
            return [RecordCredited(payment=event.payment)]
        case "FAILED" | "RETURNED":
            return [RecordBounced(payment=event.payment, reason=seen.status if seen else "")]
        case _:
            raise Retryable("not_credited_yet", retry_after_s=ASK_AGAIN_S)


@payments.effect(PaymentConfirmed, port="bank")
def look_again(entry: Entry, event: PaymentConfirmed, outside: Outside) -> Iterable[Command]:
    """An answer is true when it is given: what was credited may have come back since."""
    due = entry.at + SECOND_LOOK
    if outside.clock.now() < due:
        raise NotYet(due)
    payment = outside.look(PAYMENT, event.payment)
    if payment.state != "CONFIRMED":
        return []
    seen = outside.bank.payment(payment.bank_id)
    back = seen is not None and seen.status == "RETURNED"
    return [RecordBounced(payment=payment.id, attempt=payment.attempt, reason="RETURNED")] if back else []
