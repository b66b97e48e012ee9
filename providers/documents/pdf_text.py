"""Examines the text of a digital PDF, read by pdfplumber in a confined process (`pdf_reader`)."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from providers.documents import MAX_BYTES, MAX_PAGES, Check, Examination, InvoiceFields
from providers.documents.invoice_text import due_dates, fingerprint, money, says_name, says_reference
from providers.errors import Final, Retryable

MAX_CHARACTERS = 200_000

_READER = Path(__file__).with_name("pdf_reader.py")


class _Read(msgspec.Struct):
    pages: list[str] = []
    marks: list[str] = []
    error: str = ""


class PDFText:
    """`cpu_s` and `memory_bytes` bound the reading process; `timeout_s` is wall time, for a machine under
    load.
    """

    def __init__(self, *, cpu_s: int = 15, memory_bytes: int = 1024**3, timeout_s: float = 60.0) -> None:
        self._limits = [str(each) for each in (cpu_s, memory_bytes, MAX_PAGES, MAX_CHARACTERS)]
        self._timeout_s = timeout_s

    def examine(self, key: str, pdf: bytes, fields: InvoiceFields) -> Examination:
        """`key` is not needed here: examining a file has no effect. A remote examiner would send it."""
        if len(pdf) > MAX_BYTES:
            raise Final("too_large", f"a document has at most {MAX_BYTES // 1024**2} MiB")
        if b"%PDF-" not in pdf[:1024]:
            raise Final("malformed", "not a PDF file")
        read = self._read(pdf)
        text = "\n".join(read.pages)
        return Examination(
            checks=(_fields_match(text, fields), _lines_reconcile(text), _stamp(text, read.marks)),
            document_sha256=hashlib.sha256(pdf).hexdigest(),
            fingerprint=fingerprint(text),
        )

    def _read(self, pdf: bytes) -> _Read:
        command = [sys.executable, "-I", str(_READER), *self._limits]
        try:
            done = subprocess.run(
                command,
                input=pdf,
                capture_output=True,
                timeout=self._timeout_s,
                env={"LC_ALL": "C.UTF-8"},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Retryable("timeout", "reading the document took too long") from error
        except OSError as error:
            raise Retryable("unavailable", "the document reader could not be started") from error
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGSEGV):
            raise Final("too_costly", "reading the document exceeded its limits")
        try:
            read = msgspec.json.decode(done.stdout, type=_Read)
        except msgspec.DecodeError as error:
            # No answer: the process ran out of memory in a place that cannot be caught, or was stopped.
            raise Final("too_costly", f"the document reader ended with {done.returncode}") from error
        if read.error:
            raise Final(read.error, "the document cannot be read")
        return read


def _fields_match(text: str, fields: InvoiceFields) -> Check:
    if not text.strip():
        return Check(
            "fields_match",
            "FAIL",
            "The document has no text: it may be a scan. Please upload a digital copy.",
        )
    total = money(text).total
    missing = [
        name
        for name, found in (
            ("buyer name", says_name(text, fields.buyer_name)),
            ("seller name", says_name(text, fields.seller_name)),
            ("invoice reference", says_reference(text, fields.seller_reference)),
            ("face value", total == fields.face_pence),
            ("due date", due_dates(text) == {fields.due_on}),
        )
        if not found
    ]
    if missing:
        return Check(
            "fields_match", "FAIL", f"The document does not say what you typed: {', '.join(missing)}."
        )
    return Check("fields_match", "PASS", "Buyer, seller, reference, face value and due date match.")


def _lines_reconcile(text: str) -> Check:
    read = money(text)
    if not read.items or read.total is None:
        return Check("lines_reconcile", "FAIL", "We can't read the line items and the total on the document.")
    items = sum(read.items)
    problems = [f"“{line}” does not multiply out" for line in read.wrong]
    if read.subtotal is not None and read.subtotal != items:
        problems.append(
            f"the line items add up to {_pounds(items)}, the subtotal says {_pounds(read.subtotal)}"
        )
    due = items + (read.tax or 0)
    if due != read.total:
        problems.append(
            f"the line items and VAT add up to {_pounds(due)}, the total says {_pounds(read.total)}"
        )
    if problems:
        return Check("lines_reconcile", "FAIL", f"{'; '.join(problems)}.")
    return Check("lines_reconcile", "PASS", f"{len(read.items)} line items add up to {_pounds(read.total)}.")


def _stamp(text: str, marks: list[str]) -> Check:
    if marks:
        return Check("stamp_or_signature", "PASS", f"The document carries a {marks[0]}.")
    if text.strip():
        return Check(
            "stamp_or_signature", "ABSENT_NOT_REQUIRED", "A digital document needs no stamp or signature."
        )
    return Check("stamp_or_signature", "FAIL", "A scanned document needs a stamp or a signature.")


def _pounds(pence: int) -> str:
    return f"£{pence / 100:,.2f}"
