"""Random lives of a register: after every step the chain and a model written from the specification agree.

`FX_CHAIN_LIVES` sets how many lives are tried: by default a few, always the same; with it, drawn anew each time.
"""

import copy
import hashlib
import os
from typing import Any

import pytest
from eth_abi.abi import decode
from eth_utils.conversions import to_bytes, to_hex
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chain import orders
from chain.abi import refusal_code, word
from chain.anvil import Anvil, free_port
from chain.claims import topic_number
from chain.client import STATUSES, operation_ref
from chain.keys import Role
from tests.chain.conftest import BASE_TOPICS, World
from tests.chain.contracts_model import HOUR, Claim, Model, Order, Wallet

pytestmark = pytest.mark.long

LIVES = int(os.environ.get("FX_CHAIN_LIVES", "0"))
FEW_LIVES, STEPS = 25, 50
BUSY_LIFE = 12  # operations before a token may be burned
FACE = 1_000
CLAIM_SECONDS = 10 * 24 * HOUR
GAS = hex(3_000_000)
TOPICS = (*BASE_TOPICS, "MIFID_ECP")

PARTIES: dict[str, tuple[str, Any]] = {
    "ada": ("ada", "lender"),
    "ada's other": ("ada", "lender"),
    "ada the seller": ("ada", "sme_seller"),
    "bob": ("bob", "investor"),
    "cleo": ("cleo", "lender"),
}
WALLETS = ("platform", "stranger", *PARTIES)
TOKENS = (1, 2, 3, 4)

HOLDER = "whoever holds the token"

# What could succeed is drawn more often than what cannot.
wallets = st.sampled_from((*PARTIES, *WALLETS))
senders = st.sampled_from((HOLDER,) * 2 * len(WALLETS) + WALLETS)
tokens = st.sampled_from((1, 2) * 4 + TOKENS)
shares = st.sampled_from(("all", "half", "all", "half", "nothing", "a penny", "too much"))
seldom = st.sampled_from((False,) * 5 + (True,))
mostly = st.sampled_from((True,) * 5 + (False,))
topics = st.sampled_from(TOPICS)


class Network:
    """Sends from any key without signing, and says what became of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chain = world.chain
        self.addresses = {"platform": self.chain.platform_wallet, "stranger": world.keys.custody_address("stranger")}
        self._snapshot = ""

    def prepare(self) -> Model:
        """Deploys, registers everybody, and returns the model of that."""
        self.chain.deploy()
        expires_at = self.world.clock.now + CLAIM_SECONDS
        registered = {"platform": Wallet("platform", "platform", True, True), "stranger": Wallet()}
        for name, (subject, role) in PARTIES.items():
            self.addresses[name] = self.world.keys.custody_address(name)
            subject_hash = hashlib.sha256(subject.encode()).digest()
            self.chain.register_wallet(name, self.addresses[name], role, subject_hash)
            held = TOPICS if role == "investor" else BASE_TOPICS
            self.chain.issue_claims(f"{name}:claims", self.addresses[name], held, expires_at)
            registered[name] = Wallet(subject, role, True, True)
        for name, wallet in registered.items():
            if wallet.registered:
                held = self.chain.claims(self.addresses[name])
                wallet.claims = {topic: Claim(claim.issued_at, claim.expires_at) for topic, claim in held.items()}
        self.world.rpc("anvil_autoImpersonateAccount", True)
        self._snapshot = self.world.rpc("evm_snapshot")
        return Model(self.chain.block_time(), registered, TOKENS)

    def restart(self) -> None:
        """Goes back to where `prepare` ended."""
        assert self.world.rpc("evm_revert", self._snapshot)
        self._snapshot = self.world.rpc("evm_snapshot")

    def forward(self, seconds: int) -> None:
        self.world.rpc("evm_setNextBlockTimestamp", self.chain.block_time() + seconds)
        self.world.rpc("evm_mine")

    def send(self, role: Role, contract: str, method: str, *arguments: Any) -> str:
        """Sends a call; returns the code it was refused with, empty when it went through."""
        data = self.chain._encode(contract, method, arguments)
        return self.send_data(role, self.chain.deployment()[contract], data)

    def send_data(self, role: Role, to: str, data: bytes) -> str:
        call = {"from": self.chain.role_address(role), "to": to, "data": to_hex(data), "gas": GAS, "gasPrice": "0x0"}
        [foretold] = self._ask(("eth_call", [call, "latest"]))  # apart: of one request's questions any may come first
        [sent] = self._ask(("eth_sendTransactionSync", [call]))
        error = foretold.get("error")
        assert (sent["result"]["status"] == "0x1") == (error is None)
        return refusal_code(to_bytes(hexstr=error["data"])) if error else ""

    def read(self, method: str, *questions: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Asks the token contract the same with several arguments, in one request: web3 would ask three times each."""
        to = self.chain.deployment()["FXReceivableToken"]
        outputs = self.chain._contract("FXReceivableToken").get_function_by_name(method).abi["outputs"]
        calls = [
            {"to": to, "data": to_hex(self.chain._encode("FXReceivableToken", method, asked))} for asked in questions
        ]
        answers = self._ask(*(("eth_call", [call, "latest"]) for call in calls))
        return [decode([output["type"] for output in outputs], to_bytes(hexstr=said["result"])) for said in answers]

    def _ask(self, *requests: tuple[str, list[Any]]) -> list[Any]:
        provider: Any = self.chain._w3.provider
        return provider.make_batch_request(requests)


class Register(RuleBasedStateMachine):
    """The operations, each given to the chain and to the model."""

    network: Network
    origin: Model

    def __init__(self) -> None:
        super().__init__()
        self.network.restart()
        self.model = copy.deepcopy(self.origin)
        self.delivered: list[tuple[str, str, bytes, Claim]] = []
        self.count = 0

    @initialize()
    def begin(self) -> None:
        for number in TOKENS[:2]:
            self.mint(number)
            self.transfer("platform", "ada", number, "all", False)
        self.fractionalise(2)

    def reference(self) -> str:
        self.count += 1
        return f"operation {self.count}"

    def amount(self, wallet: str, number: int, share: str) -> int:
        held = self.model.tokens[number].balances.get(wallet, 0)
        return {"nothing": 0, "a penny": 1, "half": held // 2, "all": held, "too much": held + 1}[share]

    def sender(self, drawn: str, number: int) -> str:
        """Returns the wallet drawn, or the first holder of the token."""
        return min(self.model.tokens[number].balances, default="ada") if drawn == HOLDER else drawn

    def address(self, wallet: str) -> str:
        return self.network.addresses[wallet]

    # Tokens

    @rule(number=tokens, receiver=st.just("platform") | wallets)
    def mint(self, number: int, receiver: str = "platform") -> None:
        """The platform mints to its own wallet; the contract judges any receiver as it would a transfer's."""
        code = self.network.send("minter", "FXReceivableToken", "mint", self.address(receiver), number, FACE)
        assert code == self.model.mint(number, receiver, FACE)

    @rule(number=tokens)
    def fractionalise(self, number: int) -> None:
        slices = (number, [FACE // 4, FACE - FACE // 4], operation_ref(self.reference()))
        code = self.network.send("operator", "FXReceivableToken", "fractionalise", *slices)
        assert code == self.model.fractionalise(number)

    @rule(sender=senders, receiver=wallets, number=tokens, share=shares, repeated=seldom)
    def transfer(self, sender: str, receiver: str, number: int, share: str, repeated: bool) -> None:
        sender = self.sender(sender, number)
        amount, reference = self.amount(sender, number, share), self.reference()
        if repeated and self.model.references:
            reference = min(self.model.references)
        move = (self.address(sender), self.address(receiver), number, amount)
        foretold = self.model.why_not(sender, receiver, number, amount)
        assert self.network.read("canTransfer", move) == [(foretold == "", word(foretold))]
        code = self.network.send("operator", "FXReceivableToken", "transferWithRef", *move, operation_ref(reference))
        assert code == self.model.transfer(sender, receiver, number, amount, reference)

    @rule(number=tokens, locked=st.booleans())
    def lock(self, number: int, locked: bool) -> None:
        method, reason = ("lock", b"OBLIGOR_INSOLVENT") if locked else ("unlock", b"OBLIGOR_SOLVENT")
        arguments = ([number], reason.ljust(32, b"\0"), operation_ref(self.reference()))
        assert self.network.send("locker", "FXLockupRule", method, *arguments) == ""
        self.model.tokens[number].locked = locked

    @precondition(lambda self: self.count > BUSY_LIFE)
    @rule(number=tokens)
    def burn(self, number: int) -> None:
        assert self.network.send("minter", "FXReceivableToken", "burn", number) == self.model.burn(number)

    @rule(paused=seldom)
    def pause(self, paused: bool) -> None:
        assert self.network.send("pauser", "FXReceivableToken", "setPaused", paused) == ""
        self.model.paused = paused

    # Time and screening

    @rule(hours=st.sampled_from((1, 1, 1, 20, 30, 200)))
    def time_passes(self, hours: int) -> None:
        self.network.forward(hours * HOUR)
        self.model.now += hours * HOUR

    @rule()
    def screen(self) -> None:
        assert self.network.send("oracle", "FXSanctionsRule", "heartbeat", bytes(32)) == ""
        self.model.screened_at = self.model.now

    @rule(wallet=wallets, restricted=seldom)
    def restrict(self, wallet: str, restricted: bool) -> None:
        assert self.network.send("oracle", "FXSanctionsRule", "set", self.address(wallet), restricted) == ""
        self.model.wallets[wallet].restricted = restricted

    # Wallets and claims

    @rule(wallet=wallets, active=mostly)
    def set_active(self, wallet: str, active: bool) -> None:
        code = self.network.send("registrar", "FXIdentityRegistry", "setActive", self.address(wallet), active)
        assert code == self.model.set_active(wallet, active)

    @rule(wallet=st.sampled_from(("platform", *PARTIES)), topic=topics, days=st.sampled_from((1, 10)))
    def issue_claim(self, wallet: str, topic: str, days: int) -> None:
        claim = Claim(self.model.now, self.model.now + days * 24 * HOUR)
        chain = self.network.chain
        build = chain._claim_data(self.reference(), self.address(wallet), topic, claim.expires_at)
        assert callable(build)
        delivery = build()
        identity = chain.deployment().identity_of(self.address(wallet))
        assert self.network.send_data("registrar", identity, delivery) == ""
        self.model.wallets[wallet].claims[topic] = claim
        self.delivered.append((wallet, topic, delivery, claim))

    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        if not self.delivered:
            return
        wallet, topic, delivery, claim = data.draw(st.sampled_from(self.delivered))
        identity = self.network.chain.deployment().identity_of(self.address(wallet))
        code = self.network.send_data("admin", identity, delivery)
        assert code == self.model.deliver_again(wallet, topic, claim)

    @rule(wallet=st.sampled_from(("platform", *PARTIES)), topic=topics)
    def revoke_claim(self, wallet: str, topic: str) -> None:
        claim = self.model.wallets[wallet].claims.get(topic)
        chain, address = self.network.chain, self.address(wallet)
        data = chain._signed_claims(address, [topic])
        assert (claim is None) == (data == {})
        if claim is None:
            return
        number = topic_number(topic)
        identity = chain.deployment().identity_of(address)
        digest = chain._read("FXClaimIssuer", "digest", identity, number, data[topic])
        assert self.network.send("revoker", "FXClaimIssuer", "revoke", [digest]) == ""
        claim.revoked = True

    # Orders

    def sent_order(self, order: Order, reference: str) -> orders.Order:
        sender, receiver = self.address(order.sender), self.address(order.receiver)
        if order.kind == "recovery":
            return orders.recovery(sender, receiver, order.tokens, operation_ref(reference))
        [number] = order.tokens
        ref = operation_ref(reference)
        return orders.forced_transfer(sender, receiver, number, order.amount, "REGISTER_ORDER", ref)

    def propose(self, order: Order) -> str:
        reference = self.reference()
        code = self.network.send("recovery_proposer", "FXRecovery", "propose", self.sent_order(order, reference))
        assert code == self.model.propose(reference, order)
        return reference

    def approve(self, reference: str, order: Order) -> None:
        code = self.network.send("recovery_approver", "FXRecovery", "approve", self.sent_order(order, reference))
        assert code == self.model.approve(reference, order)

    @rule(sender=senders, receiver=wallets, number=tokens, share=shares, at_once=mostly)
    def force_a_transfer(self, sender: str, receiver: str, number: int, share: str, at_once: bool) -> None:
        sender = self.sender(sender, number)
        order = Order("forced", sender, receiver, (number,), self.amount(sender, number, share) or 1)
        reference = self.propose(order)
        if at_once:
            self.approve(reference, order)

    @rule(number=tokens, replaced=mostly, new=wallets, more=st.lists(tokens, max_size=2), at_once=mostly)
    def recover_a_wallet(self, number: int, replaced: bool, new: str, more: list[int], at_once: bool) -> None:
        """The holder of a token lost its wallet; now and then the list names what it does not hold."""
        lost = self.sender(HOLDER, number)
        held = [token for token, state in self.model.tokens.items() if lost in state.balances]
        if replaced and self.model.wallets[lost].subject == "ada":
            new = "ada's other" if lost == "ada" else "ada"
        order = Order("recovery", lost, new, (*held, *more)[:4] or (number,), 0)
        reference = self.propose(order)
        if at_once:
            self.approve(reference, order)

    @rule(data=st.data(), tampered=seldom, withdrawn=seldom)
    def close_a_proposal(self, data: st.DataObject, tampered: bool, withdrawn: bool) -> None:
        if not self.model.proposals:
            return
        reference, proposal = data.draw(st.sampled_from(sorted(self.model.proposals.items())))
        if withdrawn:
            code = self.network.send("recovery_proposer", "FXRecovery", "withdraw", operation_ref(reference))
            assert code == self.model.withdraw(reference)
        elif tampered:
            order = proposal.order
            self.approve(reference, Order(order.kind, order.sender, "cleo", (4,), order.amount))
        else:
            self.approve(reference, proposal.order)

    # What must hold after every step

    @invariant()
    def the_registers_agree(self) -> None:
        names = {address.lower(): name for name, address in self.network.addresses.items()}
        questions = [(number,) for number in TOKENS]
        holders, seen = self.network.read("holders", *questions), self.network.read("receivables", *questions)
        for token, (wallets, faces), receivable in zip(self.model.tokens.values(), holders, seen, strict=True):
            assert dict(zip((names[wallet] for wallet in wallets), faces, strict=True)) == token.balances
            assert sum(faces) == (token.face if token.status == "live" else 0)
            assert receivable == (token.face, STATUSES.index(token.status), token.fractionalised)


@pytest.fixture(scope="module")
def network(tmp_path_factory, new_rows, keys):
    with Anvil(tmp_path_factory.mktemp("anvil"), port=free_port(), prune=False) as anvil:
        yield Network(World(anvil, new_rows(), keys))


@pytest.mark.timeout(3600 if LIVES else 180)
def test_the_chain_and_the_model_agree_after_every_step(network):
    Register.network, Register.origin = network, network.prepare()
    run_state_machine_as_test(
        Register,
        settings=settings(
            max_examples=LIVES or FEW_LIVES,
            stateful_step_count=STEPS,
            derandomize=not LIVES,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
        ),
    )
