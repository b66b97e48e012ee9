"""The rows of the transaction journal. The rules they serve are in `chain/journal.py`.

One row is one attempt of an operation: the bytes signed for it, kept before they were sent, and what became of them.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg import Connection
from psycopg.rows import class_row
from psycopg_pool import ConnectionPool

Status = Literal["SIGNED", "CONFIRMED", "REVERTED", "CANCELLED"]

LOOK_LIMIT = 1_000  # rows of one key looked at together; they are settled in nonce order, so the others follow

COLUMNS = (
    "seq, op_id, attempt, chain_id, sender, nonce, raw, tx_hash, status, refusal, block_number, block_hash, "
    "block_time, gas_used, contract_address, signed_at, replaces, reason"
)
SELECT = f"SELECT {COLUMNS} FROM fx.chain_transactions "
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('fx.chain_transactions ' || %s, 0))"
OUTCOMES = "outcomes"
BY_OP = SELECT + "WHERE op_id = %s ORDER BY attempt DESC LIMIT 1"
ATTEMPTS = SELECT + "WHERE op_id = %s ORDER BY attempt"
BY_OPS = (
    f"SELECT DISTINCT ON (op_id) {COLUMNS} FROM fx.chain_transactions "
    "WHERE op_id = ANY (%s) ORDER BY op_id, attempt DESC"
)
BY_SEQS = SELECT + "WHERE seq = ANY (%s)"
BY_NONCE = SELECT + "WHERE sender = %s AND nonce = %s ORDER BY seq"
NEXT_NONCE = "SELECT coalesce(max(nonce) + 1, 0) FROM fx.chain_transactions WHERE sender = %s"
INSERT = (
    "INSERT INTO fx.chain_transactions (op_id, attempt, chain_id, sender, nonce, raw, tx_hash, replaces, reason) "
    "SELECT * FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::text[], %s::bigint[], %s::bytea[], %s::bytea[], "
    f"%s::text[], %s::text[]) RETURNING {COLUMNS}"
)
UNSETTLED = SELECT + "WHERE sender = %s AND status = 'SIGNED' ORDER BY nonce, seq LIMIT %s"
ALL_UNSETTLED = SELECT + "WHERE status = 'SIGNED' ORDER BY sender, nonce, seq"
# A row that was mined before goes back in its old place; one that never was goes last.
REPLAY = SELECT + "WHERE status = 'SIGNED' ORDER BY block_number NULLS LAST, seq"
# Whoever shares the nonce of what was mined can never be mined.
SETTLE = (
    "WITH done AS (UPDATE fx.chain_transactions t SET status = o.status, refusal = o.refusal, "
    "block_number = o.block_number, block_hash = o.block_hash, block_time = o.block_time, gas_used = o.gas_used, "
    "contract_address = o.contract_address FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], "
    "%s::bytea[], %s::bigint[], %s::bigint[], %s::text[]) "
    "AS o (mined, status, refusal, block_number, block_hash, block_time, gas_used, contract_address) "
    "WHERE t.seq = o.mined AND t.status = 'SIGNED' RETURNING t.*), "
    "rivals AS (UPDATE fx.chain_transactions t SET status = 'CANCELLED' FROM done "
    "WHERE t.sender = done.sender AND t.nonce = done.nonce AND t.seq <> done.seq AND t.status = 'SIGNED') "
    f"SELECT {COLUMNS} FROM done ORDER BY nonce"
)
CANCEL = (
    "UPDATE fx.chain_transactions SET status = 'CANCELLED' WHERE sender = %s AND nonce = %s AND status = 'SIGNED'"
)
PUT_BACK = (
    "UPDATE fx.chain_transactions SET status = 'SIGNED', refusal = NULL "
    "WHERE sender = %s AND nonce >= %s AND status IN ('CONFIRMED', 'REVERTED')"
)
PUT_BACK_BLOCKS = (
    "UPDATE fx.chain_transactions SET status = 'SIGNED', refusal = NULL "
    "WHERE block_number = ANY (%s) AND status IN ('CONFIRMED', 'REVERTED')"
)
LAST_BLOCKS = (
    "SELECT DISTINCT block_number, block_hash FROM fx.chain_transactions "
    "WHERE status IN ('CONFIRMED', 'REVERTED') AND block_number < %s ORDER BY block_number DESC LIMIT %s"
)
NEXT_NONCES = "SELECT sender, max(nonce) + 1 FROM fx.chain_transactions GROUP BY sender"
SENDERS = "SELECT DISTINCT sender, chain_id FROM fx.chain_transactions ORDER BY sender, chain_id"


class JournalRow(msgspec.Struct, frozen=True):
    """One signed transaction. Block facts of a SIGNED row tell where it stood before the chain lost it.

    `replaces` names the operation whose nonce a no-op fills, and `reason` why an operator decided so.
    """

    seq: int
    op_id: str
    attempt: int
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
    signed_at: datetime
    replaces: str | None
    reason: str | None

    @property
    def settled(self) -> bool:
        """Whether the chain has answered: mined as deep as was asked for."""
        return self.status in ("CONFIRMED", "REVERTED")


class Draft(msgspec.Struct, frozen=True):
    """Signed bytes that are about to become a row."""

    op_id: str
    attempt: int
    chain_id: int
    nonce: int
    raw: bytes
    tx_hash: bytes
    replaces: str | None = None
    reason: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What the chain did with a transaction; `refusal` is None when it succeeded."""

    refusal: str | None
    block_number: int
    block_hash: bytes
    block_time: int
    gas_used: int
    contract_address: str | None

    @property
    def status(self) -> Status:
        return "CONFIRMED" if self.refusal is None else "REVERTED"


class Signing:
    """The only writer of one sender's rows, for the length of one database transaction."""

    def __init__(self, connection: Connection[Any], sender: str) -> None:
        self._connection = connection
        self._sender = sender

    def find(self, op_ids: Sequence[str]) -> dict[str, JournalRow]:
        """Returns the last attempt of each operation that has one."""
        return {row.op_id: row for row in _many(self._connection, BY_OPS, list(op_ids))}

    def next_nonce(self) -> int:
        """Returns the nonce after the last one ever signed."""
        row = self._connection.execute(NEXT_NONCE, (self._sender,)).fetchone()
        assert row is not None
        return row[0]

    def at(self, nonce: int) -> list[JournalRow]:
        """Returns the rows that share a nonce: an operation and the no-ops meant to replace it."""
        return _many(self._connection, BY_NONCE, self._sender, nonce)

    def insert(self, drafts: Sequence[Draft]) -> list[JournalRow]:
        """Keeps signed bytes. They may be sent once this transaction is committed, not before."""
        columns = (
            [draft.op_id for draft in drafts],
            [draft.attempt for draft in drafts],
            [draft.chain_id for draft in drafts],
            [self._sender] * len(drafts),
            [draft.nonce for draft in drafts],
            [draft.raw for draft in drafts],
            [draft.tx_hash for draft in drafts],
            [draft.replaces for draft in drafts],
            [draft.reason for draft in drafts],
        )
        return _many(self._connection, INSERT, *columns)

    def cancel(self, nonce: int) -> None:
        """Cancels what is unsettled under a nonce that somebody else used."""
        self._connection.execute(CANCEL, (self._sender, nonce))


class JournalRows:
    """Queries and updates over `fx.chain_transactions`, through a pool whose connections give tuples."""

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool

    @contextmanager
    def signing(self, sender: str) -> Generator[Signing]:
        """Opens a transaction that holds the sender's lock: one writer for each key, across all processes."""
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(LOCK, (sender,))
            yield Signing(connection, sender)

    def find(self, op_id: str) -> JournalRow | None:
        """Returns the operation's last attempt, if it was ever signed."""
        return next(iter(self._ask(BY_OP, op_id)), None)

    def attempts(self, op_id: str) -> list[JournalRow]:
        """Returns everything that was ever signed for an operation, in that order."""
        return self._ask(ATTEMPTS, op_id)

    def again(self, seqs: Sequence[int]) -> list[JournalRow]:
        """Returns rows as they are now."""
        return self._ask(BY_SEQS, list(seqs))

    def unsettled(self, sender: str) -> list[JournalRow]:
        """Returns a sender's first SIGNED rows, in nonce order."""
        return self._ask(UNSETTLED, sender, LOOK_LIMIT)

    def all_unsettled(self) -> list[JournalRow]:
        """Returns every SIGNED row, by sender and nonce."""
        return self._ask(ALL_UNSETTLED)

    def to_replay(self) -> list[JournalRow]:
        """Returns every sender's SIGNED rows in the order the chain had them, then in signing order."""
        return self._ask(REPLAY)

    def settle(self, outcomes: Sequence[tuple[JournalRow, Outcome]]) -> list[JournalRow]:
        """Records what the chain did, and returns the rows it is news for; who shares their nonce becomes CANCELLED.

        A row that another process settled since the chain was asked is left as it is.
        """
        columns = (
            [row.seq for row, _ in outcomes],
            [outcome.status for _, outcome in outcomes],
            [outcome.refusal for _, outcome in outcomes],
            [outcome.block_number for _, outcome in outcomes],
            [outcome.block_hash for _, outcome in outcomes],
            [outcome.block_time for _, outcome in outcomes],
            [outcome.gas_used for _, outcome in outcomes],
            [outcome.contract_address for _, outcome in outcomes],
        )
        with self._recording() as connection:
            return _many(connection, SETTLE, *columns)

    def put_back(self, sender: str, from_nonce: int) -> int:
        """Makes settled rows from a nonce on SIGNED again; returns how many."""
        with self._recording() as connection:
            return connection.execute(PUT_BACK, (sender, from_nonce)).rowcount

    def put_back_blocks(self, numbers: Sequence[int]) -> int:
        """Makes rows settled in these blocks SIGNED again; returns how many."""
        with self._recording() as connection:
            return connection.execute(PUT_BACK_BLOCKS, (list(numbers),)).rowcount

    def last_blocks(self, below: int, limit: int) -> list[tuple[int, bytes]]:
        """Returns number and hash of the newest blocks below a number in which rows were settled, newest first."""
        with self._pool.connection() as connection:
            return connection.execute(LAST_BLOCKS, (below, limit)).fetchall()

    def senders(self) -> list[tuple[str, int]]:
        """Returns every address the journal ever signed for, with the chain it signed for."""
        with self._pool.connection() as connection:
            return connection.execute(SENDERS).fetchall()

    def next_nonces(self) -> dict[str, int]:
        """Returns the nonce after the last one signed, for every address the journal signed for."""
        with self._pool.connection() as connection:
            return dict(connection.execute(NEXT_NONCES).fetchall())

    @contextmanager
    def _recording(self) -> Generator[Connection[Any]]:
        """One at a time across all processes: two that record the same rows in another order would deadlock."""
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(LOCK, (OUTCOMES,))
            yield connection

    def _ask(self, query: str, *params: Any) -> list[JournalRow]:
        with self._pool.connection() as connection:
            return _many(connection, query, *params)


def _many(connection: Connection[Any], query: str, *params: Any) -> list[JournalRow]:
    with connection.cursor(row_factory=class_row(JournalRow)) as cursor:
        return cursor.execute(query, params).fetchall()  # pyright: ignore[reportArgumentType]
