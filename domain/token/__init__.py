"""Token: the receivable on the chain, and its slice register off it. Faces are integer pence; they always add up.

Source: seeds 000 §7, 002 "Chain & ERC-3643", `spec/state-machines.md` "Token", "Slice". Every change on the chain is
an intent (`…_requested`), then the outcome (`minted`, `transferred`, …) with the transaction hash.
"""

from __future__ import annotations

from domain.token.lifecycle import TOKEN, decide, evolve
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
    MintRequested,
    RecordBurned,
    RecordMinted,
    RegisterChanged,
    RegisterClosed,
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
    "BurnRequested", "CloseRegister", "FacesDoNotAddUp", "ListSlice", "MintRequested", "Movement", "NoSuchSlice",
    "NotTheHolder", "PLATFORM", "PriceOutOfBand", "RecordBurned", "RecordMinted", "RecordSliced",
    "RecordTransferRefused", "RecordTransferred", "RegisterChanged", "RegisterClosed", "ReleaseSlice", "RequestBurn",
    "RequestMint", "RequestSlicing", "RequestTransfer", "ReserveSlice", "SLICES_MAX", "SLICES_MIN", "Slice",
    "SliceListed", "SliceNotFree", "SliceReleased", "SliceReserved", "SlicingRequested", "TOKEN", "Token",
    "TokenBurned", "TokenCommand", "TokenExists", "TokenMinted", "TokenNotReady", "TokenSliced", "TokenTransferred",
    "TransferRefused", "TransferRequested", "decide", "evolve", "token_reference",
]
