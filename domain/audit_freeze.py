"""The audit-log freeze: while entries older than an hour are not anchored, no money moves (assurance.md §2, item 7).

Beginning and end are entries of the log, so that afterwards anybody can say when money stood still and why.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require

STALE_AFTER = timedelta(hours=1)
"""The hard cap of seeds 001 "Audit log Merkle anchor", in platform time."""


class FreezeCommand(Command, frozen=True, kw_only=True):
    kind = "audit"

    @property
    def key(self) -> str:
        return "log"


class BeginAuditFreeze(FreezeCommand, frozen=True, kw_only=True):
    """`oldest` is the position of the first entry that is not anchored, recorded at `since`."""

    oldest: int
    since: datetime


class EndAuditFreeze(FreezeCommand, frozen=True, kw_only=True):
    """Everything up to `anchored_to` is anchored, and what is not is young."""

    anchored_to: int


class AuditFrozen(Event, frozen=True, kw_only=True):
    tag = "audit.frozen.1"
    action = "AUDIT_FROZEN"
    oldest: int
    since: datetime


class AuditReleased(Event, frozen=True, kw_only=True):
    tag = "audit.released.1"
    action = "AUDIT_RELEASED"
    anchored_to: int


class AuditFreezeState(Conflict):
    code = "audit_freeze_state"


class AuditFreeze(msgspec.Struct, frozen=True):
    oldest: int | None = None
    """Position of the oldest entry that was not anchored when the freeze began; None while there is none."""


def decide(freeze: AuditFreeze, command: Command, context: Context) -> list[Event]:
    match command:
        case BeginAuditFreeze():
            require(freeze.oldest is None, AuditFreezeState("the audit log is frozen already"))
            require(context.now - command.since > STALE_AFTER, AuditFreezeState("nothing is older than the cap"))
            return [AuditFrozen(oldest=command.oldest, since=command.since)]
        case EndAuditFreeze():
            require(freeze.oldest is not None, AuditFreezeState("the audit log is not frozen"))
            return [AuditReleased(anchored_to=command.anchored_to)]
        case _:
            raise TypeError(f"audit cannot decide {type(command).__name__}")


def evolve(freeze: AuditFreeze, event: Event) -> AuditFreeze:
    match event:
        case AuditFrozen():
            return AuditFreeze(event.oldest)
        case AuditReleased():
            return AuditFreeze()
        case _:
            return freeze


AUDIT_FREEZE: Kind[AuditFreeze] = Kind("audit", AuditFreeze(), decide, evolve, resource=lambda _: "audit log")
