"""Who is calling: API keys that carry their subject and are checked by recomputing, so none is stored anywhere.

key = fxk_<env>_<subject id>_<base32 HMAC-SHA256(pepper, subject id)>: 256 bits, compared in constant time
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException

from domain.party import Party
from domain.subject import SUBJECT, Subject, as_party
from eventstore.store import Store


class Caller(msgspec.Struct, frozen=True):
    """The authenticated subject, as it stands now."""

    subject: Subject

    @property
    def id(self) -> str:
        return self.subject.id

    @property
    def role(self) -> str:
        return self.subject.role

    @property
    def party(self) -> Party:
        return as_party(self.subject)


def api_key(pepper: bytes, subject: str, *, sandbox: bool) -> str:
    return f"fxk_{'test' if sandbox else 'live'}_{subject}_{_mac(pepper, subject)}"


def subject_of(pepper: bytes, key: str) -> str | None:
    """The subject a key belongs to; None if it is not one of ours."""
    parts = key.split("_")
    if len(parts) != 5 or parts[0] != "fxk":
        return None
    subject = f"{parts[2]}_{parts[3]}"
    return subject if hmac.compare_digest(parts[4].encode(), _mac(pepper, subject).encode()) else None


def authenticate(connection: ASGIConnection[Any, Any, Any, Any], store: Store, pepper: bytes) -> Caller:
    """The caller, or 401."""
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    subject = subject_of(pepper, key.strip()) if scheme.lower() == "bearer" else None
    if subject is None:
        raise NotAuthorizedException("send your API key as 'Authorization: Bearer fxk_…'")
    found = store.load(SUBJECT, subject)
    if not found.id:
        raise NotAuthorizedException("this API key's subject does not exist")
    return Caller(found)


def _mac(pepper: bytes, subject: str) -> str:
    digest = hmac.new(pepper, b"api-key\n" + subject.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()
