"""What the chain did with signed transactions, read for many of them at once."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import rlp
from eth_utils.address import to_checksum_address
from eth_utils.conversions import to_hex
from web3 import Web3
from web3.exceptions import ContractLogicError, Web3RPCError

from chain.abi import refusal_code
from chain.rpc import UNNAMED_REVERT, ask, node_errors, revert_bytes
from eventstore.journal import JournalRow, Outcome

DEPLOYMENT_REVERTED = "DEPLOYMENT_REVERTED"
RAW_GAS_PRICE, RAW_GAS, RAW_TO, RAW_DATA = 1, 2, 3, 5  # fields of a legacy transaction

Receipt = dict[str, Any]


class Call(NamedTuple):
    """A transaction as the contract would see it."""

    sender: str
    to: str
    data: bytes
    gas: int
    gas_price: int


def receipts(w3: Web3, rows: Sequence[JournalRow]) -> list[Receipt | None]:
    """Returns the node's receipt of each row, None where it has none. Shallow ones are among them."""
    return ask(w3, [("eth_getTransactionReceipt", [to_hex(row.tx_hash)]) for row in rows])


def outcomes(w3: Web3, rows: Sequence[JournalRow], confirmations: int) -> list[tuple[JournalRow, Outcome]]:
    """Returns the outcome of every row that is mined with `confirmations` blocks on top of its own.

    The head is read before the receipts, so a receipt is at least as deep as it is taken to be, and a receipt whose
    block is not the canonical one of its number is left for a later look.
    """
    if not rows:
        return []
    head = _number(ask(w3, [("eth_blockNumber", [])])[0]) if confirmations else None
    mined = [
        (row, receipt)
        for row, receipt in zip(rows, receipts(w3, rows), strict=True)
        if receipt is not None and (head is None or _number(receipt["blockNumber"]) + confirmations <= head)
    ]
    blocks = canonical_blocks(w3, sorted({_number(receipt["blockNumber"]) for _, receipt in mined}))
    found: list[tuple[JournalRow, Outcome]] = []
    for row, receipt in mined:
        block = blocks.get(_number(receipt["blockNumber"]))
        if block is not None and block["hash"] == receipt["blockHash"]:
            found.append((row, _outcome(w3, row, receipt, block)))
    return found


def canonical_blocks(w3: Web3, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Returns the headers the node has under these numbers now."""
    blocks = ask(w3, [("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
    return {number: block for number, block in zip(numbers, blocks, strict=True) if block is not None}


def canonical_head(w3: Web3) -> tuple[int, str]:
    """Returns number and hash of the newest block."""
    block = ask(w3, [("eth_getBlockByNumber", ["latest", False])])[0]
    return _number(block["number"]), block["hash"]


def _outcome(w3: Web3, row: JournalRow, receipt: Receipt, block: dict[str, Any]) -> Outcome:
    number = _number(receipt["blockNumber"])
    contract = receipt.get("contractAddress")
    return Outcome(
        refusal=None if _number(receipt["status"]) == 1 else _why_reverted(w3, row, number),
        block_number=number,
        block_hash=bytes.fromhex(receipt["blockHash"][2:]),
        block_time=_number(block["timestamp"]),
        gas_used=_number(receipt["gasUsed"]),
        contract_address=to_checksum_address(contract) if contract else None,
    )


def _why_reverted(w3: Web3, row: JournalRow, block_number: int) -> str:
    """Asks the state the transaction met, then the latest one, for a node that keeps no old states."""
    fields = rlp.decode(row.raw)
    if not fields[RAW_TO]:
        return DEPLOYMENT_REVERTED
    call = Call(
        row.sender,
        to_checksum_address(fields[RAW_TO]),
        fields[RAW_DATA],
        int.from_bytes(fields[RAW_GAS], "big"),
        int.from_bytes(fields[RAW_GAS_PRICE], "big"),
    )
    with node_errors():
        for block in (block_number, "latest"):
            try:
                if code := refusal(w3, call, block):
                    return code
            except Web3RPCError:
                continue
    return UNNAMED_REVERT


def refusal(w3: Web3, call: Call, block: int | Literal["latest"] = "latest") -> str | None:
    """Returns the code with which a block's state refuses a call, None when it does not. Call it in `node_errors`."""
    fields: Any = {
        "from": call.sender,
        "to": call.to,
        "data": to_hex(call.data),
        "gas": call.gas,
        "gasPrice": call.gas_price,
    }
    try:
        w3.eth.call(fields, block)
    except ContractLogicError as error:
        return refusal_code(revert_bytes(error))
    return None


def _number(quantity: str) -> int:
    return int(quantity, 16)
