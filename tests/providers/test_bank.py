from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from providers.bank import Account, Payment
from providers.bank.account import scheme_text
from providers.bank.clearbank import ClearBank, _account_number, end_to_end
from providers.errors import Final, Retryable
from tests.providers.conftest import CREDENTIALS, Simulators

SELLER = Account("Coppergate Joinery Ltd", "205588", "41903377")
BOUNCES = Account("Closed Account Ltd", "205588", "41903399")


@pytest.fixture
def bank(simulators: Simulators) -> ClearBank:
    return simulators.bank()


def paid(simulators: Simulators, key: str) -> list[dict]:
    return [
        each for each in simulators.get("/bank/transactions.json") if each["end_to_end"] == end_to_end(key)
    ]


def test_a_virtual_account_is_opened_once_per_key(bank: ClearBank):
    key = uuid4().hex
    account = bank.open_virtual_account(key, "Pennine Asset Management LLP")
    assert account == bank.open_virtual_account(key, "Pennine Asset Management LLP")
    assert (account.sort_code, len(account.account_number)) == ("040075", 8)
    assert bank.open_virtual_account(uuid4().hex, "Pennine Asset Management LLP") != account


def test_a_key_cannot_open_an_account_for_another_owner(bank: ClearBank):
    key = uuid4().hex
    bank.open_virtual_account(key, "Pennine Asset Management LLP")
    with pytest.raises(Final, match="refused"):
        bank.open_virtual_account(key, "Somebody Else Ltd")


def test_two_keys_that_derive_one_number_get_two_accounts(bank: ClearBank, monkeypatch: pytest.MonkeyPatch):
    first, second = uuid4().hex, uuid4().hex
    taken = bank.open_virtual_account(first, "First Ltd")

    def collide(key: str, attempt: int) -> str:
        return taken.account_number if attempt == 0 else _account_number(key, attempt)

    monkeypatch.setattr("providers.bank.clearbank._account_number", collide)
    other = bank.open_virtual_account(second, "Second Ltd")
    assert other.account_number != taken.account_number
    assert bank.open_virtual_account(second, "Second Ltd") == other


def test_a_payment_is_credited_at_once(bank: ClearBank):
    key = uuid4().hex
    payment = bank.pay(key, 966_000, SELLER, "FX-INV-23A4F")
    assert payment == Payment(key, payment.provider_ref, "CREDITED", 966_000)
    assert bank.payment(key) == payment


def test_a_repeated_key_pays_once_also_at_the_same_moment(bank: ClearBank, simulators: Simulators):
    key = uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        results = set(pool.map(lambda _: repr(bank.pay(key, 100, SELLER, "FX-INV-23A4F")), range(16)))
    assert len(results) == 1
    assert len(paid(simulators, key)) == 1


@pytest.mark.parametrize(
    ("amount", "to"), [(101, SELLER), (100, Account("Coppergate Joinery Ltd", "205588", "41903378"))]
)
def test_a_key_cannot_make_another_payment(bank: ClearBank, simulators: Simulators, amount: int, to: Account):
    key = uuid4().hex
    bank.pay(key, 100, SELLER, "FX-INV-23A4F")
    with pytest.raises(Final, match="key_reused"):
        bank.pay(key, amount, to, "FX-INV-23A4F")
    assert len(paid(simulators, key)) == 1


def test_an_account_that_ends_in_99_bounces(bank: ClearBank):
    key = uuid4().hex
    assert bank.pay(key, 100, BOUNCES, "FX-INV-23A4F").status == "FAILED"
    assert bank.payment(key).status == "FAILED"  # pyright: ignore[reportOptionalMemberAccess]


def test_held_payments_are_credited_when_released(bank: ClearBank, simulators: Simulators):
    key = uuid4().hex
    simulators.control("/bank/control/hold")
    try:
        assert bank.pay(key, 100, SELLER, "FX-INV-23A4F").status == "ACCEPTED"
        assert bank.pay(key, 100, SELLER, "FX-INV-23A4F").status == "ACCEPTED"
        assert simulators.control("/bank/control/release") == {"released": 1}
        assert simulators.control("/bank/control/release") == {"released": 0}
        assert bank.pay(key, 100, SELLER, "FX-INV-23A4F").status == "CREDITED"
    finally:
        simulators.control("/bank/control/hold", on=False)


def test_a_key_the_bank_never_saw_is_no_payment(bank: ClearBank):
    assert bank.payment(uuid4().hex) is None


@pytest.mark.parametrize("amount", [0, -1, 100_000_001])
def test_an_impossible_amount_is_final(bank: ClearBank, amount: int):
    with pytest.raises(Final, match="refused"):
        bank.pay(uuid4().hex, amount, SELLER, "FX-INV-23A4F")


def test_an_outage_pays_nothing_and_the_key_pays_later(bank: ClearBank, simulators: Simulators):
    key = uuid4().hex
    simulators.control("/bank/control/outage")
    try:
        with pytest.raises(Retryable, match="unavailable"):
            bank.pay(key, 100, SELLER, "FX-INV-23A4F")
    finally:
        simulators.control("/bank/control/outage", on=False)
    assert paid(simulators, key) == []
    assert bank.pay(key, 100, SELLER, "FX-INV-23A4F").status == "CREDITED"


def test_a_lost_answer_does_not_pay_twice(bank: ClearBank, simulators: Simulators, monkeypatch):
    """The bank takes the instruction and the connection breaks: the caller repeats the key."""
    key = uuid4().hex
    send = httpx.Client.send

    def lose(self, request, **given):
        answer = send(self, request, **given)
        if request.method == "POST":
            raise httpx.ReadError("connection lost")
        return answer

    with monkeypatch.context() as broken:
        broken.setattr(httpx.Client, "send", lose)
        with pytest.raises(Retryable, match="unreachable"):
            bank.pay(key, 100, SELLER, "FX-INV-23A4F")
    assert bank.pay(key, 100, SELLER, "FX-INV-23A4F").status == "CREDITED"
    assert len(paid(simulators, key)) == 1


def test_every_pence_survives_the_decimal_wire(bank: ClearBank):
    for amount in (1, 99, 100, 101, 966_000, 1_000_001, 33_333_333, 100_000_000):
        key = uuid4().hex
        assert bank.pay(key, amount, SELLER, "FX-INV-23A4F").amount_pence == amount
        assert bank.payment(key).amount_pence == amount  # pyright: ignore[reportOptionalMemberAccess]


def test_the_scheme_gets_only_characters_it_carries(bank: ClearBank):
    assert scheme_text("Pennine — Trade Finance’s café ✓ £1") == "Pennine - Trade Finance's cafe . .1"
    to = Account("Pennine Asset Management LLP — Trade Finance", "30-95-12", "22487719")
    assert bank.pay(uuid4().hex, 100, to, "FX-INV-23A4F — net advance for the seller").status == "CREDITED"


@pytest.mark.parametrize(
    ("token", "secret"), [("guess", CREDENTIALS.clearbank_secret), (CREDENTIALS.clearbank_token, "x")]
)
def test_wrong_credentials_are_final(simulators: Simulators, token: str, secret: str):
    wrong = ClearBank(
        f"{simulators.url}/bank", token, secret, account_id="x", sort_code="040075", account_number="10000001"
    )
    with pytest.raises(Final, match="unauthorised"):
        wrong.pay(uuid4().hex, 100, SELLER, "FX-INV-23A4F")
