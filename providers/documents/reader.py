"""Reads and judges one PDF in a process of its own; `cell` starts it, and nothing of the platform imports it.

    python -I reader.py CPU_S MEMORY_BYTES   < a line of JSON {"pages", "characters", "fields"}, then the PDF
                                             > {"checks", "likeness"} or {"error": code}

Whatever the file does to the parser, it does it here: `confine` says within which walls.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

MARKS = 50
OPEN_FILES = 32
RECURSION = 1_000
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def confine(cpu_s: int, memory_bytes: int) -> None:
    """Walls that cannot be taken down from inside: CPU seconds, memory, no file written, few opened, no core dump, no
    process started (Linux exempts root from that one); on Linux, where the kernel grants it, a network namespace that
    has no network. Where it does not, nothing here forbids a socket. The process yields to the platform for the CPU and
    is the first to go when memory runs out. It may read what its user may read: run the platform as its own user."""
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text("1000")
        unshare = ctypes.CDLL(None).unshare
        if unshare(_CLONE_NEWNET) != 0:
            unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    os.nice(10)
    for limit, value in ((resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, 0),
                         (resource.RLIMIT_NOFILE, OPEN_FILES), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, 0)):
        resource.setrlimit(limit, (value, value))


def answer(request: dict[str, Any], pdf: bytes) -> dict[str, Any]:
    import msgspec

    from providers.documents import InvoiceFields
    from providers.documents.judging import judge
    from providers.documents.layout import lines_of
    from providers.documents.likeness import likeness

    try:
        words, marks = read(pdf, request["pages"], request["characters"])
    except Refused as refused:
        return {"error": str(refused)}
    except Exception as error:  # noqa: BLE001 - the parser raises whatever it stumbled over, often wrapped in its own kinds
        return {"error": _code(error)}
    lines = lines_of(words)
    fields = msgspec.convert(request["fields"], InvoiceFields)
    checks = judge(lines, marks, fields)
    return {"checks": [msgspec.to_builtins(check) for check in checks],
            "likeness": likeness(lines, fields.seller_reference)}


class Refused(Exception):
    """The document is more than anybody reads; the text is the port's code."""


def read(pdf: bytes, max_pages: int, max_characters: int) -> tuple[list[Any], list[str]]:
    """The words in their places, and the names of stamps and signatures. Raises Refused, or what the parser does."""
    import pdfplumber

    from providers.documents.layout import word_of

    sys.setrecursionlimit(RECURSION)  # whatever an import made of it
    words: list[Any] = []
    marks: list[str] = []
    characters = 0
    with pdfplumber.open(io.BytesIO(pdf)) as opened:
        if len(opened.pages) > max_pages:
            raise Refused("too_many_pages")
        if not opened.pages:
            raise Refused("malformed")
        for number, page in enumerate(opened.pages):
            characters += len(page.chars)
            if characters > max_characters:
                raise Refused("too_costly")
            words += [word_of(word["text"], word["x0"], word["x1"], page=number, bottom=word["bottom"],
                              height=max(word["bottom"] - word["top"], 1.0)) for word in page.extract_words()]
            marks += [name for name in map(_mark, page.annots) if name]
            page.close()
    return words, marks[:MARKS]


def _code(error: BaseException | None) -> str:
    from pdfminer.pdfdocument import PDFPasswordIncorrect, PDFTextExtractionNotAllowed

    while error is not None:
        if isinstance(error, MemoryError | RecursionError):
            return "too_costly"
        if isinstance(error, PDFPasswordIncorrect | PDFTextExtractionNotAllowed):
            return "encrypted"
        error = error.__cause__ or error.__context__
    return "malformed"


def _mark(annotation: dict[str, Any]) -> str | None:
    """The name of a stamp annotation or a signed signature field, if it is one."""
    data = annotation.get("data") or {}
    if _name(data.get("Subtype")) == "Stamp":
        return "stamp"
    return "signature" if _name(data.get("FT")) == "Sig" and data.get("V") else None


def _name(value: Any) -> str:
    return str(getattr(value, "name", value)).lstrip("/").strip("'")


def main() -> None:
    request, _, pdf = sys.stdin.buffer.read().partition(b"\n")
    confine(*map(int, sys.argv[1:3]))
    sys.path.append(str(Path(__file__).parents[2]))
    sys.stdout.write(json.dumps(answer(json.loads(request), pdf)))


if __name__ == "__main__":
    main()
