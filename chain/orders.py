"""Register orders: moves a holder did not ask for. One key proposes them, another approves the same content.

Reason codes are neutral: who reads the chain learns that the register was changed, not why.
"""

from typing import Literal, NamedTuple

from chain.abi import word

OrderReason = Literal["REGISTER_ORDER", "REGISTER_CORRECTION"]
WALLET_REPLACED = "WALLET_REPLACED"
FORCED_TRANSFER, RECOVERY = 0, 1
WHOLE_BALANCES = 0


class Order(NamedTuple):
    """An order, field for field as FXRecovery takes it."""

    kind: int
    from_wallet: str
    to_wallet: str
    token_ids: tuple[int, ...]
    amount_pence: int
    reason: bytes
    ref: bytes


def forced_transfer(
    from_wallet: str, to_wallet: str, token_id: int, amount_pence: int, reason: OrderReason, ref: bytes
) -> Order:
    """Orders a part of one receivable to another wallet."""
    return Order(FORCED_TRANSFER, from_wallet, to_wallet, (token_id,), amount_pence, word(reason), ref)


def recovery(lost_wallet: str, new_wallet: str, token_ids: tuple[int, ...], ref: bytes) -> Order:
    """Orders every listed receivable, whole, to a subject's new wallet."""
    return Order(RECOVERY, lost_wallet, new_wallet, token_ids, WHOLE_BALANCES, word(WALLET_REPLACED), ref)
