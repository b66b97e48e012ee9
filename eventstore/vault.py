"""Personal data, sealed per subject: AES-256-GCM under a data key that a key-encryption key wraps.

The log stores and hashes the sealed form. Destroying a subject's data key makes every sealed value unreadable while
the chain still verifies. Additional data of each seal = the subject id, so a value cannot be moved to another subject.

A destroyed key leaves a tombstone in its row: it says "erased" for ever, and neither a late writer nor a process that
was restored from yesterday can make the subject a new key. Without the tombstone a value is not erased but unreadable,
and never shown as erased. Keys are read afresh each time (0.1 ms): one kept in memory would outlive its destruction.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import psycopg
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.base import Conflict
from domain.party import Personal
from eventstore.database import Unavailable
from eventstore.wrapping import BrokenSeal, KeyMissing, KeyWrapping, SealError, Wrapped

log = structlog.get_logger("vault")

NONCE_BYTES, KEY_BITS = 12, 256
ERASED = "[erased]"
UNREADABLE = "[unreadable]"
TOMBSTONE = "erased"
"""The `kek` of a subject whose key was destroyed."""

BATCH = 100

Pool = ConnectionPool[psycopg.Connection[Any]]


class SubjectGone(Conflict):
    """The subject was erased: nothing of it can be read, and nothing more is kept about it."""

    code = "subject_erased"


class KekInUse(Exception):
    """A key-encryption key that still wraps data keys; dropping it would lose them."""


class Rotation(NamedTuple):
    """What a rotation did. `broken` names subjects whose wrapped key does not open; they keep what they have."""

    moved: int
    broken: tuple[str, ...]


class Vault:
    """One tenant's data keys, over sessions of fx_vault that have proved this tenant."""

    def __init__(self, pool: Pool, wrapping: KeyWrapping, tenant: str):
        self._pool = pool
        self._wrapping = wrapping
        self._tenant = tenant

    def close(self) -> None:
        self._pool.close()

    # ------------------------------------------------------------ sealing

    def seal(self, subject: str, value: str) -> Personal:
        """Seal text for a subject; its key is made on first use. SubjectGone once the subject is erased."""
        return Personal(subject, base64.b64encode(self._encrypt(subject, value.encode(), subject)).decode())

    def seal_struct(self, subject: str, value: msgspec.Struct) -> Personal:
        return self.seal(subject, msgspec.json.encode(value).decode())

    def seal_bytes(self, subject: str, content: bytes, label: str) -> bytes:
        """Seal a file for a subject; `label` is what it must be asked for by."""
        return self._encrypt(subject, content, f"{subject}\n{label}")

    # ------------------------------------------------------------ opening

    def reveal(self, personal: Personal) -> str:
        """The text, to act on it. SubjectGone when it was erased, SealError when it cannot be read."""
        try:
            raw = base64.b64decode(personal.sealed, validate=True)
        except binascii.Error as error:
            raise BrokenSeal(f"a value of {personal.subject} is not base64") from error
        return self._decrypt(personal.subject, raw, personal.subject).decode()

    def open(self, personal: Personal) -> str:
        """The text, to show it; '[erased]' when the key was destroyed. SealError when it cannot be read."""
        try:
            return self.reveal(personal)
        except SubjectGone:
            return ERASED

    def show(self, personal: Personal | None) -> str:
        """As `open`, for pages that must come up whatever is broken: '[unreadable]', and a line in the log."""
        if personal is None:
            return ""
        try:
            return self.open(personal)
        except SealError as error:
            log.error("seal.unreadable", subject=personal.subject, problem=type(error).__name__)
            return UNREADABLE

    def open_bytes(self, subject: str, sealed: bytes, label: str) -> bytes:
        """What `seal_bytes` sealed. SubjectGone when it was erased, SealError when it cannot be read."""
        return self._decrypt(subject, sealed, f"{subject}\n{label}")

    def _encrypt(self, subject: str, content: bytes, bound_to: str) -> bytes:
        key = self._unwrap(subject, self._stored(subject) or self._make(subject))
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, content, bound_to.encode())

    def _decrypt(self, subject: str, sealed: bytes, bound_to: str) -> bytes:
        stored = self._stored(subject)
        if stored is None:
            raise KeyMissing(f"there is no key of {subject}")
        key = self._unwrap(subject, stored)
        try:
            return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise BrokenSeal(f"a value of {subject} does not authenticate") from error

    def _unwrap(self, subject: str, stored: Wrapped) -> bytes:
        if stored.kek == TOMBSTONE:
            raise SubjectGone("this subject was erased; nothing more can be kept about it")
        return self._wrapping.unwrap(stored, self._owner(subject))

    # ------------------------------------------------------------ erasing

    def destroy(self, subject: str) -> None:
        """Destroy the subject's key for good. Repeating it changes nothing; a subject without a key gets none."""
        self._run("INSERT INTO vault.subject_keys (subject, kek, wrapped) VALUES (%s, %s, '') "
                  "ON CONFLICT (tenant_id, subject) DO UPDATE SET kek = excluded.kek, wrapped = excluded.wrapped",
                  (subject, TOMBSTONE))

    def reapply(self, erased: Iterable[str]) -> list[str]:
        """Destroy again what a restored backup brought back; the subjects that had a key, or no tombstone."""
        names = list(erased)
        kept = {subject for (subject,) in self._run(
            "SELECT subject FROM vault.subject_keys WHERE subject = ANY(%s) AND kek = %s", (names, TOMBSTONE))}
        back = [subject for subject in names if subject not in kept]
        for subject in back:
            self.destroy(subject)
            log.error("vault.key_had_come_back", subject=subject)
        return back

    # ------------------------------------------------------------ rotating

    def status(self) -> dict[str, int]:
        """How many subjects' keys stand under each key-encryption key; tombstones count as 'erased'."""
        return dict(self._run("SELECT kek, count(*) FROM vault.subject_keys GROUP BY kek ORDER BY kek", ()))

    def current(self) -> str:
        return self._wrapping.current()

    def rewrap_all(self, batch: int = BATCH) -> Rotation:
        """Bring every data key under the current key-encryption key. Stopped half-way, the next call goes on.

        The platform may run meanwhile: a key is replaced only as it was read, so that no tombstone is overwritten.
        """
        current, moved, last, broken = self._wrapping.current(), 0, "", list[str]()
        while rows := self._run("SELECT subject, kek, wrapped FROM vault.subject_keys "
                                "WHERE kek NOT IN (%s, %s) AND subject > %s ORDER BY subject LIMIT %s",
                                (current, TOMBSTONE, last, batch)):
            for subject, kek, wrapped in rows:
                try:
                    fresh = self._wrapping.rewrap(Wrapped(kek, bytes(wrapped)), self._owner(subject))
                except SealError as error:
                    log.error("vault.not_rewrapped", subject=subject, problem=type(error).__name__)
                    broken.append(subject)
                    continue
                moved += len(self._run("UPDATE vault.subject_keys SET kek = %s, wrapped = %s "
                                       "WHERE subject = %s AND kek = %s AND wrapped = %s RETURNING subject",
                                       (fresh.kek, fresh.wrapped, subject, kek, wrapped)))
            last = rows[-1][0]
        return Rotation(moved, tuple(broken))

    def require_unused(self, kek: str) -> None:
        """KekInUse while some data key needs this key-encryption key, or when new ones are wrapped under it."""
        if kek == self._wrapping.current():
            raise KekInUse(f"{kek} is the current key-encryption key: rotate first")
        if count := self.status().get(kek, 0):
            raise KekInUse(f"{count} data key(s) still stand under {kek}: run `fx vault rotate` first")

    # ------------------------------------------------------------ rows

    def _stored(self, subject: str) -> Wrapped | None:
        found = self._run("SELECT kek, wrapped FROM vault.subject_keys WHERE subject = %s", (subject,))
        return Wrapped(found[0][0], bytes(found[0][1])) if found else None

    def _make(self, subject: str) -> Wrapped:
        """Whoever comes first makes the key; everybody then reads that one."""
        fresh = self._wrapping.wrap(AESGCM.generate_key(KEY_BITS), self._owner(subject))
        self._run("INSERT INTO vault.subject_keys (subject, kek, wrapped) VALUES (%s, %s, %s) "
                  "ON CONFLICT DO NOTHING", (subject, fresh.kek, fresh.wrapped))
        stored = self._stored(subject)
        if stored is None:
            raise KeyMissing(f"the new key of {subject} is not there")
        return stored

    def _owner(self, subject: str) -> str:
        return f"{self._tenant}/{subject}"

    def _run(self, query: str, params: Sequence[object]) -> list[Any]:
        """Rows, if there are any. Every statement here may be repeated: a connection that died is replaced once."""
        for again in (True, False):
            try:
                with self._pool.connection() as connection:
                    cursor = connection.execute(query, params)  # pyright: ignore[reportArgumentType, reportCallIssue]
                    return cursor.fetchall() if cursor.description else []
            except Unavailable as error:
                if not again or isinstance(error.__cause__, PoolTimeout):
                    raise
                self._pool.check()
        raise AssertionError
