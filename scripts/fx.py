"""The `fx` command line: run, look, verify, repair. Every failure is one line and a non-zero exit."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID, uuid4

import structlog
from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import bootstrap
import migrations
from bootstrap import SetupError, settings_from
from chain.errors import ChainError
from domain.base import Context, Refusal
from domain.quarantine import RequestRelease
from eventstore.quarantine import held_streams
from eventstore.segments import read_segments
from eventstore.support import BypassUnexplained, NoSuchTenant
from eventstore.verify import CannotVerify
from projections.base import checksum, rebuild
from projections.catalogue import PROJECTIONS
from scripts.chain import chain_app
from scripts.receipt import receipt_app
from scripts.saying import words
from scripts.witness import witness_app

app = App(name="fx", help="FinToken X: run it, look into it, verify it.", version_flags=[])
projections_app = App(name="projections", help="Read models.")
staff_app = App(name="staff", help="Staff accounts.")
bundle_app = App(name="bundle", help="Evidence bundles.")
segments_app = App(name="segments", help="Anchored ranges of the log as Parquet files.")
support_app = App(name="support", help="Looking into another tenant's log, on the record.")
vault_app = App(name="vault", help="Personal data: the keys that wrap the subjects' keys.")
streams_app = App(name="streams", help="Streams of the log that a follower leaves out.")
for part in (projections_app, staff_app, chain_app, bundle_app, support_app, vault_app, segments_app, streams_app,
             witness_app, receipt_app):
    app.command(part)

out = Console()
err = Console(stderr=True)
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
EXPECTED = (SetupError, ChainError, Refusal, migrations.SchemaBehind, bootstrap.database.DatabaseUnreachable,
            bootstrap.database.Unavailable, CannotVerify, BypassUnexplained, NoSuchTenant)
"""What is said in its own words; anything else is named by its type."""


def configure_logs() -> None:
    """JSON lines on stderr; FX_LOG_LEVEL chooses how much."""
    import logging

    level = os.environ.get("FX_LOG_LEVEL") or "warning"
    if level.lower() not in LOG_LEVELS:
        raise SetupError(f"FX_LOG_LEVEL is {level!r}; it is one of {', '.join(LOG_LEVELS)}")
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level,
                    structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    logging.basicConfig(level=logging.CRITICAL)


@app.command
def serve() -> None:
    """Run the platform: API, processes, projections, anchoring; the outside is simulated in a sandbox."""
    from scripts.serve import print_addresses, served_with_witness, wait_for_signal

    settings = settings_from(os.environ)
    with served_with_witness(settings):
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
def doctor(*, profile: Literal["production"] | None = None) -> None:
    """Check what the platform stands on; exit 1 names what is wrong.

    --profile production: instead, everything that is missing or weak among the settings; nothing is started.
    """
    from scripts.doctor import examine, production

    if profile == "production":
        sys.exit(production(os.environ))
    sys.exit(examine(settings_from(os.environ)))


@app.command
def verify(*, first: Annotated[int, Parameter(name="--from")] = 1,
           last: Annotated[int | None, Parameter(name="--to")] = None, segments: Path | None = None,
           contract: str | None = None, chain_only: bool = False,
           as_json: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Check every layer of the log, its batches and their anchors; name the first bad position and what fits.

    Exit code 0: all checked and good. 1: findings (tampering, or an anchor that is missing). 2: nothing can be said (no
    database, no such range). 3: good, but something could not be checked, and it is named (no chain answers; nothing of
    the range is anchored).

    Parameters
    ----------
    segments
        Check the exported segments in this folder instead of the database.
    contract
        The published address of the anchoring contract: then our own record of it is not trusted.
    chain_only
        Leave out the bodies.
    """
    from scripts.verify import verify_log, verify_segments

    settings = settings_from(os.environ)
    try:
        if segments is not None:
            sys.exit(verify_segments(settings, segments, as_json=as_json, contract=contract))
        sys.exit(verify_log(settings, first, last, chain_only=chain_only, as_json=as_json, contract=contract))
    except Exception as error:  # noqa: BLE001 - exit code 1 means tampering, and this is none
        _fail(_words(error), 2)


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
def rebuild_projection(name: str, *, segments: Path | None = None) -> None:
    """Build a read model anew from position 0 and swap it in; `all` rebuilds every one.

    --segments DIR: what was exported is read from there, and only what follows from the database.
    """
    if name != "all" and name not in PROJECTIONS:
        raise SetupError(f"there is no read model {name!r}; there are: {', '.join(PROJECTIONS)}, all")
    settings = settings_from(os.environ)
    secrets = bootstrap.kept_secrets(settings.home)
    store, engine = bootstrap.open_with_read_models(settings, secrets)
    for chosen in (PROJECTIONS if name == "all" else [name]):
        with err.status(f"rebuilding {chosen} …") as status:
            position = rebuild(engine, store, PROJECTIONS[chosen],
                               lambda done, chosen=chosen: status.update(f"rebuilding {chosen}: entry {done}"),
                               read_segments(segments) if segments else ())
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


@streams_app.command(name="list")
def list_streams() -> None:
    """Every stream that a follower of the log leaves out, since which entry, and why."""
    settings = settings_from(os.environ)
    store = bootstrap.open_store(settings, bootstrap.kept_secrets(settings.home))
    table = Table("follower", "stream", "of", "since entry", "event", "reason")
    for (follower, stream), held in held_streams(store).items():
        table.add_row(follower, str(stream), held.resource, str(held.position), held.type, held.reason)
    store.close()
    out.print(table if table.row_count else "every stream flows")


@streams_app.command
def release(stream: str) -> None:
    """Ask the processes to try a stream again. Effects and read models do so when a version starts that can read it."""
    settings = settings_from(os.environ)
    store = bootstrap.open_store(settings, bootstrap.kept_secrets(settings.home))
    context = Context(actor="operator:cli", actor_role="operator", tenant=settings.tenant,
                      now=bootstrap.choose_clock(settings, store).now())
    asked = [follower for follower, held in held_streams(store) if str(held) == stream]
    for follower in asked:
        store.execute(RequestRelease(follower=follower, stream=UUID(stream)), context=context,
                      key=f"release:{uuid4().hex}")
    store.close()
    if not asked:
        raise SetupError(f"no follower leaves out a stream {stream!r}; `fx streams list` shows those there are")
    out.print(f"asked for: {', '.join(asked)}; `fx streams list` shows what came of it")


@staff_app.command
def enrol(*, role: str, name: str, email: str) -> None:
    """Enrol a staff member and print the API key, once."""
    from scripts.staff import enrolled

    print(enrolled(settings_from(os.environ), role, name, email))


@staff_app.command
def roll(*, role: str, email: str) -> None:
    """Print a new API key for a staff member; the old one opens nothing from now on."""
    from scripts.staff import rolled

    print(rolled(settings_from(os.environ), role, email))


@staff_app.command
def revoke(*, role: str, email: str) -> None:
    """End a staff member's access: no key of theirs opens anything, until `fx staff roll`."""
    from scripts.staff import revoked

    revoked(settings_from(os.environ), role, email)
    out.print("revoked")


@bundle_app.command
def export(target: Path, *, first: Annotated[int, Parameter(name="--from")] = 1,
           last: Annotated[int | None, Parameter(name="--to")] = None, invoice: str | None = None,
           subject: str | None = None) -> None:
    """Write an evidence bundle: a range of positions (default: everything that is anchored), an invoice or a subject.

    Another tenant's entries and restricted ones stand in a range as hashes; an invoice's or a subject's bundle holds
    the streams whose entries name it.
    """
    from scripts.evidence import export_bundle

    told = export_bundle(settings_from(os.environ), target, first, last, invoice=invoice, subject=subject)
    counts = told["counts"]
    out.print(f"wrote {target}: {counts['entries']} entries, {counts['withheld']} of them as hashes alone; "
              "unzip it and run `python verify.py .`")


@segments_app.command(name="export")
def export_segments(*, to: Path, rows: int = 100_000) -> None:
    """Write what is anchored and not in the folder yet; a segment is closed by the first batch that fills ROWS."""
    from scripts.segments import export_segments as exported

    written = 0
    for manifest in exported(settings_from(os.environ), to, rows):
        written += manifest.entries
        out.print(f"{manifest.file}: {manifest.entries} entries of {manifest.file_bytes / manifest.entries:.0f} bytes")
    if not written:
        out.print(f"nothing new is anchored that would fill a segment of {rows} entries")


@segments_app.command(name="list")
def list_segments(folder: Path) -> None:
    """The segments of a folder."""
    from eventstore.segments import Folder

    table = Table("file", "from", "to", "bodies", "batches", "sha256")
    for manifest in Folder(folder).manifests:
        table.add_row(manifest.file, str(manifest.first), str(manifest.last), str(manifest.bodies),
                      f"{manifest.batches[0].batch_id}-{manifest.batches[-1].batch_id}", manifest.file_sha256[:16])
    out.print(table)


@support_app.command(name="read")
def read_another_tenant(tenant: str, *, actor: str, reason: str, first: Annotated[int, Parameter(name="--from")] = 1,
                        last: Annotated[int, Parameter(name="--to")] = 2**53) -> None:
    """Print up to 1,000 of a tenant's entries, after an RBAC_BYPASS entry in its log says who reads them and why."""
    from scripts.support import print_entries

    count = print_entries(settings_from(os.environ), tenant, actor, reason, first, last)
    err.print(f"{count} entries read; the reading stands in the log of {tenant}")


@vault_app.command
def status() -> None:
    """How many subjects' keys stand under each key-encryption key."""
    from scripts.vault import show_status

    show_status(settings_from(os.environ), out)


@vault_app.command
def rotate() -> None:
    """Make a new key-encryption key (a KMS makes its own) and re-wrap every subject's key under the current one.

    The platform may go on running; stopped half-way, run it again.
    """
    from scripts.vault import rotate_keys

    sys.exit(rotate_keys(settings_from(os.environ), out))


@vault_app.command
def drop(kek: str) -> None:
    """Destroy a retired key-encryption key: backups of keys wrapped under it are worthless from then on."""
    from scripts.vault import drop_key

    drop_key(settings_from(os.environ), kek, out)


@vault_app.command
def reapply() -> None:
    """After a restore: destroy again the keys and documents of every subject the log says is erased."""
    from scripts.vault import reapply_erasures

    reapply_erasures(settings_from(os.environ), out)


def main() -> None:
    os.umask(0o077)  # what is made here holds keys and people's data: it is its owner's, whatever the shell said
    if unknown := bootstrap.unknown_variables(os.environ):
        _say(f"nothing reads {', '.join(unknown)}: misspelt?")
    try:
        configure_logs()
        app(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - whatever it is, a user sees one line
        _fail(_words(error))


def _words(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, (*EXPECTED, OSError)):
        return words(error)
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}".rstrip(": ")


def _fail(line: str, code: int = 1) -> None:
    if os.environ.get("FX_LOG_LEVEL", "").lower() == "debug":
        traceback.print_exc()
    _say(line)
    sys.exit(code)


def _say(line: str) -> None:
    err.print(f"[red]fx:[/red] {escape(' '.join(line.split()))}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
