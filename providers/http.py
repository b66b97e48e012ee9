"""One HTTP call to a vendor, and the one table that sorts its failures into `Retryable` and `Final`."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import msgspec

from eventstore.deadline import timed_client, within
from eventstore.foreign import UNREADABLE, deeper_than
from providers.errors import Final, Retryable

T = TypeVar("T")

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
TOTAL_S = 30.0
"""What a call may take from its first byte to the answer's last, however slowly a vendor sends it."""

LIMIT_BYTES = 4 * 1024 * 1024
LONGEST_TEXT, LARGEST_NUMBER, DEEPEST = 4_096, 2**53, 50
"""Of any value in an answer: no vendor's id, name or amount comes near."""


_FINAL_CODES = {401: "unauthorised", 403: "unauthorised", 404: "not_found", 409: "conflict"}


class Immoderate(Exception):
    """A value of no reasonable size."""


class Wire:
    """A vendor's base address. Thread-safe, as httpx clients are."""

    def __init__(
        self, vendor: str, base_url: str, timeout: httpx.Timeout = TIMEOUT, throttle_s: float | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        """`throttle_s` is how long the vendor blocks who asks too often, where it does not say so itself."""
        self.vendor = vendor
        self._throttle_s = throttle_s
        self._total_s = total_s
        # Nothing compressed: a few bytes would be allowed to become gigabytes.
        self._client = timed_client(base_url=base_url.rstrip("/"), timeout=timeout,
                                    headers={"Accept-Encoding": "identity"})

    def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        also: frozenset[int] = frozenset(),
    ) -> httpx.Response:
        """The answer if its status is 2xx or in `also` (statuses the adapter reads itself); else raises.

        `path` is sent exactly as given, query included, because some vendors sign it.
        """
        sent = dict(headers or {})
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            with within(self._total_s), self._client.stream(method, path, content=body, headers=sent) as answer:
                response = self._whole(answer)
        except httpx.TimeoutException as error:
            raise Retryable("timeout", f"{self.vendor} did not answer in time") from error
        except httpx.TransportError as error:
            raise Retryable("unreachable", f"{self.vendor}: {type(error).__name__}") from error
        status = response.status_code
        if response.is_success or status in also:
            return response
        if status == 429 or status >= 500:
            wish = _retry_after_s(response)
            wait_s = self._throttle_s if wish is None and status == 429 else wish
            raise Retryable("unavailable", f"{self.vendor} answered {status}", wait_s)
        raise Final(_FINAL_CODES.get(status, "refused"), f"{self.vendor} answered {status}")

    def read(self, response: httpx.Response, shape: type[T]) -> T:
        """Decodes an answer. One that cannot be read is `Retryable`: the key makes asking again harmless.

        Nor can one that holds a text or a number of no reasonable size: they end up in our log, and in our sums.
        """
        try:
            if deeper_than(DEEPEST, response.content):
                raise Immoderate("it is nested too deep")
            _require_measure(msgspec.json.decode(response.content))
            return msgspec.json.decode(response.content, type=shape)
        except (*UNREADABLE, Immoderate) as error:
            raise Retryable("unreadable", f"{self.vendor}: {error}") from error

    def close(self) -> None:
        self._client.close()

    def _whole(self, answer: httpx.Response) -> httpx.Response:
        """The answer with its body, if that is of a reasonable size."""
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise Retryable("unreadable", f"{self.vendor} answered in an encoding that was not asked for")
        taken = bytearray()
        for chunk in answer.iter_bytes():
            taken += chunk
            if len(taken) > LIMIT_BYTES:
                raise Retryable("unreadable", f"{self.vendor} answered more than {LIMIT_BYTES} bytes")
        return httpx.Response(answer.status_code, headers=answer.headers, content=bytes(taken), request=answer.request)


def _require_measure(value: Any) -> None:
    match value:
        case str() if len(value) > LONGEST_TEXT or "\x00" in value:
            raise Immoderate("a text is too long, or holds U+0000")
        case int() | float() if not abs(value) <= LARGEST_NUMBER:  # not a number is not below it either
            raise Immoderate("a number is too large")
        case list():
            for item in value:
                _require_measure(item)
        case dict():
            for name, item in value.items():
                _require_measure(name)
                _require_measure(item)


def _retry_after_s(response: httpx.Response) -> float | None:
    """`Retry-After` (RFC 9110) in seconds, from either of its forms; None for anything else. `Retryable` bounds it."""
    wish = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,20}", wish):
        return float(wish)
    try:
        return (parsedate_to_datetime(wish) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):  # no date, one without a zone, or one beyond the calendar
        return None
