"""What the contracts should do, in plain Python: written from the specification, without a look at the Solidity.

Every method answers with the code of the refusal, or with an empty text after it changed the model.
"""

from dataclasses import dataclass, field
from typing import Literal

HOUR = 3600
STALE_AFTER = 26 * HOUR
PROPOSAL_SECONDS = 7 * 24 * HOUR
DONE = ""


@dataclass
class Claim:
    issued_at: int
    expires_at: int
    revoked: bool = False

    def holds(self, now: int) -> bool:
        return not self.revoked and self.issued_at <= now < self.expires_at


@dataclass
class Wallet:
    subject: str = ""
    role: str = ""
    registered: bool = False
    active: bool = False
    restricted: bool = False
    claims: dict[str, Claim] = field(default_factory=dict)


@dataclass
class Token:
    face: int = 0
    status: Literal["none", "live", "burned"] = "none"
    fractionalised: bool = False
    locked: bool = False
    balances: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    kind: Literal["forced", "recovery"]
    sender: str
    receiver: str
    tokens: tuple[int, ...]
    amount: int


@dataclass
class Proposal:
    order: Order
    expires_at: int
    waiting: bool = True


class Model:
    """The register."""

    def __init__(self, now: int, wallets: dict[str, Wallet], tokens: tuple[int, ...]) -> None:
        self.now = now
        self.screened_at = now
        self.paused = False
        self.wallets = wallets
        self.tokens = {number: Token() for number in tokens}
        self.references: set[str] = set()
        self.proposals: dict[str, Proposal] = {}

    # Judgement

    def why_not(self, sender: str, receiver: str, number: int, amount: int) -> str:
        token = self.tokens[number]
        if self.paused:
            return "PAUSED"
        if token.status != "live":
            return "TOKEN_NOT_LIVE"
        if not self.wallets[sender].registered:
            return "SENDER_NOT_VERIFIED"
        if not self.wallets[sender].active:
            return "RESTRICTED"
        if code := self._eligible(receiver):
            return code
        if token.locked:
            return "TOKEN_LOCKED"
        if code := self._screening(sender, receiver):
            return code
        if not 0 < amount <= token.balances.get(sender, 0):
            return "INSUFFICIENT_FACE"
        if not token.fractionalised and amount != token.face:
            return "NOT_FRACTIONALISED"
        return DONE

    def _eligible(self, receiver: str) -> str:
        """Whether a wallet may hold a receivable, minted or moved there."""
        if code := self._receiver(receiver):
            return code
        if code := self._claim(receiver, "JURISDICTION_UK", "JURISDICTION_UK_MISSING"):
            return code
        investor = self.wallets[receiver].role == "investor"
        return "MIFID_CATEGORY_MISSING" if investor and not self._holds(receiver, "MIFID_ECP") else DONE

    def _receiver(self, receiver: str) -> str:
        wallet = self.wallets[receiver]
        if not wallet.registered:
            return "RECEIVER_NOT_VERIFIED"
        if not wallet.active:
            return "RESTRICTED"
        return self._claim(receiver, "KYC_VERIFIED", "KYC_VERIFIED_MISSING") or self._claim(
            receiver, "AML_CLEARED", "AML_CLEARED_MISSING"
        )

    def _claim(self, wallet: str, topic: str, code: str) -> str:
        return DONE if self._holds(wallet, topic) else code

    def _holds(self, wallet: str, topic: str) -> bool:
        claim = self.wallets[wallet].claims.get(topic)
        return claim is not None and claim.holds(self.now)

    def _screening(self, *wallets: str) -> str:
        if self.now > self.screened_at + STALE_AFTER:
            return "SCREENING_STALE"
        return "RESTRICTED" if any(self.wallets[wallet].restricted for wallet in wallets) else DONE

    # Tokens

    def mint(self, number: int, receiver: str, face: int) -> str:
        if self.tokens[number].status != "none":
            return "TOKEN_ID_USED"
        if self.paused:
            return "PAUSED"
        if code := self._eligible(receiver) or self._screening(receiver):
            return code
        locked = self.tokens[number].locked
        self.tokens[number] = Token(face, "live", locked=locked, balances={receiver: face})
        return DONE

    def transfer(self, sender: str, receiver: str, number: int, amount: int, reference: str) -> str:
        if reference in self.references:
            return "DUPLICATE_REF"
        code = self.why_not(sender, receiver, number, amount)
        if not code:
            self.references.add(reference)
            self._move(sender, receiver, number, amount)
        return code

    def _move(self, sender: str, receiver: str, number: int, amount: int) -> None:
        balances = self.tokens[number].balances
        balances[sender] -= amount
        if not balances[sender]:
            del balances[sender]
        balances[receiver] = balances.get(receiver, 0) + amount

    def fractionalise(self, number: int) -> str:
        token = self.tokens[number]
        if token.status != "live":
            return "NOT_LIVE"
        if token.fractionalised or len(token.balances) != 1:
            return "BAD_SLICES"
        token.fractionalised = True
        return DONE

    def burn(self, number: int) -> str:
        token = self.tokens[number]
        if token.status != "live":
            return "NOT_LIVE"
        token.status, token.balances = "burned", {}
        return DONE

    # Wallets

    def set_active(self, wallet: str, active: bool) -> str:
        if not self.wallets[wallet].registered:
            return "UNKNOWN_WALLET"
        self.wallets[wallet].active = active
        return DONE

    def deliver_again(self, wallet: str, topic: str, claim: Claim) -> str:
        """A claim that was delivered once is never taken again."""
        return "OLDER_CLAIM" if claim.holds(self.now) else "INVALID_CLAIM"

    # Orders

    def propose(self, reference: str, order: Order) -> str:
        if reference in self.proposals:
            return "DUPLICATE_REF"
        self.proposals[reference] = Proposal(order, self.now + PROPOSAL_SECONDS)
        return DONE

    def withdraw(self, reference: str) -> str:
        proposal = self.proposals.get(reference)
        if proposal is None or not proposal.waiting:
            return "NOT_PROPOSED"
        proposal.waiting = False
        return DONE

    def approve(self, reference: str, order: Order) -> str:
        proposal = self.proposals.get(reference)
        if proposal is None or not proposal.waiting:
            return "NOT_PROPOSED"
        if self.now >= proposal.expires_at:
            return "PROPOSAL_EXPIRED"
        if proposal.order != order:
            return "OTHER_CONTENT"
        code = self._recover(order) if order.kind == "recovery" else self._force(order)
        proposal.waiting = code != DONE
        return code

    def _force(self, order: Order) -> str:
        [number] = order.tokens
        code = self.why_not(order.sender, order.receiver, number, order.amount)
        if not code:
            self._move(order.sender, order.receiver, number, order.amount)
        return code

    def _recover(self, order: Order) -> str:
        lost, new = self.wallets[order.sender], self.wallets[order.receiver]
        same = (lost.subject, lost.role) == (new.subject, new.role)
        if order.sender == order.receiver or not new.registered or not same:
            return "OTHER_SUBJECT"
        amounts: dict[int, int] = {}
        for number in order.tokens:
            # Listed again, a token has nothing left to move.
            amount = 0 if number in amounts else self.tokens[number].balances.get(order.sender, 0)
            if code := self.why_not(order.sender, order.receiver, number, amount):
                return code
            amounts[number] = amount
        for number, amount in amounts.items():
            self._move(order.sender, order.receiver, number, amount)
        lost.active = False
        return DONE
