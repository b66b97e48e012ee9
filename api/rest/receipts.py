"""Receipts once more, and the public keys that they and the checkpoints are checked with."""

from __future__ import annotations

from typing import Any

from litestar import get
from litestar.params import FromPath

from api.access import ANYBODY, PUBLIC, Calling
from api.receipts import receipt_at
from api.running import Injected, is_staff
from domain.base import NotFound

MAX_POSITION = 2**53


@get("/v1/audit/receipts/{position:int}", roles=ANYBODY, sync_to_thread=True, tags=["audit"])
def show(running: Injected, caller: Calling, position: FromPath[int]) -> dict[str, Any]:
    """The signed receipt of an entry, for whoever acted there, and for staff. The same every time."""
    found = receipt_at(running.store, position) if 0 < position <= MAX_POSITION else None
    if found is None or not (is_staff(caller) or found.actor == caller.id):
        raise NotFound("there is no entry of yours at this position")
    return {"position": position, "hash": found.hash, "receipt": str(found.signed(running.log_key))}


@get("/v1/audit/keys", roles=PUBLIC, sync_to_thread=False, tags=["audit"], security=[])
def keys(running: Injected) -> dict[str, Any]:
    """The log's public key and its witnesses', as signed notes name them; `quorum` of them make a batch final.

    Pin them from where they are published: a log that lies would lie here, too.
    """
    return {"log": running.log_key.verifier().vkey, "quorum": running.witnesses.quorum,
            "witnesses": [{"name": witness.name, "vkey": witness.key.vkey} for witness in running.witnesses.listed]}
