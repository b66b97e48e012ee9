"""The connection to the chain, as the platform holds it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import structlog

from bootstrap.embedded import require_free
from bootstrap.settings import Settings, SetupError
from chain.anvil import Anvil
from chain.client import Chain
from chain.errors import ChainError, Final, Retryable
from chain.keys import FolderKeys
from eventstore.clock import Clock
from eventstore.journal import JournalRows

log = structlog.get_logger("chain_link")

CHAIN_CHECK_S = 1.0
CHAIN_SAVE_S = 5.0


class ChainLink:
    """The connection to the node: made when first needed, checked, and mended when the node comes back."""

    def __init__(self, settings: Settings, keys: FolderKeys, rows: JournalRows, clock: Clock):
        self._settings, self._keys, self._rows, self._clock = settings, keys, rows, clock
        self._lock = threading.Lock()
        self._chain: Chain | None = None
        self._anvil: Anvil | None = None
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="fx-chain-keeper", daemon=True)

    def start(self) -> None:
        """Start the embedded node if no other is named, and deploy what is missing. The chain may be down."""
        if self._settings.chain_url is None:
            require_free("127.0.0.1", self._settings.chain_port, "FX_CHAIN_PORT")
            self._anvil = Anvil(self._settings.home / "anvil", self._settings.chain_port, self._settings.chain_id)
            try:
                self._anvil.start()
            except ChainError as error:
                raise SetupError(str(error)) from error
        try:
            self()
        except Retryable as error:
            log.warning("chain.down", reason=str(error)[:200])
        except Final as error:
            raise SetupError(str(error)) from error
        self._keeper.start()

    def __call__(self) -> Chain:
        with self._lock:
            if self._chain is None:
                url = self._settings.chain_url or (self._anvil.url if self._anvil else "")
                chain = Chain.connect(url, self._settings.chain_id, self._rows, self._keys,
                                      set_time=self._anvil.set_time if self._anvil else None,
                                      now=lambda: int(self._clock.now().timestamp()))
                chain.journal.reconcile()
                chain.deploy()
                self._chain = chain
            return self._chain

    def stop(self) -> None:
        self._stop.set()
        if self._keeper.is_alive():
            self._keeper.join(timeout=5)
        if self._anvil is not None:
            with suppress(ChainError):
                self._anvil.save()
            self._anvil.stop()

    def _keep(self) -> None:
        """Notice a node that went away, and save the embedded one's state now and then."""
        saved_block, saved_at = -1, time.monotonic()
        while not self._stop.wait(CHAIN_CHECK_S):
            try:
                block = self().block_number()
            except Retryable:
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
