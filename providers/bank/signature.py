"""How the platform and the bank authenticate each other's messages.

The headers are ClearBank's: `Authorization`, `DigitalSignature` (base64), `X-Request-Id`, `X-Request-Time`
(Unix seconds). The signature is HMAC-SHA256 over `{X-Request-Time}.{raw body}` under a shared secret. That
is a deliberate departure, the only one: ClearBank signs the body alone, with RSA, and webhooks carry no
time of sending, so a captured notice would be genuine for ever. A live connection replaces `signature()`
and `authentic()` with the institution's RSA keys and leans on the unique `TransactionId` against replays.
"""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

WINDOW = timedelta(minutes=5)


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    return base64.b64encode(
        hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).digest()
    ).decode()


def authentic(secret: bytes, timestamp: str, body: bytes, given: str) -> bool:
    return hmac.compare_digest(signature(secret, timestamp, body).encode(), given.encode())


def moment(timestamp: str) -> datetime | None:
    """The time a message says it was sent; None when that is no time of ours (years 1970 to 9999)."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        return None
    return datetime.fromtimestamp(int(timestamp), UTC)


def fresh(timestamp: str, now: datetime) -> bool:
    """Within five minutes of `now`, either way: clocks differ, and messages from the future are wrong as
    well.
    """
    sent_at = moment(timestamp)
    return sent_at is not None and abs(now - sent_at) <= WINDOW


def headers(secret: bytes, token: str | None, body: bytes, now: datetime) -> dict[str, str]:
    timestamp = str(int(now.timestamp()))
    sent = {
        "Content-Type": "application/json",
        "X-Request-Id": uuid.uuid4().hex,
        "X-Request-Time": timestamp,
        "DigitalSignature": signature(secret, timestamp, body),
    }
    return sent if token is None else {**sent, "Authorization": f"Bearer {token}"}


def refused(secret: str, token: str, given: Mapping[str, str], body: bytes) -> str | None:
    """Why the simulated bank refuses this request, if it does."""
    if not hmac.compare_digest(f"Bearer {token}".encode(), given.get("Authorization", "").encode()):
        return "invalid API token"
    timestamp = given.get("X-Request-Time", "")
    if not authentic(secret.encode(), timestamp, body, given.get("DigitalSignature", "")):
        return "invalid DigitalSignature"
    return None if fresh(timestamp, datetime.now(UTC)) else "X-Request-Time is too far from now"
