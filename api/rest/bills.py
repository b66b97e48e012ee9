"""Bills: what a subject owes the platform, and the account and reference to pay them with."""

from __future__ import annotations

from typing import Any

from litestar import get

from api.access import Calling
from api.cursor import Page
from api.parameters import Cursor, Limit
from api.running import Injected, Running
from domain.bill import BILL
from domain.party import ADMIN, INVESTOR, LENDER
from projections import bills


@get("/v1/bills", roles=(LENDER, INVESTOR), sync_to_thread=True, tags=["bills"])
def own(running: Injected, caller: Calling, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """The caller's own bills with their lines. Pay by bank transfer: the exact total with exactly the reference."""
    shown = _page(running, caller.id, Page.read(running.cursor_secret, f"bills:{caller.id}", cursor, limit))
    sort_code, number = running.collections
    for row in shown["data"]:
        row["pay_into"] = {"name": "FinToken X collections", "sort_code": sort_code, "account_number": number,
                           "reference": row["reference"]}
    return shown


@get("/v1/admin/bills", roles=(ADMIN,), sync_to_thread=True, tags=["bills"])
def every(running: Injected, caller: Calling, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """Everybody's bills, with whom they are to."""
    return _page(running, None, Page.read(running.cursor_secret, "bills", cursor, limit))


def _page(running: Running, subject: str | None, page: Page) -> dict[str, Any]:
    with running.rows() as connection:
        rows = bills.page(connection, page.part, subject=subject)
    shown = [{**{name: value for name, value in row.items() if subject is None or name != "subject"},
              "lines": [{"code": line.code, "pence": line.pence, "receivable_reference": line.resource,
                         "charged_at": line.charged_at} for line in running.store.load(BILL, row["reference"]).lines]}
             for row in rows]
    return page.of(shown, rows.next)
