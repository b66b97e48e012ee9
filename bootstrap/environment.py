"""The settings of a process, read from its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from bootstrap.production import findings, given_to, variable
from bootstrap.settings import Production, Sandbox, Settings, SetupError
from chain.cosigning import Witnesses, read_witnesses
from chain.notes import Malformed
from eventstore.access import ROLES

OTHER_VARIABLES = frozenset({"FX_PROFILE", "FX_ONESHOT", "FX_LOG_LEVEL", "FX_ANVIL_BIN", "FX_API_KEY",
                             *(variable(f"{role.removeprefix('fx_')}_password") for role in ROLES)})
OTHER_PREFIXES = ("FX_TEST_", "FX_IMAGE")
PROFILES: dict[str, type[Sandbox] | type[Production]] = {"sandbox": Sandbox, "production": Production}


def profile_of(environ: Mapping[str, str]) -> type[Sandbox] | type[Production]:
    """The kind of settings FX_PROFILE asks for."""
    profile = environ.get("FX_PROFILE") or "sandbox"
    if profile not in PROFILES:
        raise SetupError(f"FX_PROFILE is {profile!r}; it is either sandbox or production")
    return PROFILES[profile]


def settings_from(environ: Mapping[str, str]) -> Sandbox | Production:
    """SetupError, in one line, names what is wrong; in production everything that is missing or weak."""
    profile = profile_of(environ)
    given = given_to(profile, environ)
    if profile is Production and (found := findings(environ)):
        told = "; ".join(f"{one.setting} {one.wrong}" for one in found)
        raise SetupError(f"not fit for production: {told} (`fx doctor --profile production` says what to do)")
    try:
        settings = msgspec.convert(given, profile, strict=False, dec_hook=lambda type_, value: type_(value))
    except msgspec.ValidationError as error:
        raise SetupError(_explained(error, given)) from None
    if settings.database_url is not None and not _is_postgresql(settings.database_url):
        raise SetupError("FX_DATABASE_URL is not a URL of PostgreSQL: it wants postgresql://user:password@host:port/name")
    _require_chain_certificates(settings)
    clock_start(settings)
    witnesses_of(settings)
    return msgspec.structs.replace(settings, home=settings.home.absolute())


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
    if not isinstance(settings, Sandbox) or settings.clock == "system":
        return None
    kind, _, start = settings.clock.partition(":")
    if kind != "sandbox":
        raise SetupError(f"FX_CLOCK is {settings.clock!r}; it is either system or sandbox:<ISO time>")
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
    """FX_* names that nothing reads: most often a misspelt setting, or one of the other profile."""
    profile = PROFILES.get(environ.get("FX_PROFILE") or "sandbox", Production)
    known = OTHER_VARIABLES | {variable(name) for name in (*profile.__struct_fields__, *Sandbox.__struct_fields__)}
    return sorted(name for name in environ
                  if name.startswith("FX_") and name not in known and not name.startswith(OTHER_PREFIXES))
