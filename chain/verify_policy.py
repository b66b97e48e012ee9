"""The rules of FinToken X over the order of events, for verify.py. Needs Python 3.8 or later and nothing else."""

from __future__ import annotations

from typing import Any

# What policy looks for. An event's name is its type without the version number.
ONCE = {"token.minted", "token.burned", "invoice.funded", "invoice.settled"}
TOKEN_RULES = {"token.mint_requested", "token.minted", "token.burned"}
OFFICERS = {"compliance_officer", "platform_admin"}
CUSTOMER_ACTIONS = {"SUBMIT_INVOICE", "CONFIRM_INVOICE", "FUND_INVOICE", "SECONDARY_TRADE"}


class Policy:
    """Rules over the order of events.

    That an earlier event is missing can be said where the log is here from position 1, or the invoice's stream from
    version 1.
    """

    def __init__(self, verdicts: Any, from_start: bool) -> None:
        self._verdicts = verdicts
        self._from_start = from_start
        self._once: set[tuple[str, str]] = set()
        self._begun: set[str] = set()
        self._confirmed: set[str] = set()
        self._unpaid: dict[str, set[str]] = {}
        self._invoice_of_token: dict[str, str] = {}

    def check(self, position: int, body: dict[str, Any]) -> None:
        name, resource = body["type"].rpartition(".")[0], body["resource"]
        assists = body["actor_role"] in OFFICERS and body["action"] in CUSTOMER_ACTIONS
        if assists and not body["on_behalf_of"]:
            self._broken(position, f"{body['action']} by {body['actor_role']} names no on_behalf_of")
        if name in ONCE:
            if (name, resource) in self._once:
                self._broken(position, f"{name} happened twice for {resource}")
            self._once.add((name, resource))
        if name.startswith("invoice."):
            self._follow_invoice(position, name[8:], reference(resource), body)
        elif name in TOKEN_RULES:
            self._follow_token(position, name, reference(resource), body["data"])

    def _follow_invoice(self, position: int, what: str, invoice: str, body: dict[str, Any]) -> None:
        if body["version"] == 1:
            self._begun.add(invoice)
        if what == "confirmed":
            self._confirmed.add(invoice)
        elif what == "funded":
            self._needs_confirmation(position, invoice, "funded")
        elif what == "payout_requested":
            self._unpaid.setdefault(invoice, set()).add(str(body["data"].get("payout")))
        elif what == "payout_confirmed":
            self._unpaid.setdefault(invoice, set()).discard(str(body["data"].get("payout")))

    def _follow_token(self, position: int, name: str, token: str, data: dict[str, Any]) -> None:
        invoice = reference(data.get("invoice") or self._invoice_of_token.get(token, ""))
        if name != "token.burned":
            self._invoice_of_token[token] = invoice
            self._needs_confirmation(position, invoice, "minted")
        elif self._unpaid.get(invoice):
            unpaid = ", ".join(sorted(self._unpaid[invoice]))
            self._broken(position, f"burned while a payout of {invoice} is not confirmed: {unpaid}")

    def _needs_confirmation(self, position: int, invoice: str, what: str) -> None:
        if invoice in self._confirmed:
            return
        if self._from_start or invoice in self._begun:
            self._broken(position, f"{invoice} is {what} and was never confirmed")
        else:
            self._verdicts.leave_open("policy", f"{invoice} was confirmed before the range, or never")

    def _broken(self, position: int, why: str) -> None:
        self._verdicts.fail("policy", f"position {position}: {why}")


def reference(resource: str) -> str:
    """Returns INV-1 for INV-1, invoice:INV-1 and invoices/INV-1."""
    return resource.replace("/", ":").rpartition(":")[2]
