"""Pages by cursor: opaque, signed, bound to the query they came from; never page numbers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import msgspec

from api.errors import BadRequest

_SIGNATURE_BYTES = 16


class Page(msgspec.Struct, frozen=True):
    secret: bytes
    scope: str
    after: Any
    limit: int

    @staticmethod
    def read(secret: bytes, scope: str, cursor: str | None, limit: int) -> Page:
        """`scope` names the query and the caller: a cursor of another query or caller is refused (400)."""
        if cursor is None:
            return Page(secret, scope, None, limit)
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError):
            raise BadRequest("bad_cursor", "this is not a cursor of ours") from None
        payload, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _sign(secret, scope, payload)):
            raise BadRequest("bad_cursor", "this cursor belongs to another query")
        return Page(secret, scope, msgspec.json.decode(payload), limit)

    def cursor(self, key: Any) -> str:
        payload = msgspec.json.encode(key)
        return base64.urlsafe_b64encode(payload + _sign(self.secret, self.scope, payload)).decode().rstrip("=")


def _sign(secret: bytes, scope: str, payload: bytes) -> bytes:
    return hmac.new(secret, scope.encode() + b"\0" + payload, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def page_of(page: Page, rows: list[dict[str, Any]], key: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """`rows` holds one more than the limit when there is more."""
    has_more = len(rows) > page.limit
    shown = rows[:page.limit]
    return {"data": shown, "page": {"cursor": page.cursor(key(shown[-1])) if has_more else None, "has_more": has_more}}
