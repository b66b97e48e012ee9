"""The audit log from outside: entries, anchors, inclusion proofs, and the cash ledger."""

from __future__ import annotations

from typing import Any

from litestar import get

from api.access import ANYBODY, Calling
from api.cursor import Page
from api.entries import entry_named
from api.parameters import BatchNumber, Cursor, EntryName, LongLimit, Position, Resource
from api.running import Injected, Running, is_staff
from api.session import Caller
from api.states import with_states
from api.witnessed import with_cosignatures
from chain.merkle import Trees
from domain.base import Conflict, NotFound
from domain.party import ADMIN, COMPLIANCE, INVESTOR, LENDER
from projections import audit_trail, cash_ledger

CHAIN_READERS = (LENDER, INVESTOR, COMPLIANCE, ADMIN)
"""Sellers and buyers are never shown the chain (money-control rules 4 and 10)."""

OFF_CHAIN = ("anchored_at", "provisional")
ON_CHAIN = (*OFF_CHAIN, "batch_id", "root", "head", "tx", "block", "cosignatures")
WHOLE = (*ON_CHAIN, "from_position", "to_position")
"""What sellers and buyers, lenders and investors, and staff are told of a batch."""

MOST_LINES = 2**31 - 1
"""More than any entry has in the ledger."""

CONTRACT_CALL = "verifyInclusion(uint64,uint64,bytes32,bytes32[])"

_trees = Trees()


class RootDiffers(Conflict):
    """The log no longer gives what was anchored; `fx verify` names the position."""

    code = "root_differs"


@get("/v1/audit/entries", roles=(COMPLIANCE, ADMIN), sync_to_thread=True, tags=["audit"])
def entries(running: Injected, invoice: Resource = None, resource: Resource = None,
            after: Position = 0, limit: LongLimit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """Entries in order, for staff, from the one after position `after`; filter by invoice or resource.

    `state` is what the entry left its thing in; null for things without states and while a thing cannot be read.
    """
    page = Page.read(running.cursor_secret, f"entries:{invoice}:{resource}", cursor, limit, [after])
    with running.rows() as connection:
        rows = audit_trail.entries(connection, page.part, resource=resource, invoice=invoice)
    return page.of(with_states(running.store, rows), rows.next)


@get("/v1/audit/anchors", roles=CHAIN_READERS, sync_to_thread=True, tags=["audit"])
def anchors(running: Injected, caller: Calling, after: BatchNumber = 0, limit: LongLimit = 1_000,
            cursor: Cursor = None) -> dict[str, Any]:
    """Anchored batches, where to check each on the chain, and who countersigned it; `after` is a batch's number.

    A batch is `provisional` until enough witnesses countersigned it, or a later one. Which positions it covers is told
    to staff alone: it would say how much everybody does. Where the anchors stand on the chain is told to staff and to
    whom the chain knows: lenders and investors once they are active.
    """
    page = Page.read(running.cursor_secret, "anchors", cursor, limit, [after])
    with running.rows() as connection:
        batches = audit_trail.batches_after(connection, page.part)
        rows = [_told(caller, batch) for batch in with_cosignatures(running, connection, batches)]
    return {**(_where(running) if _knows_the_chain(caller) else {}), **page.of(rows, batches.next)}


@get("/v1/audit/proofs/{entry:str}", roles=ANYBODY, sync_to_thread=True, tags=["audit"])
def proof(running: Injected, caller: Calling, entry: EntryName) -> dict[str, Any]:
    """In which anchored batch an entry is, for whoever acted there; for staff with its inclusion proof.

    `entry` is a place, as FX-Position and receipts give it; staff may give a position. `docs/verifying.md` checks the
    proof with openssl, and with the contract whose address and call are given here.
    """
    row = entry_named(running, caller, entry)
    position = row["position"]
    with running.rows() as connection:
        batch = audit_trail.batch_of(connection, position)
        if batch is None:
            raise NotFound("this entry is not anchored yet")
        batch = with_cosignatures(running, connection, [batch])[0]
    where = _where(running) if _knows_the_chain(caller) else {}
    if not is_staff(caller):
        return {"hash": row["hash"].hex(), **where, **_told(caller, batch)}
    first, last = batch["from_position"], batch["to_position"]
    try:
        tree = _trees.of(bytes.fromhex(batch["root"]), lambda: running.store.links.hashes(first, last))
    except ValueError as why:
        raise RootDiffers(f"the log does not give the root of batch {batch['batch_id']}") from why
    return {
        "position": position, "recorded_us": row["recorded_us"], "prev_hash": row["prev_hash"].hex(),
        "body_hash": row["body_hash"].hex(), "hash": row["hash"].hex(), "index": position - first,
        "size": last - first + 1, "proof": [sibling.hex() for sibling in tree.proof(position - first)],
        "call": CONTRACT_CALL, **where, **_told(caller, batch),
    }


def _told(caller: Caller, batch: dict[str, Any]) -> dict[str, Any]:
    """A batch as this caller is told it."""
    reads_chain = ON_CHAIN if _knows_the_chain(caller) else OFF_CHAIN
    return {name: batch[name] for name in (WHOLE if is_staff(caller) else reads_chain)}


def _knows_the_chain(caller: Caller) -> bool:
    return is_staff(caller) or (caller.role in CHAIN_READERS and caller.subject.wallet is not None)


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
def ledger_lines(running: Injected, after: Position = 0, limit: LongLimit = 200,
                 cursor: Cursor = None) -> dict[str, Any]:
    """The ledger's lines in log order, from the entry after position `after`."""
    page = Page.read(running.cursor_secret, "ledger_lines", cursor, limit, [after, MOST_LINES])
    with running.rows() as connection:
        rows = cash_ledger.lines_of(connection, page.part)
    return page.of(rows, rows.next)
