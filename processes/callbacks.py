"""Call-backs: a customer's first confirmation for a seller waits until compliance has called the customer back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from domain.base import Command
from domain.invoice import INVOICE, Invoice, VoidInvoice
from domain.pair import PAIR, CallbackConfirmed, CallbackDenied, CallbackRequested, pair_key
from domain.platform import ALARM, ClearAlarm, RaiseAlarm
from eventstore.entry import Entry
from processes.issuance import order
from processes.outside import Outside
from processes.process import Look, NotYet, Process
from processes.verification import release_fingerprints

callbacks = Process("callbacks")

DENIED, OVERDUE = "callback_denied", "callback_overdue"


@callbacks.effect(CallbackRequested, port="timer")
def remind(entry: Entry, event: CallbackRequested, outside: Outside) -> Iterable[Command]:
    """Two business days on, compliance sees among the incidents that nobody has called."""
    if outside.clock.now() <= event.call_by:
        raise NotYet(event.call_by + timedelta(seconds=1))
    if event.invoice not in outside.look(PAIR, pair_key(event.seller, event.buyer)).waiting:
        return []
    return [RaiseAlarm(alarm=f"{OVERDUE}:{event.invoice}", source="callbacks", code=OVERDUE,
                       detail=f"{event.invoice} waits for a call-back since {entry.at}")]


@callbacks.reacts_to(CallbackConfirmed)
def go_on(entry: Entry, event: CallbackConfirmed, look: Look) -> Iterable[Command]:
    """What waited becomes tokens; the pair is known for ever."""
    orders = [command for invoice in _waiting(look, event.invoices) for command in order(look, invoice)]
    return [*orders, *_called(look, event.invoices)]


@callbacks.reacts_to(CallbackDenied)
def void(entry: Entry, event: CallbackDenied, look: Look) -> Iterable[Command]:
    """The customer knows of no such debt: the invoices are void, and what becomes of the seller is for a person."""
    ends: list[Command] = []
    for invoice in _waiting(look, event.invoices):
        ends += [VoidInvoice(reference=invoice.reference, reason=DENIED), *release_fingerprints(invoice),
                 RaiseAlarm(alarm=f"{DENIED}:{invoice.reference}", source="callbacks", code=DENIED,
                            detail=f"the customer denies {invoice.reference}: consider a freeze of its seller")]
    return [*ends, *_called(look, event.invoices)]


def _waiting(look: Look, references: tuple[str, ...]) -> list[Invoice]:
    invoices = [look(INVOICE, reference) for reference in references]
    return [invoice for invoice in invoices if invoice.state == "CONFIRMED"]


def _called(look: Look, invoices: tuple[str, ...]) -> list[Command]:
    """The reminders that stand are over."""
    alarms = {f"{OVERDUE}:{reference}" for reference in invoices}
    return [ClearAlarm(alarm=name) for name in sorted(alarms) if look(ALARM, name).standing]
