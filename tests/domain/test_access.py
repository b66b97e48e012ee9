"""The mailbox's code and the API keys: who proves what, what ends what, and everything refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain import subject as s
from domain.base import Event
from domain.party import ADMIN, COMPLIANCE, SELLER
from domain.subject.keys import OPERATOR
from tests.domain.scenario import Row, at, fold, given, history_of
from tests.domain.test_subject import (
    ASKED,
    CREATED,
    ID,
    MAILBOX,
    NOON,
    NOW,
    SELLER_PATH,
    STAFF,
    form,
    typed,
)

NEW = history_of(SELLER_PATH, 1)
MISS = s.CodeMissed(number=1)
DESK = at(NOON, "operator:cli", OPERATOR)
OWN = at(NOON, ID, SELLER)
CLOSED = s.SubjectClosed(reason="platform", ended_at=NOW)
ROLL, REVOKE, ASK = s.RollApiKey(subject=ID), s.RevokeApiKey(subject=ID), s.RequestCode(subject=ID)


def redeem(given: str = "RIGHT", number: int = 1) -> s.RedeemCode:
    return s.RedeemCode(subject=ID, number=number, given=given, expected="RIGHT")


def asked(*numbers: int) -> list[Event]:
    return [s.CodeRequested(number=number, asked_at=NOW) for number in numbers]


REFUSED = [
    Row(s.MailboxUnproved, NEW, form(SELLER), at(NOON)),
    Row(s.CodeNotOpen, (*NEW, MAILBOX), typed(), OWN),
    Row(s.CodeNotOpen, (*NEW, MISS, MISS, MISS, MISS, MISS), typed(), OWN),
    Row(s.CodeNotOpen, NEW, typed(), at("2026-05-02T11:00", ID, SELLER)),
    Row(s.CodeNotOpen, (*NEW, CLOSED), redeem(), OWN),
    Row(s.CodeNotOpen, STAFF, redeem(), at(NOON)),
    Row(s.CodeNotOpen, STAFF, ASK, at(NOON)),
    Row(s.CodeNotOpen, (), ASK, at(NOON)),
    Row(s.CodeNotOpen, (*NEW, CLOSED), ASK, at(NOON)),
    Row(s.TooManyCodes, (*NEW, *asked(2, 3, 4, 5)), ASK, OWN),
    Row(s.NoAccount, (), ROLL, DESK),
    Row(s.NoAccount, (*CREATED, CLOSED), ROLL, OWN),
    Row(s.NoAccount, (*STAFF, s.ApiKeyRevoked()), REVOKE, DESK),
    Row(s.NotYourKey, CREATED, ROLL, DESK),
    Row(s.NotYourKey, CREATED, ROLL, at(NOON, "sub_other", SELLER)),
    Row(s.NotYourKey, STAFF, REVOKE, at(NOON, ID, COMPLIANCE)),
    Row(s.NotYourKey, STAFF, REVOKE, at(NOON, "stf_2", ADMIN)),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_the_right_code_proves_the_mailbox_once() -> None:
    given(*NEW).when(typed(), OWN).then(MAILBOX)
    assert not fold("subject", NEW).mailbox_proved and fold("subject", (*NEW, MAILBOX)).mailbox_proved


@pytest.mark.parametrize("wrong", [typed("WRONG"), typed(""), typed("RIGHT", 2), typed("RIGHTÉ"), redeem("WRONG")])
def test_a_wrong_code_counts(wrong: s.SubjectCommand) -> None:
    given(*NEW).when(wrong, OWN).then(MISS)


def test_a_new_code_voids_the_old_and_has_its_own_tries() -> None:
    history = (*NEW, *[MISS] * 5, s.CodeRequested(number=2, asked_at=NOW))
    given(*history).when(typed(), OWN).then(s.CodeMissed(number=2))
    given(*history).when(typed(number=2), OWN).then(s.MailboxProved(number=2, email_domain="coppergate.co.uk"))


def test_five_codes_in_any_day() -> None:
    history = (*NEW, *asked(2, 3, 4, 5))
    later = NOW + timedelta(days=1)
    context = at(later.strftime("%Y-%m-%dT%H:%M"), ID, SELLER)
    given(*history).when(ASK, context).then(s.CodeRequested(number=6, asked_at=later))


def test_a_redeemed_code_proves_the_mailbox_and_makes_the_next_key() -> None:
    given(*NEW).when(redeem(), OWN).then(MAILBOX, s.ApiKeyRolled(generation=2))
    given(*CREATED, s.ApiKeyRolled(generation=2), s.CodeRequested(number=2, asked_at=NOW)).when(
        redeem(number=2), OWN).then(s.MailboxProved(number=2, email_domain="coppergate.co.uk"),
                                    s.ApiKeyRolled(generation=3))
    assert fold("subject", (*NEW, ASKED, MAILBOX, s.ApiKeyRolled(generation=2))).key_generation == 2


def test_who_may_sign_in() -> None:
    assert fold("subject", NEW).may_sign_in and fold("subject", STAFF).may_sign_in
    for ended in ((), (*NEW, CLOSED), (*STAFF, s.ApiKeyRevoked()),
                  (*NEW, CLOSED, s.SubjectErased(ground="retention_expired", ordered_by="x"))):
        assert not fold("subject", ended).may_sign_in
    assert fold("subject", (*STAFF, s.ApiKeyRevoked(), s.ApiKeyRolled(generation=2))).may_sign_in


def test_staff_keys_are_rolled_by_their_owner_or_an_operator() -> None:
    for context in (DESK, at(NOON, ID, COMPLIANCE)):
        given(*STAFF).when(ROLL, context).then(s.ApiKeyRolled(generation=2))
    given(*STAFF).when(REVOKE, DESK).then(s.ApiKeyRevoked())
