"""The secrets of a home folder: made once, kept in one file that only its owner can read."""

from __future__ import annotations

import os
import secrets as random_secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from bootstrap.settings import SetupError, home_errors
from eventstore.access import PROCESS_ROLES, ROLES
from eventstore.files import private_folder, write_whole


class Secrets(msgspec.Struct, frozen=True):
    """Made once, kept in the home folder with mode 0600; in production, mounted there from a vault.

    FX_APPEND_PASSWORD, FX_READ_PASSWORD … override the login roles' passwords, for servers that set their own.
    """

    key_encryption_key: bytes
    api_key_pepper: bytes
    link_secret: bytes
    cursor_secret: bytes
    tenant_secret: bytes
    """What a database session proves its tenant with (eventstore/access.py)."""

    edge_secret: bytes
    """What idempotency keys are hashed with and positions hidden with (api/opaque.py). Never renewed."""

    log_key: bytes
    """Seed of the Ed25519 key that signs checkpoints and receipts (chain/notes.py)."""

    passwords: dict[str, str]

    def __repr__(self) -> str:
        return "Secrets(…)"


def renew_secret(home: Path, name: str) -> None:
    """Replace one secret by a fresh one: what it opened must not be opened any more."""
    path = home / "secrets.json"
    kept = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    with home_errors(home):
        write_whole(path, msgspec.json.encode({**kept, name: _fresh()[name]}))


def kept_secrets(home: Path) -> Secrets:
    """For tools that only look: SetupError where no platform ever ran."""
    if not (home / "secrets.json").exists():
        raise SetupError(f"no home at {home} yet: run `make serve`")
    return load_secrets(home)


def load_secrets(home: Path) -> Secrets:
    """The secrets of a home, made when there are none."""
    with home_errors(home):
        text = _read_or_make(home)
    try:
        kept = msgspec.json.decode(text, type=Secrets)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SetupError(f"{home / 'secrets.json'} is broken, restore it from a backup: {error}") from None
    return msgspec.structs.replace(kept, passwords={**kept.passwords, **given_passwords(os.environ)})


def given_passwords(environ: Mapping[str, str]) -> dict[str, str]:
    """Passwords of login roles that the operator brings along."""
    return {role: given for role in ROLES if (given := environ.get(f"{role.upper()}_PASSWORD"))}


def _fresh() -> dict[str, Any]:
    made = {name: random_secrets.token_bytes(32) for name in Secrets.__struct_fields__ if name != "passwords"}
    passwords = {role: random_secrets.token_urlsafe(24) for role in PROCESS_ROLES}
    return msgspec.to_builtins({**made, "passwords": passwords})


def _read_or_make(home: Path) -> bytes:
    """The file's text. A home made by an earlier version lacks some secrets: those are made now, the others stay."""
    path, fresh = private_folder(home) / "secrets.json", _fresh()
    if not path.exists():
        with suppress(FileExistsError):  # whoever comes first wins
            write_whole(path, msgspec.json.encode(fresh), replace=False)
    text = path.read_bytes()
    try:
        kept = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return text  # the caller says what is wrong with it
    passwords = {**fresh["passwords"], **kept.get("passwords", {})}
    completed = {**fresh, **kept, "passwords": {role: passwords[role] for role in PROCESS_ROLES}}
    if completed != kept:
        text = msgspec.json.encode(completed)
        write_whole(path, text)
    return text
