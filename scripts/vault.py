"""`fx vault`: which key-encryption keys are in use, rotation, and what a restore must not bring back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from rich.console import Console
from rich.table import Table

import bootstrap
from bootstrap import FIRST_KEK, Settings, SetupError
from eventstore.vault import TOMBSTONE, KekInUse, Vault
from processes.erasure import reapply
from projections.subjects import erased_subjects


def show_status(settings: Settings, out: Console) -> None:
    with _opened(settings) as vault:
        current = vault.current()
        found = {current: 0, **vault.status()}
    table = Table("key-encryption key", "subjects", "")
    for kek, count in found.items():
        table.add_row(kek, str(count), "destroyed" if kek == TOMBSTONE else "current" if kek == current else "rotate")
    out.print(table)


def rotate_keys(settings: Settings, out: Console) -> int:
    """0, or 1 when some subject's key could not be re-wrapped; those keep the key they have."""
    with _opened(settings) as vault:
        if settings.kms_url is None:
            out.print(f"new key-encryption key {_ring(settings).add(vault.status())}")
        done = vault.rewrap_all()
        out.print(f"{done.moved} subjects' keys now stand under {vault.current()}")
    for subject in done.broken:
        out.print(f"[red]not readable[/red]: the key of {subject}")
    return 1 if done.broken else 0


def drop_key(settings: Settings, kek: str, out: Console) -> None:
    """Alone on the home: a process that runs might still wrap a new key under it."""
    bootstrap.require_idle(settings.home)
    ring = _ring(settings)
    if kek not in ring.ids():
        theirs = "" if settings.kms_url is None else "; a KMS retires its own versions"
        raise SetupError(f"there is no {kek}: the key ring holds {', '.join(ring.ids())}{theirs}")
    with _opened(settings) as vault:
        taken = vault.status()
        try:
            vault.require_unused(kek)
        except KekInUse as error:
            raise SetupError(str(error)) from None
    if kek == ring.current():  # a KMS wraps now; the file keeps a key all the same
        ring.add(taken)
    ring.drop(kek)
    if kek == FIRST_KEK:
        bootstrap.renew_secret(settings.home, "key_encryption_key")
    out.print(f"{kek} is gone; keep no copy of it, nor of the home's backups from before")


def reapply_erasures(settings: Settings, out: Console) -> None:
    """Read models first, if they were restored too: they tell who is erased."""
    secrets = bootstrap.kept_secrets(settings.home)
    store, engine = bootstrap.open_with_read_models(settings, secrets)
    with engine.connect() as connection:
        erased = erased_subjects(connection)
    store.close()
    with _opened(settings) as vault:
        back = reapply(vault, bootstrap.open_archive(settings, vault), secrets.link_secret, erased)
    out.print(f"{len(erased)} subjects are erased; {len(back)} had a key again, which is destroyed")


@contextmanager
def _opened(settings: Settings) -> Iterator[Vault]:
    with closing(bootstrap.open_vault(settings, bootstrap.kept_secrets(settings.home))) as vault:
        yield vault


def _ring(settings: Settings) -> bootstrap.KeyRing:
    return bootstrap.key_ring(settings, bootstrap.kept_secrets(settings.home))
