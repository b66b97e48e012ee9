"""What a block's header says: enough to name the block an anchor stands in, and to find it on any node."""

import msgspec
from web3 import Web3
from web3.exceptions import BlockNotFound


class Header(msgspec.Struct, frozen=True):
    """Facts of one block. Hashes are 0x hex; `time` is in Unix seconds."""

    number: int
    hash: str
    parent_hash: str
    state_root: str
    transactions_root: str
    time: int


def header_of(w3: Web3, number: int) -> Header | None:
    """Returns a block's header; None when the node does not keep it (any more)."""
    try:
        block = w3.eth.get_block(number)
    except BlockNotFound:
        return None
    found, parent, state, transactions = (
        "0x" + bytes(block.get(name, b"")).hex() for name in ("hash", "parentHash", "stateRoot", "transactionsRoot")
    )
    return Header(number, found, parent, state, transactions, block.get("timestamp", 0))
