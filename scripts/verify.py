"""`fx verify`: the whole log or exported segments, layer by layer, with the first bad position named."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

import bootstrap
from bootstrap import Secrets, Settings, SetupError
from chain.audit import Audit, Batches, Listed, OnChain, facts
from chain.client import AnchoredBatch
from chain.countersigned import Countersigned, entries_about_batches
from chain.errors import ChainError
from eventstore.access import ANCHOR, READ
from eventstore.clock import SystemClock
from eventstore.segments import Folder, SegmentBatch
from eventstore.store import Store
from eventstore.tampering import Finding
from eventstore.verify import CannotVerify, Log, Report, Source, Watcher, available_cores, verify
from scripts.sandbox_witness import known

DUE_S = 3600
NO_WITNESS = "witnesses: no countersignature was looked at (none is named in FX_WITNESSES, or bodies were left out)"
"""The hard cap on the age of an entry that is not anchored (ai/policy and the audit-log freeze use the same hour)."""

WORKERS_FROM = 50_000
"""Starting a process costs a fifth of a second of a core; below this it is not won back."""

SANDBOX = ("anchors: whether they are late: this sandbox moves its own clock, so an entry's age says nothing about "
           "anchoring")

Progressed = Callable[[int], None]
out = Console()
err = Console(stderr=True)


def verify_log(settings: Settings, first: int, last: int | None, *, chain_only: bool = False, as_json: bool = False,
               contract: str | None = None) -> int:
    """The log in the database, against the chain where one answers; returns the exit code."""
    secrets = bootstrap.kept_secrets(settings.home)
    store = bootstrap.open_store(settings, secrets)
    countersigned = None if chain_only else _countersigned(known(settings), secrets, store)
    on_real_time = isinstance(bootstrap.choose_clock(settings, store), SystemClock)
    due_us = int((time.time() - DUE_S) * 1e6) if on_real_time else None
    try:
        with _batches(settings, store, contract) as (batches, why_not), store.access.connect(ANCHOR) as chain:
            head = store.links.head()
            many = Log(chain).count(first, head if last is None else last, WORKERS_FROM) == WORKERS_FROM
            log = Log(chain, None if chain_only else partial(store.access.connect, READ),
                      workers=available_cores() if many else 0)
            audit = Audit(log, batches, why_not=why_not, due_us=due_us)
            report = _run(log, first, last, head, [audit, *((countersigned,) if countersigned else ())])
            report.notes += countersigned.notes if countersigned else (NO_WITNESS,)
            if not on_real_time:
                report.notes.append(SANDBOX)
            return _tell(report, as_json)
    finally:
        store.close()


def verify_segments(settings: Settings, path: Path, *, as_json: bool = False, contract: str | None = None) -> int:
    """Exported segments, without a database; against the chain where its URL and the contract are named."""
    folder = Folder(path)
    if not folder.manifests:
        raise CannotVerify(f"there are no segments in {path}")
    listed = [_listed(batch) for batch in folder.batches]
    batches: Batches = Listed(listed)
    why_not = "name the chain (FX_CHAIN_URL) and --contract"
    if contract is not None:
        try:
            batches = _published(settings, contract)
            folder.findings += _not_in_the_contract(batches, listed)
        except ChainError as error:
            why_not = str(error)
    low, head = folder.bounds()
    return _tell(_run(folder, low, head, head, [Audit(folder, batches, why_not=why_not, whole=False), folder]), as_json)


def _countersigned(settings: Settings, secrets: Secrets, store: Store) -> Countersigned | None:
    """What checks the witnesses' signatures; None where no witness is configured."""
    witnesses = bootstrap.witnesses_of(settings)
    if not witnesses.listed:
        return None
    return Countersigned(entries_about_batches(store), bootstrap.log_signer(settings, secrets).verifier(), witnesses)


@contextmanager
def _batches(settings: Settings, store: Store, contract: str | None) -> Iterator[tuple[Batches | None, str]]:
    """The chain's batches, or None and why nobody can say."""
    if contract is not None:
        try:
            yield _published(settings, contract), ""
        except ChainError as error:
            yield None, str(error)
        return
    link = bootstrap.chain_link(settings, store)
    try:
        try:
            link.start()
            found: tuple[Batches | None, str] = OnChain.of(link()), ""
        except (SetupError, ChainError) as error:
            found = None, str(error)
        yield found
    finally:
        link.stop()


def _published(settings: Settings, contract: str) -> OnChain:
    return OnChain.at(settings.chain_url or f"http://127.0.0.1:{settings.chain_port}", settings.chain_id, contract,
                      bytes.fromhex(settings.log_id))


def _not_in_the_contract(batches: Batches, listed: list[AnchoredBatch]) -> list[Finding]:
    return [Finding(ours.from_position, "manifest_changed", f"batch {ours.batch_id} is not the contract's")
            for ours in listed if ours.batch_id > batches.count or facts(batches.batch(ours.batch_id)) != facts(ours)]


def _listed(batch: SegmentBatch) -> AnchoredBatch:
    return AnchoredBatch(batch.batch_id, batch.from_position, batch.to_position, bytes.fromhex(batch.root),
                         bytes.fromhex(batch.head), 0)


def _run(source: Source, first: int, last: int | None, head: int, watchers: list[Watcher]) -> Report:
    with _bar((head if last is None else last) - first + 1) as progressed:
        return verify(source, first=first, last=last, watchers=watchers,
                      progress=lambda position: progressed(position - first + 1))


@contextmanager
def _bar(total: int) -> Iterator[Progressed]:
    """A progress bar on stderr; nothing where that is no terminal."""
    with Progress("verifying", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err, transient=True,
                  disable=not err.is_terminal) as progress:
        task = progress.add_task("verifying", total=total)
        yield lambda done: progress.update(task, completed=done)


# ------------------------------------------------------------ saying it

def _tell(report: Report, as_json: bool) -> int:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(as_plain(report)), indent=2).decode())
        return report.exit_code
    for layer, verdict in report.layers.items():
        colour = {"good": "green", "bad": "red"}.get(verdict, "yellow")
        count = f" ({report.faults[layer]} found)" if layer in report.faults else ""
        out.print(f"{layer:9} [{colour}]{verdict}[/{colour}]{count}")
    if (bad := report.first_bad) is not None:
        out.print(f"[red]entry {bad.position}: {bad.kind}[/red]: {escape(bad.fits)}", soft_wrap=True)
    for sentence in (*report.unchecked, *report.notes):
        out.print(f"[yellow]not checked[/yellow] {escape(sentence)}", soft_wrap=True)
    if report.unknown_topics:
        out.print(f"events of a newer version: {', '.join(report.unknown_topics)}", soft_wrap=True)
    withheld = f", {report.withheld} of other tenants without their bodies" if report.withheld else ""
    out.print(f"{report.entries} entries{withheld}, {_speed(report):,}/s", highlight=False)
    return report.exit_code


def _speed(report: Report) -> int:
    return round(report.entries / max(report.seconds, 1e-9))


def as_plain(report: Report) -> dict[str, Any]:
    """The report as JSON has it."""
    bad = report.first_bad
    return {"exit_code": report.exit_code, "from": report.first, "to": report.last, "entries": report.entries,
            "bodies": report.bodies, "withheld": report.withheld, "first_bad": bad, "layers": report.layers,
            "faults": report.faults, "findings": report.findings, "not_checked": [*report.unchecked, *report.notes],
            "unknown_topics": report.unknown_topics, "seconds": round(report.seconds, 3),
            "entries_per_s": _speed(report)}
