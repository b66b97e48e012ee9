"""Sign-up: a customer or a staff member gets an account, and the customer hands in the onboarding form."""

from __future__ import annotations

from domain.base import Conflict, Context, Event, Invalid, require
from domain.forms import CompanyNumber, FirmReference, Name, expect_form
from domain.money import BPS
from domain.party import CUSTOMER_ROLES, INVESTOR, LENDER, SELLER, STAFF_ROLES, Personal
from domain.pricing import DISCOUNT_CAP_BPS
from domain.subject import mailbox
from domain.subject.state import ENDINGS, FORM_RETURNED, ONBOARDED, Appetite, Subject, SubjectCommand

MIFID_CLAIMS = {"PROFESSIONAL": "MIFID_PROFESSIONAL", "ECP": "MIFID_ECP"}

# ---------------------------------------------------------------- commands


class CreateSubject(SubjectCommand, frozen=True, kw_only=True):
    role: str
    legal_name: str
    company_number: str
    representative: Personal
    email: Personal
    email_domain: str


class EnrolStaff(SubjectCommand, frozen=True, kw_only=True):
    role: str
    representative: Personal
    email: Personal


class SubmitOnboarding(SubjectCommand, frozen=True, kw_only=True):
    """The onboarding form (A seller, B buyer, C lender, D investor). A second one is a periodic refresh, a
    correction of a form that went back, or a new application. Name and number only correct those of the sign-up."""

    file_number: str
    legal_name: str | None = None
    company_number: str | None = None
    bank_account: Personal | None = None
    turnover_pence: int = 0
    firm_reference: str | None = None
    mifid_category: str | None = None
    appetite: Appetite | None = None


# ---------------------------------------------------------------- events


class SubjectCreated(Event, frozen=True, kw_only=True):
    tag = "subject.created.1"
    action = "SUBJECT_CREATE"
    subject: str
    role: str
    legal_name: str
    company_number: str
    representative: Personal
    email: Personal
    email_domain: str


class StaffEnrolled(Event, frozen=True, kw_only=True):
    tag = "subject.staff_enrolled.1"
    action = "STAFF_ENROLLED"
    subject: str
    role: str
    representative: Personal
    email: Personal


class OnboardingSubmitted(Event, frozen=True, kw_only=True):
    tag = "subject.onboarding_submitted.1"
    action = "ONBOARDING_SUBMITTED"
    file_number: str
    refresh: bool
    legal_name: str | None
    company_number: str | None
    bank_account: Personal | None
    turnover_pence: int
    firm_reference: str | None
    mifid_category: str | None
    appetite: Appetite | None


# ---------------------------------------------------------------- refusals


class AlreadyExists(Conflict):
    code = "subject_exists"


class RoleUnknown(Invalid):
    code = "role_unknown"


class NotOnboarding(Conflict):
    code = "not_onboarding"


class FormIncomplete(Invalid):
    code = "form_incomplete"


class BandTooWide(Invalid):
    code = "band_too_wide"


class CompanyFixed(Invalid):
    code = "company_fixed"


class RetailRefused(Invalid):
    code = "retail_refused"


# ---------------------------------------------------------------- decisions


def create(subject: Subject, command: CreateSubject, context: Context) -> list[Event]:
    require(subject.state == "NEW", AlreadyExists("this subject already exists"))
    expect_form(Name, command.legal_name, "/legal_name")
    expect_form(CompanyNumber, command.company_number, "/company_number")
    require(command.role in CUSTOMER_ROLES,
            RoleUnknown(f"role must be one of {', '.join(CUSTOMER_ROLES)}", pointer="/role"))
    return [SubjectCreated(subject=command.subject, role=command.role, legal_name=command.legal_name,
                           company_number=command.company_number, representative=command.representative,
                           email=command.email, email_domain=command.email_domain),
            mailbox.request(subject, context)]


def enrol(subject: Subject, command: EnrolStaff, context: Context) -> list[Event]:
    require(subject.state == "NEW", AlreadyExists("this staff member is already enrolled"))
    require(command.role in STAFF_ROLES, RoleUnknown(f"staff roles are {', '.join(STAFF_ROLES)}"))
    return [StaffEnrolled(subject=command.subject, role=command.role, representative=command.representative,
                          email=command.email)]


def submit(subject: Subject, command: SubmitOnboarding, context: Context) -> list[Event]:
    require(subject.role in CUSTOMER_ROLES, NotOnboarding("only customers hand in a form"))
    _check_moment(subject, context)
    require(subject.mailbox_proved, mailbox.MailboxUnproved(
        "prove your mailbox first: send the code we mailed you to POST /v1/me/mailbox"))
    _check_company(subject, command)
    _check_form(subject, command)
    return [OnboardingSubmitted(file_number=command.file_number, refresh=subject.state in ONBOARDED,
                                legal_name=command.legal_name, company_number=command.company_number,
                                bank_account=command.bank_account, turnover_pence=command.turnover_pence,
                                firm_reference=command.firm_reference, mifid_category=command.mifid_category,
                                appetite=command.appetite or (Appetite() if subject.role == LENDER else None))]


def _check_moment(subject: Subject, context: Context) -> None:
    """First, at each refresh, when a form went back, and some time after a file that ended."""
    again = subject.again_from
    if subject.state in ENDINGS and again is not None:
        require(context.now >= again, NotOnboarding(f"a new application is possible from {again:%d %B %Y}"))
        return
    require(subject.state in ("CREATED", FORM_RETURNED, *ONBOARDED) and subject.stage in (None, FORM_RETURNED),
            NotOnboarding("an onboarding form can be submitted once after sign-up, and again at each refresh"))


def _check_company(subject: Subject, command: SubmitOnboarding) -> None:
    """The number only where the register did not know it, the name of a form that went back; neither once a file has
    passed: they are what everything since was done under."""
    first = not subject.was_active
    require(command.company_number is None or (first and "/company_number" in subject.returned),
            CompanyFixed("the company number is the one you signed up with", pointer="/company_number"))
    require(command.legal_name is None or (first and subject.state == FORM_RETURNED),
            CompanyFixed("the legal name is the one you signed up with", pointer="/legal_name"))


def _check_form(subject: Subject, command: SubmitOnboarding) -> None:
    if subject.role in (SELLER, LENDER, INVESTOR):
        require(command.bank_account is not None,
                FormIncomplete("a bank account is needed for this role", pointer="/bank_account"))
    expect_form(FirmReference, command.firm_reference, "/firm_reference")
    if subject.role == LENDER:
        require(bool(command.firm_reference),
                FormIncomplete("the FCA firm reference is needed for a lender", pointer="/firm_reference"))
    if subject.role == INVESTOR:
        require(command.mifid_category in MIFID_CLAIMS,
                RetailRefused("only PROFESSIONAL clients and eligible counterparties (ECP) may trade here",
                              pointer="/mifid_category"))
    if subject.role == SELLER:
        require(command.turnover_pence > 0,
                FormIncomplete("declare the last 12 months' turnover", pointer="/turnover_pence"))
    wish = command.appetite
    if wish is not None:
        require(0 <= wish.discount_min_bps <= wish.discount_max_bps < BPS
                and 0 < wish.tenor_min_days <= wish.tenor_max_days
                and wish.max_obligor_pence > 0 and wish.max_originator_pence > 0,
                FormIncomplete("each band of the appetite runs from low to high, each cap is positive",
                               pointer="/appetite"))
        require(wish.discount_max_bps <= DISCOUNT_CAP_BPS,
                BandTooWide(f"no discount band reaches beyond {DISCOUNT_CAP_BPS} basis points",
                            pointer="/appetite/discount_max_bps"))
