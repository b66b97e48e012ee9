"""What a refresh's form says is in force once its file has passed every gate, and not a moment before."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from domain import subject as s
from domain.base import Event
from domain.party import INVESTOR, LENDER, SELLER
from tests.domain.scenario import at, fold, given, history_of
from tests.domain.test_subject import (
    ACTIVE,
    AGAIN,
    COMPANY,
    FIRM,
    GREEN,
    ID,
    NOON,
    OTHER_ACCOUNT,
    PATHS,
    SEALED,
    form,
    gate,
    identity,
)

change = msgspec.structs.replace
FILE = "FX-APP-2"
WIDE = s.Appetite(10**13, 10**13, 1, 3_650, 0, 500)
CLAIMS: dict[str, Any] = {"bank_account": OTHER_ACCOUNT, "turnover_pence": 10**13, "firm_reference": "697241",
                          "mifid_category": "ECP", "appetite": WIDE}
"""Every field of the form that claims something, and what an attacker would put there. Any role may send any."""

FIXED = {"legal_name": "Northwind Retail plc", "company_number": "04382671"}
MOVED = date(2026, 4, 1)
ENDS: tuple[Event, ...] = (
    s.FormReturned(file_number=FILE, evidence=(), reasons=("no",), pointers=("/bank_account/account_number",)),
    s.KycFailed(file_number=FILE, evidence=(), reasons=("no",), again_from=AGAIN),
    s.FirmNotAuthorised(file_number=FILE, evidence=(), reasons=("no",), again_from=AGAIN),
    s.ReviewDeclined(file_number=FILE, rationale=SEALED, rationale_sha256="r", again_from=AGAIN),
)
EVERY = [(role, field) for role in PATHS for field in CLAIMS]


def active(role: str) -> list[Event]:
    return [event for event in history_of(PATHS[role], len(PATHS[role])) if not isinstance(event, s.RefreshDue)]


def under_way(role: str, **fields: Any) -> tuple[list[Event], list[Event]]:
    """The refresh's form, and all that comes between it and the activation; the register says something new, too."""
    submit = form(role, file_number=FILE, **fields)
    handed_in = list(given(*active(role)).when(submit, at(NOON)).decide())
    steps: list[Event] = []
    for step in PATHS[role][3:]:
        if isinstance(step.events[0], s.SubjectActivated):
            break
        steps += [change(event, incorporated_on=MOVED, registered_office="Elsewhere")
                  if isinstance(event, s.KycPassed) else event for event in step.events]
    return handed_in, steps


def in_force(history: list[Event]) -> Any:
    """All that a rule other than a gate may go by, but for the standing itself."""
    subject = fold("subject", history)
    return subject.accepted, subject.payout_account, change(s.as_party(subject), state="")


def test_every_field_of_the_form_is_walked() -> None:
    assert {*CLAIMS, *FIXED} == set(s.SubmitOnboarding.__struct_fields__) - {"subject", "file_number"}
    assert set(CLAIMS) <= set(s.Filed.__struct_fields__), "and each has its place in the file"


@pytest.mark.parametrize(("role", "field"), EVERY)
def test_a_claim_counts_from_the_activation_and_not_before(role: str, field: str) -> None:
    value = CLAIMS[field]
    before = active(role)
    handed_in, steps = under_way(role, **{field: value})
    for done in range(len(steps) + 1):
        assert in_force([*before, *handed_in, *steps[:done]]) == in_force(before)
    through = [*before, *handed_in, *steps]
    passed = fold("subject", [*through, *given(*through).when(s.PassGates(subject=ID), at(NOON)).decide()])
    assert getattr(passed.accepted, field) == value
    assert (passed.accepted.incorporated_on, passed.accepted.registered_office) == (MOVED, "Elsewhere")


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
@pytest.mark.parametrize(("role", "field"), EVERY)
def test_a_claim_that_went_back_or_was_declined_never_counts(role: str, field: str, end: Event) -> None:
    before = active(role)
    handed_in, steps = under_way(role, **{field: CLAIMS[field]})
    for done in range(len(steps) + 1):
        ended = [*before, *handed_in, *steps[:done], end]
        assert in_force(ended) == in_force(before)
        again = given(*ended).when(form(role, file_number="FX-APP-3"), at("2026-06-30T11:00")).decide()
        corrected = [*ended, *again]
        assert in_force(corrected) == in_force(before)
        left = getattr(fold("subject", corrected).filed, field)
        assert left == getattr(fold("subject", before).accepted, field), "nor does it wait in the next form"


@pytest.mark.parametrize("role", PATHS)
@pytest.mark.parametrize("field", FIXED)
def test_name_and_number_are_fixed_once_a_file_has_passed(role: str, field: str) -> None:
    """Also where the file went back because the register does not know the number any more."""
    returned = change(ENDS[0], pointers=("/company_number",))
    handed_in, steps = under_way(role)
    declined = [*active(role), *handed_in, *steps, ENDS[3]]
    anew = given(*declined).when(form(role, file_number="FX-APP-3"), at("2026-06-30T11:00")).decide()
    for history in (active(role), [*active(role), *handed_in, returned], [*declined, *anew, returned]):
        given(*history).when(form(role, **{field: FIXED[field]}), at("2026-06-30T11:00")).then_refused(s.CompanyFixed)


def test_a_number_that_the_register_lost_is_for_a_person() -> None:
    handed_in, steps = under_way(SELLER)
    lost = identity(register=change(COMPANY, status=s.UNKNOWN, name="", number=""), payee=None)
    referred, = given(*ACTIVE, *handed_in, steps[0]).when(lost, at(NOON)).decide()
    assert isinstance(referred, s.KycReferred) and referred.evidence[0] == GREEN
    assert referred.reasons == ("the company register no longer knows this number",)


def test_the_gates_ask_about_the_files_own_claims() -> None:
    handed_in, steps = under_way(LENDER, firm_reference="697241")
    asked = next(n for n, event in enumerate(steps) if isinstance(event, s.FirmCheckRequested))
    history = [*active(LENDER), *handed_in, *steps[:asked]]
    given(*history).when(gate("fca"), at(NOON)).then(s.FirmCheckRequested(firm_reference="697241"))
    assert FIRM.reference != "697241"
    handed_in, steps = under_way(INVESTOR, mifid_category="ECP")
    classified = next(n for n, event in enumerate(steps) if isinstance(event, s.MifidClassified))
    history = [*active(INVESTOR), *handed_in, *steps[:classified]]
    given(*history).when(s.PassGates(subject=ID), at(NOON)).then(s.MifidClassified(category="ECP"))
