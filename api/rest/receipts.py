"""Receipts once more, and the public keys that they and the checkpoints are checked with."""

from __future__ import annotations

from typing import Any

from litestar import get

from api.access import ANYBODY, PUBLIC, Calling
from api.entries import entry_named
from api.parameters import EntryName
from api.receipts import receipt_of
from api.running import Injected, is_staff


@get("/v1/audit/receipts/{entry:str}", roles=ANYBODY, sync_to_thread=True, tags=["audit"])
def show(running: Injected, caller: Calling, entry: EntryName) -> dict[str, Any]:
    """The signed receipt of an entry, for whoever acted there, and for staff. The same every time.

    `entry` is a place, as FX-Position and receipts give it; staff may give a position.
    """
    row = entry_named(running, caller, entry)
    found = receipt_of(row, running.opaque)
    return {"place": found.place, "hash": found.hash, "receipt": str(found.signed(running.log_key)),
            **({"position": row["position"]} if is_staff(caller) else {})}


@get("/v1/audit/keys", roles=PUBLIC, sync_to_thread=False, tags=["audit"])
def keys(running: Injected) -> dict[str, Any]:
    """The log's public key and its witnesses', as signed notes name them; `quorum` of them make a batch final.

    Pin them from where they are published: a log that lies would lie here, too.
    """
    return {"log": running.log_key.verifier().vkey, "quorum": running.witnesses.quorum,
            "witnesses": [{"name": witness.name, "vkey": witness.key.vkey} for witness in running.witnesses.listed]}
