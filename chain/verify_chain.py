"""Compares an evidence bundle of FinToken X with the anchoring contract, on any node of the network.

verify.py runs this with --rpc. Needs Python 3.8 or later and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from typing import Any

RPC_SECONDS = 20
HEX_DIGITS = 64  # of a hash

# First four bytes of keccak256 of the signature; the standard library has no keccak.
GET_BATCH = "0x888775d9"  # getBatch(uint64)
GENESIS_HEAD = "0xa912c1c4"  # genesisHead()
BATCH_COUNT = "0x06f13056"  # batchCount()
NEXT_POSITION = "0x1e6c5722"  # nextPosition()
VERIFY_INCLUSION = "0xbca46017"  # verifyInclusion(uint64,uint64,bytes32,bytes32[])
PROOF_OFFSET = 4 * 32  # where the proof starts in the call data

sha256 = hashlib.sha256


def compare(
    url: str, chain: dict[str, Any], batches: list[dict[str, Any]], sample: list[dict[str, Any]], unanchored: int
) -> tuple[str, str]:
    """Returns what differs on the chain, or nothing; and what was found there.

    `chain` and `batches` are the bundle's, `sample` are some of its anchored entries, from position `unanchored` on (0:
    nowhere) its entries are in no batch. Raises OSError when the node does not answer, ValueError, KeyError, TypeError
    or IndexError when it answers nonsense.
    """
    node = Node(url, chain["contract"])
    problem = contract_problem(node, chain)
    if problem:
        return problem, ""
    count, following = int(node.call(BATCH_COUNT)[0], 16), int(node.call(NEXT_POSITION)[0], 16)
    if count < len(batches):
        return f"the contract has {count} batches, the bundle {len(batches)}", ""
    for batch in batches:
        problem = batch_problem(node, chain, batch)
        if problem:
            return problem, ""
    if 0 < unanchored < following:
        return f"position {unanchored} is in a batch of the contract, which the bundle leaves out", ""
    for entry in sample:
        proof = [word(PROOF_OFFSET), word(len(entry["proof"]) // HEX_DIGITS), entry["proof"]]
        where = [word(entry["batch_id"]), word(entry["position"])]
        if node.call(VERIFY_INCLUSION, *where, entry["hash"], *proof) != [word(1)]:
            return "position {}: the contract does not accept the proof".format(entry["position"]), ""
    found = f"the bundle's {len(batches)} of {count} batches and {len(sample)} entries asked are in the contract"
    return "", found + (f"; from position {unanchored} on there are none" if unanchored else "")


def contract_problem(node: Node, chain: dict[str, Any]) -> str:
    if int(node.ask("eth_chainId"), 16) != chain["chain_id"]:
        return "the node serves another chain"
    code = bytes.fromhex(node.ask("eth_getCode", chain["contract"], "latest")[2:])
    if sha256(code).hexdigest() != chain["code_sha256"]:
        return "the contract's code is not the published one"
    genesis = sha256(b"FXA1-genesis" + bytes.fromhex(chain["log_id"])).hexdigest()
    if node.call(GENESIS_HEAD) != [genesis]:
        return "the contract belongs to another log"
    return ""


def batch_problem(node: Node, chain: dict[str, Any], batch: dict[str, Any]) -> str:
    number = batch["batch_id"]
    expected = [batch["root"], batch["head"]]
    expected += [word(batch[field]) for field in ("from_position", "to_position", "anchored_at")]
    if node.call(GET_BATCH, word(number)) != expected:
        return f"batch {number} differs on the chain"
    sent = node.ask("eth_getTransactionByHash", batch["tx_hash"])
    if sent is None or sent["from"].lower() != chain["anchorer"].lower():
        return f"batch {number} was not sent by the anchoring key"
    if sent["to"].lower() != chain["contract"].lower():
        return f"batch {number} names a transaction to another contract"
    if int(sent["blockNumber"], 16) != batch["block_number"] or (
        batch["block"] is not None and sent["blockHash"] != batch["block"]["hash"]
    ):
        return f"batch {number} names another block than its transaction stands in"
    return ""


def word(number: int) -> str:
    """Returns a number as an ABI word in hex."""
    return f"{number:064x}"


class Node:
    """A JSON-RPC endpoint."""

    def __init__(self, url: str, contract: str) -> None:
        self._url = url
        self._contract = contract

    def ask(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=RPC_SECONDS) as response:
            answer = json.loads(response.read())
        if "error" in answer:
            raise ValueError("{}: {}".format(method, answer["error"].get("message")))
        return answer["result"]

    def call(self, selector: str, *words: str) -> list[str]:
        """Calls the contract with 32-byte words in hex; returns words in hex."""
        call = {"to": self._contract, "data": selector + "".join(words)}
        answer = self.ask("eth_call", call, "latest")[2:]
        return [answer[start : start + 64] for start in range(0, len(answer), 64)]
