"""Cases of freezes: a frozen party is offered nothing and paid nothing, and what was held resumes once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from domain.money import discount_pence
from scripts.campaigns.cases import World, Wrong, case, seen
from scripts.campaigns.cases.acts import BPS, answered, debits, listed, offered, reserves, state, until
from scripts.story import COLLECTIONS


@case("K15", "a frozen seller's receivable is funded")
def frozen_sellers_listing(world: World) -> str:
    reference, _ = listed(world)
    with frozen(world, "coppergate"):
        if reference in offered(world):
            raise Wrong("it is on the marketplace")
        said = seen(reserves(world, reference), 404, "not_found")
    if reference not in offered(world):
        raise Wrong("it does not come back to the marketplace")
    seen(reserves(world, reference), 201)
    return f"{said}; back when lifted"


@case("D2", "the bank is away while an advance is due, the seller is frozen meanwhile, the debtor pays")
def frozen_payee(world: World) -> str:
    reference, face = listed(world)
    payment = answered(reserves(world, reference))["id"]
    account = until(world, lambda: world.get("pennine", f"/v1/payments/{payment}").json()["pay_into"])
    world.outside.post("/bank/control/outage", json={"on": True})
    world.story.pay_in(f"{reference}-cash", account, face - discount_pence(face, BPS), reference,
                       "pennine")
    until(world, lambda: state(world, reference) == "FUNDED")
    with frozen(world, "coppergate"):
        world.outside.post("/bank/control/outage", json={"on": False})
        until(world, lambda: f"{reference}/advance" in _held(world))
        world.story.pay_in(f"{reference}-debt", COLLECTIONS, face, reference, "northwind")
        until(world, lambda: state(world, reference) == "SETTLED")
        if debits(world, f"{reference}/advance"):
            raise Wrong("the frozen seller was paid")
    until(world, lambda: debits(world, f"{reference}/advance") == 1)
    until(world, lambda: f"{reference}/advance" not in _held(world))
    return "held, settled without it, paid once when lifted"


@contextmanager
def frozen(world: World, who: str) -> Iterator[None]:
    subject = world.get(who, "/v1/me").json()["id"]
    seen(world.post("mlro", f"/v1/compliance/subjects/{subject}/freeze", {"reason_code": "LIST_HIT"}), 201)
    try:
        yield
    finally:
        seen(world.post("mlro2", f"/v1/compliance/subjects/{subject}/unfreeze", None), 201)




def _held(world: World) -> list[str]:
    rows = world.get("mlro", "/v1/compliance/incidents").json()["data"]
    return [row["resource"] for row in rows if row["kind"] == "HELD"]
