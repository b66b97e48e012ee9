"""The platform's own records: the sandbox clock, anchored batches, duplicate fingerprints, alarms."""

from __future__ import annotations

from datetime import datetime

import msgspec

from domain.base import Command, Conflict, Context, Event, Kind, require
from domain.party import company_key


class ClockMovesForward(Conflict):
    code = "clock_moves_forward"


class AdvanceClock(Command, frozen=True, kw_only=True):
    kind = "clock"
    to: datetime

    @property
    def key(self) -> str:
        return "platform"


class ClockAdvanced(Event, frozen=True, kw_only=True):
    tag = "clock.advanced.1"
    action = "CLOCK_ADVANCED"
    to: datetime


class ClockState(msgspec.Struct, frozen=True):
    now: datetime | None = None


def _decide_clock(clock: ClockState, command: AdvanceClock, context: Context) -> list[Event]:
    now = max(clock.now or context.now, context.now)
    require(command.to > now, ClockMovesForward(f"the clock already reads {now}; it only moves forward"))
    return [ClockAdvanced(to=command.to)]


def _evolve_clock(clock: ClockState, event: Event) -> ClockState:
    return ClockState(event.to) if isinstance(event, ClockAdvanced) else clock


CLOCK: Kind[ClockState] = Kind("clock", ClockState(), _decide_clock, _evolve_clock)


class RecordBatch(Command, frozen=True, kw_only=True):
    """A contiguous range of entries whose Merkle root now stands on the chain."""

    kind = "batch"
    batch_id: int
    from_position: int
    to_position: int
    root: str
    head: str
    tx: str
    block: int

    @property
    def key(self) -> str:
        return str(self.batch_id)


class BatchAnchored(Event, frozen=True, kw_only=True):
    tag = "audit.batch_anchored.1"
    action = "BATCH_ANCHORED"
    batch_id: int
    from_position: int
    to_position: int
    root: str
    head: str
    tx: str
    block: int


class RecordCosignature(Command, frozen=True, kw_only=True):
    """A witness has countersigned the log as it stood after a batch. Whoever sends this has checked the signature."""

    kind = "batch"
    batch_id: int
    witness: str
    cosignature: str
    signed_at: datetime

    @property
    def key(self) -> str:
        return str(self.batch_id)


class BatchCosigned(Event, frozen=True, kw_only=True):
    tag = "audit.batch_cosigned.1"
    action = "BATCH_COSIGNED"
    batch_id: int
    witness: str
    cosignature: str
    """The line of the signed note: em dash, the key's name, base64."""

    signed_at: datetime
    """By the witness's own clock, as it signed it."""


class BatchKnown(Conflict):
    code = "batch_known"


class BatchUnknown(Conflict):
    code = "batch_unknown"


class CosignatureKnown(Conflict):
    code = "cosignature_known"


class Batch(msgspec.Struct, frozen=True):
    tx: str | None = None
    cosigned_by: frozenset[str] = frozenset()


def _decide_batch(batch: Batch, command: RecordBatch | RecordCosignature, context: Context) -> list[Event]:
    if isinstance(command, RecordCosignature):
        require(batch.tx is not None, BatchUnknown("this batch is not recorded"))
        require(command.witness not in batch.cosigned_by, CosignatureKnown("this witness's signature is recorded"))
        return [BatchCosigned(batch_id=command.batch_id, witness=command.witness, cosignature=command.cosignature,
                              signed_at=command.signed_at)]
    require(batch.tx is None, BatchKnown("this batch is already recorded"))
    return [BatchAnchored(batch_id=command.batch_id, from_position=command.from_position,
                          to_position=command.to_position, root=command.root, head=command.head, tx=command.tx,
                          block=command.block)]


def _evolve_batch(batch: Batch, event: Event) -> Batch:
    match event:
        case BatchAnchored():
            return Batch(event.tx, batch.cosigned_by)
        case BatchCosigned():
            return Batch(batch.tx, batch.cosigned_by | {event.witness})
        case _:
            return batch


BATCH: Kind[Batch] = Kind("batch", Batch(), _decide_batch, _evolve_batch, resource=lambda key: f"batch {key}")


class FingerprintCommand(Command, frozen=True, kw_only=True):
    kind = "fingerprint"
    fingerprint: str
    invoice: str

    @property
    def key(self) -> str:
        return self.fingerprint


class ClaimFingerprint(FingerprintCommand, frozen=True, kw_only=True):
    """The same debt, and the same document, may be financed once: each is one opaque fingerprint."""


class ReleaseFingerprint(FingerprintCommand, frozen=True, kw_only=True):
    """The invoice came to nothing: its debt may be brought to the platform again."""


class FingerprintClaimed(Event, frozen=True, kw_only=True):
    tag = "fingerprint.claimed.1"
    action = "FINGERPRINT_CLAIMED"
    invoice: str


class FingerprintReleased(Event, frozen=True, kw_only=True):
    tag = "fingerprint.released.1"
    action = "FINGERPRINT_RELEASED"
    invoice: str


class FingerprintTaken(Conflict):
    code = "fingerprint_taken"


class FingerprintNotHeld(Conflict):
    code = "fingerprint_not_held"


class Fingerprint(msgspec.Struct, frozen=True):
    invoice: str | None = None


def _decide_fingerprint(known: Fingerprint, command: FingerprintCommand, context: Context) -> list[Event]:
    if isinstance(command, ReleaseFingerprint):
        require(known.invoice == command.invoice, FingerprintNotHeld("this invoice does not hold the fingerprint"))
        return [FingerprintReleased(invoice=command.invoice)]
    require(known.invoice in (None, command.invoice), FingerprintTaken("this invoice is already on the platform"))
    return [] if known.invoice else [FingerprintClaimed(invoice=command.invoice)]


def _evolve_fingerprint(known: Fingerprint, event: Event) -> Fingerprint:
    match event:
        case FingerprintClaimed():
            return Fingerprint(event.invoice)
        case FingerprintReleased():
            return Fingerprint()
        case _:
            return known


FINGERPRINT: Kind[Fingerprint] = Kind(
    "fingerprint", Fingerprint(), _decide_fingerprint, _evolve_fingerprint, resource=lambda _: "duplicate registry")


class DirectoryCommand(Command, frozen=True, kw_only=True):
    kind = "directory"
    role: str
    company_number: str
    subject: str

    @property
    def key(self) -> str:
        return directory_key(self.role, self.company_number)


class RegisterCompany(DirectoryCommand, frozen=True, kw_only=True):
    """One subject per company and role; this is also how a company is found by its number."""


class ReleaseCompany(DirectoryCommand, frozen=True, kw_only=True):
    """The subject has left: the company may come again, as another subject."""


class CompanyRegistered(Event, frozen=True, kw_only=True):
    tag = "directory.registered.1"
    action = "COMPANY_REGISTERED"
    role: str
    company_number: str
    subject: str


class CompanyReleased(Event, frozen=True, kw_only=True):
    tag = "directory.released.1"
    action = "COMPANY_RELEASED"
    role: str
    company_number: str
    subject: str


class CompanyKnown(Conflict):
    code = "company_known"


class CompanyNotHeld(Conflict):
    code = "company_not_held"


class Directory(msgspec.Struct, frozen=True):
    subject: str | None = None


def directory_key(role: str, company_number: str) -> str:
    return f"{role}/{company_key(company_number)}"


def _decide_directory(known: Directory, command: DirectoryCommand, context: Context) -> list[Event]:
    if isinstance(command, ReleaseCompany):
        require(known.subject == command.subject, CompanyNotHeld("another subject, or none, stands for this company"))
        return [CompanyReleased(role=command.role, company_number=command.company_number, subject=command.subject)]
    require(known.subject is None,
            CompanyKnown("another account stands for this company in this role; close that one first"))
    return [CompanyRegistered(role=command.role, company_number=command.company_number, subject=command.subject)]


def _evolve_directory(known: Directory, event: Event) -> Directory:
    match event:
        case CompanyRegistered():
            return Directory(event.subject)
        case CompanyReleased():
            return Directory()
        case _:
            return known


DIRECTORY: Kind[Directory] = Kind("directory", Directory(), _decide_directory, _evolve_directory)


class RaiseAlarm(Command, frozen=True, kw_only=True):
    """Something a person must look at: a process's command was refused, an effect failed for good."""

    kind = "alarm"
    alarm: str
    source: str
    code: str
    detail: str

    @property
    def key(self) -> str:
        return self.alarm


class ClearAlarm(Command, frozen=True, kw_only=True):
    """What the alarm told of is over by itself; the record of it stays."""

    kind = "alarm"
    alarm: str

    @property
    def key(self) -> str:
        return self.alarm


class AlarmRaised(Event, frozen=True, kw_only=True):
    tag = "alarm.raised.1"
    action = "ALARM_RAISED"
    source: str
    code: str
    detail: str


class AlarmCleared(Event, frozen=True, kw_only=True):
    tag = "alarm.cleared.1"
    action = "ALARM_CLEARED"


class AlarmNotStanding(Conflict):
    code = "alarm_not_standing"


class AlarmKnown(Conflict):
    code = "alarm_known"


class Alarm(msgspec.Struct, frozen=True):
    """One cause of alarm. It may come again after it was over: each raising is an occurrence of its own."""

    standing: bool = False
    occurrences: int = 0


def _decide_alarm(alarm: Alarm, command: RaiseAlarm | ClearAlarm, context: Context) -> list[Event]:
    if isinstance(command, ClearAlarm):
        require(alarm.standing, AlarmNotStanding("no such alarm stands"))
        return [AlarmCleared()]
    require(not alarm.standing, AlarmKnown("this alarm is already raised"))
    return [AlarmRaised(source=command.source, code=command.code, detail=command.detail)]


def _evolve_alarm(alarm: Alarm, event: Event) -> Alarm:
    match event:
        case AlarmRaised():
            return Alarm(standing=True, occurrences=alarm.occurrences + 1)
        case AlarmCleared():
            return Alarm(standing=False, occurrences=alarm.occurrences)
        case _:
            return alarm


ALARM: Kind[Alarm] = Kind("alarm", Alarm(), _decide_alarm, _evolve_alarm)
