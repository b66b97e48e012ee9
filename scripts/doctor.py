"""`fx doctor`: what the platform stands on, checked one by one."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Mapping
from datetime import date

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import bootstrap
import migrations
from bootstrap import Settings, SetupError, findings
from chain.anvil import find_binary
from domain.calendar import is_business_day
from eventstore import database
from eventstore.access import weaknesses
from processes.freshness import Freshness

console = Console()
LIBRARIES = ("eventsourcing", "psycopg", "litestar", "msgspec", "sqlalchemy", "web3", "merkletools")


def examine(settings: Settings) -> int:
    """Print a table; 0 when everything holds, 1 otherwise."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Python", lambda: sys.version.split()[0]),
        ("libraries", _libraries),
        ("home", lambda: _home(settings)),
        ("EVM node", lambda: settings.chain_url or f"embedded: {find_binary().name}"),
        ("bank holidays", _holidays),
    ]
    if (settings.home / "secrets.json").exists():  # without a home there is nothing to look into
        checks += [
            ("PostgreSQL", lambda: _database(settings)),
            ("roles and grants", lambda: _grants(settings)),
            ("support readings", lambda: _support(settings)),
            ("chain", lambda: _chain(settings)),
            ("witnesses", lambda: _witnesses(settings)),
            ("anchors", lambda: _anchors(settings)),
        ]
    table = Table("check", "", "finding")
    failed = 0
    for name, check in checks:
        try:
            table.add_row(name, "[green]ok[/green]", check())
        except Exception as problem:  # noqa: BLE001 - a finding, whatever it is
            failed += 1
            table.add_row(name, "[red]no[/red]", escape(str(problem)))
    console.print(table)
    return 1 if failed else 0


def production(environ: Mapping[str, str]) -> int:
    """Print everything that is missing or weak before a start in production; 1 while there is any."""
    found = findings(environ)
    table = Table("setting", "what is wrong", "what belongs there")
    for one in found:
        table.add_row(one.setting, f"[red]{escape(one.wrong)}[/red]", escape(one.remedy))
    console.print(table if found else "nothing is missing: these settings are fit for production")
    return 1 if found else 0


def _witnesses(settings: Settings) -> str:
    witnesses = bootstrap.witnesses_of(settings)
    log = bootstrap.log_signer(settings, bootstrap.kept_secrets(settings.home)).verifier()
    seen = {witness.name: witness.last_seen(log) for witness in witnesses.listed}
    told = ", ".join(f"{name}: batch {tip.batch_id}" if tip else f"{name}: nothing yet" for name, tip in seen.items())
    return told or "none is named (FX_WITNESSES): nobody outside remembers this log"


def _home(settings: Settings) -> str:
    bootstrap.kept_secrets(settings.home)
    mode = (settings.home / "secrets.json").stat().st_mode & 0o777
    if mode & 0o077:
        raise SetupError(f"{settings.home / 'secrets.json'} can be read by others: chmod 600 it")
    return f"{settings.home}, secrets readable by their owner only"


def _libraries() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)


def _database(settings: Settings) -> str:
    url = bootstrap.open_database(settings, bootstrap.kept_secrets(settings.home), migrate=False)
    return f"{'external' if settings.database_url else 'embedded'} {database.probe(url)}, schema {migrations.head()}"


def _grants(settings: Settings) -> str:
    if wrong := weaknesses(bootstrap.open_access(settings, bootstrap.kept_secrets(settings.home))):
        raise SetupError("; ".join(wrong))
    return "our logins append and read, each its own tenant's rows; none can change the log"


def _support(settings: Settings) -> str:
    store = bootstrap.open_store(settings, bootstrap.kept_secrets(settings.home))
    try:
        undone = store.bypasses_undone()
    finally:
        store.close()
    if undone:
        raise SetupError(f"support began readings that no log holds: numbers {', '.join(map(str, undone))}")
    return "every support reading stands in the log of the tenant that was read"


def _chain(settings: Settings) -> str:
    store = bootstrap.open_store(settings, bootstrap.kept_secrets(settings.home))
    link = bootstrap.chain_link(settings, store)
    try:
        link.start()
        chain = link()
        findings = chain.examine(int(bootstrap.choose_clock(settings, store).now().timestamp()))
        if findings:
            raise SetupError("; ".join(f"{finding.what}: {finding.remedy}" for finding in findings))
        return f"id {chain.chain_id}, {len(chain.deployment().addresses)} contracts, {chain.batch_count()} batches"
    finally:
        link.stop()
        store.close()


def _anchors(settings: Settings) -> str:
    store = bootstrap.open_store(settings, bootstrap.kept_secrets(settings.home))
    try:
        lag = Freshness(store, bootstrap.choose_clock(settings, store)).lag()
    finally:
        store.close()
    if lag.stale:
        raise SetupError(f"entry {lag.position} is {lag.age} old and not anchored: no money moves (is the platform "
                         "running, and its chain?)")
    return f"up to entry {lag.anchored_to}; the oldest after it is {lag.age} old" if lag.position else "up to date"


def _holidays() -> str:
    if is_business_day(date(2026, 5, 25)):
        raise SetupError("the holiday calendar does not know 25 May 2026")
    return "England & Wales"
