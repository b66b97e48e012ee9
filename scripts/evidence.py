"""Writing an evidence bundle from the command line: for a range, an invoice or a subject."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bootstrap
from ai.decision import versions_in_force
from bootstrap import Secrets, Settings, SetupError
from chain.client import Chain
from chain.countersigned import entries_about_batches, signatures_of
from chain.evidence import NothingToShow, Signatures
from chain.evidence import write_evidence as write
from eventstore.clock import Clock
from eventstore.store import Store
from scripts.sandbox_witness import known


def write_evidence(store: Store, chain: Chain, clock: Clock, target: Path, first: int = 1, last: int | None = None, *,
                   kind: str = "range", name: str = "", signatures: Signatures | None = None) -> dict[str, Any]:
    """Writes a bundle; returns its manifest. SetupError when there is nothing to show."""
    try:
        return write(store, chain, target, kind=kind, name=name, first=first, last=last,
                     created_at=clock.now().isoformat(),
                     versions=versions_in_force(),
                     signatures=signatures)
    except NothingToShow as why:
        raise SetupError(str(why)) from why


def signatures_known(settings: Settings, secrets: Secrets, store: Store) -> Signatures:
    """The public keys of the log and its witnesses, and what the witnesses countersigned."""
    return signatures_of(entries_about_batches(store), bootstrap.log_signer(settings, secrets),
                         bootstrap.witnesses_of(settings))


def export_bundle(settings: Settings, target: Path, first: int, last: int | None, *, invoice: str | None = None,
                  subject: str | None = None) -> dict[str, Any]:
    """For the command line: connects to the chain of a running platform, or starts the embedded one."""
    if last is not None and first > last:
        raise SetupError("give --from at most --to")
    if [invoice is None, subject is None, (first, last) == (1, None)].count(False) > 1:
        raise SetupError("a bundle is of one range, one invoice or one subject: give one of them")
    if not target.absolute().parent.is_dir():
        raise SetupError(f"there is no folder {target.absolute().parent}")
    kind = "invoice" if invoice else "subject" if subject else "range"
    secrets = bootstrap.kept_secrets(settings.home)
    store = bootstrap.open_store(settings, secrets)
    link = bootstrap.chain_link(settings, store)
    try:
        link.start()
        return write_evidence(store, link(), bootstrap.choose_clock(settings, store), target, first, last, kind=kind,
                              name=invoice or subject or "",
                              signatures=signatures_known(known(settings), secrets, store))
    finally:
        link.stop()
        store.close()
