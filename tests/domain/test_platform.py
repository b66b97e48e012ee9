"""The platform's own records: each happens once, and the clock only goes forward."""

from __future__ import annotations

import msgspec
import pytest

from domain import notice as n
from domain import platform as p
from domain.party import BUYER, Personal
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given

NOW = at("2026-05-22T14:00")
NEXT = at("2026-07-21T08:00").now
SEALED = Personal("sub_1", "c2VhbGVk")
BATCH = p.RecordBatch(batch_id=1, from_position=1, to_position=9, root="r", head="h", tx="0x1", block=3)
COSIGN = p.RecordCosignature(batch_id=1, witness="w1", cosignature="— w1 AAAA", signed_at=NOW.now)
CLAIM = p.ClaimFingerprint(fingerprint="f1", invoice="FX-INV-23A4F")
OTHERS = p.ClaimFingerprint(fingerprint="f1", invoice="FX-INV-23A4G")
RELEASE = p.ReleaseFingerprint(fingerprint="f1", invoice="FX-INV-23A4F")
REGISTER = p.RegisterCompany(role=BUYER, company_number="sc123456", subject="sub_1")
LEAVE = p.ReleaseCompany(role=BUYER, company_number="sc123456", subject="sub_1")
RAISE = p.RaiseAlarm(alarm="a1", source="funding", code="wrong_state", detail="why")
ASK = n.RequestNotice(notice="N1", template="welcome", recipient="sub_1", address=SEALED, resource="sub_1",
                      facts={"name": "Coppergate"})
SENT = n.RecordNoticeSent(notice="N1")
PATHS = {
    "clock": [Step(p.AdvanceClock(to=NEXT), NOW, (p.ClockAdvanced(to=NEXT),))],
    "batch": [Step(BATCH, NOW, (p.BatchAnchored(batch_id=1, from_position=1, to_position=9, root="r", head="h",
                                                tx="0x1", block=3),)),
              Step(COSIGN, NOW, (p.BatchCosigned(batch_id=1, witness="w1", cosignature="— w1 AAAA",
                                                 signed_at=NOW.now),))],
    "fingerprint": [Step(CLAIM, NOW, (p.FingerprintClaimed(invoice="FX-INV-23A4F"),)),
                    Step(RELEASE, NOW, (p.FingerprintReleased(invoice="FX-INV-23A4F"),))],
    "directory": [Step(REGISTER, NOW, (p.CompanyRegistered(role=BUYER, company_number="sc123456",
                                                           subject="sub_1"),)),
                  Step(LEAVE, NOW, (p.CompanyReleased(role=BUYER, company_number="sc123456", subject="sub_1"),))],
    "alarm": [Step(RAISE, NOW, (p.AlarmRaised(source="funding", code="wrong_state", detail="why"),))],
    "notice": [
        Step(ASK, NOW, (n.NoticeRequested(notice="N1", template="welcome", recipient="sub_1", address=SEALED,
                                          resource="sub_1", facts={"name": "Coppergate"}),)),
        Step(SENT, NOW, (n.NoticeSent(notice="N1", template="welcome", recipient="sub_1", resource="sub_1"),))],
}
AGAIN = {"fingerprint": {(1, 0), (2, 0)}, "directory": {(2, 0)}}
"""What may be done once more: (after so many steps, the step)."""

REFUSED = [
    Row(p.ClockMovesForward, PATHS["clock"][0].events, p.AdvanceClock(to=NEXT), NOW),
    Row(p.ClockMovesForward, (), p.AdvanceClock(to=NOW.now), NOW),
    Row(p.BatchKnown, PATHS["batch"][0].events, BATCH, NOW),
    Row(p.BatchUnknown, (), COSIGN, NOW),
    Row(p.CosignatureKnown, (*PATHS["batch"][0].events, *PATHS["batch"][1].events), COSIGN, NOW),
    Row(p.FingerprintTaken, PATHS["fingerprint"][0].events, OTHERS, NOW),
    Row(p.FingerprintNotHeld, (), RELEASE, NOW),
    Row(p.FingerprintNotHeld, (p.FingerprintClaimed(invoice="FX-INV-23A4G"),), RELEASE, NOW),
    Row(p.CompanyKnown, PATHS["directory"][0].events, REGISTER, NOW),
    Row(p.CompanyNotHeld, (), LEAVE, NOW),
    Row(p.CompanyNotHeld, PATHS["directory"][0].events, msgspec.structs.replace(LEAVE, subject="sub_2"), NOW),
    Row(p.AlarmKnown, PATHS["alarm"][0].events, RAISE, NOW),
    Row(n.NoticeState, (), SENT, NOW),
    Row(n.NoticeState, PATHS["notice"][0].events, ASK, NOW),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


@pytest.mark.parametrize("name", PATHS)
def test_golden_path_and_its_order(name: str) -> None:
    check_path(PATHS[name])
    check_order(PATHS[name], allowed=AGAIN.get(name, set()))


def test_a_fingerprint_is_claimed_again_by_its_own_invoice_and_by_others_once_released() -> None:
    claimed, released = (step.events[0] for step in PATHS["fingerprint"])
    given(claimed).when(CLAIM, NOW).then()
    given(claimed, released).when(OTHERS, NOW).then(p.FingerprintClaimed(invoice="FX-INV-23A4G"))


def test_a_company_is_found_however_its_number_is_written() -> None:
    assert REGISTER.key == p.directory_key(BUYER, " SC123456 ") == "corporate_buyer/SC123456"


def test_the_clock_reads_what_it_was_last_set_to() -> None:
    given(p.ClockAdvanced(to=NOW.now)).when(p.AdvanceClock(to=NEXT), NOW).then(p.ClockAdvanced(to=NEXT))
    assert fold("clock", [p.ClockAdvanced(to=NEXT)]).now == NEXT


def test_an_alarm_that_was_over_is_raised_again_as_another_occurrence() -> None:
    raised, over = PATHS["alarm"][0].events[0], p.AlarmCleared()
    given(raised, over).when(RAISE, NOW).then(raised)
    again = fold("alarm", [raised, over, raised])
    assert (again.standing, again.occurrences) == (True, 2)
    assert fold("alarm", [raised, over, raised, over]).standing is False
