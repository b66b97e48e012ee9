"""A provider that is killed in mid-air still knows which keys it has seen."""

import signal
import subprocess
import threading
import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from providers.bank import Account, CreditNotice
from providers.email.smtp import SMTPEmail
from providers.errors import ProviderError, Retryable
from providers.identity.sumsub import Sumsub
from providers.screening.complyadvantage import ComplyAdvantage
from tests.providers.conftest import CREDENTIALS, ROOT, Platform, Simulators

SELLER = Account("Coppergate Joinery Ltd", "205588", "41903377")


def test_every_key_is_remembered_after_sigkill(own_simulators: Simulators):
    bank = own_simulators.bank()
    identity = Sumsub(
        f"{own_simulators.url}/identity", CREDENTIALS.sumsub_app_token, CREDENTIALS.sumsub_secret
    )
    screening = ComplyAdvantage(f"{own_simulators.url}/screening", CREDENTIALS.complyadvantage_key)

    def everything() -> list[object]:
        return [
            bank.open_virtual_account("va", "Northwind Retail plc"),
            bank.pay("pay", 100, SELLER, "FX-INV-23A4F"),
            identity.check("id", "Amber YELLOW Ltd", "company", "a@b.uk"),
            screening.screen("names", ["SANCTIONED Ltd"]),
        ]

    before = everything()
    SMTPEmail("127.0.0.1", own_simulators.smtp_port).send("k", "tom@northwind.co.uk", "Subject", "Text")
    own_simulators.control("/companies-house/control/companies/07452983/status", status="dissolved")
    own_simulators.kill()
    with pytest.raises(Retryable, match="unreachable"):
        bank.payment("pay")
    own_simulators.start()
    assert everything() == before
    assert len(own_simulators.get("/bank/transactions.json")) == 1
    assert len(own_simulators.get("/email/mail.json")) == 1
    page = own_simulators.control("/companies-house/control/companies/07452983/status", status="dissolved")
    assert page["status"] == "dissolved"


def test_payments_cut_off_by_kills_are_each_made_once(own_simulators: Simulators):
    """A caller that repeats the key until it gets an answer, a bank that is killed again and again."""
    keys = [uuid4().hex for _ in range(60)]
    done = threading.Event()
    cut_off: list[str] = []

    def pay_all() -> None:
        bank = own_simulators.bank()
        for key in keys:
            while True:
                try:
                    bank.pay(key, 100, SELLER, "FX-INV-23A4F")
                    break
                except Retryable as error:
                    cut_off.append(error.code)
                    time.sleep(0.02)
        done.set()

    caller = threading.Thread(target=pay_all)
    caller.start()
    kills = 0
    while kills < 3:
        time.sleep(0.15)
        own_simulators.kill()
        kills += 1
        own_simulators.start()
    caller.join(20)
    assert done.is_set()
    assert cut_off, "no call was interrupted: the test proves nothing"
    assert len(own_simulators.get("/bank/transactions.json")) == len(keys)


def test_undelivered_notices_survive_a_kill(own_simulators: Simulators, platform: Platform):
    bank = own_simulators.bank()
    account = bank.open_virtual_account("va", "Northwind Retail plc")
    platform.status = 500
    own_simulators.control("/bank/control/notify-url", url=platform.url)
    given = {"account_number": account.account_number, "amount_pence": 1_000_000, "narration": "FX-INV-23A4F"}
    ref = own_simulators.control("/bank/control/credits", key="credit", **given)["ref"]
    platform.wait(1)
    own_simulators.kill()
    platform.status = 200
    refused = len(platform.received)
    own_simulators.start()
    sent, raw = platform.wait(refused + 1)[-1]
    notice = bank.verify_notice(sent, raw, datetime.now(UTC))
    assert isinstance(notice, CreditNotice) and notice.bank_ref == ref
    assert own_simulators.control("/bank/control/credits", key="credit", **given)["ref"] == ref
    assert len(own_simulators.get("/bank/transactions.json")) == 1


def test_sigterm_ends_it_in_order(own_simulators: Simulators):
    assert own_simulators.stop(signal.SIGTERM) == 0
    with pytest.raises(ProviderError):
        own_simulators.bank().payment("k")


@pytest.mark.parametrize(("busy", "said"), [("http_port", "HTTP port"), ("smtp_port", "SMTP port")])
def test_a_port_in_use_is_one_clear_line(simulators: Simulators, tmp_path, busy: str, said: str):
    second = Simulators(tmp_path)
    setattr(second, busy, getattr(simulators, busy))
    done = subprocess.run(second.command(), cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"{said} {getattr(simulators, busy)} is in use: stop what uses it, or choose another port\n"
    )
