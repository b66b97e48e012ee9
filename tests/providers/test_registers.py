from datetime import UTC, date, datetime

import pytest

from providers.errors import Final, Retryable
from providers.registers import Company
from providers.registers.companies_house import CompaniesHouse
from providers.registers.fca import FCARegister
from tests.providers.conftest import CREDENTIALS, Simulators

NOON = datetime(2026, 5, 22, 12, tzinfo=UTC)


@pytest.fixture
def companies(simulators: Simulators) -> CompaniesHouse:
    return CompaniesHouse(
        f"{simulators.url}/companies-house", CREDENTIALS.companies_house_key, clock=lambda: NOON
    )


@pytest.fixture
def firms(simulators: Simulators) -> FCARegister:
    return FCARegister(
        f"{simulators.url}/fca", CREDENTIALS.fca_email, CREDENTIALS.fca_key, clock=lambda: NOON
    )


def test_the_seller_is_on_the_register(companies: CompaniesHouse):
    found = companies.company("07452983")
    assert found == Company(
        number="07452983",
        name="COPPERGATE JOINERY LTD",
        status="active",
        incorporated_on=date(2010, 11, 25),
        sic_codes=("43320",),
        registered_office="Unit 4, Coppergate Industrial Estate, York, YO1 9NQ",
        checked_at=NOON,
        payload_sha256=found.payload_sha256,
    )
    assert len(bytes.fromhex(found.payload_sha256)) == 32


@pytest.mark.parametrize("number", ["07452983", "04382671", "OC348217", "OC361904", "08715526", "02914467"])
def test_every_named_entity_is_active(companies: CompaniesHouse, number: str):
    assert companies.company(number).status == "active"


def test_numbers_are_padded_and_upper_cased(companies: CompaniesHouse):
    assert companies.company(" 7452983 ").number == "07452983"
    assert companies.company("oc348217").name == "PENNINE ASSET MANAGEMENT LLP"


@pytest.mark.parametrize("number", ["99999999", "123456789", "07452983/officers", "../admin"])
def test_an_unknown_number_is_not_found(companies: CompaniesHouse, number: str):
    with pytest.raises(Final, match="not_found"):
        companies.company(number)


def test_insolvency_shows_at_the_next_look(companies: CompaniesHouse, simulators: Simulators):
    simulators.control("/companies-house/control/companies/04382671/status", status="liquidation")
    assert companies.company("04382671").status == "liquidation"
    simulators.control("/companies-house/control/companies/04382671/status", status="active")
    assert companies.company("04382671").status == "active"


def test_a_company_can_be_added(companies: CompaniesHouse, simulators: Simulators):
    simulators.control("/companies-house/control/companies", number="12345678", name="Test Ltd")
    assert companies.company("12345678").name == "Test Ltd"


def test_companies_house_insists_on_its_key(simulators: Simulators):
    with pytest.raises(Final, match="unauthorised"):
        CompaniesHouse(f"{simulators.url}/companies-house", "guess").company("07452983")


def test_the_lender_is_authorised_with_permissions(firms: FCARegister):
    firm = firms.firm("432119")
    assert (firm.name, firm.status, firm.checked_at) == ("Pennine Asset Management LLP", "Authorised", NOON)
    assert "Entering into a regulated credit agreement as lender" in firm.permissions


@pytest.mark.parametrize("frn", ["999999", "12", "43211a", "432119/Address"])
def test_an_unknown_firm_is_not_found(firms: FCARegister, frn: str):
    with pytest.raises(Final, match="not_found"):
        firms.firm(frn)


def test_revocation_leaves_a_firm_without_permissions(firms: FCARegister, simulators: Simulators):
    before = "|".join(firms.firm("518734").permissions)
    simulators.control("/fca/control/firms/518734", status="No longer authorised", permissions="")
    firm = firms.firm("518734")
    assert (firm.status, firm.permissions) == ("No longer authorised", ())
    simulators.control("/fca/control/firms/518734", status="Authorised", permissions=before)
    assert firms.firm("518734").status == "Authorised"


def test_the_fca_refuses_inside_a_200(simulators: Simulators):
    with pytest.raises(Final, match="unauthorised"):
        FCARegister(f"{simulators.url}/fca", CREDENTIALS.fca_email, "guess").firm("432119")


def test_outages_are_retryable(companies: CompaniesHouse, firms: FCARegister, simulators: Simulators):
    simulators.control("/companies-house/control/outage")
    simulators.control("/fca/control/outage")
    try:
        with pytest.raises(Retryable):
            companies.company("07452983")
        with pytest.raises(Retryable):
            firms.firm("432119")
    finally:
        simulators.control("/companies-house/control/outage", on=False)
        simulators.control("/fca/control/outage", on=False)
