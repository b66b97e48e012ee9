"""Settings from FX_* variables, and the secrets of a home folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from chain.anchor import MAX_BATCH_ENTRIES
from chain.cosigning import Witnesses, read_witnesses
from chain.notes import Malformed
from eventstore.access import ROLES
from providers.credentials import Credentials

OTHER_VARIABLES = frozenset({"FX_ONESHOT", "FX_LOG_LEVEL", "FX_ANVIL_BIN", "FX_API_KEY",
                             *(f"{role.upper()}_PASSWORD" for role in ROLES)})
OTHER_PREFIXES = ("FX_TEST_", "FX_IMAGE")

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class SetupError(Exception):
    """One line that says what is missing and what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything configurable, from FX_* variables."""

    home: Path = Path(".fintokenx")
    profile: str = "sandbox"
    database_url: str | None = None
    chain_url: str | None = None
    chain_id: int = 31337
    chain_port: Port = 8545
    chain_confirmations: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Blocks on top of its own before a transaction counts: 0 where a block is final at once (QBFT, IBFT)."""

    anchor_entries: Annotated[int, msgspec.Meta(ge=100, le=MAX_BATCH_ENTRIES)] = 5_000
    """So many entries that wait, of all tenants, are anchored before the ten minutes are over."""

    chain_ca: Path | None = None
    chain_cert: Path | None = None
    chain_key: Path | None = None
    """PEM files for a node behind TLS: who signed its certificate, and our own certificate with its key."""

    http_host: str = "127.0.0.1"
    http_port: Port = 8000
    simulators_url: str | None = None
    simulator_port: Port = 8700
    smtp_host: str = "127.0.0.1"
    smtp_port: Port = 8725
    clock: str = "system"
    """`system`, or `sandbox:<ISO time>` for a clock that stands still until it is moved forward."""

    public_url: str = ""
    hosts: str = ""
    """Names, separated by commas, that requests may be addressed to besides the public URL's and the loopback's."""

    trusted_proxies: str = ""
    """Addresses, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    kms_url: str | None = None
    """A key management service that speaks Transit; without one, key-encryption keys lie in the home."""

    kms_key: str = "fintokenx"
    tenant: str = "tnt_fintokenx"
    witnesses: str = ""
    """`name=url vkey; …`: who countersigns the log's checkpoints (docs/witness.md)."""

    witness_quorum: int | None = None
    """How many of them a batch needs; 1 when any is named."""

    bank_sort_code: str = "040075"
    bank_account_number: str = "10000001"
    bank_account_id: str = "6f1c5d1e-4a53-4c3e-9d0e-6d1f0b7a4c11"
    """The collections account at the banking partner; the defaults are the simulated bank's."""

    own_sort_code: str = "200000"
    own_account_number: str = "70000013"
    """Where the platform's fees are swept to."""

    @property
    def http_url(self) -> str:
        """Where this machine reaches the API, also when it listens on every address."""
        host = "127.0.0.1" if self.http_host == "0.0.0.0" else self.http_host  # noqa: S104
        return f"http://{host}:{self.http_port}"

    @property
    def providers_url(self) -> str:
        return self.simulators_url or f"http://127.0.0.1:{self.simulator_port}"

    @property
    def sandbox(self) -> bool:
        return self.profile == "sandbox"


def settings_from(environ: Mapping[str, str]) -> Settings:
    given = {name: value for name in Settings.__struct_fields__ if (value := environ.get(f"FX_{name.upper()}"))}
    try:
        found = msgspec.convert(given, Settings, strict=False, dec_hook=lambda type_, value: type_(value))
    except msgspec.ValidationError as error:
        raise SetupError(_explained(error, given)) from None
    if found.profile not in ("sandbox", "production"):
        raise SetupError(f"FX_PROFILE is {found.profile!r}; it is either sandbox or production")
    if found.database_url is not None and not _is_postgresql(found.database_url):
        raise SetupError("FX_DATABASE_URL is not a URL of PostgreSQL: it wants postgresql://user:password@host:port/name")
    _require_chain_certificates(found)
    clock_start(found)
    witnesses_of(found)
    return msgspec.structs.replace(found, home=found.home.absolute())


def _require_chain_certificates(settings: Settings) -> None:
    if (settings.chain_cert is None) != (settings.chain_key is None):
        raise SetupError("FX_CHAIN_CERT and FX_CHAIN_KEY belong together: set both or neither")
    for name in ("chain_ca", "chain_cert", "chain_key"):
        if (path := getattr(settings, name)) is not None and not path.is_file():
            raise SetupError(f"FX_{name.upper()} is {str(path)!r}: there is no such file")


def _explained(error: msgspec.ValidationError, given: Mapping[str, str]) -> str:
    what, _, where = str(error).partition(" - at ")
    name = re.search(r"\$\.(\w+)", where)
    return f"FX_{name[1].upper()} is {given[name[1]]!r}: {what}" if name else f"a setting is wrong: {error}"


def _is_postgresql(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("postgresql", "postgres") and parts.port != 0
    except ValueError:
        return False


def clock_start(settings: Settings) -> datetime | None:
    """Where FX_CLOCK puts the sandbox clock; None for the system's. SetupError when it says neither."""
    if settings.clock == "system":
        return None
    kind, _, start = settings.clock.partition(":")
    if kind != "sandbox":
        raise SetupError(f"FX_CLOCK is {settings.clock!r}; it is either system or sandbox:<ISO time>")
    if not settings.sandbox:
        raise SetupError("FX_CLOCK=sandbox needs FX_PROFILE=sandbox")
    try:
        return datetime.fromisoformat(start).astimezone(UTC)
    except ValueError:
        raise SetupError(f"FX_CLOCK is {settings.clock!r}; write sandbox:2026-05-22T09:42:00+00:00") from None


def witnesses_of(settings: Settings) -> Witnesses:
    """Who countersigns, with their pinned keys. SetupError when it cannot be read or can never be reached."""
    try:
        listed = tuple(read_witnesses(settings.witnesses))
    except Malformed as error:
        raise SetupError(f"FX_WITNESSES: {error}") from None
    quorum = 1 if settings.witness_quorum is None else settings.witness_quorum
    if not 0 <= quorum <= max(1, len(listed)):
        raise SetupError(f"FX_WITNESS_QUORUM is {quorum}, and FX_WITNESSES names {len(listed)}")
    return Witnesses(listed, quorum)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """FX_* names that nothing reads: most often a misspelt setting."""
    fields = (*Settings.__struct_fields__, *Credentials.__struct_fields__)
    known = OTHER_VARIABLES | {f"FX_{name.upper()}" for name in fields}
    return sorted(name for name in environ
                  if name.startswith("FX_") and name not in known and not name.startswith(OTHER_PREFIXES))


def require_production_settings(settings: Settings, environ: Mapping[str, str]) -> None:
    """Production stands on nothing that belongs to the sandbox; SetupError names every variable that is missing."""
    if settings.sandbox:
        return
    addresses = ("database_url", "chain_url", "simulators_url")
    missing = [f"FX_{name.upper()}" for name in addresses if getattr(settings, name) is None]
    found, sandbox = Credentials.from_env(environ), Credentials()
    missing += [f"FX_{name.upper()}" for name in Credentials.__struct_fields__
                if (name != "kms_token" or settings.kms_url) and getattr(found, name) == getattr(sandbox, name)]
    if missing:
        raise SetupError(f"FX_PROFILE=production needs its own {', '.join(missing)}")


@contextmanager
def home_errors(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(f"the home {home} cannot be used: {error.strerror} (FX_HOME)") from None
