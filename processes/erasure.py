"""Leaving: whoever closes its account frees its company's number; whoever is erased loses its keys and documents.

The order matters: read models purge on the decision, the key goes next, and only then does the log say so. A crash in
between repeats what is idempotent. A backup that brings a key back is caught at the next start (`reapply`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import date

import msgspec

from domain.base import Command
from domain.platform import DIRECTORY, ReleaseCompany, directory_key
from domain.restricted import RESTRICTED
from domain.subject import SUBJECT, RecordKeyDestroyed, SubjectClosed, SubjectErased
from eventstore.entry import Entry
from eventstore.vault import Vault
from processes.outside import Outside
from processes.process import Look, Process
from providers.documents.archive import Archive

erasure = Process("erasure")


@erasure.reacts_to(SubjectClosed)
def free_company(entry: Entry, event: SubjectClosed, look: Look) -> Iterable[Command]:
    """The company may come again, as another subject; what is kept of this one stays apart."""
    subject = look(SUBJECT, entry.resource)
    number = subject.company_number
    if look(DIRECTORY, directory_key(subject.role, number)).subject != subject.id:
        return []
    return [ReleaseCompany(role=subject.role, company_number=number, subject=subject.id)]


@erasure.effect(SubjectErased, port="vault")
def destroy_keys(entry: Entry, event: SubjectErased, outside: Outside) -> Iterable[Command]:
    """The restricted record's key goes for every subject alike: a tombstone tells nobody that there was one."""
    outside.vault.destroy(entry.resource)
    outside.vault.destroy(restricted_id(outside.link_secret, entry.resource))
    outside.archive.forget(entry.resource)
    return [RecordKeyDestroyed(subject=entry.resource)]


# ---------------------------------------------------------------- reports to the authority


class Report(msgspec.Struct, frozen=True):
    """What a restricted record holds, sealed."""

    made_on: date
    reference: str


def restricted_id(secret: bytes, subject: str) -> str:
    """The record's name: keyed, so that nobody can look whether there is one for a subject."""
    return "rst_" + hmac.new(secret, b"restricted\n" + subject.encode(), hashlib.sha256).hexdigest()[:32]


def reports_about(outside: Outside, subject: str) -> list[Report]:
    """For the compliance officer alone. SealError when one cannot be read: then nothing may be erased."""
    kept = outside.look(RESTRICTED, restricted_id(outside.link_secret, subject)).contents
    return [msgspec.json.decode(outside.vault.reveal(content), type=Report) for content in kept]


# ---------------------------------------------------------------- after a restore


def reapply(vault: Vault, archive: Archive, secret: bytes, erased: Iterable[str]) -> list[str]:
    """Destroy again what a restored backup of keys or documents brought back; the subjects whose key had come back.

    Asked at every start with all subjects the log says are erased: one query when nothing came back.
    """
    subjects = list(erased)
    for subject in subjects:
        archive.forget(subject)
    vault.reapply(restricted_id(secret, subject) for subject in subjects)
    return vault.reapply(subjects)
