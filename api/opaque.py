"""What the edge makes opaque: idempotency keys on their way in, positions of the log on their way out.

Of a client's idempotency key nothing is kept but an HMAC: who reads the log, its bundles or the database can neither
repeat the request nor guess the key. A position would tell a customer how much everybody else does; a place says
nothing to anybody but us.

Every purpose has a key of its own (HKDF-SHA256, RFC 5869) from one secret of the home. That secret is never renewed: by
it repeated requests are recognised, and the places in receipts are found.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from eventstore.store import fingerprint_of

_PLACE = 8
"""Bytes of a position."""

_FORM = re.compile("[A-Za-z0-9_-]{32}")


class Opaque:
    def __init__(self, secret: bytes, tenant: str):
        def derived(purpose: str, length: int = 32) -> bytes:
            info = f"fintokenx edge/1 {purpose} {tenant}".encode()
            return HKDF(hashes.SHA256(), length=length, salt=None, info=info).derive(secret)

        self._keys, self._seeds, self._requests = derived("keys"), derived("seeds"), derived("requests")
        self._places = AESSIV(derived("places", 64))

    def command_key(self, actor: str, route: str, given: str) -> str:
        """What a client's idempotency key becomes: unique per actor and route, and nothing of it can be read."""
        return "http:" + _mac(self._keys, actor.encode(), route.encode(), given.encode()).hex()

    def seed(self, command_key: str) -> str:
        """64 hex digits for the ids a request makes, the same for a repeat; from outside nobody can foretell them."""
        return _mac(self._seeds, command_key.encode()).hex()

    def fingerprint(self, *parts: bytes) -> bytes:
        """Which request a key stands for. Keyed: a form's few secrets must not be found by guessing."""
        return _mac(self._requests, *parts)

    def place(self, position: int) -> str:
        """A position of the log as 32 characters (AES-SIV, RFC 5297). One position has one place."""
        return base64.urlsafe_b64encode(self._places.encrypt(position.to_bytes(_PLACE, "big"), None)).decode()

    def position(self, place: str) -> int | None:
        """The position of a place; None when we never gave it out."""
        if _FORM.fullmatch(place) is None:  # the decoder takes other spellings of the same
            return None
        try:
            return int.from_bytes(self._places.decrypt(base64.urlsafe_b64decode(place), None), "big")
        except InvalidTag:
            return None


def _mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, fingerprint_of(*parts), hashlib.sha256).digest()
