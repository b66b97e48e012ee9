"""The transaction journal knows attempts: a nonce may be filled by a recorded no-op, and the operation signed anew.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# One attempt of an operation may be alive: no second signature while the first could still be mined.
ATTEMPTS = """
ALTER TABLE fx.chain_transactions ADD attempt integer NOT NULL DEFAULT 1 CHECK (attempt > 0);
ALTER TABLE fx.chain_transactions ADD replaces text;
ALTER TABLE fx.chain_transactions ADD reason text;
ALTER TABLE fx.chain_transactions ADD CHECK ((replaces IS NULL) = (reason IS NULL));
ALTER TABLE fx.chain_transactions DROP CONSTRAINT chain_transactions_pkey;
ALTER TABLE fx.chain_transactions ADD PRIMARY KEY (tenant_id, op_id, attempt);
CREATE UNIQUE INDEX chain_transactions_alive ON fx.chain_transactions (tenant_id, op_id) WHERE status <> 'CANCELLED';
COMMENT ON COLUMN fx.chain_transactions.replaces IS 'The operation whose nonce this no-op fills; NULL for an operation';
"""

# A nonce belongs to one operation; what may share it are the no-ops an operator decided on.
NONCES = """
ALTER TABLE fx.chain_transactions DROP CONSTRAINT chain_transactions_sender_nonce_key;
CREATE UNIQUE INDEX chain_transactions_nonce ON fx.chain_transactions (sender, nonce) WHERE replaces IS NULL;
CREATE INDEX chain_transactions_rivals ON fx.chain_transactions (sender, nonce);
CREATE INDEX chain_transactions_blocks ON fx.chain_transactions (block_number)
  WHERE status IN ('CONFIRMED', 'REVERTED');
"""

CANCELLED = """
ALTER TABLE fx.chain_transactions DROP CONSTRAINT chain_transactions_status_check;
ALTER TABLE fx.chain_transactions ADD CONSTRAINT chain_transactions_status_check
  CHECK (status IN ('SIGNED', 'CONFIRMED', 'REVERTED', 'CANCELLED'));
ALTER TABLE fx.chain_transactions DROP CONSTRAINT chain_transactions_check;
ALTER TABLE fx.chain_transactions ADD CONSTRAINT chain_transactions_settled
  CHECK (status IN ('SIGNED', 'CANCELLED') OR (block_number, block_hash, gas_used) IS NOT NULL);
"""


def upgrade() -> None:
    for statement in (ATTEMPTS, NONCES, CANCELLED):
        op.execute(statement)
