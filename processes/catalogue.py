"""Every process manager there is."""

from __future__ import annotations

from processes.erasure import erasure
from processes.funding import funding
from processes.issuance import issuance
from processes.notices import notices
from processes.onboarding import onboarding
from processes.payments import payments
from processes.process import Process
from processes.reconciliation import reconciliation
from processes.repayment import repayment
from processes.trading import trading
from processes.transfers import transfers
from processes.verification import verification

PROCESSES: list[Process] = [
    onboarding, verification, issuance, funding, transfers, reconciliation, payments, trading, repayment, notices,
    erasure,
]
