"""The audit log from outside: entries, anchors, inclusion proofs, and the cash ledger."""

from __future__ import annotations

from typing import Any

from litestar import get
from litestar.params import FromPath

from api.access import ANYBODY, Calling
from api.parameters import LongLimit, Position, Resource
from api.running import Injected, Running
from api.witnessed import with_cosignatures
from chain.merkle import Trees
from domain.base import Conflict, NotFound
from domain.party import ADMIN, COMPLIANCE, INVESTOR, LENDER
from projections import audit_trail, cash_ledger

CHAIN_READERS = (LENDER, INVESTOR, COMPLIANCE, ADMIN)
"""Sellers and buyers are never shown the chain (money-control rules 4 and 10)."""

MAX_POSITION = 2**62
CONTRACT_CALL = "verifyInclusion(uint64,uint64,bytes32,bytes32[])"

_trees = Trees()


class RootDiffers(Conflict):
    """The log no longer gives what was anchored; `fx verify` names the position."""

    code = "root_differs"


@get("/v1/audit/entries", roles=(COMPLIANCE, ADMIN), sync_to_thread=True, tags=["audit"])
def entries(running: Injected, invoice: Resource = None, resource: Resource = None,
            after: Position = 0, limit: LongLimit = 100) -> dict[str, Any]:
    """Entries in order, for staff; filter by invoice or resource, continue with `after`."""
    with running.rows() as connection:
        rows = audit_trail.entries(connection, resource=resource, invoice=invoice, after=after,
                                   limit=limit)
    return {"data": rows}


@get("/v1/audit/anchors", roles=CHAIN_READERS, sync_to_thread=True, tags=["audit"])
def anchors(running: Injected, after: Position = 0) -> dict[str, Any]:
    """Every anchored batch, where to check it on the chain, and who countersigned it.

    A batch is `provisional` until enough witnesses countersigned it, or a later one.
    """
    with running.rows() as connection:
        batches = audit_trail.all_batches(connection, after=after)
        rows = with_cosignatures(running, connection, batches)
    return {**_where(running), "data": rows}


@get("/v1/audit/proofs/{position:int}", roles=ANYBODY, sync_to_thread=True, tags=["audit"])
def proof(running: Injected, caller: Calling, position: FromPath[int]) -> dict[str, Any]:
    """The inclusion proof of one entry in its anchored batch: hashes only, no contents.

    `docs/verifying.md` checks it with openssl, and with the contract whose address and call are given here.
    """
    if not 0 < position <= MAX_POSITION:
        raise NotFound("this position is not anchored (yet)")
    with running.rows() as connection:
        batch = audit_trail.batch_of(connection, position)
        if batch is None:
            raise NotFound("this position is not anchored (yet)")
        batch = with_cosignatures(running, connection, [batch])[0]
    first, last = batch["from_position"], batch["to_position"]
    row = next(running.store.rows(position, position), None)
    if row is None:  # another tenant's
        raise NotFound("this position is not anchored (yet)")
    try:
        tree = _trees.of(bytes.fromhex(batch["root"]), lambda: running.store.links.hashes(first, last))
    except ValueError as why:
        raise RootDiffers(f"the log does not give the root of batch {batch['batch_id']}") from why
    siblings = tree.proof(position - first)
    on_chain = {"tx": batch["tx"], "block": batch["block"], "head": batch["head"], "call": CONTRACT_CALL}
    return {
        "position": position, "recorded_us": row["recorded_us"], "prev_hash": row["prev_hash"].hex(),
        "body_hash": row["body_hash"].hex(), "hash": row["hash"].hex(), "batch_id": batch["batch_id"],
        "index": position - first, "size": last - first + 1, "root": batch["root"],
        "proof": [sibling.hex() for sibling in siblings], "provisional": batch["provisional"],
        "cosignatures": batch["cosignatures"],
        **({**_where(running), **on_chain} if caller.role in CHAIN_READERS else {}),
    }


def _where(running: Running) -> dict[str, Any]:
    """Where the anchors stand."""
    chain = running.outside.chain()
    return {"chain_id": chain.chain_id, "contract": chain.deployment()["FXAuditAnchor"]}


@get("/v1/admin/ledger", roles=(COMPLIANCE, ADMIN), sync_to_thread=True, tags=["audit"])
def ledger(running: Injected) -> dict[str, Any]:
    """Every account's balance; `sum_pence` is always 0, `not_cleared` names money on its way."""
    with running.rows() as connection:
        return {"sum_pence": cash_ledger.trial_balance(connection), "accounts": cash_ledger.all_balances(connection),
                "not_cleared": cash_ledger.not_cleared(connection)}


@get("/v1/admin/ledger/lines", roles=(COMPLIANCE, ADMIN), sync_to_thread=True, tags=["audit"])
def ledger_lines(running: Injected, after: Position = 0, limit: LongLimit = 200) -> dict[str, Any]:
    """The ledger's lines in log order; continue with `after`, the last position seen."""
    with running.rows() as connection:
        return {"data": cash_ledger.lines_of(connection, after=after,
                                             limit=limit)}
