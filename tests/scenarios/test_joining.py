"""Joining: a company is who its registers, its bank and its mailbox say it is; whoever is not meets a person."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.story import ACCOUNTS
from tests.scenarios.town import Person, Town, accepted, refused


def joins(town: Town, who: str, role: str, name: str, number: str, mailbox: str, **form: Any) -> Person:
    """Signs up, proves the mailbox, hands in the form."""
    town.story.sign_up(who, role=role, legal_name=name, company_number=number, representative="Ann Other",
                       email=mailbox)
    accepted(town.person(who).post("/v1/onboarding", form))
    return town.person(who)


def account(name: str, number: str = "53910462") -> dict[str, str]:
    return {"name": name, "sort_code": "20-48-99", "account_number": number}


def case_of(town: Town, who: str, status: str = "open") -> dict[str, Any]:
    """The newest case about this person, once it is there."""
    subject = town.id_of(who)
    def found() -> list[dict[str, Any]]:
        rows = accepted(town.person("mlro").get("/v1/compliance/cases", status=status))["data"]
        return [row for row in rows if row["subject"] == subject]
    town.wait(found, f"a case about {who}, {status}")
    return accepted(town.person("mlro").get(f"/v1/compliance/cases/{found()[-1]['file_number']}"))


def decides(town: Town, case: dict[str, Any], decision: str) -> Any:
    return town.person("mlro").post(f"/v1/compliance/cases/{case['file_number']}/decision",
                                    {"decision": decision, "rationale": "looked into with care"})


def state(town: Town, who: str) -> Any:
    return accepted(town.person(who).get("/v1/me"))


def test_another_companys_number_and_an_unrelated_mailbox_never_activate_by_themselves(town: Town) -> None:
    """The real company has an account already, and neither of the two learns of the other."""
    joins(town, "impostor", "corporate_buyer", "Northwind Retail plc", "04382671", "tom@payments-desk.com")
    case = case_of(town, "impostor")
    assert {reason.partition(":")[0] for reason in case["reasons"]} == {"mailbox_domain_unknown", "company_contested"}
    assert case["contested_by"]["subject"] == town.id_of("northwind")
    assert {said["source"] for said in case["evidence"]} == {"sumsub", "companies-house", "complyadvantage"}
    assert state(town, "impostor")["state"] == "IN_REVIEW"
    refused(decides(town, case, "approve"), 409, "company_known")
    accepted(decides(town, case, "decline"))
    shown = state(town, "impostor")
    assert shown["state"] == "CLOSED" and shown["application"]["again_from"] > f"{town.now}"[:10]
    refused(town.person("impostor").post("/v1/onboarding", {}), 409, "not_onboarding")


def test_the_real_company_gets_a_case_and_takes_its_place(town: Town) -> None:
    """An impostor came first, with a mailbox that looked right."""
    town.registers("07453001", "HOLLIN FOUNDRY LTD")
    joins(town, "first", "corporate_buyer", "Hollin Foundry Ltd", "07453001", "ann@hollin-uk.com")
    town.story.wait_active("first")
    joins(town, "second", "corporate_buyer", "Hollin Foundry Ltd", "07453001", "ann@hollinfoundry.co.uk")
    case = case_of(town, "second")
    assert case["contested_by"] == {
        "subject": town.id_of("first"), "legal_name": "Hollin Foundry Ltd", "state": "ACTIVE",
        "file_number": case["contested_by"]["file_number"], "mailbox_domain": "hollin-uk.com"}
    accepted(town.person("mlro").post(f"/v1/subjects/{town.id_of('first')}/closure", {"reason": "platform"}))
    town.wait(lambda: town.entries("directory.released.1"), "the number to be free")
    accepted(decides(town, case, "approve"))
    town.story.wait_active("second")


@pytest.mark.parametrize(("name", "holder", "reason"), [
    ("Joinery Ltd", "Coppice Joinery Ltd", "name_differs"),
    ("Coppice Joinery Ltd", "Ann Other", "account_name_differs"),
])
def test_a_form_that_names_somebody_else_is_for_a_person(town: Town, name: str, holder: str, reason: str) -> None:
    number = f"0745301{len(reason) % 7}"
    town.registers(number, "COPPICE JOINERY LTD")
    joins(town, reason, "investor", name, number, "ann@coppice.co.uk", mifid_category="PROFESSIONAL",
          bank_account=account(holder))
    assert any(why.startswith(reason) for why in case_of(town, reason)["reasons"])


def test_a_number_nobody_has_goes_back_and_is_corrected(town: Town) -> None:
    number = "07453020"
    joins(town, "larch", "corporate_buyer", "Larch Mill Ltd", "99999999", "ann@larchmill.co.uk")
    town.wait(lambda: state(town, "larch")["state"] == "FORM_RETURNED", "the form to come back")
    assert state(town, "larch")["application"]["correct"] == ["/company_number"]
    assert case_of(town, "larch", "returned")["reasons"] == ["the company register does not know this number"]
    town.registers(number, "LARCH MILL LTD")
    accepted(town.person("larch").post("/v1/onboarding", {"company_number": number}))
    town.story.wait_active("larch")


@pytest.mark.parametrize(("reference", "told", "status", "reason"), [
    ("999999", "FORM_RETURNED", "returned", "the firm register does not know this reference"),
    ("697241", "CLOSED", "ended", "the firm register's firm is Salford Commercial Finance Ltd, company 08715526"),
])
def test_a_lender_whose_firm_is_not_its_own_is_told_nothing_and_compliance_everything(
    town: Town, reference: str, told: str, status: str, reason: str
) -> None:
    who, number = f"lender-{reference}", f"0746{reference[:4]}"
    town.registers(number, "ROWAN CREDIT LTD")
    joins(town, who, "lender", "Rowan Credit Ltd", number, "ann@rowancredit.co.uk", firm_reference=reference,
          bank_account=account("Rowan Credit Ltd"))
    town.wait(lambda: state(town, who)["state"] == told, f"{who} to be {told}")
    shown = state(town, who)
    assert not any(word in str(shown).lower() for word in ("firm", "fca", "register", "salford")) or told != "CLOSED"
    assert case_of(town, who, status)["reasons"] == [reason]


def test_a_turnover_nobody_has_checked_admits_no_larger_invoice(town: Town) -> None:
    """Coppergate's refresh claims a hundred thousand million pounds: with an account nobody has, then with its own."""
    largest, nobodys = 25_000_000, account("Coppergate Joinery Ltd", "00000000")

    def hands_in(turnover: int, bank: dict[str, str]) -> None:
        accepted(town.person("coppergate").post("/v1/onboarding", {"turnover_pence": turnover, "bank_account": bank}))

    def approved() -> None:
        accepted(decides(town, case_of(town, "coppergate"), "approve"))
        town.wait(lambda: not state(town, "coppergate")["application"], "the file to be through")

    def too_large() -> None:
        refused(town.submits(town.new_reference(), face_value_pence=largest), 422, "face_above_turnover_share")

    hands_in(90_000_000, ACCOUNTS["coppergate"])
    approved()
    too_large()
    hands_in(10**13, nobodys)
    town.wait(lambda: state(town, "coppergate")["application"]["state"] == "FORM_RETURNED", "the form to come back")
    too_large()
    hands_in(10**13, ACCOUNTS["coppergate"])
    too_large()
    assert case_of(town, "coppergate")["state"] == "OPEN"
    too_large()
    assert state(town, "coppergate")["state"] == "ACTIVE"
    approved()
    accepted(town.submits(town.new_reference(), face_value_pence=largest))
