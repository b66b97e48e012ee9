"""The composition root: settings in, a running platform out. The only room that names concrete adapters."""

from bootstrap.chain_link import ChainLink
from bootstrap.embedded import require_free, require_ports, stop_embedded_database
from bootstrap.locks import DEMO_LOCK, SERVE_LOCK, another, locked, require_idle
from bootstrap.platform import (
    Platform,
    build,
    chain_link,
    choose_clock,
    known_events,
    open_database,
    open_store,
    open_with_read_models,
)
from bootstrap.settings import (
    Secrets,
    Settings,
    SetupError,
    kept_secrets,
    load_secrets,
    settings_from,
    unknown_variables,
)
from eventstore import database

__all__ = [
    "DEMO_LOCK", "SERVE_LOCK", "ChainLink", "Platform", "Secrets", "Settings", "SetupError", "another", "build",
    "chain_link", "choose_clock", "database", "kept_secrets", "known_events", "load_secrets", "locked",
    "open_database", "open_store", "open_with_read_models", "require_free", "require_idle", "require_ports",
    "settings_from", "stop_embedded_database", "unknown_variables",
]
