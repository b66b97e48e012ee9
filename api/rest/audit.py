"""The audit log from outside: entries, anchors, inclusion proofs, and the cash ledger."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.params import FromPath, FromQuery

from api.running import Injected
from chain import merkle
from domain.base import NotFound
from domain.party import ADMIN, COMPLIANCE, INVESTOR, LENDER
from projections import audit_trail, cash_ledger

CHAIN_READERS = (LENDER, INVESTOR, COMPLIANCE, ADMIN)
"""Sellers and buyers are never shown the chain (money-control rules 4 and 10)."""

MAX_POSITION = 2**62


@get("/v1/audit/entries", sync_to_thread=True, tags=["audit"])
def entries(request: Request[Any, Any, Any], running: Injected, invoice: FromQuery[str | None] = None,
            resource: FromQuery[str | None] = None, after: FromQuery[int] = 0,
            limit: FromQuery[int] = 100) -> dict[str, Any]:
    """Entries in order, for staff; filter by invoice or resource, continue with `after`."""
    running.caller(request, COMPLIANCE, ADMIN)
    with running.rows() as connection:
        rows = audit_trail.entries(connection, resource=resource, invoice=invoice, after=min(after, MAX_POSITION),
                                   limit=min(max(limit, 1), 1_000))
    return {"data": rows}


@get("/v1/audit/anchors", sync_to_thread=True, tags=["audit"])
def anchors(request: Request[Any, Any, Any], running: Injected, after: FromQuery[int] = 0) -> dict[str, Any]:
    """Every anchored batch, and where to check it on the chain."""
    running.caller(request, *CHAIN_READERS)
    chain = running.outside.chain()
    with running.rows() as connection:
        rows = audit_trail.all_batches(connection, after=min(after, MAX_POSITION))
    return {"chain_id": chain.chain_id, "contract": chain.deployment()["FXAuditAnchor"], "data": rows}


@get("/v1/audit/proofs/{position:int}", sync_to_thread=True, tags=["audit"])
def proof(request: Request[Any, Any, Any], running: Injected, position: FromPath[int]) -> dict[str, Any]:
    """The inclusion proof of one entry in its anchored batch: hashes only, no contents."""
    caller = running.caller(request)
    if not 0 < position <= MAX_POSITION:
        raise NotFound("this position is not anchored (yet)")
    with running.rows() as connection:
        batch = audit_trail.batch_of(connection, position)
    if batch is None:
        raise NotFound("this position is not anchored (yet)")
    first, last = batch["from_position"], batch["to_position"]
    row = next(running.store.rows(position, position), None)
    if row is None:  # another tenant's
        raise NotFound("this position is not anchored (yet)")
    hashes = running.store.links.hashes(first, last)
    siblings = merkle.proof(hashes, position - first)
    return {
        "position": position, "recorded_us": row["recorded_us"], "prev_hash": row["prev_hash"].hex(),
        "body_hash": row["body_hash"].hex(), "hash": row["hash"].hex(), "batch_id": batch["batch_id"],
        "index": position - first, "size": last - first + 1, "root": batch["root"],
        "proof": [sibling.hex() for sibling in siblings],
        **({"tx": batch["tx"]} if caller.role in CHAIN_READERS else {}),
    }


@get("/v1/admin/ledger", sync_to_thread=True, tags=["audit"])
def ledger(request: Request[Any, Any, Any], running: Injected) -> dict[str, Any]:
    """Every account's balance; `sum_pence` is always 0, `not_cleared` names money on its way."""
    running.caller(request, COMPLIANCE, ADMIN)
    with running.rows() as connection:
        return {"sum_pence": cash_ledger.trial_balance(connection), "accounts": cash_ledger.all_balances(connection),
                "not_cleared": cash_ledger.not_cleared(connection)}


@get("/v1/admin/ledger/lines", sync_to_thread=True, tags=["audit"])
def ledger_lines(request: Request[Any, Any, Any], running: Injected, after: FromQuery[int] = 0,
                 limit: FromQuery[int] = 200) -> dict[str, Any]:
    """The ledger's lines in log order; continue with `after`, the last position seen."""
    running.caller(request, COMPLIANCE, ADMIN)
    with running.rows() as connection:
        return {"data": cash_ledger.lines_of(connection, after=min(after, MAX_POSITION),
                                             limit=min(max(limit, 1), 1_000))}
