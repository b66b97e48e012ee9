"""Every process manager there is."""

from __future__ import annotations

from processes.billing import billing
from processes.callbacks import callbacks
from processes.claims import claims
from processes.erasure import erasure
from processes.exposures import exposures
from processes.freezes import freezes
from processes.funding import funding
from processes.issuance import issuance
from processes.locks import locks
from processes.notices import notices
from processes.onboarding import onboarding
from processes.payments import payments
from processes.process import Process
from processes.reconciliation import reconciliation
from processes.register_orders import register_orders
from processes.releases import releases
from processes.repayment import repayment
from processes.trading import trading
from processes.transfers import transfers
from processes.verification import verification

PROCESSES: list[Process] = [
    onboarding, claims, freezes, locks, register_orders, verification, issuance, callbacks, funding, transfers,
    exposures, reconciliation, releases, billing, payments, trading, repayment, notices, erasure,
]
