"""Who is calling: API keys that carry their subject and are checked by recomputing, so none is stored anywhere.

key = fxk_<env>_<subject id>_<generation>_<base32 HMAC-SHA256(pepper, all of that)>: 256 bits, compared in constant
time. Only the subject's newest generation opens its account, in its own environment, while the relationship lasts.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException

from domain.party import Party
from domain.subject import SUBJECT, Subject, as_party
from eventstore.store import Store

KEY = re.compile(r"(?P<named>fxk_(?P<env>test|live)_(?P<subject>[a-z]{3}_[0-9a-f]{16})_(?P<generation>[1-9][0-9]{0,8}))"
                 r"_(?P<mac>[a-z2-7]{52})")


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


class Claim(msgspec.Struct, frozen=True):
    """What a key that is ours says: whose it is, and which of its subject's keys."""

    subject: str
    generation: int


def api_key(pepper: bytes, subject: str, generation: int, *, sandbox: bool) -> str:
    named = f"fxk_{'test' if sandbox else 'live'}_{subject}_{generation}"
    return f"{named}_{_mac(pepper, named)}"


def claim_of(pepper: bytes, key: str, *, sandbox: bool) -> Claim | None:
    """What a key of this environment claims; None if it is not one of ours."""
    found = KEY.fullmatch(key)
    if found is None or not hmac.compare_digest(found["mac"].encode(), _mac(pepper, found["named"]).encode()):
        return None
    return Claim(found["subject"], int(found["generation"])) if (found["env"] == "test") is sandbox else None


def authenticate(connection: ASGIConnection[Any, Any, Any, Any], store: Store, pepper: bytes, *,
                 sandbox: bool) -> Caller:
    """The caller, or 401."""
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    claim = claim_of(pepper, key.strip(), sandbox=sandbox) if scheme.lower() == "bearer" else None
    found = store.load(SUBJECT, claim.subject) if claim is not None else None
    if claim is None or found is None or not found.may_sign_in or claim.generation != found.key_generation:
        raise NotAuthorizedException
    return Caller(found)


def _mac(pepper: bytes, named: str) -> str:
    digest = hmac.new(pepper, b"api-key\n" + named.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()
