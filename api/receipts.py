"""The signed receipt of an entry, as mutations answer it and as it can be fetched again."""

from __future__ import annotations

from typing import Any

import msgspec

from api.opaque import Opaque
from chain.notes import Signer
from chain.receipts import EntryReceipt
from eventstore.store import Store


class _Told(msgspec.Struct, frozen=True):
    """The part of an entry's body that its receipt tells."""

    action: str
    actor: str
    resource: str


def receipt_of(row: dict[str, Any], opaque: Opaque) -> EntryReceipt:
    """Of a row of the log."""
    told = msgspec.json.decode(row["body"], type=_Told)
    return EntryReceipt(row["hash"].hex(), opaque.place(row["position"]), row["recorded_us"], told.action,
                        told.resource, told.actor)


def with_receipt(answer: bytes, store: Store, opaque: Opaque, log_key: Signer, position: int) -> bytes:
    """A stored answer, which was made before its position was known, with the receipt of the command's first entry."""
    row = next(store.rows(position, position), None) if position else None
    if row is None:
        return answer
    return msgspec.json.encode({**msgspec.json.decode(answer), "receipt": str(receipt_of(row, opaque).signed(log_key))})
