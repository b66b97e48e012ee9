"""Pages by cursor: opaque, signed, bound to the query they came from; never page numbers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from api.errors import BadRequest
from projections.paging import Part

_SIGNATURE_BYTES = 16


class Page(msgspec.Struct, frozen=True):
    """One page of a list: the part of it that is wanted, and how its answer names the page after it."""

    secret: bytes
    scope: str
    part: Part

    @staticmethod
    def read(secret: bytes, scope: str, cursor: str | None, limit: int, start: list[Any] | None = None) -> Page:
        """`scope` names the query and the caller: a cursor of another query or caller is refused (400).

        `start` is the key after which the list begins, where there is no cursor yet.
        """
        if cursor is None:
            return Page(secret, scope, Part(limit, start))
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError):
            raise BadRequest("bad_cursor", "this is not a cursor of ours", "/cursor") from None
        payload, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _sign(secret, scope, payload)):
            raise BadRequest("bad_cursor", "this cursor belongs to another query", "/cursor")
        return Page(secret, scope, Part(limit, msgspec.json.decode(payload)))

    def of(self, shown: Sequence[Any], following: list[Any] | None) -> dict[str, Any]:
        """The answer: what is shown, and the cursor of the next page where there is one."""
        cursor = None
        if following is not None:
            payload = msgspec.json.encode(following)
            cursor = base64.urlsafe_b64encode(payload + _sign(self.secret, self.scope, payload)).decode().rstrip("=")
        return {"data": shown, "page": {"cursor": cursor, "has_more": cursor is not None}}


def _sign(secret: bytes, scope: str, payload: bytes) -> bytes:
    return hmac.new(secret, scope.encode() + b"\0" + payload, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
