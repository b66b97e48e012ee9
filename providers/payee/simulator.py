"""Confirmation of Payee, simulated.

The named entities' accounts and the virtual accounts at the simulated bank have holders, and names are
compared with theirs. Any other account is taken to belong to whoever is named, unless its number ends in 00
(no such account). The magic words NO MATCH, CLOSE MATCH and UNAVAILABLE in a name decide by themselves.
"""

import difflib
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from providers.bank.account import digits
from providers.bank.signature import refused
from providers.credentials import Credentials
from providers.errors import Final
from providers.stage.page import Html, element, form, table
from providers.stage.room import BadInput, Fields, Room, answer, decoded, word
from providers.stage.store import Store

SCHEMA = "CREATE TABLE IF NOT EXISTS payee (account TEXT PRIMARY KEY, name TEXT NOT NULL);"

ACCOUNTS = (
    ("20558841903377", "Coppergate Joinery Ltd"),
    ("40276110482956", "Northwind Retail plc"),
    ("30951222487719", "Pennine Asset Management LLP — Trade Finance"),
    ("60830155019284", "Brunel Pension Partners LLP"),
    ("09012776431205", "Salford Commercial Finance Ltd"),
    ("77491630028846", "Mercia Bank plc"),
)

DESCRIPTIONS = {
    "MBAM": "Name is a close match",
    "ANNM": "Name does not match",
    "AC01": "Account does not exist",
}


class PayeeSimulator:
    def __init__(
        self,
        app: web.Application,
        store: Store,
        credentials: Credentials,
        virtual_holder: Callable[[str], str | None],
    ) -> None:
        self.store = store
        self.credentials = credentials
        self.virtual_holder = virtual_holder
        store.script(SCHEMA)
        for account, name in ACCOUNTS:
            store.run("INSERT OR IGNORE INTO payee VALUES (?, ?)", account, name)
        self.room = room = Room(
            app,
            store,
            "/payee",
            "Confirmation of Payee",
            "Whose account is it? An account that is not listed belongs to whoever is named; a number that "
            "ends in 00 does not exist. NO MATCH, CLOSE MATCH and UNAVAILABLE in a name decide alone.",
        )
        room.vendor("POST", "/open-banking/outbound/v1/name-verification", self.verify)
        room.control("/control/accounts", self.add)
        room.home(self.page)

    async def verify(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if problem := refused(
            self.credentials.payee_secret, self.credentials.payee_token, request.headers, raw
        ):
            return answer({"Error": {"Reason": problem}}, 403)
        body = await decoded(request, dict[str, Any])
        account, owner = str(body.get("Identification", "")), str(body.get("OwnerName", ""))
        if (
            body.get("SchemeName") != "SortCodeAccountNumber"
            or not re.fullmatch(r"[0-9]{14}", account)
            or owner.count(",") < 2
        ):
            return answer({"Error": {"Reason": "Invalid request"}}, 400)
        name = owner.split(",", 2)[2].strip()
        if "UNAVAILABLE" in name:
            return answer({"Error": {"Reason": "Participant failed", "ParticipantName": "Example Bank"}}, 424)
        report = _compare(name, self._holder(account, name))
        return answer({"Data": {"VerificationReport": {**report, "MatchedBank": "Example Bank"}}})

    def add(self, fields: Fields) -> dict[str, str]:
        try:
            account = digits(word(fields, "sort_code"), 6) + digits(word(fields, "account_number"), 8)
        except Final as error:
            raise BadInput(str(error)) from error
        name = word(fields, "name")
        self.store.run(
            "INSERT INTO payee VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET name = excluded.name",
            account,
            name,
        )
        return {"account": account, "name": name}

    def page(self) -> list[Html]:
        rows = self.store.rows("SELECT * FROM payee ORDER BY name")
        return [
            element("h2", "Account holders"),
            form("/payee/control/accounts", "Set the holder", sort_code="", account_number="", name=""),
            table(
                ["Sort code", "Account", "Holder"],
                [[r["account"][:6], r["account"][6:], r["name"]] for r in rows],
            ),
        ]

    def _holder(self, account: str, named: str) -> str | None:
        row = self.store.row("SELECT name FROM payee WHERE account = ?", account)
        if row is not None:
            return row["name"]
        return self.virtual_holder(account) or (None if account.endswith("00") else named)


def _compare(name: str, holder: str | None) -> dict[str, Any]:
    if "NO MATCH" in name:
        return _report("ANNM")
    if "CLOSE MATCH" in name:
        return _report("MBAM", name.replace("CLOSE MATCH", "").strip() or "Example Ltd")
    if holder is None:
        return _report("AC01")
    given, held = _normal(name), _normal(holder)
    if given == held:
        return {"Matched": True}
    close = given in held or held in given or difflib.SequenceMatcher(None, given, held).ratio() >= 0.85
    return _report("MBAM", holder) if close else _report("ANNM")


def _report(code: str, name: str | None = None) -> dict[str, Any]:
    return {"Matched": False, "Name": name, "ReasonCode": code, "ReasonCodeDescription": DESCRIPTIONS[code]}


def _normal(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.casefold().replace("&", " and "))
    return " ".join("ltd" if each == "limited" else each for each in words)
