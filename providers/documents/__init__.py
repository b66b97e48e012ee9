"""Port: is this invoice what the seller says it is? Step S2, automatic, before the buyer is contacted.

The document cross-checks what was typed and never replaces it. A stamp or signature is asked of scans only:
a digital text document without one is ABSENT_NOT_REQUIRED (decision 49). Duplicates are the domain's to
find: it compares `document_sha256` exactly and `likeness` by distance.

Errors, all `Final` because the same file will fail again: the keys of `UNREADABLE`.
"""

from datetime import date
from typing import Literal, Protocol

import msgspec

MAX_BYTES = 10 * 1024 * 1024
MAX_PAGES = 20
MAX_CHARACTERS = 200_000

UNREADABLE = {
    "too_large": "The file is larger than 10 MiB. Please send a smaller one.",
    "too_many_pages": "The document has more than 20 pages. Please send the invoice alone.",
    "malformed": "The file is not a PDF that we can read. Please export it again and send the new file.",
    "encrypted": "The file is protected. Please send it without a password.",
    "too_costly": "Reading the file took too much. Please export the invoice as a plain PDF and send that.",
    "crashed": "The file can't be read. Please export the invoice as a plain PDF and send that.",
}
"""Why a document was not read, for its sender; `too_costly` is a bomb's end: a limit on time, memory or text."""

CheckVerdict = Literal["PASS", "FAIL", "ABSENT_NOT_REQUIRED"]


class InvoiceFields(msgspec.Struct, frozen=True):
    """What the seller typed. `face_pence` is the amount payable, VAT included."""

    buyer_name: str
    seller_name: str
    seller_reference: str
    face_pence: int
    due_on: date


class Check(msgspec.Struct, frozen=True):
    """`name` is fields_match, invoice_in_sterling, lines_reconcile or stamp_or_signature; `detail` is fit for the
    seller to read.
    """

    name: str
    verdict: CheckVerdict
    detail: str


class Examination(msgspec.Struct, frozen=True):
    """`likeness` is a 64-bit similarity hash of the text, in hex: two documents' differ in few bits when their texts
    differ in few words, and in about 32 when they have nothing in common.
    """

    checks: tuple[Check, ...]
    document_sha256: str
    likeness: str


class Documents(Protocol):
    def examine(self, key: str, pdf: bytes, fields: InvoiceFields) -> Examination: ...
