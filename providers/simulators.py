"""Every provider, simulated: one HTTP server on loopback, one SMTP server, one sqlite file.

    python -m providers.simulators --http-port 8700 --smtp-port 8725 --data DIR [--notify-url URL]

Open http://127.0.0.1:8700/ to operate them. Credentials come from the environment, as
`Credentials.from_env` says. SIGTERM and SIGINT end it in order; a killed one forgets nothing that it
answered.
"""

import argparse
import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from providers.bank.simulator import BankSimulator
from providers.credentials import Credentials
from providers.email.simulator import EmailSimulator
from providers.identity.simulator import IdentitySimulator
from providers.keys.simulator import KeySimulator
from providers.payee.simulator import PayeeSimulator
from providers.registers.simulator import CompaniesHouseSimulator, FCASimulator
from providers.screening.simulator import ScreeningSimulator
from providers.stage.page import element, link, page, table
from providers.stage.room import Room, answer, html
from providers.stage.store import Store

T = TypeVar("T")

HOST = "127.0.0.1"


class PortInUse(Exception):
    """The message is one line for the person who started it."""


def serve(
    http_port: int, smtp_port: int, data: Path, credentials: Credentials | None = None, notify_url: str = ""
) -> None:
    """Runs until SIGTERM or SIGINT. `notify_url` is where the bank's credit notices go; empty keeps the
    last one.
    """
    asyncio.run(_serve(http_port, smtp_port, data, credentials or Credentials(), notify_url))


async def _serve(
    http_port: int, smtp_port: int, data: Path, credentials: Credentials, notify_url: str
) -> None:
    store = Store(data / "simulators.sqlite3")
    app = web.Application(client_max_size=12 * 1024 * 1024)
    bank = BankSimulator(app, store, credentials, notify_url)
    email = EmailSimulator(app, store)
    rooms = [
        IdentitySimulator(app, store, credentials).room,
        ScreeningSimulator(app, store, credentials).room,
        CompaniesHouseSimulator(app, store, credentials).room,
        FCASimulator(app, store, credentials).room,
        PayeeSimulator(app, store, credentials, bank.holder).room,
        bank.room,
        email.room,
        KeySimulator(app, store, credentials).room,
    ]
    _index(app, rooms)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(store.close)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, HOST, http_port, shutdown_timeout=2)
        await _listening(site.start(), "HTTP", http_port)
        smtp = await _listening(loop.create_server(email.protocol, HOST, smtp_port), "SMTP", smtp_port)
        stack.callback(smtp.close)
        deliveries = asyncio.create_task(bank.outbox.run())
        stack.callback(deliveries.cancel)
        print(f"simulators: http://{HOST}:{http_port}/ and smtp://{HOST}:{smtp_port}", flush=True)
        # A delivery loop that dies is a bug to be seen, not a bank that quietly stops notifying.
        await asyncio.wait(
            {asyncio.create_task(stop.wait()), deliveries}, return_when=asyncio.FIRST_COMPLETED
        )
        if deliveries.done():
            deliveries.result()


async def _listening(starting: Awaitable[T], what: str, port: int) -> T:
    try:
        return await starting
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"{what} port {port} is in use: stop what uses it, or choose another port"
            ) from error
        raise PortInUse(f"{what} port {port} cannot be opened: {error.strerror}") from error


def _index(app: web.Application, rooms: list[Room]) -> None:
    async def index(_request: web.Request) -> web.Response:
        rows = [
            [link(f"{room.prefix}/", room.title), "down" if room.outage else "up", room.about]
            for room in rooms
        ]
        about = element(
            "p", "Stand-ins for the outside world. What you do here, the platform takes for real."
        )
        return html(page("Provider simulators", about, table(["Provider", "", "What it does"], rows)))

    async def health(_request: web.Request) -> web.Response:
        return answer({"rooms": {room.prefix: "down" if room.outage else "up" for room in rooms}})

    app.router.add_get("/", index)
    app.router.add_get("/health", health)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m providers.simulators", description="The providers, simulated."
    )
    parser.add_argument("--http-port", type=int, default=8700)
    parser.add_argument("--smtp-port", type=int, default=8725)
    parser.add_argument("--data", type=Path, required=True, help="folder for the simulators' memory")
    parser.add_argument("--notify-url", default="", help="where the bank delivers its credit notices")
    given = parser.parse_args()
    try:
        serve(
            given.http_port, given.smtp_port, given.data, Credentials.from_env(os.environ), given.notify_url
        )
    except PortInUse as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
