"""Access: which login does what, and how a session proves its tenant.

A session's `fx.context` is `<hex HMAC-SHA256>:<tenant>`, the HMAC over "<tenant> <backend pid> <server start, µs>"
under the tenant's secret. `fx.tenant()` checks it inside the database; every row-level policy asks that function.
Whoever can run SQL in a session can neither make the proof for another tenant nor carry one over from another backend.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.rows import TupleRow, tuple_row

from eventstore.database import CONNECT_TIMEOUT_S, POOL_SIZE, Sessions, connect, session_conninfo

APPEND, READ, PROJECT, SUPPORT, ANCHOR, VAULT, MIGRATE = (
    "fx_append", "fx_read", "fx_project", "fx_support", "fx_anchor", "fx_vault", "fx_migrate")
ROLES = (APPEND, READ, PROJECT, SUPPORT, ANCHOR, VAULT, MIGRATE)
PROCESS_ROLES = (APPEND, READ, PROJECT, ANCHOR, VAULT)
"""What a platform process logs in as. Support's and the owner's passwords lie in no home: people bring them."""

PROVIDED = "FinToken X: has its password"
BLOCK_BYTES = 64
WHO_AM_I = "SELECT pg_backend_pid(), (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"


class LoginRefused(Exception):
    """This server's role has another password than this home's."""


class TenantUnproved(Exception):
    """The database does not know this tenant, or the home holds another secret for it."""


@dataclass(frozen=True)
class Access:
    """One tenant's way into one database."""

    url: str = field(repr=False)
    """Where the server is; the login in it is replaced by the role's."""

    tenant: str
    secret: bytes = field(repr=False)
    """32 bytes, the same as in fx.tenants (see `register`)."""

    passwords: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def conninfo(self, role: str) -> str:
        password = self.passwords.get(role)
        return session_conninfo(self.url, user=role, **({"password": password} if password else {}))

    def connect(self, role: str, *, autocommit: bool = True) -> Connection[TupleRow]:
        """A session of `role`, bound to the tenant."""
        connection = psycopg.connect(self.conninfo(role), autocommit=autocommit, connect_timeout=CONNECT_TIMEOUT_S)
        self.bind(connection)
        return connection

    def check(self) -> None:
        """Log in once. LoginRefused or TenantUnproved, in one line that says what to do."""
        try:
            self.connect(READ).close()
        except psycopg.OperationalError as error:
            if "authentication" not in str(error):
                raise
            raise LoginRefused("the login roles have other passwords on this server: give them as FX_READ_PASSWORD "
                               "and so on (roles belong to the server, not to a home)") from None

    def pool(self, role: str, size: int = POOL_SIZE) -> Sessions:
        """Bound sessions to share. A pool is one tenant's: no session ever changes hands between tenants."""
        return Sessions(self.conninfo(role), min_size=0, max_size=size, open=True, configure=self.bind,
                        kwargs={"connect_timeout": CONNECT_TIMEOUT_S})

    def bind(self, connection: Connection[Any]) -> None:
        """Prove the tenant to the database; TenantUnproved when it does not believe it."""
        cursor = connection.cursor(row_factory=tuple_row)
        pid, started_us = cursor.execute(WHO_AM_I).fetchone() or (0, 0)
        proof = hmac.new(self.secret, f"{self.tenant} {pid} {started_us}".encode(), sha256).hexdigest()
        cursor.execute("SELECT set_config('fx.context', %s, false)", (f"{proof}:{self.tenant}",))
        believed = cursor.execute("SELECT fx.tenant()").fetchone()
        if not connection.autocommit:
            connection.commit()
        if believed != (self.tenant,):
            connection.close()
            raise TenantUnproved(f"the database does not know tenant {self.tenant} by this home's secret")


def register(owner_url: str, tenant: str, secret: bytes) -> None:
    """Make the tenant known to the database (owner's rights). A tenant that is known keeps its secret."""
    inner, outer = pads(secret)
    with connect(owner_url) as connection:
        connection.execute("INSERT INTO fx.tenants (tenant_id, inner_pad, outer_pad) VALUES (%s, %s, %s) "
                           "ON CONFLICT DO NOTHING", (tenant, inner, outer))


WEAKNESSES = """
SELECT format('%%s may %%s the log', role, privilege)
  FROM unnest(%(roles)s::text[]) role, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) privilege
 WHERE role <> 'fx_migrate' AND has_table_privilege(role, 'fx.audit_entries', privilege)
UNION ALL
SELECT format('%%s sees past row-level security', rolname) FROM pg_roles
 WHERE rolname = ANY (%(roles)s) AND (rolsuper OR rolbypassrls)
UNION ALL
SELECT format('%%s does not force row-level security', c.oid::regclass)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('fx', 'vault', 'read', 'read_rebuild')
   AND c.relname <> 'alembic_version' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
"""


def weaknesses(access: Access) -> list[str]:
    """What this database lets our logins do that they must not; empty when it is as the migrations left it."""
    with access.connect(READ) as connection:
        return [str(row[0]) for row in connection.execute(WEAKNESSES, {"roles": list(ROLES)})]


def pads(secret: bytes) -> tuple[bytes, bytes]:
    """The secret as HMAC's two padded keys (RFC 2104), so that the database needs nothing but sha256."""
    key = secret.ljust(BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in key), bytes(byte ^ 0x5C for byte in key)


def set_passwords(owner_url: str, passwords: Mapping[str, str], given: Collection[str] = ()) -> None:
    """Give the login roles their passwords (a server reached over the network asks for them).

    Roles belong to the server: one that has its password keeps it, unless it is among those `given` by the operator.
    """
    with connect(owner_url) as connection:
        for role, password in passwords.items():
            comment = connection.execute("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s",
                                         (role,)).fetchone()
            if role not in given and comment == (PROVIDED,):
                continue
            named = sql.Identifier(role)
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(named, sql.Literal(password)))
            connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(named, sql.Literal(PROVIDED)))
