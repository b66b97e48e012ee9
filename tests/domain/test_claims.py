"""Claims follow the standing: a bar revokes them, its end issues them again, one operation at a time and in order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain import subject as s
from domain.base import Conflict, Context, Event
from domain.party import COMPLIANCE, INVESTOR, LENDER, SELLER
from tests.domain.scenario import Row, at, fold, given
from tests.domain.test_subject import (
    ACTIVE,
    FREEZE,
    FROZEN,
    ID,
    MLRO,
    NOON,
    NOW,
    PATHS,
    TOPICS,
    UNFREEZE,
    history_of,
    submitted,
)

EXPIRY = NOW + timedelta(days=379)
DEPUTY = at(NOON, "sub_deputy", COMPLIANCE)
LENDER_ON = history_of(PATHS[LENDER], len(PATHS[LENDER]))
ISSUING = history_of(PATHS[LENDER], len(PATHS[LENDER]) - 2)
REVOKE = s.RevocationRequested(wallet="0xw", topics=TOPICS, reason="frozen")
REVOKED = s.ClaimsRevoked(wallet="0xw", topics=TOPICS, tx=("0x1", "0x2"))
REISSUE = s.ReissueRequested(wallet="0xw", topics=TOPICS, claims_expire_at=EXPIRY)
REISSUED = s.ClaimsReissued(wallet="0xw", topics=TOPICS, claims_expire_at=EXPIRY, tx=("0x3",))
TOLD_REVOKED = s.RecordClaimsRevoked(subject=ID, wallet="0xw", tx=("0x1", "0x2"))
TOLD_ISSUED = s.RecordClaimsIssued(subject=ID, tx=("0x3",))
UNFROZEN = s.SubjectUnfrozen(ordered_by="sub_deputy")
LAPSED = s.RefreshLapsed()
GRACE_OVER = at("2027-05-15T11:00")

REFUSED = [
    Row(s.ClaimsNotUnderWay, LENDER_ON, TOLD_REVOKED, at(NOON)),
    Row(s.ClaimsNotUnderWay, LENDER_ON, TOLD_ISSUED, at(NOON)),
    Row(s.ClaimsNotUnderWay, ISSUING, TOLD_ISSUED, at(NOON)),
    Row(s.GateOutOfOrder, (*history_of(PATHS[LENDER], 9), FROZEN),
        s.StartGate(subject=ID, gate="wallet", wallet="0xw"), at(NOON)),
    Row(Conflict, LENDER_ON, s.MarkRefreshLapsed(subject=ID), at("2027-05-15T10:59")),
    Row(Conflict, history_of(PATHS[SELLER], 4), s.MarkRefreshLapsed(subject=ID), GRACE_OVER),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_a_freeze_revokes_and_its_end_issues_again() -> None:
    given(*LENDER_ON).when(FREEZE, MLRO).then(FROZEN, REVOKE)
    frozen = (*LENDER_ON, FROZEN, REVOKE)
    given(*frozen).when(TOLD_REVOKED, at(NOON)).then(REVOKED)
    given(*frozen, REVOKED).when(UNFREEZE, DEPUTY).then(UNFROZEN, REISSUE)
    given(*frozen, REVOKED, UNFROZEN, REISSUE).when(TOLD_ISSUED, at(NOON)).then(REISSUED)
    assert fold("subject", (*frozen, REVOKED, UNFROZEN, REISSUE, REISSUED)) == fold("subject", LENDER_ON)


def test_a_freeze_while_claims_are_issued_ends_revoked() -> None:
    """The revocation waits for the answer: on the chain it comes second, whatever the threads do."""
    given(*ISSUING).when(FREEZE, MLRO).then(FROZEN)
    bind = PATHS[LENDER][-2]
    given(*ISSUING, FROZEN).when(bind.command, at(NOON)).then(*bind.events, REVOKE)


def test_a_freeze_lifted_before_the_revocation_is_done_issues_again_after_it() -> None:
    history = (*LENDER_ON, FROZEN, REVOKE)
    given(*history).when(UNFREEZE, DEPUTY).then(UNFROZEN)
    given(*history, UNFROZEN).when(TOLD_REVOKED, at(NOON)).then(REVOKED, REISSUE)


def test_a_second_freeze_while_claims_are_issued_again_ends_revoked() -> None:
    history = (*LENDER_ON, FROZEN, REVOKE, REVOKED, UNFROZEN, REISSUE)
    given(*history).when(FREEZE, MLRO).then(FROZEN)
    given(*history, FROZEN).when(TOLD_ISSUED, at(NOON)).then(REISSUED, REVOKE)


@pytest.mark.parametrize(("command", "context", "event", "why"), [
    (s.CloseRelationship(subject=ID, reason="platform", outstanding=()), MLRO,
     s.SubjectClosed(reason="platform", ended_at=NOW), "closed"),
    (s.MarkRefreshLapsed(subject=ID), GRACE_OVER, LAPSED, "refresh_lapsed"),
], ids=["closed", "lapsed"])
def test_every_other_bar_revokes_too(command: s.SubjectCommand, context: Context, event: Event, why: str) -> None:
    given(*LENDER_ON).when(command, context).then(
        event, s.RevocationRequested(wallet="0xw", topics=TOPICS, reason=why))


def test_a_refresh_that_fails_revokes() -> None:
    refresh = [*submitted(LENDER, refresh=True, file_number="FX-APP-2").events,
               *(event for step in PATHS[LENDER][3:9] for event in step.events)]
    failed = s.RecordFirm(subject=ID, register=s.Said("fca-register", "1", "e", "Other Ltd", "1", "Authorised"))
    given(*LENDER_ON, *refresh).when(failed, at(NOON)).then(
        s.FirmNotAuthorised(file_number="FX-APP-2", evidence=(failed.register,), again_from=NOW + timedelta(days=30),
                            reasons=("the firm register's firm is Other Ltd, company 1",
                                     "the firm register lists no credit permission")),
        s.RevocationRequested(wallet="0xw", topics=TOPICS, reason="declined"))


def test_a_lapsed_customer_is_restricted_until_its_refresh_has_passed() -> None:
    lapsed = (*LENDER_ON, s.RefreshDue(), LAPSED, REVOKE, REVOKED)
    assert fold("subject", lapsed).state == "RESTRICTED" and not s.as_party(fold("subject", lapsed)).may_act
    form = PATHS[LENDER][2]
    (submitted,) = given(*lapsed).when(form.command, GRACE_OVER).decide()
    history = [*lapsed, submitted]
    for step in PATHS[LENDER][3:]:
        decided = given(*history).when(step.command, GRACE_OVER).decide()
        assert not any(isinstance(event, (s.RevocationRequested, s.ReissueRequested)) for event in decided)
        history += decided
    renewed = fold("subject", history)
    assert (renewed.state, renewed.claims) == ("ACTIVE", "ISSUED")
    assert renewed.refresh_due_at == GRACE_OVER.now + timedelta(days=365)


def test_a_lapse_under_a_freeze_is_what_its_end_returns_to() -> None:
    frozen = (*LENDER_ON, FROZEN, REVOKE, REVOKED)
    given(*frozen).when(s.MarkRefreshLapsed(subject=ID), GRACE_OVER).then(LAPSED)
    given(*frozen, LAPSED).when(UNFREEZE, DEPUTY).then(UNFROZEN)
    assert fold("subject", (*frozen, LAPSED, UNFROZEN)).state == "RESTRICTED"


def test_who_has_no_wallet_has_no_claims() -> None:
    given(*ACTIVE).when(FREEZE, MLRO).then(FROZEN)
    assert fold("subject", ACTIVE).claims == "NONE"


@pytest.mark.parametrize("role", [LENDER, INVESTOR])
def test_claims_outlive_the_refresh_by_its_grace(role: str) -> None:
    """Both are counted from the moments of the same file: with a wallet bound at once they differ by the grace."""
    subject = fold("subject", history_of(PATHS[role], len(PATHS[role])))
    assert subject.claims_expire_at == s.lapses_at(subject)
