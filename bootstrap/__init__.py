"""The composition root: settings in, a running platform out. The only room that names concrete adapters."""

from bootstrap.chain_link import ChainLink
from bootstrap.embedded import require_free, stop_embedded_database
from bootstrap.platform import (
    Platform,
    build,
    chain_link,
    choose_clock,
    known_events,
    open_database,
    open_read_models,
    open_store,
)
from bootstrap.settings import Secrets, Settings, SetupError, load_secrets, settings_from
from eventstore import database

__all__ = [
    "ChainLink", "Platform", "Secrets", "Settings", "SetupError", "build", "chain_link", "choose_clock", "database",
    "known_events", "load_secrets", "open_database", "open_read_models", "open_store", "require_free", "settings_from",
    "stop_embedded_database",
]
