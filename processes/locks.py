"""Locks: what compliance orders of a token is done on the chain. The register refuses from the order on."""

from __future__ import annotations

from collections.abc import Iterable

from domain.base import Command
from domain.token import LockRequested, RecordLocked, RecordUnlocked, UnlockRequested, on_chain
from eventstore.entry import Entry
from processes.outside import Outside
from processes.process import Process

locks = Process("locks")


@locks.effect(LockRequested, port="chain")
def lock(entry: Entry, event: LockRequested, outside: Outside) -> Iterable[Command]:
    receipt = outside.chain().lock(f"lock:{entry.position}", [int(event.token_id)], on_chain(event.reason_code))
    return [RecordLocked(token=entry.resource, tx=receipt.tx_hash, block=receipt.block_number)]


@locks.effect(UnlockRequested, port="chain")
def unlock(entry: Entry, event: UnlockRequested, outside: Outside) -> Iterable[Command]:
    receipt = outside.chain().unlock(f"unlock:{entry.position}", [int(event.token_id)], on_chain(event.reason_code))
    return [RecordUnlocked(token=entry.resource, tx=receipt.tx_hash, block=receipt.block_number)]
