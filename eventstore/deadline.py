"""A time by which an HTTP call has ended, whatever the other side does.

httpx bounds each read; a server that sends one byte before each bound is never late and never done. So every wait of a
call's connection, for headers and body alike, is cut to what is left of the call's own time.
"""

import ssl
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import httpcore
import httpx

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Calls in this block have ended after so many seconds: httpx.TimeoutException where they have not."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def timed_client(**options: Any) -> httpx.Client:
    """A client that `within` can bound. No proxy variable of the environment may reroute what it carries."""
    return httpx.Client(transport=_Transport(), trust_env=False, follow_redirects=False, **options)


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    ends_at = _ends_at.get()
    if ends_at is None:
        return timeout
    left = ends_at - time.monotonic()
    if left <= 0:
        raise late("the call's time is over")
    return left if timeout is None else min(timeout, left)


class _Transport(httpx.HTTPTransport):
    """httpx's own, over connections whose waits are cut. It has no public way to be given those."""

    def __init__(self) -> None:
        super().__init__(verify=_authorities(), trust_env=False)
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=_authorities(), max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0,
            network_backend=_Backend(httpcore.SyncBackend()))


@cache
def _authorities() -> ssl.SSLContext:
    """Whose certificates are trusted. Reading them takes longer than many a call."""
    return httpx.create_ssl_context(trust_env=False)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None,
                  timeout: float | None = None) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname,
                                              _left(timeout, httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
                    socket_options: Any = None) -> httpcore.NetworkStream:
        timeout = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)
