"""Token: the receivable on the chain, and its slice register off it. Faces are integer pence; they always add up.

Source: seeds 000 §7, 002 "Chain & ERC-3643", `spec/state-machines.md` "Token", "Slice". Every change on the chain is
an intent (`…_requested`), then the outcome (`minted`, `transferred`, …) with the transaction hash.
"""

from __future__ import annotations

from domain.token.forced import (
    BeginForcedMove,
    ForcedMoved,
    ForcedMoveRefused,
    ForcedMoveRequested,
    RecordForcedMove,
    RecordForcedMoveRefused,
    RecordRewallet,
    Rewalleted,
)
from domain.token.lifecycle import TOKEN, decide, evolve
from domain.token.lock import (
    LOCK_REASONS,
    UNLOCK_REASONS,
    BurnedUnderLock,
    Locked,
    LockReasonUnknown,
    LockRequested,
    LockToken,
    LockUnderWay,
    NotLocked,
    NotTheirLock,
    RecordLocked,
    RecordUnlocked,
    TokenLocked,
    TokenUnlocked,
    UnlockRequested,
    UnlockToken,
    expect_unlocked,
    on_chain,
)
from domain.token.slices import (
    SLICES_MAX,
    SLICES_MIN,
    FacesDoNotAddUp,
    ListSlice,
    PriceOutOfBand,
    RecordSliced,
    ReleaseSlice,
    RequestSlicing,
    ReserveSlice,
    SliceListed,
    SliceReleased,
    SliceReserved,
    SlicingRequested,
    TokenSliced,
)
from domain.token.state import (
    PLATFORM,
    Movement,
    NoSuchSlice,
    NotTheHolder,
    Slice,
    SliceNotFree,
    Token,
    TokenCommand,
    TokenNotReady,
)
from domain.token.supply import (
    BurnRequested,
    CloseRegister,
    ExpectMoving,
    MintRequested,
    RecordBurned,
    RecordMinted,
    RegisterChanged,
    RegisterClosed,
    RegisterSettled,
    RequestBurn,
    RequestMint,
    TokenBurned,
    TokenExists,
    TokenMinted,
    token_reference,
)
from domain.token.transfer import (
    RecordTransferred,
    RecordTransferRefused,
    RequestTransfer,
    TokenTransferred,
    TransferRefused,
    TransferRequested,
)

__all__ = [
    "BeginForcedMove", "BurnRequested", "BurnedUnderLock", "CloseRegister", "ExpectMoving", "FacesDoNotAddUp",
    "ForcedMoveRefused", "ForcedMoveRequested", "ForcedMoved", "LOCK_REASONS", "ListSlice", "LockReasonUnknown",
    "LockRequested", "LockToken", "LockUnderWay", "Locked", "MintRequested", "Movement", "NoSuchSlice", "NotLocked",
    "NotTheHolder", "NotTheirLock", "PLATFORM", "PriceOutOfBand", "RecordBurned", "RecordForcedMove",
    "RecordForcedMoveRefused", "RecordLocked", "RecordMinted", "RecordRewallet", "RecordSliced",
    "RecordTransferRefused", "RecordTransferred", "RecordUnlocked", "RegisterChanged", "RegisterClosed",
    "RegisterSettled", "ReleaseSlice", "RequestBurn", "RequestMint", "RequestSlicing", "RequestTransfer",
    "ReserveSlice", "Rewalleted", "SLICES_MAX", "SLICES_MIN", "Slice", "SliceListed", "SliceNotFree", "SliceReleased",
    "SliceReserved", "SlicingRequested", "TOKEN", "Token", "TokenBurned", "TokenCommand", "TokenExists", "TokenLocked",
    "TokenMinted", "TokenNotReady", "TokenSliced", "TokenTransferred", "TokenUnlocked", "TransferRefused",
    "TransferRequested", "UNLOCK_REASONS", "UnlockRequested", "UnlockToken", "decide", "evolve", "expect_unlocked",
    "on_chain", "token_reference",
]
