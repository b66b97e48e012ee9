"""Reads one PDF from standard input in a process of its own; `pdf_text` starts it and never imports it.

Whatever the file does to the parser, it does it here, within the limits given as arguments: seconds of CPU
time, bytes of memory, pages, characters. Writes one JSON object: {"pages": […], "marks": […]} or {"error":
code}.
"""

import io
import json
import resource
import sys
from typing import Any

MARKS = 50


def confine(cpu_s: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if hasattr(resource, "RLIMIT_NPROC"):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def read(content: bytes, max_pages: int, max_characters: int) -> dict[str, Any]:
    import pdfplumber

    try:
        with pdfplumber.open(io.BytesIO(content)) as pdf:
            if len(pdf.pages) > max_pages:
                return {"error": "too_many_pages"}
            pages: list[str] = []
            marks: list[str] = []
            for page in pdf.pages:
                pages.append((page.extract_text() or "")[: max_characters - sum(map(len, pages))])
                marks += [name for name in map(_mark, page.annots) if name]
                page.close()
            return {"pages": pages, "marks": marks[:MARKS]} if pages else {"error": "malformed"}
    except Exception as error:  # noqa: BLE001 - the parser raises whatever it stumbled over, often wrapped in its own kinds
        return {"error": _code(error)}


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
    cpu_s, memory_bytes, max_pages, max_characters = map(int, sys.argv[1:5])
    content = sys.stdin.buffer.read()
    confine(cpu_s, memory_bytes)
    sys.stdout.write(json.dumps(read(content, max_pages, max_characters)))


if __name__ == "__main__":
    main()
