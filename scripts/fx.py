"""The `fx` command line: run, look, verify, repair. Every failure is one line and a non-zero exit."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import structlog
from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import bootstrap
import migrations
from api.session import api_key
from bootstrap import SetupError, settings_from
from chain.errors import ChainError
from domain.base import Context, Refusal
from domain.party import STAFF_ROLES
from domain.subject import EnrolStaff
from eventstore.vault import Vault
from projections.base import checksum, rebuild
from projections.catalogue import PROJECTIONS

app = App(name="fx", help="FinToken X: run it, look into it, verify it.", version_flags=[])
projections_app = App(name="projections", help="Read models.")
staff_app = App(name="staff", help="Staff accounts.")
chain_app = App(name="chain", help="The contracts and the chain.")
bundle_app = App(name="bundle", help="Evidence bundles.")
for part in (projections_app, staff_app, chain_app, bundle_app):
    app.command(part)

out = Console()
err = Console(stderr=True)
EXPECTED = (SetupError, ChainError, Refusal, migrations.SchemaBehind, bootstrap.database.DatabaseUnreachable,
            bootstrap.database.Unavailable)
"""What is said in its own words; anything else is named by its type."""


def configure_logs() -> None:
    """JSON lines on stderr; FX_LOG_LEVEL chooses how much."""
    import logging

    level = getattr(logging, os.environ.get("FX_LOG_LEVEL", "warning").upper(), logging.WARNING)
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True),
                    structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    logging.basicConfig(level=logging.CRITICAL)


@app.command
def serve() -> None:
    """Run the platform: API, processes, projections, anchoring; the outside is simulated in a sandbox."""
    from scripts.serve import print_addresses, served, wait_for_signal

    settings = settings_from(os.environ)
    with served(settings):
        err.print("[bold]FinToken X is running[/bold] (Ctrl-C stops it)")
        print_addresses(settings)
        wait_for_signal()
    if os.getpid() == 1:  # a container ends with us: leave its database shut down, not killed
        bootstrap.stop_embedded_database(settings.home)


@app.command
def demo() -> None:
    """Play the story of invoice FX-INV-23A4F over HTTP, verify the evidence, then keep serving on a terminal."""
    from scripts.demo import run_demo

    sys.exit(run_demo(settings_from(os.environ)))


@app.command
def stop() -> None:
    """Stop the embedded PostgreSQL of this home (it outlives `fx serve` so that restarts are quick)."""
    settings = settings_from(os.environ)
    stopped = [home for home in (settings.home, settings.home / "demo") if bootstrap.stop_embedded_database(home)]
    out.print(f"stopped {len(stopped)} embedded database(s)")


@app.command
def migrate() -> None:
    """Bring the database's schema to this version."""
    settings = settings_from(os.environ)
    secrets = bootstrap.load_secrets(settings.home)
    bootstrap.open_database(settings, secrets, migrate=True)
    out.print(f"schema is at {migrations.head()}")


@app.command
def doctor() -> None:
    """Check what the platform stands on; exit 1 names what is wrong."""
    from scripts.doctor import examine

    sys.exit(examine(settings_from(os.environ)))


@app.command
def verify() -> None:
    """Recompute every entry's hash and link; exit 1 names the first bad position."""
    from scripts.verify import verify_log

    sys.exit(verify_log(settings_from(os.environ)))


@app.command
def bench(name: str | None = None) -> None:
    """Measure, print a table, and write build/bench/NAME.json; without a name, every bench."""
    from scripts.bench import run_benches

    run_benches(name)


@app.command(name="replay-advice")
def replay_advice(file_number: str) -> None:
    """Compute the agent's proposal on a case again, from the events of its time; exit 1 names what differs."""
    from projections.mlro_queue import by_file
    from scripts.replay import replay_advice as replay

    settings = settings_from(os.environ)
    secrets = bootstrap.kept_secrets(settings.home)
    store, engine = bootstrap.open_with_read_models(settings, secrets)
    with engine.connect() as connection:
        case = by_file(connection, file_number)
    if case is None:
        raise SetupError(f"there is no case {file_number!r}")
    found = replay(store, engine, case["subject"], file_number)
    store.close()
    out.print(f"entry {found.position}: {found.proposal.verdict}, {found.proposal.grade}, score {found.proposal.score}")
    out.print(f"record {found.proposal.record_sha256}")
    for mismatch in found.mismatches:
        out.print(f"[red]{mismatch.layer}[/red] {mismatch.field}: recorded {mismatch.stored}, now {mismatch.computed}")
    out.print("replayed to the same hash" if not found.mismatches else "the replay differs")
    sys.exit(1 if found.mismatches else 0)


@projections_app.command(name="rebuild")
def rebuild_projection(name: str) -> None:
    """Build a read model anew from position 0 and swap it in; `all` rebuilds every one."""
    if name != "all" and name not in PROJECTIONS:
        raise SetupError(f"there is no read model {name!r}; there are: {', '.join(PROJECTIONS)}, all")
    settings = settings_from(os.environ)
    secrets = bootstrap.kept_secrets(settings.home)
    store, engine = bootstrap.open_with_read_models(settings, secrets)
    for chosen in (PROJECTIONS if name == "all" else [name]):
        with err.status(f"rebuilding {chosen} …") as status:
            position = rebuild(engine, store, PROJECTIONS[chosen],
                               lambda done, chosen=chosen: status.update(f"rebuilding {chosen}: entry {done}"))
        with engine.connect() as connection:
            out.print(f"{chosen}: rebuilt to position {position}, checksum "
                      f"{checksum(connection, PROJECTIONS[chosen])[:16]}")
    store.close()


@projections_app.command(name="list")
def list_projections() -> None:
    """Every read model, how far it is, and its checksum."""
    settings = settings_from(os.environ)
    secrets = bootstrap.kept_secrets(settings.home)
    store, engine = bootstrap.open_with_read_models(settings, secrets)
    table = Table("read model", "position", "of", "checksum")
    from projections.base import position_of

    with engine.connect() as connection:
        for name, projection in PROJECTIONS.items():
            table.add_row(name, str(position_of(connection, name)), str(store.head()),
                          checksum(connection, projection)[:16])
    out.print(table)
    store.close()


@staff_app.command
def enrol(*, role: str, name: str, email: str) -> None:
    """Enrol a staff member (idempotent by e-mail) and print the API key."""
    import hashlib

    if role not in STAFF_ROLES:
        raise SetupError(f"role is one of {', '.join(STAFF_ROLES)}")
    settings = settings_from(os.environ)
    secrets = bootstrap.load_secrets(settings.home)
    store = bootstrap.open_store(settings, secrets)
    vault = Vault(store.datastore, secrets.key_encryption_key, settings.tenant)
    subject = "stf_" + hashlib.sha256(f"{role}:{email.lower()}".encode()).hexdigest()[:16]
    context = Context(actor="operator:cli", actor_role="operator", tenant=settings.tenant,
                      now=bootstrap.choose_clock(settings, store).now())
    outcome = store.execute(EnrolStaff(subject=subject, role=role, representative=vault.seal(subject, name),
                                       email=vault.seal(subject, email)), context=context, key=f"enrol:{subject}")
    store.close()
    if outcome.replayed:
        err.print("already enrolled; the name on record stays")
    print(api_key(secrets.api_key_pepper, subject, sandbox=settings.sandbox))


@chain_app.command
def deploy() -> None:
    """Deploy the contracts that are missing (idempotent) and print their addresses."""
    settings = settings_from(os.environ)
    secrets = bootstrap.load_secrets(settings.home)
    store = bootstrap.open_store(settings, secrets)
    link = bootstrap.chain_link(settings, store, deploy=True)
    try:
        link.start()
        chain = link()
        table = Table("contract", "address", title=f"chain {chain.chain_id}")
        for contract, address in chain.deployment().addresses.items():
            table.add_row(contract, address)
        out.print(table)
    finally:
        link.stop()
        store.close()


@bundle_app.command
def export(target: Path, *, first: Annotated[int, Parameter(name="--from")] = 1,
           last: Annotated[int | None, Parameter(name="--to")] = None) -> None:
    """Write an evidence bundle for a range of positions (default: everything that is anchored)."""
    from scripts.evidence import export_bundle

    path = export_bundle(settings_from(os.environ), target, first, last)
    out.print(f"wrote {path}: unzip it and run `python verify.py .`")


def main() -> None:
    configure_logs()
    if unknown := bootstrap.unknown_variables(os.environ):
        _say(f"nothing reads {', '.join(unknown)}: misspelt?")
    try:
        app(sys.argv[1:])
    except EXPECTED as error:
        _fail(str(error))
    except OSError as error:
        _fail(": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - whatever it is, a user sees one line
        first = next(iter(str(error).strip().splitlines()), "")
        _fail(f"{type(error).__name__}: {first}".rstrip(": "))


def _fail(line: str) -> None:
    if os.environ.get("FX_LOG_LEVEL", "").lower() == "debug":
        traceback.print_exc()
    _say(line)
    sys.exit(1)


def _say(line: str) -> None:
    err.print(f"[red]fx:[/red] {escape(' '.join(line.split()))}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
