"""Transfers: the token operations on the chain, each with its intent's key and its outcome's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from chain.errors import Refused
from domain.base import Command
from domain.token import (
    PLATFORM,
    BurnRequested,
    RecordBurned,
    RecordSliced,
    RecordTransferred,
    RecordTransferRefused,
    SlicingRequested,
    TransferRequested,
)
from eventstore.entry import Entry
from processes.outside import Outside
from processes.process import Process
from processes.sanctions import publish_lists

transfers = Process("transfers")


@transfers.effect(TransferRequested, port="chain", moves_money=True)
def transfer(entry: Entry, event: TransferRequested, outside: Outside) -> Iterable[Command]:
    chain = outside.chain()
    publish_lists(outside, chain)
    sender = chain.platform_wallet if event.from_wallet == PLATFORM else event.from_wallet
    try:
        receipt = chain.transfer(f"transfer:{entry.position}", sender, event.to_wallet, int(event.token_id),
                                 event.face_pence)
    except Refused as refused:
        return [RecordTransferRefused(token=entry.resource, transfer=event.transfer, reason=refused.code)]
    return [RecordTransferred(token=entry.resource, transfer=event.transfer, tx=receipt.tx_hash,
                              block=receipt.block_number)]


@transfers.effect(SlicingRequested, port="chain")
def fractionalise(entry: Entry, event: SlicingRequested, outside: Outside) -> Iterable[Command]:
    receipt = outside.chain().fractionalise(f"slice:{entry.position}", int(event.token_id), list(event.faces))
    return [RecordSliced(token=entry.resource, tx=receipt.tx_hash, block=receipt.block_number)]


@transfers.effect(BurnRequested, port="chain", moves_money=True)
def burn(entry: Entry, event: BurnRequested, outside: Outside) -> Iterable[Command]:
    receipt = outside.chain().burn(f"burn:{entry.position}", int(event.token_id))
    return [RecordBurned(token=entry.resource, tx=receipt.tx_hash, block=receipt.block_number)]
