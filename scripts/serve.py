"""`fx serve`: the whole platform in one process."""

from __future__ import annotations

import gc
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import uvicorn
from rich.console import Console

from api.access import methods_of
from api.app import create_app
from api.edge.bodies import Bodies
from api.edge.connections import Limits, connections
from api.edge.door import MAX_HEAD_BYTES, Door
from api.opaque import Opaque
from api.running import Running
from bootstrap import (
    SERVE_LOCK,
    Platform,
    Settings,
    SetupError,
    another,
    build,
    locked,
    require_free,
    require_limits,
    witnesses_of,
)
from scripts.sandbox_witness import witnessed

console = Console(stderr=True)
STOP_S = 15


def running_of(platform: Platform) -> Running:
    settings = platform.settings
    return Running(
        store=platform.store, clock=platform.clock, vault=platform.vault, outside=platform.outside,
        engine=platform.engine, projector=platform.projector, effects=platform.effects, sandbox=settings.sandbox,
        api_key_pepper=platform.secrets.api_key_pepper, cursor_secret=platform.secrets.cursor_secret,
        opaque=Opaque(platform.secrets.edge_secret, settings.tenant),
        collections=(settings.bank_sort_code, settings.bank_account_number),
        log_key=platform.witnessing.signer, witnesses=witnesses_of(settings), loops=platform.loops)


@contextmanager
def served(settings: Settings) -> Iterator[Platform]:
    """A started platform answering HTTP, alone on its home; stopped in order on the way out."""
    with locked(settings.home, SERVE_LOCK, another(settings.home)), _running(settings) as platform:
        yield platform


@contextmanager
def served_with_witness(settings: Settings) -> Iterator[Platform]:
    """The same, beside a witness in a sandbox that names none."""
    with (locked(settings.home, SERVE_LOCK, another(settings.home)), witnessed(settings) as complete,
          _running(complete) as platform):
        yield platform


@contextmanager
def _running(settings: Settings) -> Iterator[Platform]:
    require_free(settings.http_host, settings.http_port, "FX_HTTP_PORT")
    platform = build(settings)
    try:
        platform.start()
        require_limits()
        server = uvicorn.Server(http_config(platform))
        thread = threading.Thread(target=server.run, name="fx-http", daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise SetupError(f"the HTTP server did not start on port {settings.http_port}")
            time.sleep(0.01)
        gc.collect()
        gc.freeze()  # what is loaded by now stays: the collector need not walk it again and again
        try:
            yield platform
        finally:
            gc.unfreeze()
            server.should_exit = True
            thread.join(timeout=STOP_S)
    finally:
        platform.stop()


def http_config(platform: Platform) -> uvicorn.Config:
    """The application behind its edge (docs/decisions/0018-edge.md)."""
    settings = platform.settings
    public = urlsplit(settings.public_url)
    hosts = {settings.http_host, public.hostname or "", *settings.hosts.lower().replace(" ", "").split(",")} - {""}
    proxies = settings.trusted_proxies.replace(" ", "")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = Limits(in_total=min(Limits().in_total, files // 2), proxies=frozenset(proxies.split(",")))
    app = create_app(running_of(platform))
    door = Door(app, methods_of(app), Bodies(platform.clock.now), frozenset(hosts), tls=public.scheme == "https")
    return uvicorn.Config(
        door, host=settings.http_host, port=settings.http_port, log_level="warning", access_log=False,
        http=connections(limits), ws="none", timeout_keep_alive=limits.idle_s, timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES, server_header=False, proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies)


def addresses(settings: Settings) -> list[tuple[str, str]]:
    """What a person can open."""
    shown = [("API and its documentation", f"{settings.http_url}/docs"),
             ("health", f"{settings.http_url}/health/ready")]
    if settings.sandbox:
        shown.append(("provider simulators (bank, identity, mail …)", settings.providers_url))
    shown.append(("chain (JSON-RPC)", settings.chain_url or f"http://127.0.0.1:{settings.chain_port}"))
    return shown


def print_addresses(settings: Settings) -> None:
    for what, url in addresses(settings):
        console.print(f"  {what:<46} {url}", highlight=False, soft_wrap=True)


def wait_for_signal() -> None:
    """Until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(0.5):
        pass
