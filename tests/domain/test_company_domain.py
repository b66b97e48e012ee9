"""Is this mailbox the company's? The rule as a table, and the register of domains that were bound."""

from __future__ import annotations

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from domain.company_domain import DOMAINS, BindDomain, DomainBound, Domains, doubt_about
from tests.domain.scenario import at, fold, given

NOON = at("2026-05-01T11:00")
NORTHWIND = ("Northwind Retail plc", "04382671")
KNOWN = Domains(frozenset({("northwind.co.uk", "04382671"), ("pennineam.co.uk", "OC348217")}))

OWN = [
    ("coppergate.co.uk", "Coppergate Joinery Ltd"), ("coppergatejoinery.com", "Coppergate Joinery Ltd"),
    ("coppergate-joinery.co.uk", "COPPERGATE JOINERY LIMITED"), ("mail.coppergate.co.uk", "Coppergate Joinery Ltd"),
    ("pennineam.co.uk", "Pennine Asset Management LLP"), ("brunelpp.co.uk", "Brunel Pension Partners LLP"),
    ("salfordcf.co.uk", "Salford Commercial Finance Ltd"), ("mercia.co.uk", "Mercia Bank plc"),
    ("northwindplc.com", "Northwind Retail plc"), ("northwinduk.com", "Northwind Retail plc"),
    ("smithandsons.co.uk", "Smith & Sons Ltd"), ("smithsons.co.uk", "Smith & Sons Ltd"), ("bp.com", "BP plc"),
    ("globalwidgets.co.uk", "Global Widgets Ltd"), ("cafenero.com", "Café Nero Ltd"),
]
NOT_OWN = [
    ("example.com", "Coppergate Joinery Ltd"), ("joinery.co.uk", "Coppergate Joinery Ltd"),
    ("coppergateholdings.co.uk", "Coppergate Joinery Ltd"), ("coppergate.example.com", "Coppergate Joinery Ltd"),
    ("xcoppergate.co.uk", "Coppergate Joinery Ltd"), ("northwind-retail-payments.com", "Northwind Retail plc"),
    ("global.co.uk", "Global Widgets Ltd"), ("co.uk", "Coppergate Joinery Ltd"),
    ("xn--nrthwind-jbb.co.uk", "Northwind plc"),
    ("coppergate.github.io", "Coppergate Joinery Ltd"), ("the.co.uk", "The Bakery Ltd"), ("bpx.com", "BP plc"),
]
LOOKS = ["northvvind.co.uk", "n0rthwind.co.uk", "northwlnd.co.uk", "northwind.com", "north-wind.co.uk",
         "northwind.shop", "nortwhind.co.uk", "northwiind.com", "mail.northwind.net", "penineam.co.uk",
         "pennirieam.co.uk"]
FAR = ["southwold.co.uk", "norfolk.co.uk", "penny.co.uk"]


@pytest.mark.parametrize(("domain", "name"), OWN)
def test_a_label_made_of_the_companys_name_is_its_own(domain: str, name: str) -> None:
    assert doubt_about(domain, name, "1", Domains()) is None


@pytest.mark.parametrize(("domain", "name"), NOT_OWN)
def test_anything_else_is_for_a_person(domain: str, name: str) -> None:
    assert (doubt_about(domain, name, "1", Domains()) or "").startswith("mailbox_domain_unknown: ")


@pytest.mark.parametrize("domain", LOOKS)
def test_what_looks_like_another_companys_domain_is_for_a_person(domain: str) -> None:
    name = domain.partition(".")[0].replace("-", " ").title() + " Ltd"
    assert (doubt_about(domain, name, "1", KNOWN) or "").startswith("mailbox_domain_look_alike: ")


@pytest.mark.parametrize("domain", FAR)
def test_what_does_not_look_like_it_is_not(domain: str) -> None:
    assert doubt_about(domain, domain.partition(".")[0].title() + " Ltd", "1", KNOWN) is None


def test_a_bound_domain_is_its_companys_alone_and_its_only_one() -> None:
    assert doubt_about("northwind.co.uk", *NORTHWIND, KNOWN) is None
    assert doubt_about("northwind.co.uk", "Something Else Ltd", "04382671 ", KNOWN) is None
    assert "of_another" in (doubt_about("northwind.co.uk", "Northwind Joinery Ltd", "1", KNOWN) or "")
    assert "unknown" in (doubt_about("northwindretail.com", *NORTHWIND, KNOWN) or "")


@forall(st.text(), st.text())
def test_every_text_has_an_answer(domain: str, name: str) -> None:
    doubt_about(domain, name, "1", KNOWN)


def test_a_domain_is_bound_once_to_each_company() -> None:
    bind = BindDomain(domain="northwind.co.uk", company_number=" 04382671", subject="sub_1")
    bound = DomainBound(domain="northwind.co.uk", company_number="04382671", subject="sub_1")
    given().when(bind, NOON).then(bound)
    given(bound).when(bind, NOON).then()
    assert fold("domains", (bound,)).bound == {("northwind.co.uk", "04382671")} and DOMAINS.name == "domains"
