"""Every read model there is."""

from __future__ import annotations

from projections.audit_trail import audit_trail
from projections.base import Projection
from projections.bills import bills
from projections.cash_ledger import cash_ledger
from projections.fundings import fundings
from projections.invoices import invoices
from projections.marketplace import marketplace
from projections.mlro_queue import mlro_queue
from projections.portfolio import portfolio
from projections.register_orders import register_orders
from projections.releases import releases
from projections.subjects import subjects

PROJECTIONS: dict[str, Projection] = {
    projection.name: projection
    for projection in (invoices, marketplace, portfolio, mlro_queue, cash_ledger, audit_trail, subjects,
                       register_orders, releases, bills, fundings)
}
