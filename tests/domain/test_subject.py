"""The subject: one golden file per role, the refresh, the freeze, and everything it refuses."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from domain import subject as s
from domain.base import Conflict, Event, Invalid
from domain.forms import NotInForm
from domain.party import ADMIN, BUYER, COMPLIANCE, INVESTOR, LENDER, SELLER, Personal
from domain.risk import subject_grade
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given, history_of

change = msgspec.structs.replace
ID, FILE = "sub_1", "FX-APP-1"
SEALED = Personal(ID, "c2VhbGVk")
ACCOUNT, OTHER_ACCOUNT = Personal(ID, "YWNjb3VudA"), Personal(ID, "b3RoZXI")
NOON = "2026-05-01T11:00"
NOW = at(NOON).now
OLD = date(2010, 11, 25)
SHA = "e" * 64
GREEN = s.Said("sumsub", "ref-1", SHA, status="GREEN")
COMPANY = s.Said("companies-house", "07452983", SHA, "COPPERGATE JOINERY LTD", "07452983", "active")
PAYEE = s.Said("confirmation-of-payee", "", SHA, status="MATCH")
SCREENED = s.Said("complyadvantage", "sc-1", SHA)
FIRM = s.Said("fca-register", "900001", SHA, "Coppergate Joinery Ltd", "07452983", "Authorised")
AGAIN = NOW + timedelta(days=30)
LISTS = ("UKSL", "OFAC", "EU", "UN")
MLRO = at(NOON, "sub_mlro", COMPLIANCE)
DEPUTY = at(NOON, "sub_deputy", COMPLIANCE)
ASKED = s.CodeRequested(number=1, asked_at=NOW)
MAILBOX = s.MailboxProved(number=1, email_domain="coppergate.co.uk")
TOPICS = ("KYC_VERIFIED", "AML_CLEARED", "JURISDICTION_UK")


def create(role: str) -> Step:
    fields: dict[str, Any] = {
        "subject": ID, "role": role, "legal_name": "Coppergate Joinery Limited", "company_number": "07452983",
        "representative": SEALED, "email": SEALED, "email_domain": "coppergate.co.uk"}
    return Step(s.CreateSubject(**fields), at(NOON), (s.SubjectCreated(**fields), ASKED))


def typed(given: str = "RIGHT", number: int = 1) -> s.ProveMailbox:
    return s.ProveMailbox(subject=ID, number=number, given=given, expected="RIGHT")


def form(role: str, **fields: Any) -> s.SubmitOnboarding:
    filled = s.SubmitOnboarding(
        subject=ID, file_number=FILE, bank_account=None if role == BUYER else ACCOUNT,
        turnover_pence=320_000_000 if role == SELLER else 0, firm_reference="900001" if role == LENDER else None,
        mifid_category="PROFESSIONAL" if role == INVESTOR else None)
    return change(filled, **fields)


def submitted(role: str, refresh: bool = False, **fields: Any) -> Step:
    command = form(role, **fields)
    return Step(command, at(NOON), (s.OnboardingSubmitted(
        file_number=command.file_number, refresh=refresh, legal_name=command.legal_name,
        company_number=command.company_number, bank_account=command.bank_account,
        turnover_pence=command.turnover_pence, firm_reference=command.firm_reference,
        mifid_category=command.mifid_category, appetite=s.Appetite() if role == LENDER else None),))


def identity(verdict: str = "GREEN", **fields: Any) -> s.RecordIdentity:
    return change(s.RecordIdentity(
        subject=ID, identity=change(GREEN, status=verdict), register=COMPANY, payee=PAYEE,
        account_name="Coppergate Joinery Ltd", incorporated_on=OLD, sic_codes=("43320",), registered_office="York"),
        **fields)


def screening(clear: bool = True) -> s.RecordScreening:
    return s.RecordScreening(subject=ID, clear=clear, lists=LISTS, screening=SCREENED)


def firm(**fields: Any) -> s.RecordFirm:
    return change(s.RecordFirm(subject=ID, register=FIRM, permissions=("Entering into a regulated credit agreement",)),
                  **fields)


def gate(name: str, wallet: str | None = None) -> s.StartGate:
    return s.StartGate(subject=ID, gate=name, wallet=wallet)


def decision(approve: bool = True, file_number: str | None = None) -> s.DecideReview:
    return s.DecideReview(subject=ID, approve=approve, rationale=SEALED, rationale_sha256="r" * 64,
                          file_number=file_number)


def advice() -> s.RecordAdvice:
    return s.RecordAdvice(subject=ID, surface="gate3", verdict="APPROVE", grade="LOW", score=12,
                          confidence_ppm=930_000, model_version="m1", policy_version="p1", dataset_signature="d1",
                          row=(1, 2), cut_off_position=9, record_sha256="a" * 64)


PASSED = s.KycPassed(evidence=(GREEN, COMPANY, PAYEE), incorporated_on=OLD, sic_codes=("43320",),
                     registered_office="York")
PROVED = Step(typed(), at(NOON), (MAILBOX,))
GATES = [
    Step(gate("identity"), at(NOON), (s.IdentityRequested(legal_name="Coppergate Joinery Limited",
                                                          company_number="07452983"),)),
    Step(identity(), at(NOON), (PASSED,)),
    Step(gate("screening"), at(NOON), (s.ScreeningRequested(legal_name="Coppergate Joinery Limited",
                                                            representative=SEALED),)),
    Step(screening(), at(NOON), (s.ScreeningPassed(lists=LISTS, evidence=(SCREENED,)),)),
]
ASSESSED = s.RiskScored(grade="LOW", reasons=(), rules_version="2026-05-01")
PASS = s.PassGates(subject=ID)


def activated(days: int, refreshed: bool = False) -> Step:
    return Step(PASS, at(NOON), (s.SubjectActivated(refreshed=refreshed, refresh_due_at=NOW + timedelta(days=days)),))


def bound(*topics: str) -> list[Step]:
    expiry = NOW + timedelta(days=379)
    role = INVESTOR if len(topics) > 3 else LENDER
    return [
        Step(gate("wallet", "0xw"), at(NOON), (s.WalletRequested(role=role, wallet="0xw", topics=topics,
                                                                 claims_expire_at=expiry),)),
        Step(s.BindWallet(subject=ID, wallet="0xw", topics=topics, claims_expire_at=expiry, tx=("0x1",)), at(NOON),
             (s.WalletBound(wallet="0xw", topics=topics, claims_expire_at=expiry, tx=("0x1",)),)),
        activated(365),
    ]


SELLER_PATH = [
    create(SELLER), PROVED, submitted(SELLER), *GATES,
    Step(s.AssessRisk(subject=ID), at(NOON),
         (ASSESSED, s.ReviewOpened(file_number=FILE, reasons=("mandatory seller review",)))),
    Step(advice(), at(NOON), (s.VerdictProposed(
        file_number=FILE, surface="gate3", verdict="APPROVE", grade="LOW", score=12, confidence_ppm=930_000,
        model_version="m1", policy_version="p1", dataset_signature="d1", row=(1, 2), cut_off_position=9,
        record_sha256="a" * 64),)),
    Step(decision(), MLRO, (s.ReviewApproved(file_number=FILE, rationale=SEALED, rationale_sha256="r" * 64),
                            s.RiskPassed())),
    activated(182),
    Step(s.MarkRefreshDue(subject=ID), at("2026-10-30T11:00"), (s.RefreshDue(),)),
]
BUYER_PATH = [create(BUYER), PROVED, submitted(BUYER), *GATES, activated(365)]
LENDER_PATH = [
    create(LENDER), PROVED, submitted(LENDER), *GATES,
    Step(s.AssessRisk(subject=ID), at(NOON), (ASSESSED, s.RiskPassed())),
    Step(gate("fca"), at(NOON), (s.FirmCheckRequested(firm_reference="900001"),)),
    Step(firm(), at(NOON), (s.FirmVerified(evidence=(FIRM,)),)),
    *bound(*TOPICS),
]
INVESTOR_PATH = [
    create(INVESTOR), PROVED, submitted(INVESTOR), *GATES,
    Step(s.AssessRisk(subject=ID), at(NOON), (ASSESSED, s.RiskPassed())),
    Step(PASS, at(NOON), (s.MifidClassified(category="PROFESSIONAL"),)),
    *bound(*TOPICS, "MIFID_PROFESSIONAL"),
]
PATHS = {SELLER: SELLER_PATH, BUYER: BUYER_PATH, LENDER: LENDER_PATH, INVESTOR: INVESTOR_PATH}
STAFF = (s.StaffEnrolled(subject=ID, role=COMPLIANCE, representative=SEALED, email=SEALED),)
CREATED, IN_REVIEW = history_of(SELLER_PATH, 2), history_of(SELLER_PATH, 8)
ACTIVE = history_of(SELLER_PATH, 11)
FREEZE, UNFREEZE = s.FreezeSubject(subject=ID, reason_code="LIST_HIT"), s.UnfreezeSubject(subject=ID)
FROZEN = s.SubjectFrozen(reason_code="LIST_HIT", ordered_by="sub_mlro")
FLAGGED_BUYER = (*history_of(BUYER_PATH, 4), s.KycReferred(evidence=(), reasons=("payee differs",),
                                                           incorporated_on=OLD, sic_codes=(), registered_office=""),
                 *history_of(GATES, 4)[2:])

REFUSED = [
    Row(s.AlreadyExists, CREATED, create(SELLER).command, at(NOON)),
    Row(s.AlreadyExists, CREATED, s.EnrolStaff(subject=ID, role=ADMIN, representative=SEALED, email=SEALED),
        at(NOON)),
    Row(s.RoleUnknown, (), change(create(SELLER).command, role="regulator"), at(NOON)),
    Row(NotInForm, (), change(create(SELLER).command, legal_name="Coppergate\u200b Joinery Ltd"), at(NOON)),
    Row(NotInForm, (), change(create(SELLER).command, company_number="07452983\n"), at(NOON)),
    Row(NotInForm, history_of(LENDER_PATH, 2), form(LENDER, firm_reference="٦٩٧٢٤١"), at(NOON)),
    Row(s.RoleUnknown, (), s.EnrolStaff(subject=ID, role=SELLER, representative=SEALED, email=SEALED), at(NOON)),
    Row(NotInForm, (), change(create(SELLER).command, company_number=" "), at(NOON)),
    Row(s.NotOnboarding, (), form(SELLER), at(NOON)),
    Row(s.NotOnboarding, STAFF, form(SELLER), at(NOON)),
    Row(s.NotOnboarding, IN_REVIEW, form(SELLER), at(NOON)),
    Row(s.NotOnboarding, (*ACTIVE, FROZEN), form(SELLER), at(NOON)),
    Row(s.FormIncomplete, CREATED, form(SELLER, bank_account=None), at(NOON)),
    Row(s.FormIncomplete, CREATED, form(SELLER, turnover_pence=0), at(NOON)),
    Row(s.FormIncomplete, history_of(LENDER_PATH, 2), form(LENDER, firm_reference=None), at(NOON)),
    Row(s.FormIncomplete, history_of(LENDER_PATH, 2),
        form(LENDER, appetite=s.Appetite(discount_min_bps=300, discount_max_bps=200)), at(NOON)),
    Row(s.FormIncomplete, history_of(LENDER_PATH, 2), form(LENDER, appetite=s.Appetite(discount_max_bps=10_000)),
        at(NOON)),
    Row(s.BandTooWide, history_of(LENDER_PATH, 2), form(LENDER, appetite=s.Appetite(discount_max_bps=501)), at(NOON)),
    Row(s.RetailRefused, history_of(INVESTOR_PATH, 2), form(INVESTOR, mifid_category="RETAIL"), at(NOON)),
    Row(s.GateOutOfOrder, CREATED, gate("identity"), at(NOON)),
    Row(s.GateOutOfOrder, STAFF, PASS, at(NOON)),
    Row(s.GateOutOfOrder, history_of(INVESTOR_PATH, 8), gate("fca"), at(NOON)),
    Row(s.GateOutOfOrder, history_of(LENDER_PATH, 8), gate("wallet", "0xw"), at(NOON)),
    Row(s.GateOutOfOrder, history_of(INVESTOR_PATH, 8), gate("wallet", "0xw"), at(NOON)),
    Row(s.GateOutOfOrder, history_of(SELLER_PATH, 10), gate("wallet", "0xw"), at(NOON)),
    Row(s.GateOutOfOrder, FLAGGED_BUYER, PASS, at(NOON)),
    Row(Invalid, history_of(LENDER_PATH, 10), gate("wallet"), at(NOON)),
    Row(Invalid, CREATED, gate("palmistry"), at(NOON)),
    Row(s.NotTheMlro, IN_REVIEW, decision(), at(NOON, "sub_admin", ADMIN)),
    Row(s.NotTheMlro, IN_REVIEW, decision(), at(NOON, ID, COMPLIANCE)),
    Row(s.NoOpenReview, CREATED, decision(), MLRO),
    Row(s.NoOpenReview, IN_REVIEW, decision(file_number="FX-APP-0"), MLRO),
    Row(s.NoOpenReview, ACTIVE, advice(), at(NOON)),
    Row(Conflict, history_of(SELLER_PATH, 9), advice(), at(NOON)),
    Row(Conflict, ACTIVE, s.MarkRefreshDue(subject=ID), at("2026-10-30T10:59")),
    Row(Conflict, IN_REVIEW, s.MarkRefreshDue(subject=ID), at("2026-10-30T11:00")),
    Row(s.NotTheMlro, ACTIVE, FREEZE, at(NOON, "sub_admin", ADMIN)),
    Row(s.NotTheMlro, ACTIVE, FREEZE, at(NOON)),
    Row(s.NotFreezable, (), FREEZE, MLRO),
    Row(s.NotFreezable, STAFF, FREEZE, MLRO),
    Row(s.NotFreezable, (*ACTIVE, FROZEN), FREEZE, DEPUTY),
    Row(s.FormIncomplete, ACTIVE, s.FreezeSubject(subject=ID, reason_code=""), MLRO),
    Row(s.NotFrozen, ACTIVE, UNFREEZE, MLRO),
    Row(s.ChangedMeanwhile, (*ACTIVE, FROZEN), s.ExpectReceives(subject=ID), at(NOON)),
    Row(s.ChangedMeanwhile, ACTIVE, s.ExpectReceives(subject=ID, receives=False), at(NOON)),
    Row(s.NotTheMlro, (*ACTIVE, FROZEN), UNFREEZE, MLRO),
    Row(s.NotTheMlro, (*ACTIVE, FROZEN), UNFREEZE, at(NOON, "sub_admin", ADMIN)),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


@pytest.mark.parametrize("role", PATHS)
def test_golden_file(role: str) -> None:
    check_path(PATHS[role])
    done = fold("subject", history_of(PATHS[role], len(PATHS[role])))
    assert done.state == ("REFRESH_DUE" if role == SELLER else "ACTIVE") and done.stage is None
    assert s.as_party(done).may_act
    assert done.payout_account == done.filed.bank_account


@pytest.mark.parametrize("role", PATHS)
def test_every_gate_out_of_order_is_refused(role: str) -> None:
    """Exceptions: a refresh's form may come at any time once active, advice is optional, PassGates comes twice."""
    path = PATHS[role]
    ready = next(n for n, step in enumerate(path) if isinstance(step.events[0], s.SubjectActivated)) + 1
    allowed = {(done, 2) for done in range(ready, len(path) + 1)}
    if role == SELLER:
        allowed |= {(8, 9)}
    if role == INVESTOR:
        allowed |= {(8, 11), (11, 8)}
    check_order(path, allowed)


def test_staff_are_enrolled_active() -> None:
    command = s.EnrolStaff(subject=ID, role=COMPLIANCE, representative=SEALED, email=SEALED)
    given().when(command, at(NOON)).then(*STAFF)
    assert fold("subject", STAFF).is_staff


@pytest.mark.parametrize("verdict", ["YELLOW", "PURPLE"])
def test_anything_but_green_and_red_is_for_a_person(verdict: str) -> None:
    (event,) = given(*history_of(BUYER_PATH, 4)).when(identity(verdict), at(NOON)).decide()
    assert isinstance(event, s.KycReferred) and event.reasons
    assert fold("subject", (*history_of(BUYER_PATH, 4), event)).flags == event.reasons


def test_a_flagged_buyer_waits_for_the_mlro() -> None:
    scored, opened = given(*FLAGGED_BUYER).when(s.AssessRisk(subject=ID), at(NOON)).decide()
    assert isinstance(scored, s.RiskScored) and scored.grade == "HIGH" and isinstance(opened, s.ReviewOpened)
    approved = (*FLAGGED_BUYER, scored, opened, *SELLER_PATH[9].events)
    given(*approved).when(PASS, at(NOON)).then(*activated(365).events)


def test_a_screening_hit_opens_a_review_for_every_role() -> None:
    hit = s.ScreeningHit(lists=LISTS, evidence=(SCREENED,), reason="possible screening match")
    given(*history_of(LENDER_PATH, 6)).when(screening(clear=False), at(NOON)).then(hit)
    given(*history_of(LENDER_PATH, 6), hit).when(s.AssessRisk(subject=ID), at(NOON)).then(
        s.RiskScored(grade="HIGH", reasons=("possible screening match",), rules_version="2026-05-01"),
        s.ReviewOpened(file_number=FILE, reasons=("possible screening match",)))


REFRESH = submitted(SELLER, refresh=True, file_number="FX-APP-2", bank_account=OTHER_ACCOUNT)


def test_a_refresh_keeps_the_customer_active_until_it_ends() -> None:
    given(*ACTIVE).when(REFRESH.command, at(NOON)).then(*REFRESH.events)
    history = [*ACTIVE, *REFRESH.events]
    for step in GATES:
        given(*history).when(step.command, step.context).then(*step.events)
        history += step.events
        assert fold("subject", history).state == "ACTIVE"


def test_a_refresh_pays_to_the_old_account_until_it_ends() -> None:
    history = (*ACTIVE, *REFRESH.events)
    assert fold("subject", history).filed.bank_account == OTHER_ACCOUNT
    assert fold("subject", history).payout_account == ACCOUNT
    assert fold("subject", (*history, *activated(182).events)).payout_account == OTHER_ACCOUNT


@pytest.mark.parametrize(("ending", "state"), [
    (s.KycFailed(file_number="FX-APP-2", evidence=(), reasons=(), again_from=AGAIN), "KYC_FAILED"),
    (s.FirmNotAuthorised(file_number="FX-APP-2", evidence=(), reasons=(), again_from=AGAIN), "FCA_FAILED"),
    (s.ReviewDeclined(file_number="FX-APP-2", rationale=SEALED, rationale_sha256="r", again_from=AGAIN), "DECLINED")])
def test_a_refresh_that_fails_ends_the_standing(ending: Event, state: str) -> None:
    failed = fold("subject", (*ACTIVE, *REFRESH.events, ending))
    assert failed.state == state and not s.as_party(failed).may_act


def test_the_mlro_declines() -> None:
    declined = s.ReviewDeclined(file_number=FILE, rationale=SEALED, rationale_sha256="r" * 64, again_from=AGAIN)
    given(*IN_REVIEW).when(decision(approve=False, file_number=FILE), MLRO).then(declined)
    assert fold("subject", (*IN_REVIEW, declined)).state == "DECLINED"


def test_whoever_was_declined_may_still_be_owed_money_and_so_be_frozen() -> None:
    declined = s.ReviewDeclined(file_number=FILE, rationale=SEALED, rationale_sha256="r" * 64, again_from=AGAIN)
    given(*IN_REVIEW, declined).when(FREEZE, MLRO).then(FROZEN)
    lifted = s.SubjectUnfrozen(ordered_by="sub_deputy")
    given(*IN_REVIEW, declined, FROZEN).when(UNFREEZE, DEPUTY).then(lifted)
    assert fold("subject", (*IN_REVIEW, declined, FROZEN, lifted)).state == "DECLINED"


# ---------------------------------------------------------------- freeze


def test_a_freeze_stops_the_subject_and_a_second_officer_lifts_it() -> None:
    given(*ACTIVE).when(FREEZE, MLRO).then(FROZEN)
    frozen = fold("subject", (*ACTIVE, FROZEN))
    assert frozen.state == "FROZEN" and not s.as_party(frozen).may_act
    lifted = s.SubjectUnfrozen(ordered_by="sub_deputy")
    given(*ACTIVE, FROZEN).when(UNFREEZE, DEPUTY).then(lifted)
    assert fold("subject", (*ACTIVE, FROZEN, lifted)) == fold("subject", ACTIVE)


def test_only_a_freeze_keeps_from_whoever_is_owed_what_it_is_owed() -> None:
    """A lapsed refresh, a declined file, a closed account stop new business; an erased subject has no account left."""
    declined = s.ReviewDeclined(file_number=FILE, rationale=SEALED, rationale_sha256="r" * 64, again_from=AGAIN)
    closed = s.SubjectClosed(reason="platform", ended_at=at(NOON).now)
    nothing: tuple[Event, ...] = ()
    for history in ((), ACTIVE, (*ACTIVE, s.RefreshDue()), (*ACTIVE, s.RefreshDue(), s.RefreshLapsed()),
                    (*IN_REVIEW, declined), (*ACTIVE, closed)):
        given(*history).when(s.ExpectReceives(subject=ID), at(NOON)).then(*nothing)
    erased = s.SubjectErased(ground="retention_over", ordered_by="x")
    for history in ((*ACTIVE, FROZEN), (*ACTIVE, closed, erased)):
        assert not s.receives(fold("subject", history))
        given(*history).when(s.ExpectReceives(subject=ID, receives=False), at(NOON)).then(*nothing)


def test_a_refresh_under_a_freeze_goes_on_and_the_freeze_outlasts_it() -> None:
    frozen = [*ACTIVE, *REFRESH.events, FROZEN]
    for step in [*GATES, *SELLER_PATH[7:10]]:
        frozen += step.events
        assert fold("subject", frozen).state == "FROZEN"
    done = activated(182, refreshed=True)
    given(*frozen).when(done.command, done.context).then(*done.events)
    assert fold("subject", (*frozen, *done.events)).state == "FROZEN"
    assert fold("subject", (*frozen, *done.events, s.SubjectUnfrozen(ordered_by="x"))).state == "ACTIVE"


def test_a_first_onboarding_under_a_freeze_is_not_active() -> None:
    frozen = fold("subject", (*CREATED, FROZEN, *history_of(SELLER_PATH, 10)[2:]))
    assert frozen.state == "FROZEN" and frozen.resumes == "RISK_PASSED"


def test_a_decline_under_a_freeze_stands_when_it_is_lifted() -> None:
    declined = s.ReviewDeclined(file_number=FILE, rationale=SEALED, rationale_sha256="r", again_from=AGAIN)
    after = fold("subject", (*IN_REVIEW, FROZEN, declined, s.SubjectUnfrozen(ordered_by="x")))
    assert after.state == "DECLINED"


def test_a_refresh_that_fell_due_under_a_freeze_is_said_at_its_end() -> None:
    late = at("2026-10-30T11:00", "sub_deputy", COMPLIANCE)
    lifted = s.SubjectUnfrozen(ordered_by="sub_deputy")
    given(*ACTIVE, FROZEN).when(UNFREEZE, late).then(lifted, s.RefreshDue())
    assert fold("subject", (*ACTIVE, FROZEN, lifted, s.RefreshDue())).state == "REFRESH_DUE"


def test_risk_grades() -> None:
    today = date(2026, 5, 1)
    assert subject_grade(OLD, ("43320",), (), today) == ("LOW", ())
    assert subject_grade(date(2025, 6, 1), (), (), today)[0] == "MEDIUM"
    assert subject_grade(date(2025, 6, 1), ("92000",), (), today)[0] == "HIGH"
    assert subject_grade(None, (), ("possible screening match",), today)[0] == "HIGH"


# ---------------------------------------------------------------- a match


MATCH = s.RecordMatch(subject=ID, lists=LISTS, screening=SCREENED)
MATCHED = s.SanctionsMatched(lists=LISTS, evidence=(SCREENED,))
STOPPED = s.SubjectFrozen(reason_code=s.SANCTIONS_MATCH, ordered_by="system:test")


def test_a_match_freezes_a_customer_at_once_and_an_officer_lifts_it() -> None:
    given(*ACTIVE).when(MATCH, at(NOON)).then(MATCHED, STOPPED)
    stopped = (*ACTIVE, MATCHED, STOPPED)
    given(*stopped).when(MATCH, at(NOON)).then(MATCHED)
    given(*stopped).when(UNFREEZE, MLRO).then(s.SubjectUnfrozen(ordered_by="sub_mlro"))
    given(*ACTIVE, FROZEN).when(MATCH, at(NOON)).then(MATCHED)
    closed = s.SubjectClosed(reason="platform", ended_at=NOW)
    given(*ACTIVE, closed).when(MATCH, at(NOON)).then(MATCHED)


@pytest.mark.parametrize("again", [False, True])
def test_a_file_that_meets_a_list_freezes_whoever_was_ever_active(again: bool) -> None:
    """At a refresh, and at a new application of somebody who was declined and may still be owed money."""
    declined = s.ReviewDeclined(file_number=FILE, rationale=SEALED, rationale_sha256="r" * 64, again_from=AGAIN)
    form_of = change(REFRESH.events[0], refresh=not again)
    asked = (*ACTIVE, *((*REFRESH.events, declined) if again else ()), form_of, *history_of(GATES, 3))
    hit = s.ScreeningHit(lists=LISTS, evidence=(SCREENED,), reason="possible screening match")
    given(*asked).when(screening(clear=False), at(NOON)).then(hit)
    given(*asked).when(change(screening(clear=False), listed=True), at(NOON)).then(hit, STOPPED)
    resumes = fold("subject", (*asked, hit, STOPPED)).resumes
    assert resumes == ("SCREENING_HIT" if again else "ACTIVE")
    first = history_of(SELLER_PATH, 6)
    given(*first).when(change(screening(clear=False), listed=True), at(NOON)).then(hit)
