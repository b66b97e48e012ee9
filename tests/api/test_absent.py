"""What is somebody else's answers as what is not there: every route that names a thing, for every customer."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re
import string
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler
from msgspec import inspect

from api.opaque import Opaque
from domain.forms import CompanyNumber, InvoiceReference, Reference, Sha256, pattern_of
from domain.party import BUYER, INVESTOR, LENDER, SELLER
from scripts.campaigns.fuzzing import handlers, sample
from tests.api.conftest import Past
from tests.scenarios.test_dealing import severn_joins
from tests.scenarios.town import BUYER_MAIL, invoice_pdf

ROLES = {"coppergate": SELLER, "brightside": SELLER, "northwind": BUYER, "mercia": BUYER, "pennine": LENDER,
         "salford": LENDER, "brunel": INVESTOR, "clifton": INVESTOR, "severn": INVESTOR}
"""Of each role somebody with things and somebody without. Brightside and Clifton have only signed up, and so has the
buyer Wharf."""

NAMING = tuple(pattern_of(form) for form in (Reference, InvoiceReference, Sha256, CompanyNumber))
"""The forms of fields in which one thing is named."""

NO_NAMES = {
    ("/v1/subjects", "/company_number"): "the caller's own",
    ("/v1/subjects", "/role"): "a word of a list",
    ("/v1/onboarding", "/company_number"): "the caller's own",
    ("/v1/onboarding", "/mifid_category"): "a word of a list",
    ("/v1/invoices", "/reference"): "chosen by the caller in the sandbox alone, and taken when it is taken",
    ("/v1/confirmations/{reference:str}", "/page_hash"): "of the page in the path",
}
"""Fields of such a form that name nobody's thing. Staff's routes are tried with everything."""

RIGHT: dict[str, dict[str, Any]] = {
    "/v1/invoices": {"buyer_company_number": "04382671", "buyer_email": BUYER_MAIL},
    "/v1/pre-trade-checks": {"slice": 2},
    "/v1/api-keys/redeem": {"code": "AAAA-AAAA"},
    "/v1/api-keys/recovery": {"email": None},
    "/v1/listings": {"slice": 2, "price_pence": 100},
}
"""What the rest of a body must hold for the name to matter."""

PATH = re.compile(r"{(\w+):\w+}")
DICE = random.Random(7)


class Slot(msgspec.Struct, frozen=True):
    """One place of one route where a thing is named."""

    method: str
    path: str
    handler: HTTPRouteHandler
    at: str
    """The path's parameter, or a pointer into the body."""

    pattern: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.at}"


def slots() -> Iterator[Slot]:
    for method, path, handler in handlers():
        yield from (Slot(method, path, handler, name, pattern_of(Reference)) for name in PATH.findall(path))
        yield from (Slot(method, path, handler, at, pattern) for at, pattern in names_in(form_of(handler))
                    if (path, at) not in NO_NAMES)


def form_of(handler: HTTPRouteHandler) -> inspect.Type:
    data = handler.parsed_data_field
    return inspect.type_info(data.annotation if data is not None else None)


def names_in(kind: inspect.Type, at: str = "") -> Iterator[tuple[str, str]]:
    """Where in a body a thing is named, as JSON pointers, and in which form."""
    match kind:
        case inspect.Metadata():
            yield from names_in(kind.type, at)
        case inspect.StructType():
            for field in kind.fields:
                yield from names_in(field.type, f"{at}/{field.encode_name}")
        case inspect.UnionType():
            for one in kind.types:
                yield from names_in(one, at)
        case inspect.StrType() if kind.pattern in NAMING:
            yield at, kind.pattern or ""


SLOTS = list(slots())


@pytest.fixture(scope="module")
def things(past: Past) -> dict[str, frozenset[str]]:
    """Name of each thing there is -> whose it is."""
    town, store = past.town, past.town.house.platform.store
    severn_joins(town)
    town.story.sign_up("wharf", role=BUYER, legal_name="Wharf Stores plc", company_number="07452981",
                       representative="Will Wharf", email="will@wharf-stores.co.uk")
    pdf = invoice_pdf(past.outstanding, 77_777, town.due(), seller="Brightside Ltd")
    town.house.platform.outside.archive.put(town.id_of("brightside"), pdf)
    opaque = Opaque(town.house.platform.secrets.edge_secret, store.tenant)
    pennine = town.id_of("pennine")
    done = next(entry.position for entry in store.read(0, 10_000) if entry.actor == pennine)
    holders = {"pennine", "brunel"}
    owners: dict[str, set[str]] = {
        past.settled: {"coppergate", "northwind", *holders}, past.outstanding: {"coppergate", "northwind", "pennine"},
        town.awaiting(): {"coppergate", "northwind"},
        past.settled.replace("FX-", "FXR-"): holders, past.token: {"pennine"}, past.payment: {"pennine"},
        past.trade: {"brunel"}, past.file_number: set(), past.order: set(), past.release: set(),
        opaque.place(1): set(), opaque.place(done): {"pennine"}, hashlib.sha256(pdf).hexdigest(): {"brightside"},
        "07452981": {"wharf"}, "07452983": {"coppergate"}, town.id_of("mlro"): set(),
        **{town.id_of(who): {who} for who in ("wharf", *ROLES)},
    }
    return {name: frozenset(of) for name, of in owners.items()}


def absent(name: str) -> str:
    """A name of the same make that nothing has."""
    kind, mark, rest = name.rpartition("-") if name.startswith("FX") else name.rpartition("_")
    letters = next(some for some in (string.digits, "0123456789abcdef", string.hexdigits[:10] + "ABCDEF",
                                     string.ascii_letters + string.digits + "-_") if set(rest) <= set(some))
    return kind + mark + "".join(DICE.choices(letters, k=len(rest)))


def asked(past: Past, who: str, slot: Slot, name: str, key: str | None = None) -> tuple[int, Any]:
    """Status and body of the answer when `name` stands in the slot; under a key of its own, or that one."""
    form = form_of(slot.handler)
    body = {**(sample(form) or {}), **RIGHT.get(slot.path, {})} if slot.handler.parsed_data_field is not None else None
    if slot.at.startswith("/") and body is not None:
        alike = (at for at, pattern in names_in(form) if pattern == slot.pattern and (slot.path, at) not in NO_NAMES)
        body |= {at[1:]: name for at in alike}
    path = PATH.sub(lambda found: name if found[1] == slot.at else "hld_none", slot.path)
    headers = {"FX-Idempotency-Key": uuid.uuid4().hex if key is None else key, "Content-Type": "application/json"}
    if who == "nobody":
        headers["FX-Confirmation-Code"] = "0" * 64
    answer = past.town.person(who).http.request(
        slot.method, path, content=json.dumps(body) if body is not None else None,
        headers=headers if slot.method == "POST" or who == "nobody" else {})
    assert answer.status_code < 500, answer.text
    said = answer.json()
    said.pop("request_id", None)
    return answer.status_code, said


def callers(slot: Slot) -> Iterator[tuple[str, bool]]:
    """Every customer, and whether the route lets its role in; nobody, where that is asked for no key."""
    roles = slot.handler.opt["roles"]
    for who, role in ROLES.items() if roles else ():
        yield who, role in roles
    if not roles or slot.handler.opt.get("or_header"):
        yield "nobody", True


@pytest.mark.parametrize("slot", SLOTS, ids=str)
def test_anothers_answers_as_none_at_all(past: Past, things: dict[str, frozenset[str]], slot: Slot) -> None:
    fitting = [name for name in things if re.search(slot.pattern, name)]
    assert fitting
    for who, let_in in callers(slot):
        others = [name for name in fitting if who not in things[name]]
        used = uuid.uuid4().hex
        for name, key in itertools.product(others[:1], ("", "a b", used, used) if slot.method == "POST" else ()):
            there, nowhere = (asked(past, who, slot, one, key) for one in (name, absent(name)))
            assert there == nowhere, (who, name, key)
        for name in others if let_in else others[:1]:
            there, nowhere = asked(past, who, slot, name), asked(past, who, slot, absent(name))
            assert there == nowhere, (who, name)
            assert let_in or there[0] in (403, 404)
            assert there[1].get("code") not in ("malformed", "invalid"), "the name was not looked at"


def test_the_walk_meets_what_it_should() -> None:
    met = {f"{slot.path} {slot.at}" for slot in SLOTS}
    assert met >= {"/v1/payments /receivable_reference", "/v1/pre-trade-checks /token_reference",
                   "/v1/trades /pre_trade_check", "/v1/invoices /buyer_company_number", "/v1/invoices /document_sha256",
                   "/v1/confirmations/{reference:str} reference", "/v1/listings /token_reference"}
    assert len(SLOTS) > 35
