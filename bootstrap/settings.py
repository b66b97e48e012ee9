"""Settings, from FX_* variables: `Sandbox` has a default for everything, `Production` for nothing that matters.

The line under each field is its documentation: README's table and `fx doctor --profile production` show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from bootstrap import rules
from chain.anchor import MAX_BATCH_ENTRIES
from chain.deployment import DEFAULT_LOG_ID
from providers.credentials import Credentials

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Vendor = Literal["identity", "screening", "companies_house", "fca", "payee", "bank"]
SIMULATED = Credentials()


class SetupError(Exception):
    """One line that says what is missing and what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What means the same in both profiles. One of its two kinds is what a platform is given: Sandbox or Production."""

    home: Path
    database_url: str | None
    chain_url: str | None
    chain_id: int
    log_id: str
    public_url: str
    kms_url: str | None
    smtp_host: str
    smtp_port: Port
    smtp_security: Literal["none", "starttls", "tls"]
    smtp_username: str
    smtp_password: str
    witnesses: str
    witness_quorum: int | None
    bank_sort_code: str
    bank_account_number: str
    bank_account_id: str
    own_sort_code: str
    own_account_number: str

    tenant: Annotated[str, rules.tenant] = "tnt_fintokenx"
    """Whose platform this is; tenants share a database and its log and see nothing of each other."""

    http_host: str = "127.0.0.1"
    """Where the API listens."""

    http_port: Port = 8000
    """Where the API listens."""

    hosts: Annotated[str, rules.host_names] = ""
    """Names, separated by commas, that requests may be addressed to besides the public URL's and the loopback's."""

    trusted_proxies: Annotated[str, rules.proxies] = ""
    """Addresses, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    chain_port: Port = 8545
    """Port of the embedded node, which runs where no other is named."""

    chain_confirmations: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Blocks on top of its own before a transaction counts; 0 where a block is final at once, as with QBFT."""

    anchor_entries: Annotated[int, msgspec.Meta(ge=100, le=MAX_BATCH_ENTRIES)] = 5_000
    """So many waiting entries, of all tenants, are anchored before the ten minutes are over."""

    chain_ca: Path | None = None
    """PEM file: who signed the certificate of a node behind TLS."""

    chain_cert: Path | None = None
    """PEM file: our own certificate, for a node that asks for one."""

    chain_key: Path | None = None
    """PEM file: the key of our own certificate."""

    kms_key: str = "fintokenx"
    """Name of the key at the key management service."""

    @property
    def http_url(self) -> str:
        """Where this machine reaches the API, also when it listens on every address."""
        host = "127.0.0.1" if self.http_host == "0.0.0.0" else self.http_host  # noqa: S104
        return f"http://{host}:{self.http_port}"

    @property
    def sandbox(self) -> bool:
        return isinstance(self, Sandbox)

    @property
    def credentials(self) -> Credentials:
        """What the vendors' adapters authenticate with."""
        return Credentials(**{name: getattr(self, name) for name in Credentials.__struct_fields__})

    @property
    def providers_url(self) -> str:
        """The simulated outside world."""
        raise SetupError("this plays against simulated providers: run it with FX_PROFILE=sandbox")

    def vendor(self, vendor: Vendor) -> str:
        """The address of a vendor's API."""
        return getattr(self, f"{vendor}_url")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.home})"  # the others hold passwords


class Sandbox(Settings, frozen=True, kw_only=True):
    """Everything has a default, and everything outside is simulated."""

    home: Path = Path(".fintokenx")
    """Data, keys and secrets, for their owner alone; delete it to start over."""

    database_url: str | None = None
    """Owner's URL of any PostgreSQL from 15 on (superuser, or CREATEROLE); run `fx migrate` once for each tenant.
    Without it: the embedded PostgreSQL 18."""

    chain_url: str | None = None
    """JSON-RPC of any EVM chain. Without it: the embedded Anvil."""

    chain_id: int = 31337
    """The chain's number."""

    log_id: str = DEFAULT_LOG_ID.hex()
    """32 bytes in hex that tell this log from every other; they stand in the anchoring contract and in checkpoints."""

    simulators_url: str | None = None
    """Simulated providers at another address. Without it: started as a child."""

    simulator_port: Port = 8700
    """Port of the simulated providers."""

    smtp_host: str = "127.0.0.1"
    """The mail server."""

    smtp_port: Port = 8725
    """The mail server's port, and the simulated one's."""

    smtp_security: Literal["none", "starttls", "tls"] = "none"
    """How mail is encrypted on its way to the server: `starttls` or `tls`."""

    smtp_username: str = ""
    """The login at the mail server."""

    smtp_password: str = ""
    """The login's password."""

    clock: str = "system"
    """`sandbox:2026-05-22T09:42:00Z`: a clock that stands still until `POST /v1/sandbox/clock/advance`."""

    public_url: str = ""
    """Where people open the application: the root of the links in mails. Without it: where the API listens."""

    kms_url: str | None = None
    """A key management service that speaks Transit (HashiCorp Vault, OpenBao) wraps the subjects' keys.
    Without it: a key ring in the home."""

    witnesses: str = ""
    """`name=url vkey; …`: who countersigns the log's checkpoints. Without it: a witness of the sandbox's own."""

    witness_quorum: int | None = None
    """How many of them a batch needs to be more than provisional; 0: none. Without it: 1."""

    bank_sort_code: str = "040075"
    """The collections account at the banking partner, which debtors pay into."""

    bank_account_number: str = "10000001"
    """The collections account at the banking partner."""

    bank_account_id: str = "6f1c5d1e-4a53-4c3e-9d0e-6d1f0b7a4c11"
    """What the banking partner calls the collections account."""

    own_sort_code: str = "200000"
    """The account that the platform's fees are swept to."""

    own_account_number: str = "70000013"
    """The account that the platform's fees are swept to."""

    sumsub_app_token: str = SIMULATED.sumsub_app_token
    """Identity checks (Sumsub)."""

    sumsub_secret: str = SIMULATED.sumsub_secret
    """Identity checks (Sumsub)."""

    complyadvantage_key: str = SIMULATED.complyadvantage_key
    """Screening (ComplyAdvantage)."""

    companies_house_key: str = SIMULATED.companies_house_key
    """Companies House."""

    fca_email: str = SIMULATED.fca_email
    """The FCA's register: the name it knows us by."""

    fca_key: str = SIMULATED.fca_key
    """The FCA's register."""

    payee_token: str = SIMULATED.payee_token
    """Confirmation of payee (ClearBank)."""

    payee_secret: str = SIMULATED.payee_secret
    """Confirmation of payee (ClearBank)."""

    clearbank_token: str = SIMULATED.clearbank_token
    """The bank (ClearBank)."""

    clearbank_secret: str = SIMULATED.clearbank_secret
    """The bank (ClearBank): what its notices and our orders are signed with."""

    kms_token: str = SIMULATED.kms_token
    """The key management service, where one is named."""

    @property
    def providers_url(self) -> str:
        return self.simulators_url or f"http://127.0.0.1:{self.simulator_port}"

    def vendor(self, vendor: Vendor) -> str:
        return f"{self.providers_url}/{vendor.replace('_', '-')}"


class Production(Settings, frozen=True, kw_only=True):
    """Nothing that matters has a default, and nothing may be the sandbox's (bootstrap/production.py has the rules)."""

    home: Annotated[Path, rules.absolute]
    """An absolute path: data, keys and secrets, for their owner alone."""

    database_url: Annotated[str, rules.database]
    """`postgresql://user:password@host:5432/name?sslmode=verify-full` of PostgreSQL from 15 on."""

    chain_url: Annotated[str, rules.https]
    """JSON-RPC of the chain."""

    chain_id: Annotated[int, msgspec.Meta(ge=1), rules.own_chain]
    """The chain's number, as it says itself."""

    log_id: Annotated[str, rules.thirty_two_bytes]
    """32 bytes in hex that tell this log from every other; `openssl rand -hex 32` once, and never again."""

    public_url: Annotated[str, rules.https]
    """Where people open the application: the root of the links in mails."""

    identity_url: Annotated[str, rules.https]
    """Identity checks: Sumsub's API."""

    sumsub_app_token: Annotated[str, rules.strong]
    """Identity checks: Sumsub's app token."""

    sumsub_secret: Annotated[str, rules.strong]
    """Identity checks: Sumsub's secret key."""

    screening_url: Annotated[str, rules.https]
    """Screening: ComplyAdvantage's API."""

    complyadvantage_key: Annotated[str, rules.strong]
    """Screening: ComplyAdvantage's API key."""

    companies_house_url: Annotated[str, rules.https]
    """Companies House's API."""

    companies_house_key: Annotated[str, rules.strong]
    """Companies House's API key."""

    fca_url: Annotated[str, rules.https]
    """The FCA register's API."""

    fca_email: Annotated[str, rules.mailbox]
    """The address that the FCA's register knows us by."""

    fca_key: Annotated[str, rules.strong]
    """The FCA register's API key."""

    payee_url: Annotated[str, rules.https]
    """Confirmation of payee: ClearBank's API."""

    payee_token: Annotated[str, rules.strong]
    """Confirmation of payee: ClearBank's API token."""

    payee_secret: Annotated[str, rules.strong]
    """Confirmation of payee: ClearBank's signing secret."""

    bank_url: Annotated[str, rules.https]
    """The bank: ClearBank's API."""

    clearbank_token: Annotated[str, rules.strong]
    """The bank: ClearBank's API token."""

    clearbank_secret: Annotated[str, rules.strong]
    """The bank: ClearBank's signing secret."""

    bank_sort_code: Annotated[str, rules.sort_code]
    """The collections account, which debtors pay into: 6 digits."""

    bank_account_number: Annotated[str, rules.account_number]
    """The collections account: 8 digits."""

    bank_account_id: Annotated[str, rules.identifier]
    """What the bank calls the collections account."""

    own_sort_code: Annotated[str, rules.sort_code]
    """The account that the platform's fees are swept to: 6 digits."""

    own_account_number: Annotated[str, rules.account_number]
    """The account that the platform's fees are swept to: 8 digits."""

    smtp_host: Annotated[str, rules.elsewhere]
    """The mail server, by the name in its certificate."""

    smtp_port: Port
    """The mail server's port: 587 with `starttls`, 465 with `tls`."""

    smtp_security: Literal["starttls", "tls"]
    """How mail is encrypted on its way to the server: `starttls` or `tls`."""

    smtp_username: Annotated[str, rules.identifier]
    """The login at the mail server."""

    smtp_password: Annotated[str, rules.strong]
    """The login's password."""

    kms_url: Annotated[str, rules.https]
    """A key management service that speaks Transit (HashiCorp Vault, OpenBao): it wraps the subjects' keys."""

    kms_token: Annotated[str, rules.strong]
    """The key management service's token."""

    witnesses: Annotated[str, rules.witnesses]
    """`name=url vkey; …`: other firms that countersign the log's checkpoints."""

    witness_quorum: Annotated[int, msgspec.Meta(ge=1)]
    """How many of them a batch needs to be more than provisional."""


@contextmanager
def home_errors(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(f"the home {home} cannot be used: {error.strerror} (FX_HOME)") from None
