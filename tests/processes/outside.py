"""The outside, by hand: each port writes down what it was asked and answers what the test put there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from domain.base import Command, Event
from domain.party import Personal
from providers.bank import Account
from providers.bank import Payment as BankPayment
from providers.documents import Check, Examination
from providers.identity import IdentityResult
from providers.payee import PayeeResult
from providers.registers import Company, Firm
from providers.screening import ScreeningResult
from tests.processes.world import World
from tests.projections.story import NAMES, NOW, SELLER

SHA = "ab" * 32
RECEIPT = SimpleNamespace(tx_hash="0xTX", block_number=7)


@dataclass
class Port:
    """Any method of any port: `answers[method]` is returned, raised if it is an exception."""

    name: str
    asked: list[tuple[Any, ...]]
    answers: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, method: str) -> Any:
        def ask(*args: Any) -> Any:
            self.asked.append((f"{self.name}.{method}", *args))
            answer = self.answers[method]
            if isinstance(answer, Exception):
                raise answer
            return answer
        return ask


class Outside:
    """What `processes.outside.Outside` offers, with a Port for each thing that is really outside."""

    def __init__(self, world: World, now: datetime = NOW):
        self.asked: list[tuple[Any, ...]] = []
        self.look = world.look
        self.clock = SimpleNamespace(now=lambda: now)
        self.vault = Port("vault", self.asked, {"destroy": None})
        self.vault.reveal = _open  # pyright: ignore[reportAttributeAccessIssue]
        self.platform_account = Account("FinToken X", "04-00-04", "00000001")
        self.collections = "040004-99990000"
        self.public_url, self.link_secret = "https://fx.example", b"s" * 32
        self.adviser = lambda subject, position, moment: ("advice", subject, position, moment)
        self.wallets = lambda subject: f"0x{subject}"
        ports: dict[str, dict[str, Any]] = {
            "identity": {"check": IdentityResult("GREEN", "id-1", SHA)},
            "screening": {"screen": ScreeningResult(True, (), ("UKSL@1",), "sc-1", SHA), "list_version": ("UKSL@1",)},
            "companies": {
                "company": Company("00000000", NAMES[SELLER], "active", NOW.date(), ("1",), "York", NOW, SHA)},
            "firms": {
                "firm": Firm("310542", "P", "Authorised", ("Consumer credit lending",), NOW, "00000002", SHA)},
            "payee": {"verify": PayeeResult("MATCH", payload_sha256=SHA)},
            "bank": {"open_virtual_account": Account("FX", "04-00-04", "11112222"),
                     "pay": BankPayment("k", "bp-1", "ACCEPTED", 1),
                     "payment": BankPayment("k", "bp-1", "CREDITED", 1)},
            "email": {"send": None},
            "documents": {"examine": Examination((Check("fields_match", "PASS", "ok"),), SHA, "00")},
            "archive": {"get": b"%PDF", "forget": None},
            "_chain": {method: RECEIPT for method in (
                "mint", "transfer", "fractionalise", "burn", "register_wallet", "issue_claims", "sanctions_heartbeat",
                "set_active", "revoke_claims", "lock", "unlock")},
        }
        for name, answers in ports.items():
            setattr(self, name, Port(name.strip("_"), self.asked, answers))
        self._chain: Any
        self._chain.platform_wallet = "0xPLATFORM"
        self._chain.deployment = lambda: SimpleNamespace(addresses={"FXReceivableToken": "0xTOKEN"})

    def signed(self, *operations: str) -> Outside:
        """What the transaction journal has signed."""
        self._chain.journal = SimpleNamespace(signed_data=lambda op: b"data" if op in operations else None)
        return self

    def chain(self) -> Any:
        return self._chain

    def answers(self, port: str, **methods: Any) -> Outside:
        getattr(self, port).answers.update(methods)
        return self


def _open(sealed: Personal) -> str:
    return sealed.sealed.removeprefix("sealed:")


HEARTBEAT = "chain.sanctions_heartbeat"


def perform(world: World, process: str, effect: str, event: type[Event], outside: Outside) -> list[Command]:
    """What the newest such entry leads this effect to."""
    return world.performs(process, effect, world.last(event), outside)


def asked(outside: Outside) -> list[Any]:
    """Everything the outside was asked, but for the daily lists."""
    return [question for question in outside.asked if question[0] not in (HEARTBEAT, "screening.list_version")]
