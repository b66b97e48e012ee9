"""Recovery: a subject's lost wallet is replaced by a new one, by a register order (domain/register_order.py).

While it is under way no claim is issued anew: what the outcome leaves is judged when it is recorded. A bar is not
waited with: the lost wallet's claims are revoked at once, and on the chain whichever came first wins.
"""

from __future__ import annotations

from domain.base import Conflict, Context, Event, require
from domain.subject.claims import ISSUED
from domain.subject.state import Subject, SubjectCommand

# ---------------------------------------------------------------- commands


class BeginRecovery(SubjectCommand, frozen=True, kw_only=True):
    """Goes with the approval."""

    order: str
    from_wallet: str
    to_wallet: str


class RecordWalletReplaced(SubjectCommand, frozen=True, kw_only=True):
    order: str
    wallet: str
    tx: str


class RecordRecoveryRefused(SubjectCommand, frozen=True, kw_only=True):
    order: str
    reason: str


# ---------------------------------------------------------------- events


class RecoveryBegun(Event, frozen=True, kw_only=True):
    tag = "subject.recovery_begun.1"
    action = "RECOVERY_PENDING"
    order: str
    to_wallet: str


class WalletReplaced(Event, frozen=True, kw_only=True):
    tag = "subject.wallet_replaced.1"
    action = "WALLET_REPLACED"
    order: str
    previous: str
    wallet: str
    tx: str


class RecoveryRefused(Event, frozen=True, kw_only=True):
    tag = "subject.recovery_refused.1"
    action = "RECOVERY_REFUSED"
    order: str
    reason: str


# ---------------------------------------------------------------- refusals


class NotRecoverable(Conflict):
    code = "not_recoverable"


# ---------------------------------------------------------------- decisions


def begin(subject: Subject, command: BeginRecovery, context: Context) -> list[Event]:
    require(subject.wallet is not None and subject.wallet == command.from_wallet,
            NotRecoverable("this is not the subject's wallet"))
    require(subject.state in ("ACTIVE", "REFRESH_DUE") and subject.claims == ISSUED,
            NotRecoverable("only an active subject whose claims stand gets a new wallet"))
    return [RecoveryBegun(order=command.order, to_wallet=command.to_wallet)]


def replace(subject: Subject, command: RecordWalletReplaced, context: Context) -> list[Event]:
    require(subject.recovery == command.order, NotRecoverable("no recovery is under way"))
    return [WalletReplaced(order=command.order, previous=subject.wallet or "", wallet=command.wallet, tx=command.tx)]


def refuse(subject: Subject, command: RecordRecoveryRefused, context: Context) -> list[Event]:
    require(subject.recovery == command.order, NotRecoverable("no recovery is under way"))
    return [RecoveryRefused(order=command.order, reason=command.reason)]
