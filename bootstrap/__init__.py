"""The composition root: settings in, a running platform out. The only room that names concrete adapters."""

from bootstrap.chain_link import ChainLink
from bootstrap.embedded import require_free, require_ports, stop_embedded_database
from bootstrap.environment import settings_from, unknown_variables, witnesses_of
from bootstrap.interpreter import require_limits, restore_limits
from bootstrap.locks import DEMO_LOCK, SERVE_LOCK, another, locked, require_idle
from bootstrap.platform import (
    Platform,
    build,
    chain_link,
    choose_clock,
    known_events,
    log_signer,
    open_access,
    open_database,
    open_store,
    open_vault,
    open_with_read_models,
)
from bootstrap.production import documented, findings
from bootstrap.secrets import Secrets, kept_secrets, load_secrets, renew_secret
from bootstrap.settings import Production, Sandbox, Settings, SetupError
from bootstrap.vault import key_ring, open_archive
from eventstore import database
from providers.keys.local import FIRST as FIRST_KEK
from providers.keys.local import KeyRing

restore_limits()  # by now everything is imported that changes them

__all__ = [
    "DEMO_LOCK", "FIRST_KEK", "SERVE_LOCK", "another", "build", "chain_link", "ChainLink", "choose_clock",
    "database", "documented", "findings", "kept_secrets", "key_ring", "KeyRing", "known_events", "load_secrets",
    "locked", "log_signer", "open_access", "open_archive", "open_database", "open_store", "open_vault",
    "open_with_read_models", "Platform", "Production", "renew_secret", "require_free", "require_idle", "require_limits",
    "require_ports", "restore_limits", "Sandbox", "Secrets", "Settings", "settings_from", "SetupError",
    "stop_embedded_database", "unknown_variables", "witnesses_of",
]
