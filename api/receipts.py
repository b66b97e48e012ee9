"""The signed receipt of an entry, as mutations answer it and as it can be fetched again."""

from __future__ import annotations

import msgspec

from chain.notes import Signer
from chain.receipts import EntryReceipt
from eventstore.store import Store


class _Told(msgspec.Struct, frozen=True):
    """The part of an entry's body that its receipt tells."""

    action: str
    actor: str
    resource: str


def receipt_at(store: Store, position: int) -> EntryReceipt | None:
    """What the tenant's log holds at a position; None when nothing of its own."""
    row = next(store.rows(position, position), None)
    if row is None:
        return None
    told = msgspec.json.decode(row["body"], type=_Told)
    return EntryReceipt(position, row["hash"].hex(), row["recorded_us"], told.action, told.resource, told.actor)


def with_receipt(answer: bytes, store: Store, log_key: Signer, position: int) -> bytes:
    """A stored answer, which was made before its position was known, with the receipt of the command's first entry."""
    receipt = receipt_at(store, position) if position else None
    if receipt is None:
        return answer
    return msgspec.json.encode({**msgspec.json.decode(answer), "receipt": str(receipt.signed(log_key))})
