"""One HTTP call to a vendor, and the one table that sorts its failures into `Retryable` and `Final`."""

from collections.abc import Mapping
from typing import TypeVar

import httpx
import msgspec

from eventstore.foreign import UNREADABLE
from providers.errors import Final, Retryable

T = TypeVar("T")

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
LIMIT_BYTES = 4 * 1024 * 1024

_FINAL_CODES = {401: "unauthorised", 403: "unauthorised", 404: "not_found", 409: "conflict"}


class Wire:
    """A vendor's base address. Thread-safe, as httpx clients are."""

    def __init__(
        self, vendor: str, base_url: str, timeout: httpx.Timeout = TIMEOUT, throttle_s: float | None = None
    ) -> None:
        """`throttle_s` is how long the vendor blocks who asks too often, where it does not say so itself."""
        self.vendor = vendor
        self._throttle_s = throttle_s
        # trust_env off: a proxy variable in the environment must not reroute money or identity data.
        self._client = httpx.Client(
            base_url=base_url.rstrip("/"), timeout=timeout, follow_redirects=False, trust_env=False
        )

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
            response = self._client.request(method, path, content=body, headers=sent)
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
        """Decodes an answer. One that cannot be read is `Retryable`: the key makes asking again harmless."""
        if len(response.content) > LIMIT_BYTES:
            raise Retryable("unreadable", f"{self.vendor} answered {len(response.content)} bytes")
        try:
            return msgspec.json.decode(response.content, type=shape)
        except UNREADABLE as error:
            raise Retryable("unreadable", f"{self.vendor}: {error}") from error

    def close(self) -> None:
        self._client.close()


def _retry_after_s(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds; its date form is rare enough to be treated as absent."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
