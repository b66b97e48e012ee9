"""Port: Confirmation of Payee. Does this account belong to whom we think it does?

Source: seller O2 and lender L2 (the account name must match the company name); a mismatch goes to the MLRO
queue.
"""

from typing import Literal, Protocol

import msgspec

Match = Literal["MATCH", "CLOSE_MATCH", "NO_MATCH", "UNKNOWN", "UNAVAILABLE"]


class PayeeResult(msgspec.Struct, frozen=True):
    """`name` is the name the bank holds, disclosed with a CLOSE_MATCH only. `reason` is Pay.UK's code, if
    any.

    UNKNOWN: there is no such account. UNAVAILABLE is the payee's bank
    being unable to say (opted out, not reachable): never to be read as a
    match.
    """

    match: Match
    name: str | None = None
    reason: str | None = None
    payload_sha256: str = ""


class PayeeCheck(Protocol):
    def verify(self, name: str, sort_code: str, account_number: str) -> PayeeResult:
        """A question without effect, hence without a key. Always about a business account."""
        ...
