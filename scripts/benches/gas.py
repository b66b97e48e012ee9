"""What the operations on the chain cost in gas: one figure for each row of the reference table.

Gas is exact: the same code on the same chain gives the same figure. A transaction's figure is what its receipt says;
the proof's is what the check itself takes, without the price of being a transaction.
"""

import hashlib
from collections.abc import Sequence

from eth_utils.address import to_checksum_address
from web3 import Web3

from chain import merkle
from chain.abi import artifact
from chain.anchor import make_batch
from chain.client import Chain, WalletRole, operation_ref, token_id

FACE_PENCE = 1_000_000
SLICE_PENCE = 1_000
LEAVES = 10_000
YEAR_SECONDS = 365 * 86_400
VERIFY_GAS = 100_000
TRANSACTION_GAS, ZERO_BYTE_GAS, BYTE_GAS = 21_000, 4, 16
BASE_TOPICS = ("KYC_VERIFIED", "AML_CLEARED", "JURISDICTION_UK")

# Gas of the reference implementation that the design was measured with.
REFERENCE = {
    "gas_mint": 317_000,
    "gas_transfer": 285_000,
    "gas_slice_transfer": 368_000,
    "gas_burn_2": 62_000,
    "gas_burn_10": 195_000,
    "gas_burn_50": 862_000,
    "gas_lock": 49_000,
    "gas_register": 146_000,
    "gas_first_claim": 296_000,
    "gas_anchor": 108_000,
    "gas_verify_10k": 17_000,
}


def measure_gas(chain: Chain) -> dict[str, int]:
    """Measures every row of `REFERENCE` on a deployed chain whose next batch is the first; leaves its wallets behind.

    Raises the chain's errors; `Refused` when it is measured twice, because operations happen once.
    """
    lender, register, first_claim = _new_wallet(chain, "lender", "lender", BASE_TOPICS)
    mint, transfer = _fund(chain, "whole", lender)
    lock = chain.lock("gas:lock", [token_id("gas:whole")], "OBLIGOR_INSOLVENT").gas_used
    chain.unlock("gas:unlock", [token_id("gas:whole")], "MEASURED")
    investor, _, _ = _new_wallet(chain, "investor", "investor", (*BASE_TOPICS, "MIFID_ECP"))
    slice_transfer, burn_2 = _slice_and_burn(chain, lender, [investor])
    others = [_new_wallet(chain, f"holder {number}", "lender", BASE_TOPICS)[0] for number in range(49)]
    _, burn_10 = _slice_and_burn(chain, lender, others[:9])
    _, burn_50 = _slice_and_burn(chain, lender, others)
    anchor, verify = _anchor_and_verify(chain)
    figures = (mint, transfer, slice_transfer, burn_2, burn_10, burn_50, lock, register, first_claim, anchor, verify)
    return dict(zip(REFERENCE, figures, strict=True))


def _new_wallet(chain: Chain, name: str, role: WalletRole, topics: Sequence[str]) -> tuple[str, int, int]:
    """Returns a wallet with claims, and the gas of registering it and of its first claim."""
    wallet = to_checksum_address(operation_ref(name)[:20])
    registered = chain.register_wallet(f"gas:{name}", wallet, role, operation_ref(f"subject of {name}"))
    expires_at = chain.block_time() + YEAR_SECONDS
    first = chain.issue_claims(f"gas:{name}:first", wallet, topics[:1], expires_at)
    chain.issue_claims(f"gas:{name}:rest", wallet, topics[1:], expires_at)
    return wallet, registered.gas_used, first.gas_used


def _fund(chain: Chain, name: str, lender: str) -> tuple[int, int]:
    """Mints a receivable and moves it whole to the lender; returns the gas of both."""
    token = token_id(f"gas:{name}")
    mint = chain.mint(f"gas:{name}:mint", token, FACE_PENCE)
    fund = chain.transfer(f"gas:{name}:fund", chain.platform_wallet, lender, token, FACE_PENCE)
    return mint.gas_used, fund.gas_used


def _slice_and_burn(chain: Chain, lender: str, others: Sequence[str]) -> tuple[int, int]:
    """Sells each of the others a slice and burns the receivable; returns the gas of the first slice and of the burn."""
    name = f"{len(others)} slices"
    token = token_id(f"gas:{name}")
    _fund(chain, name, lender)
    chain.fractionalise(f"gas:{name}:split", token, [SLICE_PENCE, FACE_PENCE - SLICE_PENCE])
    slices = [
        chain.transfer(f"gas:{name}:{number}", lender, other, token, SLICE_PENCE) for number, other in enumerate(others)
    ]
    return slices[0].gas_used, chain.burn(f"gas:{name}:burn", token).gas_used


def _anchor_and_verify(chain: Chain) -> tuple[int, int]:
    """Anchors a batch of `LEAVES` entries and one more; returns the gas of the second, which every later one takes (the
    first also brings the counter into being), and of checking the proof of the log's first entry.

    The check is sent as a transaction, whose receipt says what it took; its price as a transaction is subtracted.
    """
    hashes = [hashlib.sha256(b"%d" % position).digest() for position in range(1, 2 * LEAVES + 1)]
    _anchor(chain, 1, hashes[:LEAVES])
    anchored = _anchor(chain, 2, hashes[LEAVES:])
    contract = Web3().eth.contract(abi=artifact("FXAuditAnchor")["abi"])
    proof = merkle.proof(hashes[:LEAVES], 0)
    calldata = bytes.fromhex(contract.encode_abi("verifyInclusion", args=[1, 1, hashes[0], proof])[2:])
    checked = chain.journal.run("gas:verify", "anchorer", chain.deployment()["FXAuditAnchor"], calldata, VERIFY_GAS)
    zeros = calldata.count(0)
    price = TRANSACTION_GAS + ZERO_BYTE_GAS * zeros + BYTE_GAS * (len(calldata) - zeros)
    return anchored, checked.gas_used - price


def _anchor(chain: Chain, batch_id: int, hashes: Sequence[bytes]) -> int:
    first = chain.next_position()
    batch = make_batch(batch_id, list(enumerate(hashes, first)), chain.anchor_head())
    arguments = (batch_id, batch.from_position, batch.to_position, batch.root, batch.prev_head)
    return chain.anchor(f"gas:anchor:{batch_id}", *arguments).gas_used
