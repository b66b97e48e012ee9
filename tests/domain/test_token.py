"""The token and its slice register: faces always add up, slices move independently, nothing moves twice."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from domain import token as t
from domain.base import Event, Refusal
from domain.maturity import TradingClosed
from tests.domain.scenario import Row, Step, at, check_order, check_path, fold, given, history_of

change = msgspec.structs.replace
TOK, INV, NOON = "FXR-INV-23A4F", "FX-INV-23A4F", at("2026-05-22T13:21")
PENNINE, BRUNEL = "sub_pennine", "sub_brunel"
FACES = (200_000,) * 5
DUE = date(2026, 7, 21)


def moved(transfer: str, index: int | None, face: int, holder: str, wallet: str, to: str) -> tuple[Event, Event]:
    return (
        t.TransferRequested(transfer=transfer, invoice=INV, token_id="7", slice_index=index, face_pence=face,
                            holder=holder, from_wallet=wallet, to=to, to_wallet=f"0x{to}"),
        t.TokenTransferred(transfer=transfer, invoice=INV, slice_index=index, face_pence=face, holder=holder, to=to,
                           to_wallet=f"0x{to}", tx="0x2", block=2))


def move(transfer: str, index: int | None, to: str) -> t.RequestTransfer:
    return t.RequestTransfer(token=TOK, transfer=transfer, slice_index=index, to=to, to_wallet=f"0x{to}",
                             paid_at=NOON.now)


def offer(index: int = 1, price: int = 199_150, holder: str = PENNINE) -> t.ListSlice:
    return t.ListSlice(token=TOK, holder=holder, index=index, price_pence=price, listing_fee_pence=15_000)


def take(index: int = 1, price: int = 199_150, trade: str = "trd_1", buyer: str = BRUNEL,
         seller: str = PENNINE) -> t.ReserveSlice:
    return t.ReserveSlice(token=TOK, index=index, trade=trade, seller=seller, buyer=buyer, price_pence=price)


def close(**holdings: int) -> t.CloseRegister:
    return t.CloseRegister(token=TOK, holdings=tuple(holdings.items()))


def cut(*faces: int, holder: str = PENNINE) -> t.RequestSlicing:
    return t.RequestSlicing(token=TOK, holder=holder, faces=faces)


WHOLE, PART = moved("pay_1", None, 1_000_000, t.PLATFORM, t.PLATFORM, PENNINE), \
    moved("trd_1", 1, 200_000, PENNINE, f"0x{PENNINE}", BRUNEL)
PATH = [
    Step(t.RequestMint(token=TOK, invoice=INV, token_id="7", face_pence=1_000_000, due_on=DUE, holder=t.PLATFORM,
                       wallet=t.PLATFORM), NOON,
         (t.MintRequested(invoice=INV, token_id="7", face_pence=1_000_000, due_on=DUE, holder=t.PLATFORM,
                          wallet=t.PLATFORM),)),
    Step(t.RecordMinted(token=TOK, tx="0x1", block=1, contract="0xc"), NOON,
         (t.TokenMinted(invoice=INV, token_id="7", contract="0xc", tx="0x1", block=1),)),
    Step(move("pay_1", None, PENNINE), NOON, WHOLE[:1]),
    Step(t.RecordTransferred(token=TOK, transfer="pay_1", tx="0x2", block=2), NOON, WHOLE[1:]),
    Step(cut(*FACES), NOON, (t.SlicingRequested(token_id="7", holder=PENNINE, faces=FACES),)),
    Step(t.RecordSliced(token=TOK, tx="0x3", block=3), NOON,
         (t.TokenSliced(invoice=INV, holder=PENNINE, faces=FACES, tx="0x3", block=3),)),
    Step(offer(), NOON, (t.SliceListed(invoice=INV, holder=PENNINE, index=1, face_pence=200_000,
                                       price_pence=199_150, listing_fee_pence=15_000),)),
    Step(take(), NOON, (t.SliceReserved(index=1, trade="trd_1", buyer=BRUNEL),)),
    Step(move("trd_1", 1, BRUNEL), NOON, PART[:1]),
    Step(t.RecordTransferred(token=TOK, transfer="trd_1", tx="0x2", block=2), NOON, PART[1:]),
    Step(close(sub_brunel=200_000, sub_pennine=800_000), NOON, (t.RegisterClosed(invoice=INV),)),
    Step(t.RequestBurn(token=TOK), NOON, (t.BurnRequested(invoice=INV, token_id="7"),)),
    Step(t.RecordBurned(token=TOK, tx="0x4", block=4), NOON, (t.TokenBurned(invoice=INV, tx="0x4", block=4),)),
]
MINTED, HELD, SLICED, LISTED, RESERVED, MOVING, TRADED = (history_of(PATH, n) for n in (2, 4, 6, 7, 8, 9, 10))
SECOND = (t.SliceListed(invoice=INV, holder=PENNINE, index=2, face_pence=200_000, price_pence=199_150,
                        listing_fee_pence=0), t.SliceReserved(index=2, trade="trd_2", buyer="sub_third"))
RELISTED = t.SliceListed(invoice=INV, holder=BRUNEL, index=1, face_pence=200_000, price_pence=199_150,
                         listing_fee_pence=0)

CLOSED_AT = at("2026-07-16T23:00")
REFUSED = [
    Row(TradingClosed, SLICED, offer(), CLOSED_AT),
    Row(TradingClosed, LISTED, take(), CLOSED_AT),
    Row(TradingClosed, RESERVED, change(move("trd_1", 1, BRUNEL), paid_at=CLOSED_AT.now), NOON),
    Row(t.TokenExists, MINTED, PATH[0].command, NOON),
    Row(t.TokenNotReady, (), t.RequestBurn(token=TOK), NOON),
    Row(t.TokenNotReady, HELD, t.RecordTransferred(token=TOK, transfer="pay_1", tx="0x2", block=2), NOON),
    Row(t.TokenNotReady, MOVING, t.RecordTransferRefused(token=TOK, transfer="trd_2", reason="x"), NOON),
    Row(t.TokenNotReady, SLICED, cut(*FACES), NOON),
    Row(t.TokenNotReady, MOVING, close(sub_pennine=1_000_000), NOON),
    Row(t.RegisterChanged, TRADED, close(sub_pennine=1_000_000), NOON),
    Row(t.RegisterChanged, TRADED, close(sub_brunel=800_000, sub_pennine=200_000), NOON),
    Row(t.RegisterSettled, SLICED, t.ExpectMoving(token=TOK), NOON),
    Row(t.NotTheHolder, HELD, move("pay_2", None, BRUNEL), NOON),
    Row(t.NotTheHolder, HELD, cut(*FACES, holder=BRUNEL), NOON),
    Row(t.NotTheHolder, SLICED, offer(holder=BRUNEL), NOON),
    Row(t.FacesDoNotAddUp, HELD, cut(1_000_000), NOON),
    Row(t.FacesDoNotAddUp, HELD, cut(500_000, 499_999), NOON),
    Row(t.FacesDoNotAddUp, HELD, cut(1_000_001, -1), NOON),
    Row(t.FacesDoNotAddUp, HELD, cut(*[7_752] * 128, 7_744), NOON),
    Row(t.NoSuchSlice, SLICED, offer(index=6), NOON),
    Row(t.NoSuchSlice, HELD, offer(index=0), NOON),
    Row(t.NoSuchSlice, SLICED, move("pay_2", None, BRUNEL), NOON),
    Row(t.SliceNotFree, LISTED, offer(), NOON),
    Row(t.SliceNotFree, SLICED, take(), NOON),
    Row(t.SliceNotFree, LISTED, take(price=199_149), NOON),
    Row(t.SliceNotFree, LISTED, take(buyer=PENNINE), NOON),
    Row(t.SliceNotFree, (*TRADED, RELISTED), take(buyer="sub_third"), NOON),
    Row(t.SliceNotFree, RESERVED, take(trade="trd_2"), NOON),
    Row(t.SliceNotFree, RESERVED, move("trd_2", 1, BRUNEL), NOON),
    Row(t.SliceNotFree, LISTED, move("trd_1", 1, BRUNEL), NOON),
    Row(t.SliceNotFree, MOVING, move("trd_1", 1, BRUNEL), NOON),
    Row(t.SliceNotFree, RESERVED, t.ReleaseSlice(token=TOK, index=1, trade="trd_2"), NOON),
    Row(t.SliceNotFree, MOVING, t.ReleaseSlice(token=TOK, index=1, trade="trd_1"), NOON),
    Row(t.PriceOutOfBand, SLICED, offer(price=0), NOON),
    Row(t.PriceOutOfBand, SLICED, offer(price=200_001), NOON),
]


@pytest.mark.parametrize("row", REFUSED, ids=repr)
def test_refuses(row: Row) -> None:
    row.check()


def test_canonical_path() -> None:
    check_path(PATH)
    assert fold("token", TRADED).holdings() == {BRUNEL: 200_000, PENNINE: 800_000}
    assert fold("token", history_of(PATH, 13)).state == "BURNED"


def test_every_step_out_of_order_is_refused() -> None:
    """The register closes only over the holdings it was decided on, so it too comes at one point of the path."""
    check_order(PATH, allowed=set())


def test_a_register_that_moves_is_as_expected_and_nothing_is_decided() -> None:
    nothing: tuple[Event, ...] = ()
    given(*MOVING).when(t.ExpectMoving(token=TOK), NOON).then(*nothing)


@pytest.mark.parametrize("history", [HELD, SLICED, LISTED, RESERVED], ids=["held", "sliced", "listed", "reserved"])
def test_slicing_listing_and_trading_are_optional_before_the_register_closes(history: tuple[Event, ...]) -> None:
    given(*history).when(close(sub_pennine=1_000_000), NOON).then(t.RegisterClosed(invoice=INV))


def test_who_passed_the_check_before_a_slice_changed_hands_checks_again() -> None:
    """Same slice, same price, another seller: the money would go to the one who has already sold."""
    history = (*TRADED, RELISTED)
    refusal = given(*history).when(take(buyer="sub_third"), NOON).then_refused(t.SliceNotFree)
    assert refusal.detail == "this slice has changed hands; start a new check"
    given(*history).when(take(buyer="sub_third", seller=BRUNEL), NOON).then(
        t.SliceReserved(index=1, trade="trd_1", buyer="sub_third"))


def test_a_refused_transfer_leaves_everything_with_the_holder() -> None:
    refused = t.TransferRefused(transfer="pay_1", invoice=INV, slice_index=None, reason="NOT_ELIGIBLE")
    history = (*MINTED, *WHOLE[:1])
    command = t.RecordTransferRefused(token=TOK, transfer="pay_1", reason="NOT_ELIGIBLE")
    given(*history).when(command, NOON).then(refused)
    assert fold("token", (*history, refused)) == fold("token", MINTED)


def test_a_refused_slice_stays_reserved_until_its_trade_lets_go() -> None:
    refused = t.TransferRefused(transfer="trd_1", invoice=INV, slice_index=1, reason="NOT_ELIGIBLE")
    assert fold("token", (*MOVING, refused)) == fold("token", RESERVED)
    released = t.SliceReleased(index=1, trade="trd_1")
    given(*MOVING, refused).when(t.ReleaseSlice(token=TOK, index=1, trade="trd_1"), NOON).then(released)
    assert fold("token", (*MOVING, refused, released)) == fold("token", LISTED)


def test_two_slices_move_at_the_same_time() -> None:
    """A second buyer's money must not be stuck because a first buyer's slice is on its way."""
    first, second = PART, moved("trd_2", 2, 200_000, PENNINE, f"0x{PENNINE}", "sub_third")
    history = (*MOVING, *SECOND)
    given(*history).when(move("trd_2", 2, "sub_third"), NOON).then(second[0])
    done = t.RecordTransferred(token=TOK, transfer="trd_2", tx="0x2", block=2)
    given(*history, second[0]).when(done, NOON).then(second[1])
    assert fold("token", (*history, *second)).state == "TRANSFER_PENDING"
    both = fold("token", (*history, *second, first[1]))
    assert both.state == "HELD" and both.pending == ()
    assert both.holdings() == {BRUNEL: 200_000, "sub_third": 200_000, PENNINE: 600_000}


def test_only_the_first_listing_of_a_receivable_costs() -> None:
    (event,) = given(*LISTED).when(offer(index=2), NOON).decide()
    assert isinstance(event, t.SliceListed) and event.listing_fee_pence == 0


def test_references() -> None:
    assert t.token_reference(INV) == TOK


# ---------------------------------------------------------------- properties


@for_all(st.lists(st.integers(1, 10_000), min_size=2, max_size=128))
@settings(max_examples=60, database=None, deadline=None)
def test_slicing_keeps_the_sum_of_the_faces(faces: list[int]) -> None:
    history: list[Event] = list(HELD)
    face = sum(faces)
    history[0] = change(PATH[0].events[0], face_pence=face)  # pyright: ignore[reportAssignmentType]
    history += given(*history).when(cut(*faces), NOON).decide()
    history += given(*history).when(t.RecordSliced(token=TOK, tx="0x3", block=3), NOON).decide()
    sliced = fold("token", history)
    assert sum(part.face_pence for part in sliced.slices) == face and sliced.holdings() == {PENNINE: face}


_indexes, _trades = st.integers(0, 4), st.sampled_from(("trd_1", "trd_2", "trd_3"))
_people = st.sampled_from((PENNINE, BRUNEL, "sub_third"))
COMMANDS: st.SearchStrategy[t.TokenCommand] = st.one_of(
    st.builds(offer, _indexes, st.just(90), _people),
    st.builds(take, _indexes, st.just(90), _trades, _people, _people),
    st.builds(move, _trades, st.one_of(st.none(), _indexes), _people),
    st.builds(lambda trade: t.RecordTransferred(token=TOK, transfer=trade, tx="0x", block=1), _trades),
    st.builds(lambda trade: t.RecordTransferRefused(token=TOK, transfer=trade, reason="no"), _trades),
    st.builds(lambda index, trade: t.ReleaseSlice(token=TOK, index=index, trade=trade), _indexes, _trades),
    st.builds(lambda holder: cut(100, 200, 300, 400, holder=holder), _people),
    st.just(t.RecordSliced(token=TOK, tx="0x", block=1)),
    st.builds(close, sub_pennine=st.just(1_000)),
)


@for_all(st.lists(COMMANDS, max_size=40))
@settings(max_examples=200, database=None, deadline=None)
def test_no_sequence_of_commands_loses_or_makes_a_penny(commands: list[t.TokenCommand]) -> None:
    history: list[Event] = list(HELD)
    history[0] = change(PATH[0].events[0], face_pence=1_000)  # pyright: ignore[reportAssignmentType]
    for command in commands:
        try:
            history += given(*history).when(command, NOON).decide()
        except Refusal:
            continue
        state = fold("token", history)
        assert sum(part.face_pence for part in state.slices) == 1_000 == sum(state.holdings().values())
        moving = {part.index for part in state.slices if part.state == "TRANSFERRING"}
        assert moving == {movement.slice_index or 0 for movement in state.pending}
        assert (state.state == "TRANSFER_PENDING") == bool(moving)
