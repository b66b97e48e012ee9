"""Money leaves suspense by two officers over one content, within four hours."""

from __future__ import annotations

import msgspec
import pytest

from domain import release as r
from domain.base import Context
from domain.party import COMPLIANCE
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given, history_of

change = msgspec.structs.replace


def officer(when: str = "2026-05-22T14:00", who: str = "stf_1") -> Context:
    return at(when, who, COMPLIANCE)


DEPUTY = officer(who="stf_2")
CONTENT = r.Content(credit="crd_1", subject="sub_payer", pence=4_200, outcome="return", resource="")
PROPOSE = r.ProposeRelease(release="rel_1", content=CONTENT)
APPROVE = r.ApproveRelease(release="rel_1", content_sha256=CONTENT.sha256)
WITHDRAW, EXPIRE = r.WithdrawRelease(release="rel_1"), r.ExpireRelease(release="rel_1")
PATH = [
    Step(PROPOSE, officer(), (r.ReleaseProposed(content=CONTENT, content_sha256=CONTENT.sha256, proposed_by="stf_1",
                                                expires_at=at("2026-05-22T18:00").now),)),
    Step(APPROVE, DEPUTY, (r.ReleaseApproved(content=CONTENT, content_sha256=CONTENT.sha256, approved_by="stf_2"),)),
]
PROPOSED = history_of(PATH, 1)

REFUSED = [
    Row(r.ReleaseExists, PROPOSED, PROPOSE, officer()),
    Row(r.NotYourRelease, (), PROPOSE, at("2026-05-22T14:00")),
    Row(r.NotYourRelease, PROPOSED, APPROVE, officer()),
    Row(r.NotYourRelease, PROPOSED, APPROVE, at("2026-05-22T14:00", "adm_1", "platform_admin")),
    Row(r.OtherRelease, PROPOSED, change(APPROVE, content_sha256="0" * 64), DEPUTY),
    Row(r.ReleaseIsExpired, PROPOSED, APPROVE, officer("2026-05-22T18:00", "stf_2")),
    Row(r.WrongReleaseState, (), APPROVE, DEPUTY),
    Row(r.WrongReleaseState, PROPOSED, EXPIRE, at("2026-05-22T17:59:59")),
    Row(r.WrongReleaseState, history_of(PATH, 2), WITHDRAW, officer()),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_golden_path_and_its_order() -> None:
    check_path(PATH)
    check_order(PATH, allowed=set())


@pytest.mark.parametrize("field", ["credit", "subject", "pence", "outcome", "resource", "attempt"])
def test_any_change_is_another_content(field: str) -> None:
    other = change(CONTENT, **{field: 1 if field in ("pence", "attempt") else "other"})
    assert other.sha256 != CONTENT.sha256


def test_a_proposal_ends_by_itself_or_by_an_officer() -> None:
    given(*PROPOSED).when(EXPIRE, at("2026-05-22T18:00")).then(r.ReleaseExpired())
    given(*PROPOSED).when(WITHDRAW, DEPUTY).then(r.ReleaseWithdrawn(withdrawn_by="stf_2"))
    assert fold("release", (*PROPOSED, r.ReleaseExpired())).state == "EXPIRED"
