"""What an operator asks of the chain: is the node well, and what does each key wait for."""

from datetime import UTC, datetime

import msgspec
from eth_utils.conversions import to_hex
from web3 import Web3

from chain.keys import ROLES, KeyPort
from chain.outcomes import receipts
from chain.rpc import ask
from eventstore.journal import JournalRow, JournalRows


class Waiting(msgspec.Struct, frozen=True):
    """A signed operation without an outcome, and why. A no-op names the operation whose nonce it fills."""

    op: str
    attempt: int
    nonce: int
    age_s: int
    why: str
    fills: str | None
    reason: str | None


class KeyStatus(msgspec.Struct, frozen=True):
    """One signing key. `mined` counts its transactions on the chain, `next_nonce` those in the journal."""

    role: str
    address: str
    next_nonce: int
    mined: int
    foreign: bool
    waiting: list[Waiting]


class NodeStatus(msgspec.Struct, frozen=True):
    """The node as it describes itself; `head_age_s` by the platform's clock."""

    client: str
    chain_id: int
    head: int
    head_age_s: int
    confirmations: int


def node_status(w3: Web3, confirmations: int, now: int) -> NodeStatus:
    """Asks the node. `now` is the platform's time in Unix seconds."""
    calls = [("web3_clientVersion", []), ("eth_chainId", []), ("eth_getBlockByNumber", ["latest", False])]
    client, chain_id, head = ask(w3, calls)
    age = now - int(head["timestamp"], 16)
    return NodeStatus(client, int(chain_id, 16), int(head["number"], 16), age, confirmations)


def key_statuses(w3: Web3, rows: JournalRows, keys: KeyPort, confirmations: int) -> list[KeyStatus]:
    """Returns every role's key, with what it waits for."""
    addresses = {role: keys.address(role) for role in ROLES}
    next_nonces, unsettled = rows.next_nonces(), rows.all_unsettled()
    head, *counts = ask(
        w3,
        [("eth_blockNumber", []), *(("eth_getTransactionCount", [a, "latest"]) for a in addresses.values())],
    )
    found: list[KeyStatus] = []
    for (role, address), count in zip(addresses.items(), counts, strict=True):
        mined, known = int(count, 16), next_nonces.get(address, 0)
        own = [row for row in unsettled if row.sender == address]
        waiting = _waiting(w3, own, mined, int(head, 16), confirmations)
        foreign = mined > known or any(one.why == FOREIGN for one in waiting)
        found.append(KeyStatus(role, address, known, mined, foreign, waiting))
    return found


FOREIGN = "its nonce was used by a transaction not ours"


def _waiting(w3: Web3, rows: list[JournalRow], mined: int, head: int, confirmations: int) -> list[Waiting]:
    in_pool = ask(w3, [("eth_getTransactionByHash", [to_hex(row.tx_hash)]) for row in rows])
    blocks = [int(receipt["blockNumber"], 16) if receipt else None for receipt in receipts(w3, rows)]
    taken = {row.nonce for row, block in zip(rows, blocks, strict=True) if block is not None}
    return [
        Waiting(
            op=row.op_id,
            attempt=row.attempt,
            nonce=row.nonce,
            age_s=int((datetime.now(UTC) - row.signed_at).total_seconds()),
            why=_why(row, block, pooled is not None, taken, mined, head, confirmations),
            fills=row.replaces,
            reason=row.reason,
        )
        for row, block, pooled in zip(rows, blocks, in_pool, strict=True)
    ]


def _why(
    row: JournalRow, block: int | None, pooled: bool, taken: set[int], mined: int, head: int, confirmations: int
) -> str:
    if block is not None:
        return f"mined, {head - block} of {confirmations} confirmations; nobody has looked since"
    if row.nonce in taken:
        return "another transaction of ours has its nonce"
    if row.nonce < mined:
        return FOREIGN
    if row.nonce > mined:
        return f"behind nonce {mined}"
    return "in the node's pool, for the next block" if pooled else "the node does not have it: resume sends it again"
