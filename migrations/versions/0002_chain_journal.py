"""The transaction journal: what the platform signed for the chain, before it was sent.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CREATE_TABLE = """
CREATE TABLE fx.chain_transactions (
    seq              bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    op_id            text PRIMARY KEY,
    chain_id         bigint NOT NULL,
    sender           text NOT NULL,
    nonce            bigint NOT NULL CHECK (nonce >= 0),
    raw              bytea NOT NULL,
    tx_hash          bytea NOT NULL UNIQUE CHECK (length(tx_hash) = 32),
    status           text NOT NULL DEFAULT 'SIGNED' CHECK (status IN ('SIGNED', 'CONFIRMED', 'REVERTED')),
    refusal          text,
    block_number     bigint,
    block_hash       bytea,
    block_time       bigint,
    gas_used         bigint,
    contract_address text,
    signed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (sender, nonce),
    CHECK (status = 'SIGNED' OR (block_number, block_hash, gas_used) IS NOT NULL),
    CHECK ((status = 'REVERTED') = (refusal IS NOT NULL))
)
"""

CREATE_INDEX = """
CREATE INDEX chain_transactions_unsettled ON fx.chain_transactions (sender, nonce) WHERE status = 'SIGNED'
"""

# Signed bytes never change, so only the outcome may be updated.
GRANT_ROWS = "GRANT SELECT, INSERT ON fx.chain_transactions TO fx_app"
GRANT_OUTCOME = """
GRANT UPDATE (status, refusal, block_number, block_hash, block_time, gas_used, contract_address)
    ON fx.chain_transactions TO fx_app
"""

STATEMENTS = (CREATE_TABLE, CREATE_INDEX, GRANT_ROWS, GRANT_OUTCOME)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
