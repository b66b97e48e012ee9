"""Issuance: a confirmed invoice becomes a token, and the token is listed. The queue drains when the chain returns; a
mint that waits longer than the cap is an incident until it is done (spec/state-machines.md "Invoice").
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from chain.client import token_id
from domain.base import Command
from domain.holds import LISTING, MINT, StepReleased
from domain.invoice import INVOICE, BuyerConfirmed, Invoice, InvoiceTokenised, ListInvoice, RecordTokenised
from domain.pair import PAIR, RequestCallback, pair_key
from domain.platform import ALARM, AlarmRaised, ClearAlarm, RaiseAlarm
from domain.token import PLATFORM, TOKEN, MintRequested, RecordMinted, RequestMint, TokenMinted, token_reference
from eventstore.entry import Entry
from processes.freezes import held_or
from processes.outside import Outside
from processes.process import Look, NotYet, Process
from processes.sanctions import publish_lists

issuance = Process("issuance")

MINT_DELAYED = "mint_delayed"
MINT_CAP = timedelta(minutes=5)


@issuance.reacts_to(BuyerConfirmed)
def order_mint(entry: Entry, event: BuyerConfirmed, look: Look) -> Iterable[Command]:
    """At once between a seller and a customer who are known to each other; the first time, after a call-back."""
    invoice = look(INVOICE, entry.resource)
    if not look(PAIR, pair_key(invoice.seller, invoice.buyer)).known:
        return [RequestCallback(seller=invoice.seller, buyer=invoice.buyer, invoice=invoice.reference)]
    return order(look, invoice)


@issuance.reacts_to(StepReleased)
def go_on(entry: Entry, event: StepReleased, look: Look) -> Iterable[Command]:
    """The freeze is lifted. The other party may be frozen by now: then it is held for that one."""
    match event.step:
        case "mint":
            return order(look, look(INVOICE, event.reference))
        case "listing":
            return _list(look, event.reference)
        case _:
            return []


@issuance.effect(MintRequested, port="chain", moves_money=True)
def mint(entry: Entry, event: MintRequested, outside: Outside) -> Iterable[Command]:
    chain = outside.chain()
    publish_lists(outside, chain)
    receipt = chain.mint(f"mint:{entry.position}", int(event.token_id), event.face_pence)
    return [RecordMinted(token=entry.resource, tx=receipt.tx_hash, block=receipt.block_number,
                         contract=chain.deployment().addresses["FXReceivableToken"])]


@issuance.effect(MintRequested, port="timer")
def watch(entry: Entry, event: MintRequested, outside: Outside) -> Iterable[Command]:
    due = entry.at + MINT_CAP
    if outside.clock.now() <= due:
        raise NotYet(due + timedelta(microseconds=1))
    if outside.look(TOKEN, entry.resource).state != "PENDING_MINT":
        return []
    return [RaiseAlarm(alarm=_delay(entry.resource), source="issuance", code=MINT_DELAYED,
                       detail=f"{event.invoice} waits for its token since {entry.at}")]


@issuance.reacts_to(AlarmRaised)
def over_already(entry: Entry, event: AlarmRaised, look: Look) -> Iterable[Command]:
    """Minted in the moment in which the alarm was raised."""
    if event.code != MINT_DELAYED:
        return []
    token = entry.resource.removeprefix(_delay(""))
    return [] if look(TOKEN, token).state == "PENDING_MINT" else _stand_down(look, token)


@issuance.reacts_to(TokenMinted)
def tokenised(entry: Entry, event: TokenMinted, look: Look) -> Iterable[Command]:
    return [RecordTokenised(reference=event.invoice, token_reference=entry.resource, contract=event.contract,
                            token_id=event.token_id), *_stand_down(look, entry.resource)]


@issuance.reacts_to(InvoiceTokenised)
def list_it(entry: Entry, event: InvoiceTokenised, look: Look) -> Iterable[Command]:
    return _list(look, entry.resource)


def order(look: Look, invoice: Invoice) -> list[Command]:
    reference, token = invoice.reference, token_reference(invoice.reference)
    assert invoice.due_on is not None
    mint = RequestMint(token=token, invoice=reference, token_id=str(token_id(token)), face_pence=invoice.face_pence,
                       due_on=invoice.due_on, holder=PLATFORM, wallet=PLATFORM)
    return held_or(look, MINT, reference, (invoice.seller, invoice.buyer), [mint])


def _list(look: Look, reference: str) -> list[Command]:
    invoice = look(INVOICE, reference)
    return held_or(look, LISTING, reference, (invoice.seller, invoice.buyer), [ListInvoice(reference=reference)])


def _delay(token: str) -> str:
    return f"{MINT_DELAYED}:{token}"


def _stand_down(look: Look, token: str) -> list[Command]:
    alarm = look(ALARM, _delay(token))
    return [ClearAlarm(alarm=_delay(token))] if alarm.standing else []
