"""Issuance: a confirmed invoice becomes a token, and the token is listed. The queue drains when the chain returns."""

from __future__ import annotations

from collections.abc import Iterable

from chain.client import token_id
from domain.base import Command
from domain.invoice import INVOICE, BuyerConfirmed, InvoiceTokenised, ListInvoice, RecordTokenised
from domain.token import PLATFORM, MintRequested, RecordMinted, RequestMint, TokenMinted, token_reference
from eventstore.entry import Entry
from processes.freezes import frozen, held
from processes.outside import Outside
from processes.process import Look, Process
from processes.sanctions import publish_lists

issuance = Process("issuance")


@issuance.reacts_to(BuyerConfirmed)
def order_mint(entry: Entry, event: BuyerConfirmed, look: Look) -> Iterable[Command]:
    invoice = look(INVOICE, entry.resource)
    if frozen(look, invoice.seller) or frozen(look, invoice.buyer):
        return [held("issuance", invoice.reference, "mint")]
    token = token_reference(invoice.reference)
    return [RequestMint(token=token, invoice=invoice.reference, token_id=str(token_id(token)),
                        face_pence=invoice.face_pence, holder=PLATFORM, wallet=PLATFORM)]


@issuance.effect(MintRequested, port="chain")
def mint(entry: Entry, event: MintRequested, outside: Outside) -> Iterable[Command]:
    chain = outside.chain()
    publish_lists(outside, chain)
    receipt = chain.mint(f"mint:{entry.position}", int(event.token_id), event.face_pence)
    return [RecordMinted(token=entry.resource, tx=receipt.tx_hash, block=receipt.block_number,
                         contract=chain.deployment().addresses["FXReceivableToken"])]


@issuance.reacts_to(TokenMinted)
def tokenised(entry: Entry, event: TokenMinted, look: Look) -> Iterable[Command]:
    return [RecordTokenised(reference=event.invoice, token_reference=entry.resource, contract=event.contract,
                            token_id=event.token_id)]


@issuance.reacts_to(InvoiceTokenised)
def list_it(entry: Entry, event: InvoiceTokenised, look: Look) -> Iterable[Command]:
    return [ListInvoice(reference=entry.resource)]
