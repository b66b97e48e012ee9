"""Support: reading another tenant's entries, after an entry in that tenant's own log (decisions row 41)."""

from __future__ import annotations

from domain.base import Event


class SupportBypassed(Event, frozen=True, kw_only=True):
    """Written by the database itself (`fx.record_bypass`), in the transaction that reads.

    `number` is never given twice, also not after a rollback.
    """

    tag = "support.bypassed.1"
    action = "RBAC_BYPASS"
    number: int
    reason: str
