"""Slices change hands: never without the seven answers, a fresh screening, and the money."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from domain.party import PAUSED
from domain.subject import SUBJECT
from domain.token import TOKEN
from domain.trade import TRADE
from providers.bank.account import end_to_end
from scripts.story import ACCOUNTS, COLLECTIONS
from tests.scenarios.town import Town, accepted, refused

PRICE_PENCE = 199_150


@pytest.fixture(scope="module")
def token(town: Town) -> str:
    """A funded token in five parts, the last of which takes the odd pence."""
    reference = town.disbursed()
    name, pennine = reference.replace("FX-", "FXR-"), town.person("pennine")
    odd = town.invoice(reference).face_pence - 4 * 200_000
    refused(pennine.post(f"/v1/tokens/{name}/slices", {"faces_pence": [1, 2]}), 422, "faces_do_not_add_up")
    accepted(pennine.post(f"/v1/tokens/{name}/slices", {"faces_pence": [200_000] * 4 + [odd]}))
    town.wait(lambda: len(town.house.platform.store.load(TOKEN, name).slices) == 5, "five slices")
    return name


def lists(town: Town, token: str, slice_: int, who: str = "pennine") -> None:
    accepted(town.person(who).post("/v1/listings", {
        "token_reference": token, "slice": slice_, "price_pence": PRICE_PENCE}))


def answers(town: Town, token: str, slice_: int, given: list[bool] | None = None, who: str = "brunel") -> str:
    """The investor answers (Faisal, mostly); the check's id once the platform has screened them."""
    check = asks(town, token, slice_, given, who)
    town.wait(lambda: status(town, check, who) != "PRE_TRADE_PENDING", "the check")
    return check


def asks(town: Town, token: str, slice_: int, given: list[bool] | None = None, who: str = "brunel") -> str:
    return accepted(town.person(who).post("/v1/pre-trade-checks", {
        "token_reference": token, "slice": slice_, "answers": given or [True] * 7}))["id"]


@contextmanager
def listed(town: Town, name: str) -> Iterator[None]:
    """That name stands on the UK's list while this lasts."""
    town.outside.post("/screening/control/names", "", {"name": name, "list": "UKSL"})
    try:
        yield
    finally:
        town.outside.post("/screening/control/names/remove", "", {"name": name})


def status(town: Town, check: str, who: str = "brunel") -> str:
    return accepted(town.person(who).get(f"/v1/pre-trade-checks/{check}"))["status"]


def accepts(town: Town, check: str, total: int | None = None, who: str = "brunel") -> Any:
    trade = town.house.platform.store.load(TRADE, check)
    return town.person(who).post("/v1/trades", {
        "pre_trade_check": check, "accepted_total_pence": trade.total_pence if total is None else total})


def part(town: Town, token: str, slice_: int) -> Any:
    return town.house.platform.store.load(TOKEN, token).slice(slice_)


def test_there_is_no_trade_without_the_seven_answers(town: Town, token: str) -> None:
    faisal = town.person("brunel")
    refused(faisal.post("/v1/trades", {"pre_trade_check": "trd_0000000000000000", "accepted_total_pence": 1}), 404,
            "not_found")
    refused(faisal.post("/v1/pre-trade-checks", {"token_reference": token, "slice": 1, "answers": [True] * 7}), 404,
            "not_found")
    lists(town, token, 1)
    refused(faisal.post("/v1/pre-trade-checks", {"token_reference": token, "slice": 1, "answers": [True] * 6}), 422,
            "malformed")


@pytest.mark.parametrize("question", range(7))
def test_a_no_fails_and_does_not_say_why(town: Town, token: str, question: int) -> None:
    if part(town, token, 1).state == "HELD":
        lists(town, token, 1)
    check = answers(town, token, 1, [number != question for number in range(7)])
    shown = accepted(town.person("brunel").get(f"/v1/pre-trade-checks/{check}"))
    assert shown["status"] == "PRE_TRADE_FAILED"
    assert not {"question", "reason", "answers"} & set(shown)
    problem = refused(accepts(town, check), 409, "pre_trade_required")
    assert not any(code in problem["detail"] for code in ("SANCTION", "CLASSIFICATION", "AUTHORITY", "LIMITS"))


def test_answers_go_stale_after_a_quarter_of_an_hour(town: Town, token: str) -> None:
    lists(town, token, 2)
    check = answers(town, token, 2)
    refused(accepts(town, check, 1), 422, "total_not_accepted")
    town.forward(minutes=16)
    refused(accepts(town, check), 409, "pre_trade_required")
    assert part(town, token, 2).state == "LISTED"
    accepted(accepts(town, answers(town, token, 2)))


def test_a_trade_without_money_lapses_and_the_slice_is_for_sale_again(town: Town, token: str) -> None:
    lists(town, token, 3)
    check = answers(town, token, 3)
    accepted(accepts(town, check))
    faisal = town.person("brunel")
    town.wait(lambda: accepted(faisal.get(f"/v1/trades/{check}"))["pay_into"], "the payment instruction")
    account = accepted(faisal.get(f"/v1/trades/{check}"))["pay_into"]
    town.forward(hours=4)
    town.wait(lambda: part(town, token, 3).state == "LISTED", "the slice to be for sale")
    assert status(town, check) == "LAPSED"

    late = town.pays(account, PRICE_PENCE + 797, check)
    town.wait(lambda: town.gone_back(late), "the late money to be back")
    assert part(town, token, 3).holder == town.id_of("pennine")


def test_a_name_that_is_listed_meanwhile_freezes_its_investor_who_is_told_nothing(town: Town, token: str) -> None:
    """Seven times "all well", and the screening says otherwise: the check never says that it failed."""
    lists(town, token, 4)
    subject, store = town.id_of("brunel"), town.house.platform.store
    with listed(town, "Faisal Quereshi"):
        check = asks(town, token, 4)
        town.wait(lambda: store.load(SUBJECT, subject).state == "FROZEN", "the freeze")
    match, = town.entries("subject.sanctions_matched.1")
    frozen, = town.entries("subject.frozen.1")
    alarm, = [row for row in town.incidents() if row["kind"] == "ALARM"]
    assert (alarm["reason"], subject in alarm["detail"]) == ("sanctions_match", True)
    assert frozen.position == match.position + 1, "nothing lands between the match and its freeze"
    assert status(town, check) == "PRE_TRADE_PENDING"
    assert refused(accepts(town, check), 403, "not_an_investor")["detail"] == PAUSED
    assert accepted(town.person("brunel").get("/v1/me"))["state"] == "IN_REVIEW"
    town.forward(minutes=16)
    town.wait(lambda: status(town, check) == "LAPSED", "the check to lapse")

    accepted(town.person("mlro").post(f"/v1/compliance/subjects/{subject}/unfreeze", None))
    accepted(town.person("mlro").post(f"/v1/compliance/incidents/{alarm['position']}/close", None))
    town.wait(lambda: store.load(SUBJECT, subject).claims == "ISSUED", "the claims to be issued again")
    refused(accepts(town, check), 409, "pre_trade_required")
    accepted(accepts(town, answers(town, token, 4)))


@pytest.mark.parametrize("question", range(7))
def test_a_check_only_ever_fails_by_the_investors_own_answer(town: Town, token: str, question: int) -> None:
    """Also with somebody on a list: a declared no is answered before anybody is screened."""
    if part(town, token, 1).state == "HELD":
        lists(town, token, 1)
    with listed(town, "Faisal Quereshi"):
        check = answers(town, token, 1, [number != question for number in range(7)])
        assert status(town, check) == "PRE_TRADE_FAILED"
    assert accepted(town.person("brunel").get("/v1/me"))["state"] == "ACTIVE"


def test_the_chain_refuses_the_slice_and_the_money_goes_back(town: Town, token: str) -> None:
    lists(town, token, 5)
    check = answers(town, token, 5)
    accepted(accepts(town, check))
    faisal = town.person("brunel")
    town.wait(lambda: accepted(faisal.get(f"/v1/trades/{check}"))["pay_into"], "the payment instruction")
    trade = accepted(faisal.get(f"/v1/trades/{check}"))
    chain = town.house.platform.outside.chain()
    wallet = town.house.platform.outside.wallets(town.id_of("brunel"))
    chain.set_active("test:restrict brunel", wallet, False)

    town.pays(trade["pay_into"], trade["total_pence"], check)
    town.wait(lambda: status(town, check) == "FIAT_REFUND", "the refund")
    chain.set_active("test:restore brunel", wallet, True)
    assert part(town, token, 5).state == "LISTED"
    assert part(town, token, 5).holder == town.id_of("pennine")
    town.wait(lambda: town.ledger().get(f"trade_funds:{check}") == 0, "the books")
    refund = end_to_end(f"{check}/refund")
    assert [row["amount_pence"] for row in town.bank() if row["end_to_end"] == refund] == [trade["total_pence"]]


@pytest.mark.parametrize("pays", [False, True])
def test_the_debtor_pays_while_a_trade_still_waits_for_its_money(town: Town, pays: bool) -> None:
    """The register closes over the reservation: the holder is paid, the trade lapses or gives the money back."""
    reference = town.disbursed()
    name, faisal = reference.replace("FX-", "FXR-"), town.person("brunel")
    face = town.invoice(reference).face_pence
    accepted(town.person("pennine").post(f"/v1/tokens/{name}/slices", {"faces_pence": [200_000, face - 200_000]}))
    town.wait(lambda: len(town.house.platform.store.load(TOKEN, name).slices) == 2, "two slices")
    lists(town, name, 1)
    check = answers(town, name, 1)
    accepted(accepts(town, check))
    town.wait(lambda: accepted(faisal.get(f"/v1/trades/{check}"))["pay_into"], "the payment instruction")
    trade = accepted(faisal.get(f"/v1/trades/{check}"))

    town.pays(COLLECTIONS, face, reference)
    town.wait_state(reference, "SETTLED")
    if pays:
        town.pays(trade["pay_into"], trade["total_pence"], check)
        town.wait(lambda: status(town, check) == "FIAT_REFUND", "the refund")
    else:
        town.forward(hours=4)
        town.wait(lambda: status(town, check) == "LAPSED", "the trade to lapse")
    settlements = [entry.event for entry in town.entries("invoice.payout_confirmed.1")
                   if entry.resource == reference]
    assert [getattr(event, "pence", 0) for event in settlements] == [face]
    assert [row for row in town.incidents() if row["kind"] == "ALARM"] == []


def test_a_slice_that_changed_hands_since_the_check_is_checked_again(town: Town) -> None:
    """Faisal passed the check for Pennine's slice; Severn buys it and offers it at the same price."""
    severn_joins(town)
    reference = town.disbursed()
    name, severn = reference.replace("FX-", "FXR-"), town.person("severn")
    face = town.invoice(reference).face_pence
    accepted(town.person("pennine").post(f"/v1/tokens/{name}/slices", {"faces_pence": [200_000, face - 200_000]}))
    town.wait(lambda: len(town.house.platform.store.load(TOKEN, name).slices) == 2, "two slices")
    lists(town, name, 1)
    early = answers(town, name, 1)

    bought = answers(town, name, 1, who="severn")
    accepted(accepts(town, bought, who="severn"))
    town.wait(lambda: accepted(severn.get(f"/v1/trades/{bought}"))["pay_into"], "the payment instruction")
    trade = accepted(severn.get(f"/v1/trades/{bought}"))
    town.pays(trade["pay_into"], trade["total_pence"], bought)
    town.wait(lambda: status(town, bought, "severn") == "TRADE_SETTLED", "the trade to settle")
    lists(town, name, 1, "severn")

    assert "changed hands" in refused(accepts(town, early), 409, "slice_not_free")["detail"]
    assert part(town, name, 1).state == "LISTED"
    again = answers(town, name, 1)
    accepted(accepts(town, again))
    assert town.house.platform.store.load(TRADE, again).seller == town.id_of("severn")


def severn_joins(town: Town) -> None:
    """A second investor."""
    town.registers("07452987", "SEVERN FAMILY OFFICE LTD")
    town.story.sign_up("severn", role="investor", legal_name="Severn Family Office Ltd", company_number="07452987",
                       representative="Gwen Rees", email="g.rees@severnfo.co.uk")
    accepted(town.person("severn").post("/v1/onboarding", {
        "bank_account": ACCOUNTS["severn"], "mifid_category": "PROFESSIONAL"}))
    town.story.wait_active("severn")
