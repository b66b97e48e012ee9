"""Effects on subjects, documents and the chain: what is asked, with which key, and what the answer becomes."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chain.errors import Refused
from domain.base import Command, Event
from domain.invoice import (
    INVOICE,
    BuyerNotified,
    Check,
    ExpireInvoice,
    RecordExamination,
    VerificationStarted,
)
from domain.likeness import LIKENESS, ClaimLikeness, ReleaseLikeness
from domain.pair import CallbackRequested
from domain.platform import FINGERPRINT, ClaimFingerprint, RaiseAlarm, ReleaseFingerprint
from domain.subject import (
    SUBJECT,
    BindWallet,
    FirmCheckRequested,
    FirmVerified,
    IdentityRequested,
    MarkRefreshDue,
    MifidClassified,
    RecordFirm,
    RecordIdentity,
    RecordScreening,
    ReviewOpened,
    Said,
    ScreeningRequested,
    StartGate,
    SubjectActivated,
    SubmitOnboarding,
    WalletRequested,
)
from domain.token import (
    BurnRequested,
    MintRequested,
    RecordBurned,
    RecordMinted,
    RecordSliced,
    RecordTransferred,
    RecordTransferRefused,
    SlicingRequested,
    TransferRequested,
)
from processes.catalogue import PROCESSES
from processes.process import NotYet
from processes.verification import registry_keys
from providers.documents import UNREADABLE, Examination
from providers.documents import Check as Found
from providers.errors import Final, Retryable
from providers.identity import IdentityResult
from providers.payee import PayeeResult
from providers.registers import Company, Firm
from providers.screening import Hit, ScreeningResult
from tests.processes.outside import HEARTBEAT, SHA, Outside, asked, perform
from tests.processes.world import world_at
from tests.projections.story import (
    BUYER,
    DUE,
    FACE,
    INVESTOR,
    LENDER,
    NOW,
    PAYMENT,
    REFERENCE,
    SELLER,
    TOKEN_REF,
    TRADE_ID,
    checked,
)

# ---------------------------------------------------------------- onboarding

CLEAN = RecordIdentity(
    subject=SELLER, identity=Said("sumsub", "id-1", SHA, status="GREEN"),
    register=Said("companies-house", "00000000", SHA, "Coppergate Joinery Ltd", "00000000", "active"),
    payee=Said("confirmation-of-payee", "", SHA, status="MATCH"), account_name="Coppergate Joinery Ltd",
    incorporated_on=NOW.date(), sic_codes=("1",), registered_office="York")
UNKNOWN = Said("companies-house", "", "", status="UNKNOWN")


@pytest.mark.parametrize(("port", "answer", "expected"), [
    ("identity", {}, {}),
    ("identity", {"check": IdentityResult("RED", "id-1", SHA)},
     {"identity": Said("sumsub", "id-1", SHA, status="RED")}),
    ("identity", {"check": Final("key_reused")}, {"identity": Said("sumsub", "", "", status="REFUSED:key_reused")}),
    ("companies", {"company": Company("00000001", "Other plc", "liquidation", NOW.date(), ("1",), "York", NOW, SHA)},
     {"register": Said("companies-house", "00000001", SHA, "Other plc", "00000001", "liquidation")}),
    ("companies", {"company": Final("not_found")},
     {"register": UNKNOWN, "payee": None, "account_name": "", "incorporated_on": None, "sic_codes": (),
      "registered_office": ""}),
    ("payee", {"verify": PayeeResult("NO_MATCH", None, "ANNM", SHA)},
     {"payee": Said("confirmation-of-payee", "ANNM", SHA, status="NO_MATCH")}),
    ("payee", {"verify": PayeeResult("CLOSE_MATCH", "Copper Gate", "MBAM", SHA)},
     {"payee": Said("confirmation-of-payee", "MBAM", SHA, "Copper Gate", status="CLOSE_MATCH")}),
    ("payee", {"verify": Final("refused")}, {"payee": Said("confirmation-of-payee", "", "", status="REFUSED:refused")}),
], ids=lambda value: str(value)[:40])
def test_what_each_source_said_about_identity_is_reported_and_judged_elsewhere(
    port: str, answer: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The payee's bank is asked about the register's name, whatever the form says."""
    world = world_at("sub_seller identity asked")
    outside = Outside(world).answers(port, **answer)
    recorded, = perform(world, "onboarding", "check_identity", IdentityRequested, outside)
    assert isinstance(recorded, RecordIdentity)
    told = {name: getattr(recorded, name) for name in CLEAN.__struct_fields__ if name != "domains"}
    clean = {name: getattr(CLEAN, name) for name in CLEAN.__struct_fields__ if name != "domains"}
    assert told == {**clean, **expected}
    position, named = world.last(IdentityRequested).position, recorded.register.name
    assert asked(outside) == [
        ("identity.check", f"kyc-{position}", "Coppergate Joinery Ltd", "company", "sub_seller@example.uk"),
        ("companies.company", "00000000"), *([("payee.verify", named, "20-48-17", "53910460")] if named else [])]


@pytest.mark.parametrize(("port", "method"), [("identity", "check"), ("companies", "company"), ("payee", "verify")])
def test_an_identity_source_that_is_down_leaves_the_gate_pending(port: str, method: str) -> None:
    world = world_at("sub_seller identity asked")
    outside = Outside(world).answers(port, **{method: Retryable("down")})
    with pytest.raises(Retryable):
        perform(world, "onboarding", "check_identity", IdentityRequested, outside)


def test_a_pending_identity_is_asked_again() -> None:
    world = world_at("sub_seller identity asked")
    outside = Outside(world).answers("identity", check=IdentityResult("PENDING", "id-1", SHA))
    with pytest.raises(Retryable, match="identity_pending"):
        perform(world, "onboarding", "check_identity", IdentityRequested, outside)


@pytest.mark.parametrize("clear", [True, False])
def test_screening_searches_the_company_and_its_person(clear: bool) -> None:
    world = world_at("sub_seller screened")
    outside = Outside(world).answers("screening", screen=ScreeningResult(clear, (), ("UKSL@1",), "sc-1", SHA))
    assert perform(world, "onboarding", "screen", ScreeningRequested, outside) == [
        RecordScreening(subject=SELLER, clear=clear, lists=("UKSL@1",), listed=not clear,
                        screening=Said("complyadvantage", "sc-1", SHA))]
    assert asked(outside) == [("screening.screen", f"screening-{world.last(ScreeningRequested).position}",
                               ["Coppergate Joinery Ltd", "Person of sub_seller"])]


@pytest.mark.parametrize(("hit", "stopped"), [("UKSL", True), ("PEP", False)])
def test_a_refresh_that_meets_a_sanctions_list_freezes_and_calls_compliance(hit: str, stopped: bool) -> None:
    world = world_at("sub_buyer active")
    world.do(SubmitOnboarding(subject=BUYER, file_number="KYC-2"), StartGate(subject=BUYER, gate="identity"),
             checked(BUYER), StartGate(subject=BUYER, gate="screening"))
    found = ScreeningResult(False, (Hit(hit, "Tom", 1.7),), ("UKSL@1",), "sc-1", SHA)
    recorded, *alarms = perform(world, "onboarding", "screen", ScreeningRequested,
                                Outside(world).answers("screening", screen=found))
    assert isinstance(recorded, RecordScreening) and recorded.listed == stopped
    assert [alarm.code for alarm in alarms if isinstance(alarm, RaiseAlarm)] == ["sanctions_match"] * stopped
    world.do(recorded, *alarms)
    assert world.look(SUBJECT, BUYER).state == ("FROZEN" if stopped else "ACTIVE")


def test_a_screening_that_is_refused_is_for_a_person() -> None:
    world = world_at("sub_seller screened")
    outside = Outside(world).answers("screening", screen=Final("unauthorised"))
    assert perform(world, "onboarding", "screen", ScreeningRequested, outside) == [
        RecordScreening(subject=SELLER, clear=False, lists=(),
                        screening=Said("complyadvantage", "", "", status="REFUSED:unauthorised"))]


@pytest.mark.parametrize(("answer", "said"), [
    (Firm("310542", "P", "Authorised", ("Insurance",), NOW, "00000002", SHA),
     Said("fca-register", "310542", SHA, "P", "00000002", "Authorised")),
    (Final("not_found"), Said("fca-register", "", "", status="UNKNOWN")),
    (Final("unauthorised"), Said("fca-register", "", "", status="REFUSED:unauthorised")),
], ids=["known", "unknown", "refused"])
def test_what_the_firm_register_said_is_reported(answer: Any, said: Said) -> None:
    world = world_at("sub_lender active")
    recorded, = perform(world, "onboarding", "check_firm", FirmCheckRequested,
                        Outside(world).answers("firms", firm=answer))
    assert recorded == RecordFirm(subject=LENDER, register=said,
                                  permissions=("Insurance",) if said.name else ())


REFUSALS = [("check_identity", IdentityRequested, "identity", "check", "sub_seller identity asked"),
            ("check_identity", IdentityRequested, "companies", "company", "sub_seller identity asked"),
            ("check_identity", IdentityRequested, "payee", "verify", "sub_seller identity asked"),
            ("screen", ScreeningRequested, "screening", "screen", "sub_seller screened"),
            ("check_firm", FirmCheckRequested, "firms", "firm", "sub_lender active")]
OURS = {"advise", "bind_wallet", "choose_wallet", "fall_due", "resume"}
"""Effects that ask no vendor."""


@pytest.mark.parametrize(("effect", "event", "port", "method", "point"), REFUSALS)
@pytest.mark.parametrize("code", ["not_found", "refused", "unauthorised", "conflict", "key_reused"])
def test_no_refusal_of_a_vendor_ends_an_onboarding_effect(
    effect: str, event: type[Event], port: str, method: str, point: str, code: str
) -> None:
    """Each leads to a command about the subject, and so to a case, a correction or an end that is told."""
    world = world_at(point)
    commands = perform(world, "onboarding", effect, event, Outside(world).answers(port, **{method: Final(code)}))
    assert [command.kind for command in commands] == ["subject"]


def test_every_onboarding_effect_that_asks_a_vendor_is_in_the_table() -> None:
    onboarding = next(process for process in PROCESSES if process.name == "onboarding")
    named = {spec.name for specs in onboarding.effects.values() for spec in specs}
    assert named == {effect for effect, *_ in REFUSALS} | OURS


def test_wallets_are_chosen_once_registered_once_and_claimed_each_time() -> None:
    world = world_at("sub_lender active")
    outside = Outside(world)
    assert perform(world, "onboarding", "choose_wallet", FirmVerified, outside) == [
        StartGate(subject=LENDER, gate="wallet", wallet="0xLENDER")], "a refreshed subject keeps its wallet"
    requested = world.last(WalletRequested).event
    assert isinstance(requested, WalletRequested)
    bound = BindWallet(subject=LENDER, wallet="0xLENDER", topics=requested.topics, tx=("0xTX", "0xTX"),
                       claims_expire_at=requested.claims_expire_at)
    assert perform(world, "onboarding", "bind_wallet", WalletRequested, outside) == [bound]
    assert [question[0] for question in asked(outside)] == ["chain.issue_claims", "chain.set_active"]

    world.states.clear()  # the same, for somebody without a wallet yet
    fresh = Outside(world)
    assert perform(world, "onboarding", "choose_wallet", FirmVerified, fresh) == [
        StartGate(subject=LENDER, gate="wallet", wallet="0xsub_lender")]
    second, = perform(world, "onboarding", "bind_wallet", WalletRequested, fresh)
    assert isinstance(second, BindWallet) and second.tx == ("0xTX", "0xTX")
    position = world.last(WalletRequested).position
    assert [question[:2] for question in asked(fresh)] == [
        ("chain.register_wallet", f"wallet:{position}"), ("chain.issue_claims", f"claims:{position}")]


def test_an_investor_gets_a_wallet_after_classification() -> None:
    world = world_at("sub_investor active")
    assert perform(world, "onboarding", "choose_wallet", MifidClassified, Outside(world)) == [
        StartGate(subject=INVESTOR, gate="wallet", wallet="0xINVESTOR")]


def test_the_adviser_is_asked_about_the_file_as_it_stood() -> None:
    world = world_at("seller under review")
    position = world.last(ReviewOpened).position
    assert perform(world, "onboarding", "advise", ReviewOpened, Outside(world)) == [("advice", SELLER, position, NOW)]


def test_a_refresh_falls_due_on_its_day_unless_it_is_under_way() -> None:
    world = world_at("sub_seller active")
    due = NOW + timedelta(days=182)
    with pytest.raises(NotYet) as wait:
        perform(world, "onboarding", "fall_due", SubjectActivated, Outside(world, due - timedelta(seconds=1)))
    assert wait.value.due == due
    assert perform(world, "onboarding", "fall_due", SubjectActivated, Outside(world, due)) == [
        MarkRefreshDue(subject=SELLER)]
    world.do(MarkRefreshDue(subject=SELLER), at=due)
    assert perform(world, "onboarding", "fall_due", SubjectActivated, Outside(world, due)) == []


# ---------------------------------------------------------------- verification

SECRET = b"s" * 32


def keyed(*facts: object) -> str:
    return hmac.new(SECRET, "\n".join(map(str, facts)).encode(), hashlib.sha256).hexdigest()


DEBT = keyed("debt", BUYER, "cj1042", FACE, DUE)
DOCUMENT = keyed("document", "ee" * 32)
REGISTRY = keyed("likeness", BUYER, FACE)


def test_a_good_invoice_is_examined_and_claims_its_debt_and_its_document() -> None:
    world = world_at("verifying")
    outside = Outside(world)
    *claims, record = perform(world, "verification", "examine", VerificationStarted, outside)
    assert claims == [ClaimFingerprint(fingerprint=DEBT, invoice=REFERENCE),
                      ClaimFingerprint(fingerprint=DOCUMENT, invoice=REFERENCE),
                      ClaimLikeness(registry=REGISTRY, invoice=REFERENCE, likeness="00", due_on=DUE)]
    assert record.checks == (Check("fields_match", "PASS", "ok"),) and record.duplicate_of is None  # pyright: ignore
    get, examine = asked(outside)
    assert get == ("archive.get", SELLER, "ee" * 32)
    assert examine[1] == f"examination-{world.last(VerificationStarted).position}"
    assert examine[3].face_pence == FACE and examine[3].due_on == DUE
    assert world.do(*claims, record)[-1].event.tag == "invoice.verified.1"


@pytest.mark.parametrize(("port", "answer", "checks"), [
    ("documents", {"examine": Examination((Found("fields_match", "FAIL", "amount"),), SHA, "0")},
     (Check("fields_match", "FAIL", "amount"),)),
    ("documents", {"examine": Final("malformed")},
     (Check("the document can be read", "FAIL", UNREADABLE["malformed"]),)),
    ("archive", {"get": Final("not_found")}, (Check("the document can be read", "FAIL", "not_found"),)),
], ids=str)
def test_a_bad_invoice_is_rejected_and_claims_nothing(port: str, answer: dict[str, Any], checks: Any) -> None:
    world = world_at("verifying")
    commands = perform(world, "verification", "examine", VerificationStarted, Outside(world).answers(port, **answer))
    assert [type(command).__name__ for command in commands] == ["RecordExamination"]
    assert commands[0].checks == checks  # pyright: ignore[reportAttributeAccessIssue]
    assert world.do(*commands)[-1].event.tag == "invoice.rejected.1"


@pytest.mark.parametrize(("claimed", "answer", "by"), [
    (ClaimFingerprint(fingerprint=DEBT, invoice="FX-INV-OTHER"), None, "this number, customer, amount and due date"),
    (ClaimFingerprint(fingerprint=DOCUMENT, invoice="FX-INV-OTHER"), None, "This document stands for another invoice"),
    (ClaimFingerprint(fingerprint=DOCUMENT, invoice="FX-INV-OTHER"), Final("malformed"), "This document"),
    (ClaimLikeness(registry=REGISTRY, invoice="FX-INV-OTHER", likeness="ff", due_on=DUE), None, "Nearly the same"),
], ids=["debt", "document", "document that is unreadable", "likeness"])
def test_what_was_financed_before_is_a_duplicate(claimed: Command, answer: Any, by: str) -> None:
    world = world_at("verifying")
    world.do(claimed)
    outside = Outside(world).answers("documents", **({"examine": answer} if answer else {}))
    record, = perform(world, "verification", "examine", VerificationStarted, outside)
    assert isinstance(record, RecordExamination)
    assert record.duplicate_of == "FX-INV-OTHER" and by in record.duplicate_by
    world.do(record)
    assert world.look(INVOICE, REFERENCE).state == "REJECTED_DUPLICATE"


@pytest.mark.parametrize(("changes", "same"), [
    ({"seller": "sub_other"}, True), ({"seller_reference": " cj/1042"}, True), ({"seller_reference": "CJ-1043"}, False),
    ({"seller_reference": "ＣＪ１０４²"}, True), ({"seller_reference": "СJ_1042"}, True),
    ({"buyer": "sub_other"}, False), ({"face_pence": FACE + 1}, False), ({"due_on": DUE + timedelta(days=1)}, False),
], ids=str)
def test_the_debts_key_is_of_the_debt_and_not_of_its_seller(changes: dict[str, Any], same: bool) -> None:
    """Two honest invoices may have their amount and date in common; their numbers tell them apart."""
    invoice = msgspec.structs.replace(world_at("verifying").look(INVOICE, REFERENCE), **changes)
    assert (registry_keys(SECRET, invoice).debt == DEBT) is same
    assert registry_keys(b"t" * 32, invoice).debt != DEBT


def test_an_unanswered_confirmation_runs_out() -> None:
    world = world_at("awaiting the buyer")
    by = world.look(INVOICE, REFERENCE).confirm_by
    late = by + timedelta(seconds=1)
    with pytest.raises(NotYet):
        perform(world, "verification", "expire", BuyerNotified, Outside(world, by - timedelta(seconds=1)))
    assert perform(world, "verification", "expire", BuyerNotified, Outside(world, late)) == [
        ExpireInvoice(reference=REFERENCE), ReleaseFingerprint(fingerprint="f1", invoice=REFERENCE),
        ReleaseFingerprint(fingerprint="f2", invoice=REFERENCE), ReleaseLikeness(registry="l1", invoice=REFERENCE)]
    world.do(*perform(world, "verification", "expire", BuyerNotified, Outside(world, late)), at=late)
    assert world.look(FINGERPRINT, "f1").invoice is None and world.look(FINGERPRINT, "f2").invoice is None
    assert not world.look(LIKENESS, "l1").holds(REFERENCE)
    confirmed = world_at("confirmed")
    assert perform(confirmed, "verification", "expire", BuyerNotified, Outside(confirmed, late)) == []


# ---------------------------------------------------------------- chain

CHAIN: list[tuple[str, str, str, type[Event], str, tuple[Any, ...], Command]] = [
    ("mint ordered", "issuance", "mint", MintRequested, "chain.mint", (77, FACE),
     RecordMinted(token=TOKEN_REF, tx="0xTX", block=7, contract="0xTOKEN")),
    ("transfer ordered", "transfers", "transfer", TransferRequested, "chain.transfer",
     ("0xPLATFORM", "0xLENDER", 77, FACE), RecordTransferred(token=TOKEN_REF, transfer=PAYMENT, tx="0xTX", block=7)),
    ("slice transfer ordered", "transfers", "transfer", TransferRequested, "chain.transfer",
     ("0xLENDER", "0xINVESTOR", 77, 200_000),
     RecordTransferred(token=TOKEN_REF, transfer=TRADE_ID, tx="0xTX", block=7)),
    ("slicing", "transfers", "fractionalise", SlicingRequested, "chain.fractionalise",
     (77, [300_000, 200_000, 500_000]), RecordSliced(token=TOKEN_REF, tx="0xTX", block=7)),
    ("burn ordered", "transfers", "burn", BurnRequested, "chain.burn", (77,),
     RecordBurned(token=TOKEN_REF, tx="0xTX", block=7)),
]


@pytest.mark.parametrize(("point", "process", "effect", "event", "call", "args", "expected"), CHAIN,
                         ids=[case[0] for case in CHAIN])
def test_the_chain_is_asked_with_the_intents_key(
    point: str, process: str, effect: str, event: type[Event], call: str, args: tuple[Any, ...], expected: Command
) -> None:
    world = world_at(point)
    outside = Outside(world)
    assert perform(world, process, effect, event, outside) == [expected]
    question, = asked(outside)
    assert question[0] == call and question[1].endswith(f":{world.last(event).position}") and question[2:] == args
    world.do(expected)


def test_a_transfer_the_chain_refuses_is_an_outcome() -> None:
    world = world_at("transfer ordered")
    outside = Outside(world).answers("_chain", transfer=Refused("RESTRICTED"))
    assert perform(world, "transfers", "transfer", TransferRequested, outside) == [
        RecordTransferRefused(token=TOKEN_REF, transfer=PAYMENT, reason="RESTRICTED")]


@pytest.mark.parametrize(("point", "process", "effect", "event"), [case[:4] for case in CHAIN[:3]], ids=str)
def test_nothing_moves_on_lists_nobody_can_read(point: str, process: str, effect: str, event: type[Event]) -> None:
    world = world_at(point)
    outside = Outside(world).answers("screening", list_version=Retryable("down"))
    with pytest.raises(Retryable):
        perform(world, process, effect, event, outside)
    assert not [question for question in outside.asked if question[0].startswith("chain.")]


def test_the_lists_are_published_once_a_day() -> None:
    world = world_at("transfer ordered")
    keys: set[str] = set()
    for hours in (0, 1, 24):
        outside = Outside(world, NOW + timedelta(hours=hours))
        perform(world, "transfers", "transfer", TransferRequested, outside)
        keys.add(next(question[1] for question in outside.asked if question[0] == HEARTBEAT))
    assert len(keys) == 2


def test_nobody_has_called_back_for_two_business_days() -> None:
    world = world_at("call-back wanted")
    event = world.last(CallbackRequested).event
    assert isinstance(event, CallbackRequested)
    with pytest.raises(NotYet):
        perform(world, "callbacks", "remind", CallbackRequested, Outside(world, event.call_by))
    late = Outside(world, event.call_by + timedelta(seconds=1))
    alarm, = perform(world, "callbacks", "remind", CallbackRequested, late)
    assert isinstance(alarm, RaiseAlarm) and alarm.alarm == f"callback_overdue:{REFERENCE}"
    called = world_at("confirmed")
    assert perform(called, "callbacks", "remind", CallbackRequested, Outside(called, late.clock.now())) == []


def test_every_effect_is_performed_by_name_in_these_tests() -> None:
    """An effect nobody tests is named here."""
    written = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    every = {spec.name for process in PROCESSES for specs in process.effects.values() for spec in specs}
    assert {name for name in every if f'"{name}"' not in written} == set()
