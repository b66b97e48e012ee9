"""Port: is this invoice what the seller says it is? Step S2, automatic, before the buyer is contacted.

The document cross-checks what was typed and never replaces it. A stamp or signature is asked of scans only:
a digital text document without one is ABSENT_NOT_REQUIRED (decision 49). Duplicates are the domain's to
find: it compares `document_sha256` exactly and `fingerprint` by distance.

Errors, all `Final` because the same file will fail again: `too_large`, `too_many_pages`, `malformed`,
`encrypted`, `too_costly` (it hit a limit on time or memory, as a PDF bomb does).
"""

from datetime import date
from typing import Literal, Protocol

import msgspec

MAX_BYTES = 10 * 1024 * 1024
MAX_PAGES = 20

CheckVerdict = Literal["PASS", "FAIL", "ABSENT_NOT_REQUIRED"]


class InvoiceFields(msgspec.Struct, frozen=True):
    """What the seller typed. `face_pence` is the amount payable, VAT included."""

    buyer_name: str
    seller_name: str
    seller_reference: str
    face_pence: int
    due_on: date


class Check(msgspec.Struct, frozen=True):
    """`name` is fields_match, lines_reconcile or stamp_or_signature; `detail` is fit for the seller to
    read.
    """

    name: str
    verdict: CheckVerdict
    detail: str


class Examination(msgspec.Struct, frozen=True):
    """`fingerprint` is a 64-bit similarity hash of the text, in hex: see `bits_apart`."""

    checks: tuple[Check, ...]
    document_sha256: str
    fingerprint: str


class Documents(Protocol):
    def examine(self, key: str, pdf: bytes, fields: InvoiceFields) -> Examination: ...


def bits_apart(fingerprint: str, other: str) -> int:
    """0 for the same text, a few for a re-export with a small edit, about 32 for unrelated documents."""
    return (int(fingerprint, 16) ^ int(other, 16)).bit_count()
