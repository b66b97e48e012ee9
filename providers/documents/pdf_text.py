"""Examines the text of a digital PDF: read by pdfplumber and judged in a cell of its own, never in this process."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import structlog

from providers.documents import MAX_BYTES, MAX_CHARACTERS, MAX_PAGES, Check, Examination, InvoiceFields
from providers.documents.cell import run
from providers.errors import Final

log = structlog.get_logger("documents")

ANSWER_BYTES = 64 * 1024
_READER = Path(__file__).with_name("reader.py")


class _Answer(msgspec.Struct):
    checks: tuple[Check, ...] = ()
    likeness: str = ""
    error: str = ""


class PDFText:
    """`cpu_s` and `memory_bytes` bound the reading process; `deadline_s` is wall time, for a machine under load."""

    def __init__(self, *, cpu_s: int = 5, memory_bytes: int = 512 * 1024**2, deadline_s: float = 30.0) -> None:
        self._limits = [str(cpu_s), str(memory_bytes)]
        self._deadline_s = deadline_s

    def examine(self, key: str, pdf: bytes, fields: InvoiceFields) -> Examination:
        """`key` is not needed here: examining a file has no effect. A remote examiner would send it."""
        if len(pdf) > MAX_BYTES:
            raise Final("too_large", f"a document has at most {MAX_BYTES // 1024**2} MiB")
        if b"%PDF-" not in pdf[:1024]:
            raise Final("malformed", "not a PDF file")
        request = msgspec.json.encode({"pages": MAX_PAGES, "characters": MAX_CHARACTERS, "fields": fields})
        ended = run(_READER, self._limits, request + b"\n" + pdf, deadline_s=self._deadline_s,
                    answer_bytes=ANSWER_BYTES)
        try:
            answer = msgspec.json.decode(ended.answer, type=_Answer)
        except msgspec.MsgspecError as error:
            log.warning("document.no_answer", code=ended.code, killed=ended.killed, cpu_s=round(ended.cpu_s, 1))
            if ended.killed or ended.code < 0 or ended.cpu_s * 2 > int(self._limits[0]):
                raise Final("too_costly", "reading the document exceeded its limits") from error
            raise Final("crashed", f"the document reader ended with {ended.code}") from error
        if answer.error:
            raise Final(answer.error, "the document cannot be read")
        return Examination(answer.checks, hashlib.sha256(pdf).hexdigest(), answer.likeness)
