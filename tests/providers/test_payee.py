import re
from uuid import uuid4

import pytest

from providers.errors import Final, Retryable
from providers.payee import PayeeResult
from providers.payee.clearbank import ClearBankPayeeCheck
from tests.providers.conftest import CREDENTIALS, Simulators

PENNINE = "Pennine Asset Management LLP — Trade Finance"


@pytest.fixture
def payees(simulators: Simulators) -> ClearBankPayeeCheck:
    return ClearBankPayeeCheck(
        f"{simulators.url}/payee", CREDENTIALS.payee_token, CREDENTIALS.payee_secret
    )


@pytest.mark.parametrize(
    ("name", "sort_code", "number", "expected"),
    [
        (PENNINE, "30-95-12", "22487719", PayeeResult("MATCH")),
        ("Pennine Asset Management LLP", "309512", "22487719", PayeeResult("CLOSE_MATCH", PENNINE, "MBAM")),
        ("Coppergate Joinery Limited", "20-55-88", "41903377", PayeeResult("MATCH")),
        ("Northwind Retail plc", "20-55-88", "41903377", PayeeResult("NO_MATCH", None, "ANNM")),
        ("Anybody Ltd", "11-22-33", "12345678", PayeeResult("MATCH")),
        ("Anybody Ltd", "11-22-33", "12345600", PayeeResult("UNKNOWN", None, "AC01")),
        ("NO MATCH Ltd", "11-22-33", "12345678", PayeeResult("NO_MATCH", None, "ANNM")),
        ("CLOSE MATCH Ltd", "11-22-33", "12345678", PayeeResult("CLOSE_MATCH", "Ltd", "MBAM")),
        ("UNAVAILABLE Ltd", "11-22-33", "12345678", PayeeResult("UNAVAILABLE", None, "424")),
        ("Comma, Sons & Co", "11-22-33", "1234567", PayeeResult("MATCH")),
    ],
)
def test_names_are_compared_with_the_holder(payees: ClearBankPayeeCheck, name, sort_code, number, expected):
    said = payees.verify(name, sort_code, number)
    assert (said.match, said.name, said.reason) == (expected.match, expected.name, expected.reason)
    assert re.fullmatch("[0-9a-f]{64}", said.payload_sha256) or said.match == "UNAVAILABLE"


def test_a_virtual_account_belongs_to_its_owner(payees: ClearBankPayeeCheck, simulators: Simulators):
    account = simulators.bank().open_virtual_account(uuid4().hex, "Halton & Crane LLP")
    assert payees.verify("Halton and Crane LLP", account.sort_code, account.account_number).match == "MATCH"
    assert payees.verify("Somebody Else", account.sort_code, account.account_number).match == "NO_MATCH"


def test_a_holder_can_be_set(payees: ClearBankPayeeCheck, simulators: Simulators):
    simulators.control(
        "/payee/control/accounts", sort_code="10-20-30", account_number="55554444", name="Real Owner Ltd"
    )
    assert payees.verify("Pretender Ltd", "102030", "55554444").match == "NO_MATCH"


@pytest.mark.parametrize(
    ("sort_code", "number"), [("30-95-1", "22487719"), ("309512", "224877190"), ("abcdef", "1")]
)
def test_a_malformed_account_is_final(payees: ClearBankPayeeCheck, sort_code: str, number: str):
    with pytest.raises(Final, match="account_invalid"):
        payees.verify("Coppergate Joinery Ltd", sort_code, number)


def test_an_outage_is_retryable_and_a_wrong_secret_final(payees: ClearBankPayeeCheck, simulators: Simulators):
    wrong = ClearBankPayeeCheck(f"{simulators.url}/payee", CREDENTIALS.payee_token, "guess")
    with pytest.raises(Final, match="unauthorised"):
        wrong.verify("Coppergate Joinery Ltd", "205588", "41903377")
    simulators.control("/payee/control/outage")
    try:
        with pytest.raises(Retryable):
            payees.verify("Coppergate Joinery Ltd", "205588", "41903377")
    finally:
        simulators.control("/payee/control/outage", on=False)
