"""Evidence bundles over HTTP: one invoice, one subject or a range of the log, as a zip that verifies itself."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Stream

from ai.decision import versions_in_force
from api.parameters import Resource
from api.running import Injected, Running
from chain.countersigned import entries_about_batches, signatures_of
from chain.evidence import NothingToShow, write_evidence
from domain.base import Invalid, NotFound
from domain.forms import MAX_POSITION
from domain.party import COMPLIANCE

MAX_POSITIONS = 100_000
"""In one bundle over HTTP; `fx bundle export` has no limit."""

CHUNK = 1 << 20


class OneThing(Invalid):
    code = "one_thing"


class RangeTooWide(Invalid):
    code = "range_too_wide"


@get("/v1/audit/bundles", roles=(COMPLIANCE,), sync_to_thread=True, tags=["audit"], media_type="application/zip")
def export(running: Injected, invoice: Resource = None, subject: Resource = None,
           first: Annotated[int | None, QueryParameter(name="from", ge=0, le=MAX_POSITION)] = None,
           last: Annotated[int | None, QueryParameter(name="to", ge=0, le=MAX_POSITION)] = None) -> Stream:
    """An evidence bundle (zip) of one invoice, one subject, or the positions `from` to `to`.

    For compliance alone: whole entries hold the reasons of freezes, locks and reviews, which nobody else is shown and
    which may tip off whom they are about. An administrator has `/v1/audit/entries` and proofs, which hold none.
    """
    asked = [("invoice", invoice), ("subject", subject), ("range", None if first is last is None else "")]
    given = [(kind, name) for kind, name in asked if name is not None]
    if len(given) != 1:
        raise OneThing("ask for one thing: an invoice, a subject, or positions `from` and `to`")
    kind, name = given[0]
    head = running.store.links.head()
    begin, end = 1 if first is None else first, head if last is None else min(last, head)
    if kind == "range" and not 1 <= begin <= end:
        raise OneThing(f"positions go from 1 to {head}, and `from` is at most `to`", pointer="/from")
    if kind == "range" and end - begin >= MAX_POSITIONS:
        raise RangeTooWide(f"at most {MAX_POSITIONS} positions; the command line exports more", pointer="/to")
    try:
        file = _written(running, kind, name, begin, end)
    except NothingToShow as why:
        raise NotFound(str(why)) from why
    title = "".join(letter for letter in name or f"{begin}-{end}" if letter.isalnum() or letter in "-_")
    return Stream(_chunks(file), media_type="application/zip",
                  headers={"Content-Disposition": f'attachment; filename="evidence-{title}.zip"'})


def _written(running: Running, kind: str, name: str, first: int, last: int) -> BinaryIO:
    """A bundle, open for reading; nothing of it stays on the disk once it is closed."""
    with tempfile.TemporaryDirectory(prefix="fx-bundle-") as folder:
        path = Path(folder) / "evidence.zip"
        write_evidence(
            running.store, running.outside.chain(), path, kind=kind, name=name, first=first, last=last,
            created_at=running.clock.now().isoformat(), versions=versions_in_force(),
            signatures=signatures_of(entries_about_batches(running.store), running.log_key, running.witnesses))
        return path.open("rb")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk
