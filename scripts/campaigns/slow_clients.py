"""500 slow clients against a served platform, and what others notice: build/campaign/slow_clients.json.

    python -m scripts.campaigns.slow_clients [CLIENTS]

A third never finish a head, a third never finish a body (of sign-ups, which are open to everybody), a third never say a
word; whoever is cut off comes again at once. Exit 1 when others' 99th percentile reaches 250 ms, or the platform fell.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress

import httpx

from scripts.campaigns.figures import keep
from scripts.campaigns.served import Apart, served_apart

CLIENTS = 500
ADDRESSES = 25
SECONDS = 30
TARGET_MS = 250.0
HEAD = "GET /v1/me HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODY = ("POST /v1/subjects HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 90000\r\n\r\n" '{"role": "')


def main(clients: int) -> int:
    with served_apart() as (apart, story, _):
        key, before = story.keys["pennine"], apart.resident_mib()
        quiet = asyncio.run(_measured(apart, key, 0, 5))
        slow = asyncio.run(_measured(apart, key, clients, SECONDS))
        growth, alive = apart.resident_mib() - before, apart.answers()
    figures = {"slow_clients": clients, "asked": len(slow), "quiet_p99_ms": _p99(quiet),
               "slow_clients_p99_ms": _p99(slow), "slow_clients_max_ms": round(max(slow)),
               "memory_growth_mib": round(growth, 1), "alive": alive}
    keep("slow_clients", figures)
    print(json.dumps(figures, indent=2))
    return 0 if alive and _p99(slow) < TARGET_MS else 1


async def _measured(apart: Apart, key: str, clients: int, seconds: float) -> list[float]:
    """Milliseconds of health and `me` by others, while so many are slow."""
    until = time.monotonic() + seconds
    tasks = [asyncio.create_task(_slow(apart.settings.http_port, number, until)) for number in range(clients)]
    if clients:
        await asyncio.sleep(3)  # until they all are there
    took: list[float] = []
    async with httpx.AsyncClient(base_url=apart.settings.http_url, timeout=30) as client:
        while time.monotonic() < until:
            for path, headers in (("/health/live", {}), ("/v1/me", {"Authorization": f"Bearer {key}"})):
                started = time.monotonic()
                answer = await client.get(path, headers=headers)
                took.append((time.monotonic() - started) * 1_000)
                assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return took


async def _slow(port: int, number: int, until: float) -> None:
    """A byte now and then, and again from the start when it is cut off. Loopback has many addresses."""
    source = (f"127.0.1.{1 + number % ADDRESSES}", 0)
    sends = ("", HEAD, BODY)[number % 3]
    while time.monotonic() < until:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
            try:
                writer.write(sends.encode())
                while time.monotonic() < until:
                    with suppress(TimeoutError):
                        if not await asyncio.wait_for(reader.read(1_000), 1):
                            break
                    writer.write(b"a" if sends else b"")
                    await writer.drain()
            finally:
                writer.close()
        await asyncio.sleep(0.05)


def _p99(took: list[float]) -> float:
    return round(sorted(took)[int(len(took) * 0.99)], 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS))
