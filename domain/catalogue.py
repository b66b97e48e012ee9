"""Every kind of aggregate and every released event, by name. A tag, once released, stays here for ever."""

from __future__ import annotations

from typing import Any

import domain.support  # noqa: F401  # pyright: ignore[reportUnusedImport] - the database writes its event
from domain import (
    account,
    audit_freeze,
    bank_order,
    bill,
    company_domain,
    credit,
    exposure,
    holds,
    invoice,
    likeness,
    notice,
    pair,
    payer,
    payment,
    platform,
    quarantine,
    register_order,
    release,
    restricted,
    subject,
    token,
    trade,
)
from domain.base import Event, Kind

KINDS: dict[str, Kind[Any]] = {
    kind.name: kind
    for kind in (
        invoice.INVOICE, subject.SUBJECT, token.TOKEN, trade.TRADE, payment.PAYMENT, credit.CREDIT, account.ACCOUNT,
        payer.PAYER, holds.HOLDS, notice.NOTICE, restricted.RESTRICTED, platform.CLOCK, platform.BATCH,
        platform.FINGERPRINT, likeness.LIKENESS, platform.DIRECTORY, platform.ALARM, quarantine.QUARANTINE,
        audit_freeze.AUDIT_FREEZE, register_order.ORDER, release.RELEASE, exposure.EXPOSURE, bill.CHARGES, bill.BILL,
        pair.PAIR, company_domain.DOMAINS, bank_order.BANK_ORDER,
    )
}


def _collect(base: type[Event]) -> dict[str, type[Event]]:
    found: dict[str, type[Event]] = {}
    for event in base.__subclasses__():
        if event.tag in found:
            raise TypeError(f"two events are tagged {event.tag}")
        found[event.tag] = event
    return found


EVENTS: dict[str, type[Event]] = _collect(Event)
