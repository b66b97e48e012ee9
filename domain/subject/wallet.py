"""Wallet: the custody address of a lender or investor, registered on the chain with its claims."""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.base import Context, Event, Invalid, require
from domain.party import BUYER, FROZEN, INVESTOR, LENDER, SELLER
from domain.subject.claims import UNDER_WAY
from domain.subject.signup import MIFID_CLAIMS
from domain.subject.state import GateOutOfOrder, Subject, SubjectCommand, expect

REFRESH_DAYS = {SELLER: 182, BUYER: 365, LENDER: 365, INVESTOR: 365}
"""Identity is re-run every 6 months for sellers, every 12 for everyone else (seeds 000 §3)."""

REFRESH_GRACE_DAYS = 14
CLAIM_TOPICS = ("KYC_VERIFIED", "AML_CLEARED", "JURISDICTION_UK")
LAST_GATE = {LENDER: "FCA_VERIFIED", INVESTOR: "MIFID_CLASSIFIED"}
"""Who holds tokens, and the stage after which they get a wallet."""


# ---------------------------------------------------------------- commands


class BindWallet(SubjectCommand, frozen=True, kw_only=True):
    wallet: str
    topics: tuple[str, ...]
    claims_expire_at: datetime
    tx: tuple[str, ...]


# ---------------------------------------------------------------- events


class WalletRequested(Event, frozen=True, kw_only=True):
    tag = "subject.wallet_requested.1"
    action = "WALLET_REQUESTED"
    role: str
    wallet: str
    topics: tuple[str, ...]
    claims_expire_at: datetime


class WalletBound(Event, frozen=True, kw_only=True):
    tag = "subject.wallet_bound.1"
    action = "WALLET_BOUND"
    wallet: str
    topics: tuple[str, ...]
    claims_expire_at: datetime
    tx: tuple[str, ...]


# ---------------------------------------------------------------- decisions


def request(subject: Subject, address: str | None, context: Context) -> list[Event]:
    require(subject.stage is not None and LAST_GATE.get(subject.role) == subject.stage,
            GateOutOfOrder("a wallet is bound after the role's last gate is passed"))
    require(subject.state != FROZEN and subject.claims not in UNDER_WAY and subject.recovery is None,
            GateOutOfOrder("no claims are issued under a freeze, or while others are on their way"))
    if not address:
        raise Invalid("name the wallet to bind", pointer="/wallet")
    topics = CLAIM_TOPICS
    if subject.role == INVESTOR:
        topics = (*CLAIM_TOPICS, MIFID_CLAIMS[subject.filed.mifid_category or ""])
    return [WalletRequested(role=subject.role, wallet=address, topics=topics,
                            claims_expire_at=refresh_at(subject, context.now) + timedelta(days=REFRESH_GRACE_DAYS))]


def bind(subject: Subject, command: BindWallet, context: Context) -> list[Event]:
    expect(subject, "WALLET_PENDING")
    return [WalletBound(wallet=command.wallet, topics=command.topics, claims_expire_at=command.claims_expire_at,
                        tx=command.tx)]


def refresh_at(subject: Subject, now: datetime) -> datetime:
    return now + timedelta(days=REFRESH_DAYS[subject.role])
