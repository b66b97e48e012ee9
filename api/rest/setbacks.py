"""Ways on and ways out for an invoice that cannot go straight on: another mailbox, compliance's word, withdrawal."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request, Response, post
from litestar.params import JSONBody

from api.access import Calling
from api.parameters import Id
from api.running import Injected, KeyedOperation, Running, Work
from domain.base import NotFound
from domain.forms import Email, Prose
from domain.invoice import INVOICE, Invoice
from domain.invoice.setbacks import CorrectBuyerMailbox, DecideRisk, WithdrawInvoice
from domain.party import COMPLIANCE, SELLER
from domain.subject import SUBJECT, as_party
from processes.verification import release_fingerprints


class Mailbox(msgspec.Struct, forbid_unknown_fields=True):
    buyer_email: Email


class RiskDecision(msgspec.Struct, forbid_unknown_fields=True):
    decision: Literal["release", "refuse"]
    rationale: Prose


@post("/v1/invoices/{reference:str}/buyer-mailbox", roles=(SELLER,), sync_to_thread=True, tags=["invoices"],
      status_code=202, operation_class=KeyedOperation)
def correct_mailbox(request: Request[Any, Any, Any], running: Injected, caller: Calling, reference: Id,
                    data: JSONBody[Mailbox]) -> Response[Any]:
    """Another mailbox of the customer's, when the first takes no mail; the request to confirm goes there at once."""
    invoice = _own(running, reference, caller.id)

    def build(seed: str) -> Work:
        command = CorrectBuyerMailbox(
            reference=reference, seller=caller.id, buyer=as_party(running.store.load(SUBJECT, invoice.buyer)),
            buyer_email=running.vault.seal(invoice.buyer, data.buyer_email),
            buyer_email_domain=data.buyer_email.rpartition("@")[2].lower())
        return Work(commands=[command],
                    answer=lambda _: {"reference": reference, "state": "RISK_SCORED"})

    return running.mutate(request, caller.id, caller.role, data, build)


@post("/v1/invoices/{reference:str}/withdraw", roles=(SELLER,), sync_to_thread=True, tags=["invoices"],
      operation_class=KeyedOperation)
def withdraw(request: Request[Any, Any, Any], running: Injected, caller: Calling,
             reference: Id) -> Response[Any]:
    """Take an invoice back before the customer has confirmed it. Its debt may then be submitted again."""

    def build(seed: str) -> Work:
        invoice = _own(running, reference, caller.id)
        return Work(commands=[WithdrawInvoice(reference=reference, seller=caller.id), *release_fingerprints(invoice)],
                    answer=lambda _: {"reference": reference, "state": "WITHDRAWN"})

    return running.mutate(request, caller.id, caller.role, None, build)


@post("/v1/compliance/invoices/{reference:str}/risk", roles=(COMPLIANCE,), sync_to_thread=True, tags=["compliance"],
      operation_class=KeyedOperation)
def decide_risk(request: Request[Any, Any, Any], running: Injected, caller: Calling, reference: Id,
                data: JSONBody[RiskDecision]) -> Response[Any]:
    """A receivable of grade HIGH goes on to its customer, or is refused. Those that wait stand among the incidents."""

    def build(seed: str) -> Work:
        invoice = running.store.load(INVOICE, reference)
        if not invoice.reference:
            raise NotFound("there is no such invoice")
        command = DecideRisk(reference=reference, release=data.decision == "release",
                             rationale=running.vault.seal(invoice.seller, data.rationale))
        return Work(commands=[command], on_behalf_of=invoice.seller, answer=lambda _: {
            "reference": reference, "decision": "RELEASED" if command.release else "REFUSED"})

    return running.mutate(request, caller.id, caller.role, data, build)


def _own(running: Running, reference: str, seller: str) -> Invoice:
    """The seller's own invoice; another's does not exist for it."""
    invoice = running.store.load(INVOICE, reference)
    if not invoice.reference or invoice.seller != seller:
        raise NotFound("there is no such invoice")
    return invoice
