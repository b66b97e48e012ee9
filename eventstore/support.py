"""Support reads another tenant's entries: in one transaction with the RBAC_BYPASS entry in that tenant's own log.

The database holds support to it (migration 0003): the policy of fx_support shows the tenants whose bypass this very
transaction appended, and nothing otherwise. What is read is handed over only once the entry is committed. A bypass
that is rolled back leaves no entry, but its number stays spent: `Store.bypasses_undone` finds it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from eventstore.access import SUPPORT, Access
from eventstore.database import CONNECT_TIMEOUT_S, unavailable_when_down
from eventstore.entry import Entry, decode

MOST = 1_000
"""Entries of one reading: the log stands still while it lasts."""

READ = ("SELECT position, body FROM fx.audit_entries WHERE tenant_id = %s AND position BETWEEN %s AND %s "
        "ORDER BY position LIMIT %s")


class NoSuchTenant(Exception):
    """Nobody of that name is registered with this database."""


class BypassUnexplained(Exception):
    """A bypass names who reads, and why."""


def read_as_support(access: Access, tenant: str, *, actor: str, reason: str, now: datetime, first: int = 1,
                    last: int = 2**53) -> list[Entry]:
    """At most 1,000 entries of `tenant` from `first` to `last`, after recording who reads them and why.

    Raises BypassUnexplained, NoSuchTenant, Unavailable.
    """
    login, at = access.conninfo(SUPPORT), now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    with unavailable_when_down(), psycopg.connect(login, connect_timeout=CONNECT_TIMEOUT_S) as session:
        try:
            session.execute("SELECT fx.record_bypass(%s, %s, %s, %s)", (tenant, actor, reason, at))
        except psycopg.errors.InvalidParameterValue:
            raise BypassUnexplained("say who reads another tenant's entries, and why") from None
        except psycopg.errors.NoDataFound:
            raise NoSuchTenant(f"there is no tenant {tenant}") from None
        rows = session.execute(READ, (tenant, first, last, MOST)).fetchall()
    return [decode(bytes(body), position) for position, body in rows]
