"""The connection to the chain, as the platform holds it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import Any

import structlog

from bootstrap.embedded import require_free
from bootstrap.locks import SERVE_LOCK, another, try_lock
from bootstrap.settings import Settings, SetupError
from chain.anvil import Anvil
from chain.client import Chain
from chain.errors import ChainError, Final, Retryable
from chain.keys import FolderKeys
from eventstore.clock import Clock
from eventstore.database import Unavailable
from eventstore.journal import JournalRows
from eventstore.loops import Died, Loop, unheard

log = structlog.get_logger("chain_link")

CHAIN_CHECK_S = 1.0
CHAIN_SAVE_S = 5.0


class ChainLink:
    """The connection to the node: made when first needed, checked, and mended when the node comes back.

    `tool`: for a command beside or without a platform. It uses the embedded node of the platform that runs on this
    home, or else starts the node and keeps others off the home meanwhile; it does not wait for a chain that is down.
    Without `deploy` nothing is created: contracts that are missing are a SetupError.
    """

    def __init__(self, settings: Settings, keys: FolderKeys, rows: JournalRows, clock: Clock, *,
                 tool: bool = False, deploy: bool = True, died: Died = unheard):
        self._tool, self._deploy = tool, deploy
        self._home_lock: int | None = None
        self._beside = False
        self._settings, self._keys, self._rows, self._clock = settings, keys, rows, clock
        self._lock = threading.Lock()
        self._chain: Chain | None = None
        self._anvil: Anvil | None = None
        self._stop = threading.Event()
        self.loop = Loop("fx-chain-keeper", self._keep, self._stop, died)

    def start(self) -> None:
        """Start the embedded node if no other is named, and deploy what is missing. The chain may be down."""
        if self._tool and self._settings.chain_url is None:
            self._home_lock = try_lock(self._settings.home, SERVE_LOCK)
            self._beside = self._home_lock is None
        if self._settings.chain_url is None and not self._beside:
            require_free("127.0.0.1", self._settings.chain_port, "FX_CHAIN_PORT")
            self._anvil = Anvil(self._settings.home / "anvil", self._settings.chain_port, self._settings.chain_id)
            try:
                self._anvil.start()
            except ChainError as error:
                raise SetupError(str(error)) from error
        try:
            self()
        except Retryable as error:
            if self._tool:
                raise SetupError(self._silence(error)) from error
            log.warning("chain.down", reason=str(error)[:200])
        except Final as error:
            raise SetupError(str(error)) from error
        self.loop.start()

    def __call__(self) -> Chain:
        with self._lock:
            if self._chain is None:
                chain = Chain.connect(self._url, self._settings.chain_id, self._rows, self._keys,
                                      set_time=self._anvil.set_time if self._anvil else None,
                                      now=lambda: int(self._clock.now().timestamp()),
                                      log_id=bytes.fromhex(self._settings.log_id), request_kwargs=_tls(self._settings),
                                      confirmations=self._settings.chain_confirmations)
                if self._anvil is not None or (self._deploy and not self._beside):
                    chain.journal.reconcile()
                if self._deploy:
                    chain.deploy()
                else:
                    chain.deployment()
                self._chain = chain
            return self._chain

    @property
    def _url(self) -> str:
        return self._settings.chain_url or f"http://127.0.0.1:{self._settings.chain_port}"

    def _silence(self, error: Retryable) -> str:
        if self._beside:
            return (f"{another(self._settings.home)}, but no chain answers at {self._url}: give this command the "
                    f"same FX_CHAIN_PORT ({error})")
        return f"the chain at {self._url}: {error}"

    def stop(self) -> None:
        self._stop.set()
        self.loop.join(5)
        if self._anvil is not None:
            with suppress(ChainError):
                self._anvil.save()
            self._anvil.stop()
        if self._home_lock is not None:
            os.close(self._home_lock)
            self._home_lock = None

    def _keep(self) -> None:
        """Notice a node that went away, and save the embedded one's state now and then."""
        saved_block, saved_at = -1, time.monotonic()
        while not self._stop.wait(CHAIN_CHECK_S):
            try:
                chain = self()
                block = chain.block_number()
                chain.journal.follow()
            except (Retryable, Unavailable):
                with self._lock:
                    self._chain = None  # connect and reconcile again: the node may come back with less than it had
                continue
            except ChainError as error:
                log.error("chain.broken", reason=str(error)[:200])
                continue
            if self._anvil is not None and block != saved_block and time.monotonic() - saved_at > CHAIN_SAVE_S:
                with suppress(ChainError):
                    self._anvil.save()
                    saved_block, saved_at = block, time.monotonic()


def _tls(settings: Settings) -> dict[str, Any]:
    """What an HTTPS request needs: the authority to trust, and our own certificate."""
    given: dict[str, Any] = {}
    if settings.chain_ca is not None:
        given["verify"] = str(settings.chain_ca)
    if settings.chain_cert is not None and settings.chain_key is not None:
        given["cert"] = (str(settings.chain_cert), str(settings.chain_key))
    return given

