"""The rows of the transaction journal. The rules they serve are in `chain/journal.py`.

One row is one operation: the bytes signed for it, kept before they were sent, and what became of them.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from psycopg import Connection
from psycopg.rows import class_row
from psycopg_pool import ConnectionPool

Status = Literal["SIGNED", "CONFIRMED", "REVERTED"]

COLUMNS = (
    "seq, op_id, chain_id, sender, nonce, raw, tx_hash, status, refusal, "
    "block_number, block_hash, block_time, gas_used, contract_address"
)
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('fx.chain_transactions ' || %s, 0))"
BY_OP = f"SELECT {COLUMNS} FROM fx.chain_transactions WHERE op_id = %s"
NEXT_NONCE = "SELECT coalesce(max(nonce) + 1, 0) FROM fx.chain_transactions WHERE sender = %s"
INSERT = (
    "INSERT INTO fx.chain_transactions (op_id, chain_id, sender, nonce, raw, tx_hash) "
    "VALUES (%s, %s, %s, %s, %s, %s) "
    f"RETURNING {COLUMNS}"
)
UNSETTLED = (
    f"SELECT {COLUMNS} FROM fx.chain_transactions "
    "WHERE sender = %s AND status = 'SIGNED' AND nonce <= %s ORDER BY nonce"
)
# A row that was mined before goes back in its old place; one that never was goes last.
REPLAY = (
    f"SELECT {COLUMNS} FROM fx.chain_transactions "
    "WHERE status = 'SIGNED' ORDER BY block_number NULLS LAST, seq"
)
SETTLE = (
    "UPDATE fx.chain_transactions SET status = %s, refusal = %s, block_number = %s, block_hash = %s, "
    "block_time = %s, gas_used = %s, contract_address = %s WHERE op_id = %s "
    f"RETURNING {COLUMNS}"
)
PUT_BACK = (
    "UPDATE fx.chain_transactions SET status = 'SIGNED', refusal = NULL "
    "WHERE sender = %s AND nonce >= %s AND status <> 'SIGNED'"
)
LAST_SETTLED = (
    f"SELECT {COLUMNS} FROM fx.chain_transactions "
    "WHERE sender = %s AND status <> 'SIGNED' ORDER BY nonce DESC LIMIT 1"
)
SENDERS = "SELECT DISTINCT sender, chain_id FROM fx.chain_transactions ORDER BY sender, chain_id"


class JournalRow(msgspec.Struct, frozen=True):
    """One signed transaction. Block facts of a SIGNED row tell where it stood before the chain lost it."""

    seq: int
    op_id: str
    chain_id: int
    sender: str
    nonce: int
    raw: bytes
    tx_hash: bytes
    status: Status
    refusal: str | None
    block_number: int | None
    block_hash: bytes | None
    block_time: int | None
    gas_used: int | None
    contract_address: str | None


class Outcome(msgspec.Struct, frozen=True):
    """What the chain did with a transaction; `refusal` is None when it succeeded."""

    refusal: str | None
    block_number: int
    block_hash: bytes
    block_time: int
    gas_used: int
    contract_address: str | None


class Signing:
    """The only writer of one sender's rows, for the length of one database transaction."""

    def __init__(self, connection: Connection[Any], sender: str) -> None:
        self._connection = connection
        self._sender = sender

    def find(self, op_id: str) -> JournalRow | None:
        """Returns the operation's row, if another writer was first."""
        return _one(self._connection, BY_OP, op_id)

    def next_nonce(self) -> int:
        """Returns the nonce after the last one ever signed."""
        row = self._connection.execute(NEXT_NONCE, (self._sender,)).fetchone()
        assert row is not None
        return row[0]

    def insert(self, op_id: str, chain_id: int, nonce: int, raw: bytes, tx_hash: bytes) -> JournalRow:
        """Keeps the signed bytes. They may be sent once this transaction is committed, not before."""
        row = _one(self._connection, INSERT, op_id, chain_id, self._sender, nonce, raw, tx_hash)
        assert row is not None
        return row


class JournalRows:
    """Queries and updates over `fx.chain_transactions`, through a pool whose connections give tuples."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    @contextmanager
    def signing(self, sender: str) -> Generator[Signing]:
        """Opens a transaction that holds the sender's lock: one writer for each key, across all processes."""
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(LOCK, (sender,))
            yield Signing(connection, sender)

    def find(self, op_id: str) -> JournalRow | None:
        """Returns the operation's row, if it was ever signed."""
        with self._pool.connection() as connection:
            return _one(connection, BY_OP, op_id)

    def unsettled(self, sender: str, up_to_nonce: int) -> list[JournalRow]:
        """Returns a sender's SIGNED rows up to a nonce, in nonce order."""
        return self._many(UNSETTLED, sender, up_to_nonce)

    def to_replay(self) -> list[JournalRow]:
        """Returns every sender's SIGNED rows in the order the chain had them, then in signing order."""
        return self._many(REPLAY)

    def settle(self, op_id: str, outcome: Outcome) -> JournalRow:
        """Records what the chain did."""
        status: Status = "CONFIRMED" if outcome.refusal is None else "REVERTED"
        with self._pool.connection() as connection:
            row = _one(connection, SETTLE, status, *msgspec.structs.astuple(outcome), op_id)
        assert row is not None
        return row

    def put_back(self, sender: str, from_nonce: int) -> int:
        """Makes settled rows from a nonce on SIGNED again; returns how many."""
        with self._pool.connection() as connection:
            return connection.execute(PUT_BACK, (sender, from_nonce)).rowcount

    def last_settled(self, sender: str) -> JournalRow | None:
        """Returns the settled row with the highest nonce."""
        with self._pool.connection() as connection:
            return _one(connection, LAST_SETTLED, sender)

    def senders(self) -> list[tuple[str, int]]:
        """Returns every address the journal ever signed for, with the chain it signed for."""
        with self._pool.connection() as connection:
            return connection.execute(SENDERS).fetchall()

    def _many(self, query: str, *params: Any) -> list[JournalRow]:
        with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(JournalRow)) as cursor,
        ):
            return cursor.execute(query, params).fetchall()  # pyright: ignore[reportArgumentType]


def _one(connection: Connection[Any], query: str, *params: Any) -> JournalRow | None:
    with connection.cursor(row_factory=class_row(JournalRow)) as cursor:
        return cursor.execute(query, params).fetchone()  # pyright: ignore[reportArgumentType]
