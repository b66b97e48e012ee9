"""Personal data, sealed per subject: AES-256-GCM under a data key that a key-encryption key wraps.

The log stores and hashes the sealed form. Destroying a subject's data key makes every sealed value unreadable while
the chain still verifies. Additional data of each seal = the subject id, so a value cannot be moved to another subject.
"""

from __future__ import annotations

import base64
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from eventsourcing.postgres import PostgresDatastore

from domain.party import Personal
from eventstore.database import select

NONCE_BYTES = 12
ERASED = "[erased]"


class Vault:
    def __init__(self, datastore: PostgresDatastore, key_encryption_key: bytes, tenant: str = "tnt_fintokenx"):
        self._datastore = datastore
        self._kek = key_encryption_key
        self._tenant = tenant

    def seal(self, subject: str, value: str) -> Personal:
        """Seal text for a subject; the subject's key is made on first use."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self._key(subject, create=True)).encrypt(nonce, value.encode(), subject.encode())
        return Personal(subject, base64.b64encode(nonce + sealed).decode())

    def open(self, personal: Personal) -> str:
        """The text, or '[erased]' when the subject's key is gone."""
        try:
            key = self._key(personal.subject, create=False)
        except KeyError:
            return ERASED
        raw = base64.b64decode(personal.sealed)
        try:
            return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], personal.subject.encode()).decode()
        except InvalidTag:
            return ERASED

    def seal_struct(self, subject: str, value: msgspec.Struct) -> Personal:
        return self.seal(subject, msgspec.json.encode(value).decode())

    def _key(self, subject: str, *, create: bool) -> bytes:
        """Read afresh each time: a key kept in memory would outlive its destruction."""
        known = "SELECT wrapped FROM fx.subject_keys WHERE tenant_id = %s AND subject = %s"
        found = select(self._datastore, known, (self._tenant, subject))
        if not found and create:
            fresh = aes_key_wrap(self._kek, AESGCM.generate_key(256))
            with self._datastore.get_connection() as connection:
                connection.execute("INSERT INTO fx.subject_keys (tenant_id, subject, wrapped) VALUES (%s, %s, %s) "
                                   "ON CONFLICT DO NOTHING", (self._tenant, subject, fresh))
            found = select(self._datastore, known, (self._tenant, subject))
        if not found:
            raise KeyError(subject)
        return aes_key_unwrap(self._kek, bytes(found[0]["wrapped"]))
