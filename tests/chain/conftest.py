"""A real PostgreSQL and real Anvils. One Anvil serves every test that does not hurt its node."""

import hashlib
from collections.abc import Callable, Iterator

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

import migrations
from chain.anvil import Anvil, free_port
from chain.client import Chain, WalletRole, token_id
from chain.keys import FolderKeys
from eventstore.access import ANCHOR, Access, set_passwords
from eventstore.journal import JournalRows
from tests.conftest import PASSWORDS, access_to

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
def new_access(empty_database) -> Callable[[], Access]:
    """Gives out migrated databases, each copied from one that was migrated once."""
    model = empty_database()
    migrations.upgrade(model)
    set_passwords(model, PASSWORDS)
    name = conninfo_to_dict(model)["dbname"]
    return lambda: access_to(empty_database(template=name))


@pytest.fixture(scope="session")
def new_rows(new_access) -> Iterator[Callable[[], JournalRows]]:
    """Gives out empty journals, each in its own database."""
    pools: list[ConnectionPool] = []

    def make() -> JournalRows:
        pools.append(new_access().pool(ANCHOR))
        return JournalRows(pools[-1])

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
