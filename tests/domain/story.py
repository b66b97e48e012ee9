"""The canonical invoice as the domain tells it, in memory: £10,000, five slices, one sold, all paid, all booked."""

from __future__ import annotations

from domain import credit as c
from domain import invoice as i
from domain import payment as p
from domain import token as t
from domain import trade as d
from domain.base import Context
from domain.party import Personal
from tests.domain import test_invoice as steps
from tests.domain import test_token as moves
from tests.domain import test_trade as deal
from tests.domain.scenario import World, at

REF, TOK, TRD = steps.REF, moves.TOK, deal.TRD
DAY, DUE = at(steps.AFTERNOON), at(steps.DUE)


def credit(world: World, name: str, pence: int, purpose: str, resource: str, now: Context) -> None:
    world.do(c.RecordCredit(credit=name, sort_code="040004", account_number="1", pence=pence, currency="GBP",
                            reference=REF, said=Personal("sub_payer", "c2VhbGVk"), received_at=now.now),
             c.MatchCredit(credit=name, purpose=purpose, resource=resource), at=now)


def pay(world: World, name: str, purpose: str, resource: str, pence: int, now: Context) -> None:
    world.do(p.RequestPayment(payment=name, purpose=purpose, resource=resource, payee="x", pence=pence, account=None,
                              narration=REF),
             p.ClearPayment(payment=name), p.RecordSent(payment=name, provider_reference="cb"),
             p.RecordCredited(payment=name), at=now)


def issued() -> World:
    """Submitted, confirmed, tokenised, listed, reserved."""
    world = World()
    for step in steps.PATH[:6]:
        world.do(step.command, at=step.context)
    world.do(moves.PATH[0].command, moves.PATH[1].command, *(step.command for step in steps.PATH[6:10]), at=DAY)
    return world


def funded() -> World:
    """And paid for, transferred and advanced."""
    world = issued()
    credit(world, "crd_1", 976_000, "funding", REF, DAY)
    world.do(steps.PATH[10].command, moves.PATH[2].command, moves.PATH[3].command, steps.PATH[11].command, at=DAY)
    pay(world, f"{REF}/advance", "advance", REF, 966_000, DAY)
    pay(world, f"{REF}/fee", "fee", REF, 10_000, DAY)
    world.do(steps.PATH[12].command, at=DAY)
    return world


def reserved_slice() -> World:
    """And sliced in five; the first is listed, checked, accepted and paid for."""
    world = funded()
    world.do(*(step.command for step in moves.PATH[4:7]), at=DAY)
    world.do(deal.PATH[0].command, deal.PATH[1].command, deal.PATH[2].command, moves.PATH[7].command,
             deal.PATH[3].command, at=DAY)
    credit(world, "crd_9", 199_947, "trade", TRD, DAY)
    world.do(deal.PATH[4].command, moves.PATH[8].command, at=DAY)
    return world


def traded() -> World:
    """And moved; its seller has the proceeds and the platform its fee."""
    world = reserved_slice()
    world.do(moves.PATH[9].command, deal.PATH[5].command, at=DAY)
    pay(world, f"{TRD}/proceeds", "proceeds", TRD, 199_150, DAY)
    pay(world, f"{TRD}/fee", "fee", TRD, 797, DAY)
    world.do(d.RecordTradeSettled(trade=TRD, payout=f"{TRD}/proceeds"), at=DAY)
    return world


def settled() -> World:
    """And repaid on the due date: the holders on the register have their shares, the token is burned."""
    world = traded()
    credit(world, "crd_2", 1_000_000, "obligor", REF, DUE)
    shares = tuple(i.Share(holder, pence) for holder, pence in world.look("token", TOK).holdings().items())
    holdings = tuple((share.holder, share.pence) for share in shares)
    world.do(t.CloseRegister(token=TOK, holdings=holdings), i.RecordObligorPaid(
        reference=REF, credit="crd_2", amount_pence=1_000_000, shares=shares), at=DUE)
    for share in shares:
        payout = f"{REF}/settlement/{share.holder}"
        pay(world, payout, "settlement", REF, share.pence, DUE)
        world.do(i.ConfirmPayout(reference=REF, payout=payout), at=DUE)
    world.do(t.RequestBurn(token=TOK), t.RecordBurned(token=TOK, tx="0x4", block=4),
             i.Settle(reference=REF, burn_tx="0x4"), at=DUE)
    return world
