"""Given the story's entries, exactly these rows: one database, told once, read by every test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select

import migrations
from domain.base import Event
from domain.invoice import INVOICE, InvoiceExpired, InvoiceRejected, RiskScored
from domain.ledger import CLEARING, postings
from domain.platform import AlarmCleared
from domain.register_order import OrderExecuted, OrderExpired, OrderRefused, OrderWithdrawn
from domain.release import Content as Outcome
from domain.release import ReleaseApproved, ReleaseExpired, ReleaseWithdrawn
from domain.subject import (
    ClaimsReissued,
    ClaimsRevoked,
    FirmNotAuthorised,
    FormReturned,
    KycFailed,
    OnboardingSubmitted,
    RevocationRequested,
    SubjectClosed,
    SubjectCreated,
    SubjectErased,
    SubjectKeyDestroyed,
    WalletReplaced,
)
from domain.token import ForcedMoved, ForcedMoveRequested, LockRequested, TokenUnlocked
from eventstore.access import PROJECT
from eventstore.entry import Entry
from eventstore.store import Store
from projections import (
    audit_trail,
    cash_ledger,
    fundings,
    invoices,
    marketplace,
    mlro_queue,
    portfolio,
    register_orders,
    releases,
    subjects,
)
from projections.base import open_engine, prepare, prepare_tables
from projections.catalogue import PROJECTIONS
from projections.paging import Part
from tests.conftest import access_to
from tests.projections import story
from tests.projections.story import BUYER, FACE, INVESTOR, LENDER, NET, NOW, PRICE, REFERENCE, SELLER, TOKEN_REF

TODAY = NOW.date()
ALL = list(PROJECTIONS.values())
LATER = itertools.count(1_000)


@pytest.fixture(scope="module")
def log_and_rows(empty_database: Callable[[], str]) -> Iterator[tuple[list[Entry], Any]]:
    url = empty_database()
    migrations.upgrade(url)
    prepare_tables(url, ALL)
    access = access_to(url)
    store = Store(access)
    engine = open_engine(access, PROJECT)
    prepare(engine, ALL)
    yield story.story_entries(store), engine
    engine.dispose()
    store.close()


@pytest.fixture
def told(log_and_rows: tuple[list[Entry], Any]) -> list[Entry]:
    return log_and_rows[0]


@pytest.fixture
def rows(log_and_rows: tuple[list[Entry], Any]) -> Iterator[Connection]:
    """A connection whose changes are undone; the read models start empty."""
    with log_and_rows[1].connect() as connection:
        yield connection
        connection.rollback()


def apply(rows: Connection, entries: list[Entry]) -> None:
    for projection in ALL:
        projection.apply(rows, entries)


def until(told: list[Entry], tag: str, nth: int = 1) -> list[Entry]:
    """The story up to the nth event with this tag, that one included."""
    positions = [entry.position for entry in told if entry.event.tag == tag]
    return told[:positions[nth - 1]]


# ---------------------------------------------------------------- invoices


def test_an_invoices_row_follows_its_aggregate_at_every_step(rows: Connection, told: list[Entry]) -> None:
    state = INVOICE.initial
    for entry in told:
        invoices.invoices.apply(rows, [entry])
        if entry.resource != REFERENCE:
            continue
        state = INVOICE.evolve(state, entry.event)
        row = invoices.by_reference(rows, REFERENCE)
        assert row is not None
        for field in ("state", "seller", "buyer", "face_pence", "due_on", "tenor_days", "grade", "confirm_by",
                      "least_cash_pence", "page_hash", "token_reference", "payment", "lender"):
            assert row[field] == getattr(state, field), f"{field} after {entry.event.tag}"


@pytest.mark.parametrize(("after", "event", "state"), [
    ("invoice.verification_started.1", InvoiceRejected(reason="REJECTED_VISION", checks=(), duplicate_of=None),
     "REJECTED_VISION"),
    ("invoice.verified.1", RiskScored(grade="HIGH", reasons=(), rules_version="r"), "RISK_HELD"),
    ("invoice.buyer_notified.1", InvoiceExpired(confirm_by=NOW), "EXPIRED"),
], ids=lambda value: value if isinstance(value, str) else type(value).__name__)
def test_the_ways_off_the_path(rows: Connection, told: list[Entry], after: str, event: Event, state: str) -> None:
    given = until(told, after)
    apply(rows, [*given, msgspec.structs.replace(given[-1], event=event, position=given[-1].position + 1)])
    row = invoices.by_reference(rows, REFERENCE)
    assert row is not None and row["state"] == state
    folded = INVOICE.initial
    for entry in given:
        folded = INVOICE.evolve(folded, entry.event)
    assert INVOICE.evolve(folded, event).state == state, "the aggregate says the same"


def test_a_settled_invoices_row(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    row = invoices.by_reference(rows, REFERENCE)
    assert row is not None
    assert (row["state"], row["mint_tx"], row["burn_tx"], row["settled_at"]) == ("SETTLED", "0xMINT", "0xBURN", NOW)
    fees = [row[f"fee_{name}_pence"] for name in ("tokenisation", "settlement", "scoring", "top_up")]
    assert row["net_advance_pence"] == NET and row["seller_cash_pence"] == NET - sum(fees)
    assert invoices.by_reference(rows, "FX-INV-00000") is None


def test_whose_invoices(rows: Connection, told: list[Entry]) -> None:
    apply(rows, until(told, "invoice.disbursed.1"))
    for subject, count in {SELLER: 1, BUYER: 1, LENDER: 0}.items():
        assert len(invoices.of_subject(rows, subject)) == count
    assert invoices.of_subject(rows, SELLER, Part(after=[REFERENCE])) == []


def test_a_lenders_payment_that_fits(rows: Connection, told: list[Entry]) -> None:
    apply(rows, until(told, "invoice.disbursed.1"))
    found = fundings.by_payment(rows, story.PAYMENT)
    assert found is not None
    assert (found["reference"], found["lender"], found["went_back"]) == (REFERENCE, LENDER, False)


# ---------------------------------------------------------------- marketplace


def test_a_receivable_is_offered_while_it_is_listed(rows: Connection, told: list[Entry]) -> None:
    def offered(**bounds: int) -> list[str]:
        band: dict[str, Any] = {"tenor_min": 7, "tenor_max": 120, "discount_min_bps": 200, **bounds}
        return [row["reference"] for row in marketplace.receivables(rows, today=TODAY, **band)]

    apply(rows, until(told, "invoice.tokenised.1"))
    assert offered() == []
    apply(rows, [until(told, "invoice.listed.1")[-1]])
    assert offered() == [REFERENCE]
    assert offered(tenor_max=59) == offered(tenor_min=61) == offered(discount_min_bps=241) == []
    assert offered(tenor_min=60, tenor_max=60, discount_min_bps=240) == [REFERENCE]
    apply(rows, [until(told, "invoice.reserved.1")[-1]])
    assert offered() == []


def test_a_slice_is_offered_until_it_is_sold(rows: Connection, told: list[Entry]) -> None:
    apply(rows, until(told, "token.slice_listed.1"))
    offer, = marketplace.slices_for_sale(rows, today=TODAY)
    assert (offer["index"], offer["face_pence"], offer["price_pence"], offer["holder"]) == (2, 200_000, PRICE, LENDER)
    assert marketplace.slices_for_sale(rows, Part(after=[TOKEN_REF, 2]), today=TODAY) == []
    at = len(until(told, "token.slice_listed.1"))
    apply(rows, told[at:len(until(told, "token.slice_reserved.1"))])
    assert marketplace.slices_for_sale(rows, today=TODAY) == []
    apply(rows, told[len(until(told, "token.slice_reserved.1")):])
    assert marketplace.slices_for_sale(rows, today=TODAY) == []


# ---------------------------------------------------------------- portfolio


def holdings(rows: Connection, holder: str) -> list[tuple[int, int, int, str]]:
    return [(row["index"], row["face_pence"], row["cost_pence"], row["state"])
            for row in portfolio.of_holder(rows, holder)]


def test_a_portfolio_through_slicing_sale_and_settlement(rows: Connection, told: list[Entry]) -> None:
    cuts = [len(until(told, tag)) for tag in (
        "token.transferred.1", "token.sliced.1", "trade.executed.1", "invoice.payout_confirmed.1")]
    apply(rows, told[:cuts[0]])
    assert holdings(rows, LENDER) == [(0, FACE, NET, "HELD")]
    apply(rows, told[cuts[0]:cuts[1]])
    assert holdings(rows, LENDER) == [
        (1, 300_000, 292_800, "HELD"), (2, 200_000, 195_200, "HELD"), (3, 500_000, 488_000, "HELD")]
    apply(rows, told[cuts[1]:cuts[2]])
    assert holdings(rows, INVESTOR) == [(2, 200_000, PRICE + story.FEE, "HELD")]
    assert [index for index, *_ in holdings(rows, LENDER)] == [1, 3]
    apply(rows, told[cuts[2]:cuts[3]])
    assert {state for *_, state in holdings(rows, LENDER)} == {"PAID"}
    assert {state for *_, state in holdings(rows, INVESTOR)} == {"HELD"}
    apply(rows, told[cuts[3]:])
    assert {state for *_, state in holdings(rows, LENDER) + holdings(rows, INVESTOR)} == {"SETTLED"}


# ---------------------------------------------------------------- MLRO queue


def test_the_queue_shows_a_review_with_its_proposal_until_it_is_decided(rows: Connection, told: list[Entry]) -> None:
    proposed = until(told, "subject.verdict_proposed.1")
    apply(rows, proposed)
    review, = mlro_queue.queue(rows)
    assert (review["subject"], review["legal_name"], review["role"], review["grade"], review["proposal"]) == (
        SELLER, "Coppergate Joinery Ltd", "sme_seller", "LOW", "APPROVE")
    assert review["proposal_position"] == proposed[-1].position
    assert review["reasons"] == ["mandatory seller review"]
    apply(rows, told[len(proposed):])
    assert mlro_queue.queue(rows) == []
    decided = mlro_queue.by_file(rows, f"KYC-{SELLER}")
    assert decided is not None
    assert (decided["state"], decided["decision"], decided["decided_by"]) == ("DECIDED", "APPROVED", story.MLRO)
    assert [row["file_number"] for row in mlro_queue.queue(rows, state="DECIDED")] == [f"KYC-{SELLER}"]
    assert mlro_queue.by_file(rows, "KYC-unknown") is None


def test_a_file_that_ends_or_goes_back_stands_in_the_queue_with_its_reasons(rows: Connection,
                                                                             told: list[Entry]) -> None:
    apply(rows, told)
    one = next(entry for entry in told if isinstance(entry.event, SubjectCreated) and entry.resource == SELLER)
    returned = FormReturned(file_number="F-2", evidence=(), reasons=("no such number",), pointers=("/company_number",))
    corrected = OnboardingSubmitted(
        file_number="F-3", refresh=False, legal_name="Copper Ltd", company_number="07452984", bank_account=None,
        turnover_pence=0, firm_reference=None, mifid_category=None, appetite=None)
    failed = KycFailed(file_number="F-3", evidence=(), reasons=("RED",), again_from=NOW)
    late = FirmNotAuthorised(file_number=f"KYC-{SELLER}", evidence=(), reasons=("not this firm",), again_from=NOW)
    apply(rows, [msgspec.structs.replace(one, event=event, position=9_000 + n)
                 for n, event in enumerate((returned, corrected, failed, late))])
    ended = mlro_queue.queue(rows, state="ENDED")
    assert [(row["file_number"], row["reasons"], row["legal_name"]) for row in ended] == [
        ("F-3", ["RED"], "Copper Ltd"), (f"KYC-{SELLER}", ["not this firm"], "Copper Ltd")]
    assert [row["reasons"] for row in mlro_queue.queue(rows, state="RETURNED")] == [["no such number"]]
    assert (mlro_queue.by_file(rows, f"KYC-{SELLER}") or {})["decision"] == "APPROVED", "what was decided stays told"
    (found,), _ = subjects.search(rows, SELLER)
    assert (found.legal_name, found.company_number) == ("Copper Ltd", "07452984")


def test_incidents_are_stray_money_and_alarms(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    assert [(row["kind"], row["reason"], row["pence"]) for row in mlro_queue.open_incidents(rows)] == [
        ("ALARM", "something", 0), ("SUSPENSE", "no invoice reference", 4_200)]


# ---------------------------------------------------------------- cash ledger


def test_every_entry_and_the_book_balance_at_every_step(rows: Connection, told: list[Entry]) -> None:
    for entry in told:
        cash_ledger.cash_ledger.apply(rows, [entry])
        assert sum(posting.pence for posting in postings(entry.event)) == 0
        if postings(entry.event):
            assert cash_ledger.trial_balance(rows) == 0


def test_after_settlement_only_the_stray_credit_is_not_cleared(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    left = {row["account"]: row["pence"] for row in cash_ledger.not_cleared(rows)}
    assert left == {"suspense": -4_200, "collections": 4_200}
    assert {row["family"] for row in cash_ledger.not_cleared(rows)} <= set(CLEARING)
    balances = {row["account"]: row["pence"] for row in cash_ledger.all_balances(rows)}
    income = sum(pence for account, pence in balances.items() if account.startswith("fee_income"))
    assert -income == balances["platform_cash"] + balances[f"listing_fee_receivable:{LENDER}"]


def test_lines_are_paged_by_position(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    lines = cash_ledger.lines_of(rows, Part(limit=1_000))
    assert len(lines) == sum(len(postings(entry.event)) for entry in told)
    after = lines[5]["position"]
    assert cash_ledger.lines_of(rows, Part(3, [after, 1_000])) == [row for row in lines if row["position"] > after][:3]


# ---------------------------------------------------------------- audit trail


def test_the_trail_has_a_row_for_every_entry(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    trail = audit_trail.entries(rows, Part(1_000))
    assert [(row["position"], row["type"], row["actor"], row["at"]) for row in trail] == [
        (entry.position, entry.event.tag, entry.actor, entry.at) for entry in told]
    assert audit_trail.entries(rows, Part(2, [3])) == trail[3:5]


def test_an_invoices_story_is_read_in_one_place(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    kinds = {row["type"].split(".")[0] for row in audit_trail.entries(rows, Part(1_000), invoice=REFERENCE)}
    assert kinds >= {"invoice", "token", "trade", "payment", "notice", "fingerprint", "credit"}
    assert "subject" not in kinds
    assert {row["resource"] for row in audit_trail.entries(rows, resource=TOKEN_REF)} == {TOKEN_REF}


def test_which_batch_covers_a_position(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    batch, = audit_trail.batches_after(rows)
    assert (batch["batch_id"], batch["from_position"], batch["to_position"], batch["tx"]) == (1, 1, 20, "0xANCHOR")
    assert audit_trail.batch_of(rows, 1) == audit_trail.batch_of(rows, 20) == batch
    assert audit_trail.batch_of(rows, 21) is None
    assert audit_trail.batches_after(rows, Part(after=[1])) == []


# ---------------------------------------------------------------- subjects


def test_compliance_finds_a_subject_by_its_company_and_never_by_a_persons_name(
    rows: Connection, told: list[Entry]
) -> None:
    apply(rows, told)
    for wanted in ("copper", story.NAMES[SELLER], SELLER):
        found, = [one for one in subjects.search(rows, wanted)[0] if one.subject == SELLER]
        assert (found.role, found.standing, found.erased) == ("sme_seller", None, False)
        assert found.representative is not None and found.representative.subject == SELLER
    assert subjects.search(rows, "Aisha")[0] == [] and subjects.search(rows, "%")[0] == []
    assert len(subjects.search(rows, "")[0]) == 4 and len(subjects.search(rows, "", Part(2))[0]) == 2


def test_an_erased_subject_is_purged_and_a_company_keeps_its_name(rows: Connection, told: list[Entry]) -> None:
    created = next(entry for entry in told if isinstance(entry.event, SubjectCreated) and entry.resource == SELLER)
    history = [SubjectClosed(reason="platform", ended_at=NOW), SubjectErased(ground="g", ordered_by="m"),
               SubjectKeyDestroyed()]
    apply(rows, [created, *(msgspec.structs.replace(created, event=event, position=100 + n)
                            for n, event in enumerate(history))])
    (found,), _ = subjects.search(rows, SELLER)
    assert (found.representative, found.email, found.erased, found.standing) == (None, None, True, "ERASED")
    kept = story.NAMES[SELLER]
    assert found.legal_name == kept and subjects.erased_subjects(rows) == [SELLER]
    assert rows.execute(select(mlro_queue.subjects.c.legal_name)).scalars().all() == [kept]


def test_what_is_outstanding_of_whom(rows: Connection, told: list[Entry]) -> None:
    apply(rows, until(told, "trade.executed.1"))
    for subject in (SELLER, BUYER, LENDER):
        assert invoices.outstanding_of(rows, subject) == [REFERENCE]
    assert portfolio.outstanding_of(rows, INVESTOR) == portfolio.outstanding_of(rows, LENDER) == [REFERENCE]
    assert invoices.outstanding_of(rows, INVESTOR) == []


def test_nothing_is_outstanding_once_all_is_settled(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    for subject in (SELLER, BUYER, LENDER, INVESTOR):
        assert invoices.outstanding_of(rows, subject) == portfolio.outstanding_of(rows, subject) == []


# ---------------------------------------------------------------- what compliance orders


def happens(rows: Connection, told: list[Entry], tag: str, *events: Event, resource: str | None = None) -> None:
    """Right after the story's first entry of that kind."""
    last = until(told, tag)[-1]
    apply(rows, [msgspec.structs.replace(last, event=event, position=next(LATER), resource=resource or last.resource)
                 for event in events])


def test_what_is_locked_is_not_offered(rows: Connection, told: list[Entry]) -> None:
    order = LockRequested(invoice=REFERENCE, token_id="77", reason_code="COURT_ORDER", ordered_by=story.MLRO)
    apply(rows, until(told, "token.slice_listed.1"))
    happens(rows, told, "token.slice_listed.1", order)
    assert marketplace.slices_for_sale(rows, today=TODAY) == []
    happens(rows, told, "token.slice_listed.1", TokenUnlocked(tx="0x1", block=1))
    assert len(marketplace.slices_for_sale(rows, today=TODAY)) == 1


def test_what_is_forced_away_is_not_offered_and_belongs_to_another(rows: Connection, told: list[Entry]) -> None:
    moved: dict[str, Any] = {"order": "ord_1", "invoice": REFERENCE, "slice_index": 2, "face_pence": 200_000,
                             "holder": LENDER, "to": INVESTOR, "to_wallet": "0xINVESTOR"}
    apply(rows, until(told, "token.slice_listed.1"))
    happens(rows, told, "token.slice_listed.1", ForcedMoveRequested(**moved), ForcedMoved(**moved, tx="0x1", block=1))
    assert marketplace.slices_for_sale(rows, today=TODAY) == []
    assert holdings(rows, INVESTOR) == [(2, 200_000, 195_200, "HELD")]
    assert portfolio.tokens_of(rows, INVESTOR) == portfolio.tokens_of(rows, LENDER) == [TOKEN_REF]


def test_compliance_finds_a_subjects_claims(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    (lender,), (seller,) = subjects.search(rows, LENDER)[0], subjects.search(rows, SELLER)[0]
    assert (lender.claims, seller.claims) == ("ISSUED", None) and lender.claims_expire_at is not None
    wallet: dict[str, Any] = {"wallet": "0xLENDER", "topics": ("KYC_VERIFIED",)}
    for event, state in ((RevocationRequested(**wallet, reason="frozen"), "REVOKING"),
                         (ClaimsRevoked(**wallet, tx=()), "REVOKED"),
                         (ClaimsReissued(**wallet, claims_expire_at=NOW, tx=()), "ISSUED"),
                         (RevocationRequested(**wallet, reason="frozen"), "REVOKING"),
                         (WalletReplaced(order="ord_1", previous="0xLENDER", wallet="0xNEW", tx=""), "ISSUED"),
                         (ClaimsRevoked(**wallet, tx=()), "ISSUED")):
        happens(rows, told, "subject.wallet_bound.1", event, resource=LENDER)
        assert subjects.search(rows, LENDER)[0][0].claims == state
    assert subjects.search(rows, LENDER)[0][0].claims_expire_at == NOW


def test_an_alarm_that_is_over_is_no_longer_shown(rows: Connection, told: list[Entry]) -> None:
    apply(rows, told)
    raised = until(told, "alarm.raised.1")[-1].event
    happens(rows, told, "alarm.raised.1", AlarmCleared())
    assert [row["kind"] for row in mlro_queue.open_incidents(rows)] == ["SUSPENSE"]
    happens(rows, told, "alarm.raised.1", raised)
    assert [(row["kind"], row["occurrence"]) for row in mlro_queue.open_incidents(rows)] == [
        ("ALARM", 2), ("SUSPENSE", 1)]


@pytest.mark.parametrize(("event", "state", "by"), [
    (ReleaseWithdrawn(withdrawn_by="x"), "WITHDRAWN", None), (ReleaseExpired(), "EXPIRED", None),
    (ReleaseApproved(content=Outcome(credit="crd_stray", subject="sub_payer", pence=4_200, outcome="return",
                                     resource=""), content_sha256="", approved_by="stf_2"), "APPROVED", "stf_2")],
    ids=lambda value: str(value)[:14])
def test_a_release_is_listed_with_its_outcome(
    rows: Connection, told: list[Entry], event: Event, state: str, by: str | None
) -> None:
    apply(rows, told)
    release, = releases.newest(rows)
    assert (release["release"], release["state"], release["credit"]) == ("rel_0001", "PROPOSED", "crd_stray")
    happens(rows, told, "release.proposed.1", event)
    ended, = releases.newest(rows)
    assert (ended["state"], ended["approved_by"]) == (state, by)


@pytest.mark.parametrize(("event", "state"), [
    (OrderExecuted(tx="0x1", block=1), "EXECUTED"), (OrderRefused(reason="TOKEN_LOCKED"), "REFUSED"),
    (OrderWithdrawn(withdrawn_by="x"), "WITHDRAWN"), (OrderExpired(), "EXPIRED")], ids=lambda value: str(value)[:14])
def test_a_register_order_is_listed_with_its_outcome(
    rows: Connection, told: list[Entry], event: Event, state: str
) -> None:
    apply(rows, told)
    order, = register_orders.newest(rows)
    assert (order["order"], order["state"], order["subject"]) == (story.ORDER_ID, "PROPOSED", LENDER)
    happens(rows, told, "order.proposed.1", event)
    ended, = register_orders.newest(rows)
    assert ended["state"] == state and ended["reason"] == (event.reason if isinstance(event, OrderRefused) else None)
