"""A frozen party is offered nothing, sold nothing and paid nothing; nobody else waits for it, and all resumes once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from domain.party import PAUSED
from domain.subject import SUBJECT
from domain.token import TOKEN
from domain.trade import TRADE
from providers.bank.account import end_to_end
from scripts.story import COLLECTIONS
from tests.scenarios.test_dealing import accepts, answers, asks, listed, lists, status
from tests.scenarios.test_outages import outage
from tests.scenarios.town import Person, Town, accepted, refused


@contextmanager
def frozen(town: Town, deputy: Person, who: str) -> Iterator[str]:
    """That person's subject, frozen while this lasts."""
    subject = town.id_of(who)
    accepted(town.person("mlro").post(f"/v1/compliance/subjects/{subject}/freeze", {"reason_code": "LIST_HIT"}))
    try:
        yield subject
    finally:
        accepted(deputy.post(f"/v1/compliance/subjects/{subject}/unfreeze", None))


def offered(town: Town) -> list[str]:
    return [row["reference"] for row in accepted(town.person("pennine").get("/v1/marketplace"))["data"]]


def held(town: Town) -> dict[str, int]:
    """What waits for somebody, as compliance sees it: reference -> pence."""
    return {row["resource"]: row["pence"] for row in town.incidents() if row["kind"] == "HELD"}


def paid(town: Town, payment: str) -> int:
    """How often the bank was asked for a payment, by its own books."""
    return sum(row["payment"] == payment for row in debits(town))


def debits(town: Town) -> list[dict[str, Any]]:
    """The bank's debits, each with the id of the payment it was made for."""
    asked = {end_to_end(entry.event.payment): entry.event.payment  # pyright: ignore[reportAttributeAccessIssue]
             for entry in town.entries("payment.requested.1")}
    return [{**row, "payment": asked[row["end_to_end"]]} for row in town.bank()]


def quiet(town: Town) -> None:
    """Nothing is on its way, nothing waits, and the books are whole."""
    town.wait(lambda: town.ledger().get("transit", 0) == 0 and not held(town), "everything to have arrived")
    town.wait(lambda: not [account for account, pence in town.ledger().items()
                           if account.startswith("held_for:") and pence], "nothing to be held")


# ---------------------------------------------------------------- offers


@pytest.mark.parametrize("who", ["coppergate", "northwind"])
def test_a_frozen_partys_receivable_is_offered_to_nobody_until_the_freeze_is_lifted(
    town: Town, deputy: Person, who: str
) -> None:
    reference = town.listed()
    town.wait(lambda: reference in offered(town), "the offer to be shown")
    with frozen(town, deputy, who):
        town.wait(lambda: reference not in offered(town), "the offer to be hidden")
        refused(town.reserves(reference), 404, "not_found")
        refused(town.person("pennine").get(f"/v1/invoices/{reference}"), 404, "not_found")
        assert accepted(town.person("coppergate").get(f"/v1/invoices/{reference}"))["state"] == "LISTED"
    town.wait(lambda: reference in offered(town), "the offer to be shown")
    accepted(town.reserves(reference))


def test_an_invoice_confirmed_under_its_sellers_freeze_becomes_a_token_afterwards(town: Town, deputy: Person) -> None:
    reference = town.awaiting()
    with frozen(town, deputy, "coppergate"):
        accepted(town.confirms(reference))
        town.wait(lambda: reference in held(town), "the mint to be held")
        town.still(reference, "CONFIRMED", 0.3)
    town.wait_state(reference, "LISTED")
    town.wait(lambda: reference not in held(town), "the incident to be over")


def test_cash_for_a_receivable_that_was_withdrawn_meanwhile_goes_back_to_the_lender(
    town: Town, deputy: Person
) -> None:
    reference = town.listed()
    payment = town.reserved(reference)
    with frozen(town, deputy, "coppergate"):
        town.pays(payment["pay_into"], payment["net_advance_pence"], reference)
        town.wait_state(reference, "LISTED")
        town.wait(lambda: paid(town, f"{payment['id']}/refund") == 1, "the lender's money to go back")
        town.wait(lambda: reference not in offered(town), "the offer to be hidden")
    again = town.reserved(reference)
    town.pays(again["pay_into"], again["net_advance_pence"], reference)
    town.wait_state(reference, "DISBURSED")
    quiet(town)


# ---------------------------------------------------------------- payments


def test_an_advance_that_waited_for_the_bank_is_held_and_the_debtors_money_is_shared_out_all_the_same(
    town: Town, deputy: Person
) -> None:
    reference = town.listed()
    advance, payment = f"{reference}/advance", town.reserved(reference)
    with ExitStack() as freeze:
        with outage(town, "bank"):
            town.pays(payment["pay_into"], payment["net_advance_pence"], reference)
            town.wait_state(reference, "FUNDED")
            town.pays(COLLECTIONS, town.invoice(reference).face_pence, reference)
            town.wait(lambda: town.invoice(reference).queued, "the debtor's money to wait for the advance")
            subject = freeze.enter_context(frozen(town, deputy, "coppergate"))
        town.wait(lambda: {advance, f"{reference}/fee"} <= set(held(town)), "the advance and our fee to be held")
        town.wait_state(reference, "SETTLED")
        assert (paid(town, advance), paid(town, f"{reference}/fee")) == (0, 0)
        cash = town.invoice(reference).seller_cash_pence
        town.wait(lambda: town.ledger().get(f"held_for:{subject}") == -cash, "the books")
        assert held(town)[advance] == cash
        assert town.ledger()[f"seller_payable:{reference}"] == 0
        me = accepted(town.person("coppergate").get("/v1/me"))
        assert me["state"] == "IN_REVIEW" and "LIST_HIT" not in str(me)
    town.wait(lambda: town.entries("invoice.disbursed.1", lambda entry: entry.resource == reference), "the advance")
    quiet(town)
    assert (paid(town, advance), paid(town, f"{reference}/fee")) == (1, 1)
    assert town.invoice(reference).state == "SETTLED"


def test_a_frozen_holders_share_is_ring_fenced_and_the_token_burned(town: Town, deputy: Person) -> None:
    reference = town.disbursed("salford")
    share, face = f"{reference}/settlement/{town.id_of('salford')}", town.invoice(reference).face_pence
    with frozen(town, deputy, "salford") as subject:
        town.pays(COLLECTIONS, face, reference)
        town.wait_state(reference, "SETTLED")
        town.wait(lambda: held(town).get(share) == face, "the incident")
        town.wait(lambda: town.ledger().get(f"held_for:{subject}") == -face, "the books")
        assert town.ledger().get(f"holder_payable:{share}") == 0 and paid(town, share) == 0
    town.wait(lambda: paid(town, share) == 1, "the share")
    town.wait(lambda: town.invoice(reference).payouts[share][2] == "CONFIRMED", "its arrival")
    quiet(town)


# ---------------------------------------------------------------- slices


@pytest.fixture(scope="module")
def token(town: Town) -> str:
    reference = town.disbursed()
    name = reference.replace("FX-", "FXR-")
    odd = town.invoice(reference).face_pence - 4 * 200_000
    accepted(town.person("pennine").post(f"/v1/tokens/{name}/slices", {"faces_pence": [200_000] * 4 + [odd]}))
    town.wait(lambda: len(town.house.platform.store.load(TOKEN, name).slices) == 5, "five slices")
    return name


def for_sale(town: Town, token: str) -> list[int]:
    rows = accepted(town.person("brunel").get("/v1/listings"))["data"]
    return [row["slice"] for row in rows if row["token_reference"] == token]


@pytest.mark.parametrize(("slice_", "who"), [(1, "pennine"), (2, "northwind")])
def test_a_frozen_holders_slice_is_not_for_sale(
    town: Town, deputy: Person, token: str, slice_: int, who: str
) -> None:
    lists(town, token, slice_)
    check = answers(town, token, slice_)
    with frozen(town, deputy, who):
        assert slice_ not in for_sale(town, token)
        refused(accepts(town, check), 409, "slice_not_free")
        refused(town.person("brunel").post("/v1/pre-trade-checks", {
            "token_reference": token, "slice": slice_, "answers": [True] * 7}), 404, "not_found")
        if who == "pennine":
            offer = {"token_reference": token, "slice": 3, "price_pence": 199_150}
            assert refused(town.person(who).post("/v1/listings", offer), 403, "not_a_lender")["detail"] == PAUSED
    assert slice_ in for_sale(town, token)
    accepted(accepts(town, answers(town, token, slice_)))


def test_money_for_a_slice_whose_holder_is_frozen_goes_back_and_is_held_if_its_payer_is_frozen_too(
    town: Town, deputy: Person, token: str
) -> None:
    lists(town, token, 3)
    check = answers(town, token, 3)
    accepted(accepts(town, check))
    brunel = town.person("brunel")
    town.wait(lambda: accepted(brunel.get(f"/v1/trades/{check}"))["pay_into"], "a payment instruction")
    shown = accepted(brunel.get(f"/v1/trades/{check}"))
    with frozen(town, deputy, "pennine"):
        with frozen(town, deputy, "brunel"):
            town.pays(shown["pay_into"], shown["total_pence"], "trade")
            town.wait(lambda: held(town).get(f"{check}/refund") == shown["total_pence"], "the refund to be held")
            assert paid(town, f"{check}/refund") == 0
        town.wait(lambda: town.house.platform.store.load(TRADE, check).state == "FIAT_REFUND", "the refund")
    assert paid(town, f"{check}/refund") == 1 and status(town, check) == "FIAT_REFUND"
    assert town.house.platform.store.load(TOKEN, token).slice(3).state == "LISTED"
    quiet(town)


def test_proceeds_wait_for_a_holder_frozen_after_its_slice_was_sold(town: Town, deputy: Person, token: str) -> None:
    lists(town, token, 4)
    check = answers(town, token, 4)
    accepted(accepts(town, check))
    brunel = town.person("brunel")
    town.wait(lambda: accepted(brunel.get(f"/v1/trades/{check}"))["pay_into"], "a payment instruction")
    shown = accepted(brunel.get(f"/v1/trades/{check}"))
    with ExitStack() as freeze:
        with outage(town, "bank"):
            town.pays(shown["pay_into"], shown["total_pence"], "trade")
            town.wait(lambda: town.house.platform.store.load(TRADE, check).state == "TRADE_EXECUTED", "the sale")
            freeze.enter_context(frozen(town, deputy, "pennine"))
        town.wait(lambda: {f"{check}/proceeds", f"{check}/fee"} <= set(held(town)), "the proceeds to be held")
        assert paid(town, f"{check}/proceeds") == 0
    town.wait(lambda: town.house.platform.store.load(TRADE, check).state == "TRADE_SETTLED", "the proceeds")
    assert paid(town, f"{check}/proceeds") == 1
    quiet(town)


# ---------------------------------------------------------------- a match, and any other freeze


def test_a_match_looks_to_its_customer_as_any_other_freeze(town: Town, deputy: Person) -> None:
    """One check waits while an officer freezes for another reason, one meets a list: all that can be read is equal."""
    reference = town.disbursed()
    token, store, subject = reference.replace("FX-", "FXR-"), town.house.platform.store, town.id_of("brunel")
    face = town.invoice(reference).face_pence
    accepted(town.person("pennine").post(f"/v1/tokens/{token}/slices", {"faces_pence": [200_000, face - 200_000]}))
    town.wait(lambda: len(store.load(TOKEN, token).slices) == 2, "two slices")
    lists(town, token, 1)

    def restricted() -> bool:
        found = store.load(SUBJECT, subject)
        return (found.state, found.claims) == ("FROZEN", "REVOKED")

    with outage(town, "screening"):
        check = asks(town, token, 1)
        ordered = frozen(town, deputy, "brunel")
        ordered.__enter__()
    town.wait(restricted, "the order's freeze")
    ordinary = [told(town, token, check)]
    town.forward(minutes=16)
    town.wait(lambda: status(town, check) != "PRE_TRADE_PENDING", "the check to lapse")
    ordinary.append(told(town, token, check))
    ordered.__exit__(None, None, None)
    town.wait(lambda: store.load(SUBJECT, subject).claims == "ISSUED", "the claims to be issued again")

    with listed(town, "Faisal Quereshi"):
        check = asks(town, token, 1)
        town.wait(restricted, "the match's freeze")
    match = [told(town, token, check)]
    town.forward(minutes=16)
    town.wait(lambda: status(town, check) != "PRE_TRADE_PENDING", "the check to lapse")
    match.append(told(town, token, check))
    accepted(deputy.post(f"/v1/compliance/subjects/{subject}/unfreeze", None))
    assert match == ordinary
    read = {route for route, (code, _) in ordinary[0].items() if code == 200}
    assert {"/v1/me", "/v1/subjects/{subject}", "/v1/pre-trade-checks/{trade}", "/v1/trades/{trade}"} <= read
    assert not re.search("match|sanction|list_hit", str(match[0]["/v1/me"]), re.I)


def told(town: Town, token: str, check: str) -> dict[str, Any]:
    """Every answer Faisal can get, by its route: to each GET, and to what he would do next."""
    person, subject = town.person("brunel"), town.id_of("brunel")
    routes = accepted(town.person("nobody").get("/docs/openapi.json"))["paths"]
    named = {"trade": check, "token": token, "subject": subject, "reference": token.replace("FXR-", "FX-")}
    answers = {route: person.get(re.sub(r"{(\w+)}", lambda name: named.get(name[1], "none"), route))
               for route, methods in routes.items() if "get" in methods and route not in MOVES}
    answers["check"] = person.post("/v1/pre-trade-checks", {"token_reference": token, "slice": 1,
                                                            "answers": [True] * 7})
    answers["trade"] = accepts(town, check)
    answers["form"] = person.post("/v1/onboarding", {})
    answers["closure"] = person.post(f"/v1/subjects/{subject}/closure", {"reason": "customer_request"})
    return {route: (answer.status_code, re.sub(rf'{check}|"request_id":"\w+"', "", answer.text))
            for route, answer in answers.items()}


MOVES = ("/v1/audit/anchors", "/v1/sandbox/clock", "/health/live", "/health/ready")
"""What differs from one moment to the next, for everybody alike."""
