"""Settings from FX_* variables, and the secrets of a home folder."""

from __future__ import annotations

import os
import secrets as random_secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

ROLE_APP, ROLE_PROJECTOR = "fx_app", "fx_projector"


class SetupError(Exception):
    """One line that says what is missing and what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything configurable, from FX_* variables."""

    home: Path = Path(".fintokenx")
    profile: str = "sandbox"
    database_url: str | None = None
    chain_url: str | None = None
    chain_id: int = 31337
    chain_port: int = 8545
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    simulators_url: str | None = None
    simulator_port: int = 8700
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 8725
    clock: str = "system"
    """`system`, or `sandbox:<ISO time>` for a clock that stands still until it is moved forward."""

    public_url: str = ""
    tenant: str = "tnt_fintokenx"
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
        raise SetupError(f"a setting is wrong: {error} (settings are FX_… variables)") from None
    if found.profile not in ("sandbox", "production"):
        raise SetupError(f"FX_PROFILE is {found.profile!r}; it is either sandbox or production")
    return msgspec.structs.replace(found, home=found.home.absolute())


class Secrets(msgspec.Struct, frozen=True):
    """Made once, kept in the home folder with mode 0600; in production, mounted there from a vault.

    FX_APP_PASSWORD and FX_PROJECTOR_PASSWORD override the login roles' passwords, for servers that set their own.
    """

    key_encryption_key: bytes
    archive_key: bytes
    api_key_pepper: bytes
    link_secret: bytes
    cursor_secret: bytes
    passwords: dict[str, str]

    def __repr__(self) -> str:
        return "Secrets(…)"


def load_secrets(home: Path) -> Secrets:
    path = home / "secrets.json"
    if not path.exists():
        made = Secrets(*(random_secrets.token_bytes(32) for _ in range(5)),
                       passwords={role: random_secrets.token_urlsafe(24) for role in (ROLE_APP, ROLE_PROJECTOR)})
        home.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(made))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # whoever comes first wins; nobody overwrites keys
            os.link(draft, path)
        draft.unlink()
    kept = msgspec.json.decode(path.read_bytes(), type=Secrets)
    given = {role: os.environ.get(f"{role.upper()}_PASSWORD") for role in kept.passwords}
    return msgspec.structs.replace(kept, passwords={role: given[role] or own for role, own in kept.passwords.items()})
