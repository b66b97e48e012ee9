import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from providers.bank import Account, CreditNotice, DebitNotice, ReturnNotice
from providers.bank.account import end_to_end
from providers.bank.clearbank import ClearBank
from providers.bank.signature import headers, signature
from providers.errors import Final
from tests.providers.conftest import CREDENTIALS, Platform, Simulators

SECRET = CREDENTIALS.clearbank_secret.encode()


@pytest.fixture
def bank(simulators: Simulators, platform: Platform) -> ClearBank:
    simulators.control("/bank/control/notify-url", url="")
    simulators.control("/bank/control/notify-url", url=platform.url)
    return simulators.bank()


@pytest.fixture
def account(bank: ClearBank) -> Account:
    return bank.open_virtual_account(uuid4().hex, "Northwind Retail plc — FX-INV-23A4F")


def pay_in(simulators: Simulators, account: Account, **fields: object) -> dict:
    given = {"amount_pence": 1_000_000, "narration": "FX-INV-23A4F", "remitter_name": "Northwind Retail plc"}
    return simulators.control(
        "/bank/control/credits", account_number=account.account_number, **{**given, **fields}
    )


def test_a_credit_is_notified_signed_and_exact(bank, account, simulators, platform):
    ref = pay_in(simulators, account, amount_pence=1_000_001)["ref"]
    sent, raw = platform.wait(1)[0]
    notice = bank.verify_notice(sent, raw, datetime.now(UTC))
    assert notice.bank_ref == ref
    assert notice.account == account
    assert (notice.amount_pence, notice.currency) == (1_000_001, "GBP")
    assert (notice.narration, notice.remitter_name) == ("FX-INV-23A4F", "Northwind Retail plc")
    assert abs(datetime.now(UTC) - notice.received_at) < timedelta(minutes=1)
    assert notice.payer == Account("Northwind Retail plc", "200000", "55779911")


def test_a_credit_says_which_account_it_comes_from(bank, account, simulators, platform):
    pay_in(simulators, account, remitter_sort_code="40-27-61", remitter_account_number="10482956")
    notice = bank.verify_notice(*platform.wait(1)[0], datetime.now(UTC))
    assert notice.payer == Account("Northwind Retail plc", "402761", "10482956")


def test_a_repeated_pay_in_with_a_key_is_one_credit(account, simulators, platform):
    key = uuid4().hex
    first = pay_in(simulators, account, key=key)
    again = pay_in(simulators, account, key=key)
    assert (first["ref"], first["new"], again["new"]) == (again["ref"], True, False)
    refused = httpx.post(
        f"{simulators.url}/bank/control/credits",
        json={"account": {"account_number": account.account_number}, "amount_pence": 5, "key": key},
    )
    assert refused.status_code == 400
    platform.wait(1)
    assert sum(each["ref"] == first["ref"] for each in simulators.get("/bank/transactions.json")) == 1


def test_a_notice_is_repeated_until_answered_with_a_new_time_and_the_same_body(
    bank, account, simulators, platform
):
    platform.status = 503
    pay_in(simulators, account)
    platform.wait(3)
    platform.status = 204
    received = platform.wait(4)
    assert len({raw for _, raw in received}) == 1
    assert len({sent["X-Request-Id"] for sent, _ in received}) == len(received)
    assert all(bank.verify_notice(sent, raw, datetime.now(UTC)) for sent, raw in received)


def test_a_delivered_notice_can_be_repeated(bank, account, simulators, platform):
    ref = pay_in(simulators, account)["ref"]
    platform.wait(1)
    simulators.control(f"/bank/control/credits/{ref}/redeliver")
    first, second = platform.wait(2)
    assert first[1] == second[1]
    assert bank.verify_notice(*second, datetime.now(UTC)).bank_ref == ref


def test_a_credited_payment_comes_back_once_notified_with_the_id_it_went_out_under(bank, simulators, platform):
    key = uuid4().hex
    paid = bank.pay(key, 966_000, Account("Coppergate Joinery Ltd", "204817", "53910462"), "FX-INV-23A4F")
    simulators.control(f"/bank/control/payments/{paid.provider_ref}/return")
    simulators.control(f"/bank/control/payments/{paid.provider_ref}/return")
    notice = bank.verify_notice(*platform.wait(1)[0], datetime.now(UTC))
    assert isinstance(notice, ReturnNotice) and notice.order == end_to_end(key)
    assert notice.credit.bank_ref != paid.provider_ref
    assert (notice.credit.amount_pence, notice.credit.narration) == (966_000, "FX-INV-23A4F")
    assert notice.credit.account == Account("FinToken X Ltd", "040075", "10000001")
    assert notice.credit.payer == Account("Coppergate Joinery Ltd", "204817", "53910462")
    again = bank.pay(key, 966_000, notice.credit.payer, "FX-INV-23A4F")
    assert (again.provider_ref, again.status) == (paid.provider_ref, "RETURNED")
    rows = [row for row in simulators.get("/bank/transactions.json") if row["end_to_end"] == end_to_end(key)]
    assert [(row["direction"], row["amount_pence"]) for row in rows] == [("DBIT", 966_000), ("CRDT", 966_000)]


@pytest.mark.parametrize("amount", ["1.5", 0, -5, 10.5, True, None, "ten"])
def test_only_whole_pence_are_paid_in(account, simulators, amount):
    given = {"account_number": account.account_number, "amount_pence": amount}
    assert httpx.post(f"{simulators.url}/bank/control/credits", json=given).status_code == 400


def test_a_credit_can_be_dated_for_a_test_clock(bank, account, simulators, platform):
    pay_in(simulators, account, settled_at="2026-07-21T14:21:08+01:00")
    notice = bank.verify_notice(*platform.wait(1)[0], datetime.now(UTC))
    assert notice.received_at == datetime(2026, 7, 21, 13, 21, 8, tzinfo=UTC)
    undated = {
        "account_number": account.account_number,
        "amount_pence": 1,
        "settled_at": "2026-07-21T14:21:08",
    }
    assert httpx.post(f"{simulators.url}/bank/control/credits", json=undated).status_code == 400


def test_nobody_pays_into_an_unknown_account(bank, simulators):
    given = {"account_number": "99999999", "amount_pence": 1}
    assert httpx.post(f"{simulators.url}/bank/control/credits", json=given).status_code == 400


class TestVerification:
    """No network: what the adapter says of a notice, whoever delivers it."""

    NOW = datetime(2026, 7, 21, 13, 21, 8, tzinfo=UTC)
    PAYLOAD = {
        "TransactionId": "d9162680-7d35-7994-4e38-fa80716899a2", "Status": "Settled", "Scheme": "Transfer",
        "EndToEndTransactionId": "05726acd06dc", "Amount": 88.52,
        "TimestampSettled": "2026-07-21T13:21:07.964Z",
        "TimestampCreated": "2026-07-21T13:21:07.101Z", "CurrencyCode": "GBP", "DebitCreditCode": "Credit",
        "Reference": "FX-INV-23A4F", "IsReturn": False,
        "Account": {"IBAN": "GB00CUBK11223312345678", "BBAN": "CUBK11223312345678", "OwnerName": "John Doe"},
        "CounterpartAccount": {"BBAN": "CUBK44556687654321", "OwnerName": "Jane Doe"},
    }  # fmt: skip

    @pytest.fixture
    def bank(self) -> ClearBank:
        given = {"account_id": "a", "sort_code": "112233", "account_number": "12345678"}
        return ClearBank("http://127.0.0.1:9", "token", CREDENTIALS.clearbank_secret, **given)

    def raw(self, type_: str = "TransactionSettled", **changes: Any) -> bytes:
        return msgspec.json.encode(
            {"Type": type_, "Version": 6, "Payload": {**self.PAYLOAD, **changes}, "Nonce": 949893874}
        )

    def signed(self, raw: bytes, at: datetime = NOW) -> dict[str, str]:
        return headers(SECRET, None, raw, at)

    def test_the_vendors_own_shape_is_read(self, bank: ClearBank):
        notice = self.verify(bank, self.raw())
        assert notice.account == Account("John Doe", "112233", "12345678")
        assert (notice.amount_pence, notice.remitter_name) == (8852, "Jane Doe")
        assert notice.received_at == datetime(2026, 7, 21, 13, 21, 7, 964000, tzinfo=UTC)

    def test_header_names_are_not_case_sensitive(self, bank: ClearBank):
        raw = self.raw()
        assert bank.verify_notice({k.upper(): v for k, v in self.signed(raw).items()}, raw, self.NOW)

    @pytest.mark.parametrize(
        "bad", ["body", "time", "signature", "no signature", "no headers", "not ascii", "secret"]
    )
    def test_anything_altered_is_a_bad_signature(self, bank: ClearBank, bad: str):
        raw = self.raw()
        sent = self.signed(raw)
        if bad == "body":
            raw = raw.replace(b"88.52", b"98.52")
        elif bad == "time":
            sent["X-Request-Time"] = str(int(sent["X-Request-Time"]) + 1)
        elif bad == "signature":
            sent["DigitalSignature"] = sent["DigitalSignature"][:-4] + "AAA="
        elif bad == "no signature":
            del sent["DigitalSignature"]
        elif bad == "no headers":
            sent = {}
        elif bad == "not ascii":
            sent["DigitalSignature"] = "é"
        else:
            sent = headers(b"another secret", None, raw, self.NOW)
        with pytest.raises(Final, match="bad_signature"):
            bank.verify_notice(sent, raw, self.NOW)

    def test_whitespace_is_part_of_the_raw_body(self, bank: ClearBank):
        raw = self.raw()
        with pytest.raises(Final, match="bad_signature"):
            bank.verify_notice(self.signed(raw), raw + b" ", self.NOW)

    @pytest.mark.parametrize("age_s", [-301, 301, 86_400])
    def test_five_minutes_either_way_are_stale(self, bank: ClearBank, age_s: int):
        raw = self.raw()
        with pytest.raises(Final, match="stale"):
            bank.verify_notice(self.signed(raw), raw, self.NOW + timedelta(seconds=age_s))

    @pytest.mark.parametrize("age_s", [-299, 0, 300])
    def test_within_five_minutes_is_fresh(self, bank: ClearBank, age_s: int):
        raw = self.raw()
        assert bank.verify_notice(self.signed(raw), raw, self.NOW + timedelta(seconds=age_s))

    @pytest.mark.parametrize("stamp", ["", "now", "-1", "1e9", "٣", "9" * 40, "999999999999", "0", "9999999999"])
    def test_a_signed_time_that_is_no_time_is_unreadable(self, bank: ClearBank, stamp: str):
        raw = self.raw()
        sent = {"X-Request-Time": stamp, "DigitalSignature": signature(SECRET, stamp, raw)}
        with pytest.raises(Final, match="unreadable: X-Request-Time"):
            bank.verify_notice(sent, raw, self.NOW)

    def test_other_notices_are_of_no_settled_money(self, bank: ClearBank):
        raw = self.raw(type_="TransactionRejected")
        with pytest.raises(Final, match="not_settled"):
            bank.verify_notice(self.signed(raw), raw, self.NOW)

    @pytest.mark.parametrize("order", ["05726acd06dc", "", None])
    def test_what_came_back_is_a_credit_with_the_id_it_went_out_under(self, bank: ClearBank, order: str | None):
        raw = self.raw(IsReturn=True, EndToEndTransactionId=order)
        assert bank.verify_notice(self.signed(raw), raw, self.NOW) == ReturnNotice(
            order or "", self.verify(bank, self.raw()))

    @pytest.mark.parametrize("is_return", [False, True])
    def test_what_left_is_a_debit(self, bank: ClearBank, is_return: bool):
        raw = self.raw(DebitCreditCode="Debit", IsReturn=is_return)
        assert bank.verify_notice(self.signed(raw), raw, self.NOW) == DebitNotice(
            self.PAYLOAD["TransactionId"], "05726acd06dc", Account("John Doe", "112233", "12345678"), 8852, "GBP",
            datetime(2026, 7, 21, 13, 21, 7, 964000, tzinfo=UTC))

    @pytest.mark.parametrize(
        "raw", [b"", b"{", b"[]", b'{"Type":"TransactionSettled","Payload":{},"Nonce":1}']
    )
    def test_signed_nonsense_is_unreadable(self, bank: ClearBank, raw: bytes):
        with pytest.raises(Final, match="unreadable"):
            bank.verify_notice(self.signed(raw), raw, self.NOW)

    def verify(self, bank: ClearBank, raw: bytes) -> CreditNotice:
        notice = bank.verify_notice(self.signed(raw), raw, self.NOW)
        assert isinstance(notice, CreditNotice)
        return notice

    @pytest.mark.parametrize(("written", "pence"), [
        ("0.01", 1), ("1", 100), ("1.5", 150), ("88.52", 8_852), ("100000000000.00", 10**13)])
    def test_plain_pounds_are_read_to_the_penny(self, bank: ClearBank, written: str, pence: int):
        raw = self.raw().replace(b"88.52", written.encode())
        assert self.verify(bank, raw).amount_pence == pence

    @pytest.mark.parametrize("written", [
        "88.525", "0", "0.00", "-1", "1e3", "1E400000", "1e-2", "Infinity", "NaN", "null", '"5"', "[]", "true",
        "100000000000.01", "9" * 50_000, "0." + "0" * 50_000 + "1", "1." + "5" * 50_000])
    def test_any_other_amount_is_unreadable_and_at_once(self, bank: ClearBank, written: str):
        raw = self.raw().replace(b"88.52", written.encode())
        started = time.perf_counter()
        with pytest.raises(Final, match="unreadable"):
            self.verify(bank, raw)
        assert time.perf_counter() - started < 0.1

    @pytest.mark.parametrize("written", [
        "2026-07-21T13:21:07", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59", "1999-12-31T23:59:59Z", "2026-07-22T13:21:09Z", "yesterday", "", 1_784_640_067,
        None])
    def test_a_time_without_a_zone_or_of_another_age_is_unreadable(self, bank: ClearBank, written: object):
        with pytest.raises(Final, match="unreadable: TimestampSettled"):
            self.verify(bank, self.raw(TimestampSettled=written))

    def test_a_time_is_read_in_its_own_zone_whatever_the_hosts(self, bank: ClearBank, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        notice = self.verify(bank, self.raw(TimestampSettled="2026-07-21T14:21:07+01:00"))
        assert notice.received_at == datetime(2026, 7, 21, 13, 21, 7, tzinfo=UTC)
        monkeypatch.undo()
        time.tzset()

    @pytest.mark.parametrize("name", ["TransactionId", "CurrencyCode", "DebitCreditCode"])
    @pytest.mark.parametrize("value", ["", " ", "a\n", "é", "x" * 65, None, 1, [], "\u2028"])
    def test_words_of_the_bank_have_a_form(self, bank: ClearBank, name: str, value: Any):
        with pytest.raises(Final, match=f"unreadable: {name}"):
            self.verify(bank, self.raw(**{name: value}))

    @pytest.mark.parametrize("bban", ["", "0400751000000", "CLRB0400751000000١", "04007510000001\n", "GB00CUBK"])
    def test_our_account_is_a_sort_code_and_a_number(self, bank: ClearBank, bban: str):
        with pytest.raises(Final, match="unreadable: Account.BBAN"):
            self.verify(bank, self.raw(Account={"BBAN": bban}))

    @pytest.mark.parametrize("bban", ["", "DE89370400440532013000", "CUBK4455668765432١"])
    def test_a_payer_of_another_country_has_no_account_we_know(self, bank: ClearBank, bban: str):
        notice = self.verify(bank, self.raw(CounterpartAccount={"BBAN": bban, "OwnerName": "Jane Doe"}))
        assert (notice.payer, notice.remitter_name) == (None, "Jane Doe")
        assert self.verify(bank, self.raw()).payer == Account("Jane Doe", "445566", "87654321")

    @pytest.mark.parametrize("raw_of", [
        lambda raw: raw.replace(b"FX-INV", b"FX\xff"), lambda raw: raw.replace(b"FX-INV", b"FX\xc3\x28"),
        lambda raw: raw.replace(b"FX-INV-23A4F", b"x" * 501), lambda raw: b"[" * 30_000,
        lambda raw: raw.replace(b"88.52", b"[" * 30_000), lambda raw: b"\xef\xbb\xbf" + raw],
        ids=["byte", "pair", "long", "deep", "deep inside", "mark"])
    def test_a_body_that_is_no_json_text_is_unreadable(self, bank: ClearBank, raw_of: Any):
        with pytest.raises(Final, match="unreadable"):
            self.verify(bank, raw_of(self.raw()))

    def test_what_is_wrong_is_named_and_never_repeated(self, bank: ClearBank):
        """Every field, each with a near miss that holds a name: the answer may stand in a log."""
        for field in self.PAYLOAD:
            near: dict[str, Any] = {field: {"Jane": "Doe"}}
            try:
                self.verify(bank, self.raw(**near))
            except Final as error:
                assert "Jane" not in str(error) and "Doe" not in str(error)
