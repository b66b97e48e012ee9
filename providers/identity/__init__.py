"""Port: who is this? Gate 1, for companies (KYB) and people (document, selfie, liveness).

Source: backend, external integrations (Sumsub); a slow provider leaves the gate pending, never passed.

Errors: `Final("key_reused")` when the key already belongs to a check of another subject.
"""

from typing import Literal, Protocol

import msgspec

Kind = Literal["company", "person"]
Verdict = Literal["GREEN", "YELLOW", "RED", "PENDING"]


class IdentityResult(msgspec.Struct, frozen=True):
    """GREEN passes; YELLOW goes to the MLRO; RED blocks for good; PENDING is not an answer yet: ask again.

    `payload_sha256` fingerprints the provider's answer as received, for the audit log.
    """

    verdict: Verdict
    provider_ref: str
    payload_sha256: str


class Identity(Protocol):
    def check(self, key: str, subject_name: str, kind: Kind, email: str) -> IdentityResult:
        """Starts the check on the first call, reports on it on every later one. Only PENDING may change."""
        ...
