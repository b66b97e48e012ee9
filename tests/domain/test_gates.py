"""What a gate makes of what its sources say: only the applicant's own answer passes, and no file ends in silence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from domain import subject as s
from domain.base import Event
from domain.company_domain import Domains
from domain.party import LENDER, SELLER
from tests.domain.scenario import Row, at, fold, given, history_of
from tests.domain.test_subject import (
    ACTIVE,
    AGAIN,
    BUYER_PATH,
    COMPANY,
    FILE,
    FIRM,
    GREEN,
    ID,
    IN_REVIEW,
    LENDER_PATH,
    MLRO,
    NOON,
    NOW,
    PAYEE,
    SCREENED,
    SELLER_PATH,
    decision,
    firm,
    form,
    identity,
    submitted,
)

change = msgspec.structs.replace
ASKED, CHECKED = history_of(SELLER_PATH, 4), history_of(SELLER_PATH, 5)
FCA = history_of(LENDER_PATH, 9)
BOUND = Domains(frozenset({("coppergate.co.uk", "07452983")}))
LATER, TOO_EARLY = at("2026-05-31T11:00"), at("2026-05-31T10:59")


def said(source: s.Said, **fields: Any) -> s.Said:
    return change(source, **fields)


def outcome(command: s.SubjectCommand, history: tuple[Event, ...] = ASKED) -> Event:
    event, = given(*history).when(command, at(NOON)).decide()
    return event


DOUBTS = [
    (identity("YELLOW"), "the identity provider asks for a review"),
    (identity("PURPLE"), "the identity provider answered PURPLE"),
    (identity("REFUSED:key_reused"), "the identity provider answered REFUSED:key_reused"),
    (identity(register=said(COMPANY, name="Joinery Ltd"), payee=None, domains=BOUND),
     "name_differs: the company register's name is Joinery Ltd"),
    (identity(register=said(COMPANY, name="NEW COPPERGATE JOINERY LTD"), payee=None, domains=BOUND),
     "name_differs: the company register's name is NEW COPPERGATE JOINERY LTD"),
    (identity(register=said(COMPANY, number="00000001")),
     "number_differs: the company register answered about 00000001"),
    (identity(register=said(COMPANY, status="liquidation")), "the company register says liquidation"),
    (identity(register=said(COMPANY, name="", number="", status="REFUSED:unauthorised")),
     "the company register answered REFUSED:unauthorised"),
    (identity(payee=said(PAYEE, status="NO_MATCH")), "confirmation of payee answered NO_MATCH"),
    (identity(payee=said(PAYEE, status="UNAVAILABLE")), "confirmation of payee answered UNAVAILABLE"),
    (identity(payee=said(PAYEE, status="CLOSE_MATCH", name="Aisha Mahmood")),
     "confirmation of payee answered CLOSE_MATCH"),
    (identity(payee=said(PAYEE, status="REFUSED:refused")), "confirmation of payee answered REFUSED:refused"),
    (identity(account_name="Aisha Mahmood"), "account_name_differs: the form's account is not in the company's name"),
    (identity(account_name="Joinery Ltd"), "account_name_differs: the form's account is not in the company's name"),
    (identity(domains=Domains(frozenset({("coppergate.co.uk", "00000001")}))),
     "mailbox_domain_of_another: coppergate.co.uk belongs to company 00000001"),
    (identity(domains=Domains(frozenset({("coppergates.co.uk", "00000001")}))),
     "mailbox_domain_look_alike: coppergate.co.uk looks like coppergates.co.uk of company 00000001"),
    (identity(domains=Domains(frozenset({("cgjoinery.co.uk", "07452983")}))),
     "mailbox_domain_unknown: coppergate.co.uk; this company's mailboxes are at cgjoinery.co.uk"),
]


@pytest.mark.parametrize(("command", "reason"), DOUBTS, ids=lambda value: value if isinstance(value, str) else "")
def test_an_answer_that_is_not_plainly_the_applicants_is_for_a_person(command: s.RecordIdentity, reason: str) -> None:
    referred = outcome(command)
    assert isinstance(referred, s.KycReferred) and referred.reasons == (reason,)
    assert fold("subject", (*ASKED, referred)).flags == (reason,)


@pytest.mark.parametrize("command", [
    identity(), identity(register=said(COMPANY, name="The Coppergate Joinery Limited")),
    identity(register=said(COMPANY, number="07452983 ")),
    identity(account_name="Coppergate Joinery Limited — Trade Account"),
    identity(payee=said(PAYEE, status="CLOSE_MATCH", name="Coppergate Joinery Ltd - No. 2 Account")),
    identity(domains=BOUND),
])
def test_the_applicants_own_answers_pass(command: s.RecordIdentity) -> None:
    assert isinstance(outcome(command), s.KycPassed)


def test_an_account_holder_who_is_not_the_company_is_not_kept() -> None:
    holder = said(PAYEE, status="CLOSE_MATCH", name="Aisha Mahmood")
    referred = outcome(identity(payee=holder))
    assert isinstance(referred, s.KycReferred) and referred.evidence == (GREEN, COMPANY, said(holder, name=""))


def test_a_flagged_buyer_never_activates_by_itself() -> None:
    referred = outcome(identity(payee=None, account_name="", domains=Domains(frozenset({("x.uk", "07452983")}))),
                       history_of(BUYER_PATH, 4))
    history = (*history_of(BUYER_PATH, 4), referred, *BUYER_PATH[5].events, *BUYER_PATH[6].events)
    given(*history).when(s.PassGates(subject=ID), at(NOON)).then_refused(s.GateOutOfOrder)
    scored, opened = given(*history).when(s.AssessRisk(subject=ID), at(NOON)).decide()
    assert isinstance(scored, s.RiskScored) and isinstance(opened, s.ReviewOpened)


def test_a_contested_company_is_for_a_person() -> None:
    contested = outcome(s.ContestCompany(subject=ID, other="sub_2"), CHECKED)
    assert contested == s.CompanyContested(other="sub_2")
    assert fold("subject", (*CHECKED, contested)).flags == ("company_contested: sub_2 stands for this company",)


# ---------------------------------------------------------------- screening and the firm register


@pytest.mark.parametrize(("status", "reason"), [("", "possible screening match"),
                                                ("REFUSED:unauthorised", "screening answered REFUSED:unauthorised")])
def test_screening_that_is_not_clear_is_for_a_person(status: str, reason: str) -> None:
    history = history_of(SELLER_PATH, 6)
    answer = s.RecordScreening(subject=ID, clear=status != "", lists=(), screening=said(SCREENED, status=status))
    hit = outcome(answer, history)
    assert isinstance(hit, s.ScreeningHit) and fold("subject", (*history, hit)).flags == (reason,)


@pytest.mark.parametrize(("command", "reasons"), [
    (firm(register=said(FIRM, name="Other Ltd")), ("the firm register's firm is Other Ltd, company 07452983",)),
    (firm(register=said(FIRM, number="1")), ("the firm register's firm is Coppergate Joinery Ltd, company 1",)),
    (firm(register=said(FIRM, number="")), ("the firm register's firm is Coppergate Joinery Ltd, company ",)),
    (firm(register=said(FIRM, status="No longer authorised")), ("the firm register says No longer authorised",)),
    (firm(permissions=("Insurance distribution",)), ("the firm register lists no credit permission",)),
    (firm(permissions=()), ("the firm register lists no credit permission",)),
])
def test_only_the_applicants_own_authorised_firm_passes(command: s.RecordFirm, reasons: tuple[str, ...]) -> None:
    assert outcome(command, FCA) == s.FirmNotAuthorised(file_number=FILE, evidence=(command.register,),
                                                        reasons=reasons, again_from=AGAIN)


def test_a_firm_register_that_gives_no_answer_is_for_a_person_and_asked_again() -> None:
    reviewed = outcome(firm(register=said(FIRM, status="REFUSED:unauthorised")), FCA)
    assert reviewed == s.ReviewOpened(file_number=FILE,
                                      reasons=("the firm register answered REFUSED:unauthorised",))
    approved = given(*FCA, reviewed).when(decision(), MLRO).decide()
    again, = given(*FCA, reviewed, *approved).when(s.StartGate(subject=ID, gate="fca"), at(NOON)).decide()
    assert isinstance(again, s.FirmCheckRequested)


# ---------------------------------------------------------------- a form that goes back, a file that ends


UNKNOWN = said(COMPANY, name="", number="", status="UNKNOWN")
RETURNED = s.FormReturned(file_number=FILE, evidence=(GREEN, UNKNOWN), pointers=("/company_number",),
                          reasons=("the company register does not know this number",))


def test_what_a_source_does_not_take_goes_back_to_its_owner() -> None:
    given(*ASKED).when(identity(register=UNKNOWN, payee=None), at(NOON)).then(RETURNED)
    account = outcome(identity(payee=said(PAYEE, status="UNKNOWN")))
    assert isinstance(account, s.FormReturned) and account.pointers == ("/bank_account/account_number",)
    reference = outcome(firm(register=said(FIRM, status="UNKNOWN")), FCA)
    assert isinstance(reference, s.FormReturned) and reference.pointers == ("/firm_reference",)


def test_a_returned_form_is_corrected_at_once() -> None:
    back = (*ASKED, RETURNED)
    assert (fold("subject", back).state, fold("subject", back).returned) == ("FORM_RETURNED", ("/company_number",))
    corrected = submitted(SELLER, file_number="FX-APP-2", company_number="07452984", legal_name="Copper Ltd")
    given(*back).when(corrected.command, at(NOON)).then(*corrected.events)
    subject = fold("subject", (*back, *corrected.events))
    assert (subject.company_number, subject.legal_name, subject.returned) == ("07452984", "Copper Ltd", ())


def test_a_refresh_that_goes_back_leaves_the_customer_active() -> None:
    refresh = submitted(SELLER, refresh=True, file_number="FX-APP-2")
    asked = (*ACTIVE, *refresh.events, *history_of(SELLER_PATH, 4)[4:])
    returned = outcome(identity(payee=said(PAYEE, status="UNKNOWN")), asked)
    assert fold("subject", (*asked, returned)).state == "ACTIVE"
    again = submitted(SELLER, refresh=True, file_number="FX-APP-3")
    given(*asked, returned).when(again.command, at(NOON)).then(*again.events)


ENDS = {
    "kyc": (*ASKED, s.KycFailed(file_number=FILE, evidence=(), reasons=("red",), again_from=AGAIN)),
    "fca": (*FCA, s.FirmNotAuthorised(file_number=FILE, evidence=(), reasons=("no",), again_from=AGAIN)),
    "mlro": (*IN_REVIEW, *given(*IN_REVIEW).when(decision(approve=False), MLRO).decide()),
}


@pytest.mark.parametrize("end", ENDS)
def test_after_the_cooling_off_another_file_may_be_handed_in(end: str) -> None:
    history = ENDS[end]
    role = LENDER if end == "fca" else SELLER
    given(*history).when(form(role), TOO_EARLY).then_refused(s.NotOnboarding)
    again, = given(*history).when(form(role, file_number="FX-APP-2"), LATER).decide()
    assert isinstance(again, s.OnboardingSubmitted) and not again.refresh
    assert fold("subject", (*history, again)).state == "ONBOARDING_SUBMITTED"


def test_red_fails_and_says_why() -> None:
    assert outcome(identity("RED")) == s.KycFailed(
        file_number=FILE, evidence=(said(GREEN, status="RED"), COMPANY, PAYEE),
        reasons=("the identity provider says RED",), again_from=AGAIN)


def test_claims_of_a_declined_lender_wait_for_the_new_files_wallet() -> None:
    """A new file is no pass: what was revoked comes back with the wallet's gate."""
    active = history_of(LENDER_PATH, len(LENDER_PATH))
    revoked = [*active, *submitted(LENDER, refresh=True, file_number="FX-APP-2").events,
               s.KycFailed(file_number="FX-APP-2", evidence=(), reasons=(), again_from=AGAIN),
               s.RevocationRequested(wallet="0xw", topics=("KYC_VERIFIED",), reason="declined"),
               s.ClaimsRevoked(wallet="0xw", topics=("KYC_VERIFIED",), tx=())]
    later = at((NOW + timedelta(days=40)).strftime("%Y-%m-%dT%H:%M"))
    decided = given(*revoked).when(form(LENDER, file_number="FX-APP-3"), later).decide()
    assert [type(event) for event in decided] == [s.OnboardingSubmitted]


REFUSED = [
    Row(s.GateOutOfOrder, ASKED, s.ContestCompany(subject=ID, other="sub_2"), at(NOON)),
    Row(s.NotContested, CHECKED, s.ContestCompany(subject=ID, other=ID), at(NOON)),
    Row(s.CompanyFixed, history_of(SELLER_PATH, 2), form(SELLER, company_number="1"), at(NOON)),
    Row(s.CompanyFixed, history_of(SELLER_PATH, 2), form(SELLER, legal_name="Other Ltd"), at(NOON)),
    Row(s.CompanyFixed, ACTIVE, form(SELLER, legal_name="Other Ltd"), at(NOON)),
    Row(s.CompanyFixed, (*ASKED, change(RETURNED, pointers=("/firm_reference",))), form(SELLER, company_number="1"),
        at(NOON)),
    Row(s.GateOutOfOrder, (*ASKED, RETURNED), identity(), at(NOON)),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()
