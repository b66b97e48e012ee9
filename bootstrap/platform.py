"""The platform: every part, wired. The only file that names concrete adapters."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

import migrations
from ai import decision
from bootstrap.chain_link import ChainLink
from bootstrap.embedded import embedded_database, start_simulators
from bootstrap.environment import clock_start, witnesses_of
from bootstrap.secrets import Secrets, given_passwords, load_secrets
from bootstrap.settings import Sandbox, Settings, SetupError
from bootstrap.vault import make_vault, open_archive
from chain.checkpoint import origin_of
from chain.keys import FolderKeys
from chain.notes import Signer
from domain.account import account_key
from domain.invoice import INVOICE
from domain.platform import CLOCK
from domain.subject import SUBJECT, RecordAdvice
from eventstore import access, database
from eventstore.access import ANCHOR, PROJECT, READ, Access
from eventstore.clock import Clock, SandboxClock, SystemClock
from eventstore.follow import Feed
from eventstore.journal import JournalRows
from eventstore.loops import Loop
from eventstore.store import Store
from eventstore.vault import Vault
from processes import erasure
from processes.anchoring import Anchorer
from processes.catalogue import PROCESSES
from processes.effects import Effects
from processes.freshness import Freshness
from processes.outside import Outside
from processes.process import loop_ended
from processes.reactor import Reactor
from processes.witnessing import Witnessing
from projections import base as projections
from projections import invoices as invoice_rows
from projections import subjects
from projections.catalogue import PROJECTIONS
from projections.projector import Projector
from projections.reading import reading
from providers import errors as provider_errors
from providers.bank import Account
from providers.bank.clearbank import ClearBank
from providers.documents.pdf_text import PDFText
from providers.email.smtp import SMTPEmail
from providers.identity.sumsub import Sumsub
from providers.payee.clearbank import ClearBankPayeeCheck
from providers.registers.companies_house import CompaniesHouse
from providers.registers.fca import FCARegister
from providers.screening.complyadvantage import ComplyAdvantage

log = structlog.get_logger("platform")


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
    """The read models, for reading only."""

    projector: Projector
    reactor: Reactor
    effects: Effects
    anchorer: Anchorer
    witnessing: Witnessing
    simulators: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.chain.start()
        for worker in (self.projector, self.reactor, self.effects, self.anchorer, self.witnessing):
            worker.start()
        threading.Thread(target=self._reapply_erasures, name="fx-erasures", daemon=True).start()

    def _reapply_erasures(self) -> None:
        """A restored backup of keys or documents must not bring back who was erased."""
        while not self.projector.wait_for(self.store.head(), 30):
            log.warning("erasures.waiting_for_read_models")
        with reading(self.engine) as connection:
            erased = subjects.erased_subjects(connection)
        erasure.reapply(self.vault, self.outside.archive, self.secrets.link_secret, erased)

    @property
    def loops(self) -> list[Loop]:
        """Every thread that goes on for as long as the platform does."""
        return [self.feed.loop, self.projector.loop, self.reactor.loop, *self.effects.loops, self.anchorer.loop,
                self.witnessing.loop, self.chain.loop, *self.store.writer.loops]

    def stop(self) -> None:
        for worker in (self.witnessing, self.anchorer, self.effects, self.reactor, self.projector):
            worker.stop()
        self.feed.close()
        self.vault.close()
        self.store.close()
        self.engine.dispose()
        self.projector.engine.dispose()
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
        projections.prepare_tables(url, PROJECTIONS.values())
        access.set_passwords(url, secrets.passwords, given=given_passwords(os.environ))
        access.register(url, settings.tenant, secrets.tenant_secret)
    try:
        migrations.check(url)
    except migrations.SchemaBehind as error:
        raise SetupError(str(error)) from None
    return url


def open_access(settings: Settings, secrets: Secrets) -> Access:
    """The tenant's way into the opened database."""
    return _access(open_database(settings, secrets, migrate=False), settings, secrets)


def _access(url: str, settings: Settings, secrets: Secrets) -> Access:
    return Access(url, settings.tenant, secrets.tenant_secret, secrets.passwords)


def open_vault(settings: Settings, secrets: Secrets) -> Vault:
    """The vault alone, for command-line tools."""
    return make_vault(settings, secrets, open_access(settings, secrets))


def open_store(settings: Settings, secrets: Secrets) -> Store:
    """The event store alone: what most command-line tools need."""
    return _store(open_access(settings, secrets))


def open_with_read_models(settings: Settings, secrets: Secrets) -> tuple[Store, projections.Engine]:
    """The event store and the read models beside it, as the projector writes them, on one opened database."""
    way = open_access(settings, secrets)
    store = _store(way)
    engine = projections.open_engine(way, PROJECT)
    try:
        projections.prepare(engine, PROJECTIONS.values())
    except projections.OtherTables as error:
        store.close()
        raise SetupError(f"the read models are of another version ({error}): run `fx migrate`") from None
    return store, engine


def _store(way: Access) -> Store:
    try:
        way.check()
    except access.TenantUnproved as error:
        raise SetupError(f"{error}: restore its secrets.json, or run `fx migrate` once as the owner") from None
    except access.LoginRefused as error:
        raise SetupError(str(error)) from None
    return Store(way)


def choose_clock(settings: Settings, store: Store) -> Clock:
    """A log that has known a sandbox clock keeps it: its time only moves forward."""
    if (start := clock_start(settings)) is not None:
        return SandboxClock(store, start)
    known = store.load(CLOCK, "platform").now
    if known is not None and not settings.sandbox:
        raise SetupError("this log has known a sandbox clock, so it is a sandbox's: production begins with an empty "
                         "database (FX_DATABASE_URL)")
    return SandboxClock(store, known) if known is not None else SystemClock()


def build(settings: Settings) -> Platform:
    """Wire everything; nothing runs until `start`."""
    secrets = load_secrets(settings.home)
    store, engine = open_with_read_models(settings, secrets)
    simulators = None
    if isinstance(settings, Sandbox) and settings.simulators_url is None:
        simulators = start_simulators(settings)
    feed = Feed(store.conninfo)
    clock = choose_clock(settings, store)
    vault = make_vault(settings, secrets, store.access)
    keys = FolderKeys(settings.home / "keys")
    died = loop_ended(store, clock)
    chain = ChainLink(settings, keys, JournalRows(store.access.pool(ANCHOR)), clock, died=died)
    projector = Projector(engine, store, feed, list(PROJECTIONS.values()), clock, died)
    outside = _outside(settings, secrets, store, vault, clock, chain, keys, projector)
    return Platform(
        settings=settings, secrets=secrets, store=store, feed=feed, clock=clock, vault=vault, outside=outside,
        chain=chain, engine=projections.open_engine(store.access, READ), projector=projector,
        reactor=Reactor(store, feed, clock, PROCESSES),
        effects=Effects(store, feed, clock, PROCESSES, outside),
        anchorer=Anchorer(outside, feed, settings.anchor_entries),
        witnessing=Witnessing(outside, feed, log_signer(settings, secrets), witnesses_of(settings)),
        simulators=simulators)


def log_signer(settings: Settings, secrets: Secrets) -> Signer:
    """The log's own key, which signs checkpoints and receipts; its name is the log's origin."""
    return Signer(origin_of(settings.tenant, bytes.fromhex(settings.log_id)), secrets.log_key)


def chain_link(settings: Settings, store: Store, *, deploy: bool = False) -> ChainLink:
    """The chain alone: what command-line tools need, also beside a running platform."""
    return ChainLink(settings, FolderKeys(settings.home / "keys"), JournalRows(store.access.pool(ANCHOR)),
                     choose_clock(settings, store), tool=True, deploy=deploy)


def _outside(settings: Settings, secrets: Secrets, store: Store, vault: Vault, clock: Clock, chain: ChainLink,
             keys: FolderKeys, projector: Projector) -> Outside:
    vendor, credentials = settings.vendor, settings.credentials
    return Outside(
        store=store, vault=vault, clock=clock, freshness=Freshness(store, clock), chain=chain,
        wallets=keys.custody_address,
        identity=Sumsub(vendor("identity"), credentials.sumsub_app_token, credentials.sumsub_secret),
        screening=ComplyAdvantage(vendor("screening"), credentials.complyadvantage_key),
        companies=CompaniesHouse(vendor("companies_house"), credentials.companies_house_key),
        firms=FCARegister(vendor("fca"), credentials.fca_email, credentials.fca_key),
        payee=ClearBankPayeeCheck(vendor("payee"), credentials.payee_token, credentials.payee_secret),
        bank=ClearBank(vendor("bank"), credentials.clearbank_token, credentials.clearbank_secret,
                       account_id=settings.bank_account_id, sort_code=settings.bank_sort_code,
                       account_number=settings.bank_account_number),
        email=SMTPEmail(settings.smtp_host, settings.smtp_port, security=settings.smtp_security,
                        username=settings.smtp_username, password=settings.smtp_password), documents=PDFText(),
        archive=open_archive(settings, vault),
        adviser=_adviser(store, projector),
        platform_account=Account("FinToken X Ltd", settings.own_sort_code, settings.own_account_number),
        collections=account_key(settings.bank_sort_code, settings.bank_account_number),
        public_url=settings.public_url or settings.http_url, link_secret=secrets.link_secret)


def _adviser(store: Store, projector: Projector) -> Callable[[str, int, datetime], RecordAdvice]:
    """The agent, given a subject's own events and those of the invoices it sold, up to a position."""

    def advise(subject: str, position: int, now: datetime) -> RecordAdvice:
        events = known_events(store, projector.engine, projector.lowest, subject, position)
        return decision.propose(events, as_of=now, surface="gate3").as_advice(subject)

    return advise


def known_events(store: Store, engine: projections.Engine, reached: Callable[[], int], subject: str,
                 upto: int) -> list[decision.Entry]:
    """(position, at, event) of one subject's stream and of all the invoices it sold, up to a log position."""
    if reached() < upto:
        raise provider_errors.Retryable("read_models_behind", retry_after_s=0.05)
    with reading(engine) as connection:
        references = invoice_rows.sold_by(connection, subject)
    streams = [store.history(SUBJECT, subject), *(store.history(INVOICE, reference) for reference in references)]
    entries = [entry for stream in streams for entry in stream]
    return [(entry.position, entry.at, entry.event) for entry in entries if entry.position <= upto]
