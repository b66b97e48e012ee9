"""Everything an effect may reach: the ports, the chain, the vault and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from chain.client import Chain
from domain.base import Kind
from domain.subject import RecordAdvice
from eventstore.clock import Clock
from eventstore.store import S, Store
from eventstore.vault import Vault
from processes.freshness import Freshness
from providers.bank import Account, Bank
from providers.documents import Documents
from providers.documents.archive import Archive
from providers.email import Email
from providers.identity import Identity
from providers.payee import PayeeCheck
from providers.registers import CompanyRegister, FirmRegister
from providers.screening import Screening

Adviser = Callable[[str, int, datetime], RecordAdvice]
"""(subject id, log position to look back from, moment) -> the agent's proposal."""


@dataclass(frozen=True)
class Outside:
    store: Store
    vault: Vault
    clock: Clock
    freshness: Freshness
    chain: Callable[[], Chain]
    """The chain, connected; raises chain.errors.Retryable while it is down."""

    wallets: Callable[[str], str]
    """subject id -> the address of its custody wallet."""

    identity: Identity
    screening: Screening
    companies: CompanyRegister
    firms: FirmRegister
    payee: PayeeCheck
    bank: Bank
    email: Email
    documents: Documents
    archive: Archive
    adviser: Adviser
    platform_account: Account
    """Where the platform's own fees are swept to."""

    collections: str
    """The pooled account at the banking partner, which debtors pay into (`domain.account.account_key`)."""

    public_url: str
    """Where people open the application: the root of the links in e-mails."""

    link_secret: bytes

    def look(self, kind: Kind[S], key: str) -> S:
        return self.store.load(kind, key)
