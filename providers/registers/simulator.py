"""Companies House and the FCA register, simulated: the named entities, and controls to change them."""

import base64
import hmac
from typing import Any

import msgspec
from aiohttp import web

from providers.credentials import Credentials
from providers.stage.page import Html, element, form, table
from providers.stage.room import BadInput, Fields, Room, answer, word
from providers.stage.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS company (number TEXT PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
    status TEXT NOT NULL, created TEXT NOT NULL, sic TEXT NOT NULL, address BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS firm (frn TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL,
    company_number TEXT NOT NULL, permissions TEXT NOT NULL);
"""


def _address(premises: str, line: str, town: str, postcode: str) -> dict[str, str]:
    return {"premises": premises, "address_line_1": line, "locality": town, "postal_code": postcode}


COMPANIES = (
    (
        "07452983",
        "COPPERGATE JOINERY LTD",
        "ltd",
        "2010-11-25",
        "43320",
        _address("Unit 4", "Coppergate Industrial Estate", "York", "YO1 9NQ"),
    ),
    (
        "04382671",
        "NORTHWIND RETAIL PLC",
        "plc",
        "2002-02-26",
        "47190",
        _address("1", "Quayside", "Newcastle upon Tyne", "NE1 3DX"),
    ),
    (
        "OC348217",
        "PENNINE ASSET MANAGEMENT LLP",
        "llp",
        "2009-09-04",
        "66300",
        _address("40", "Spring Gardens", "Manchester", "M2 1EN"),
    ),
    (
        "OC361904",
        "BRUNEL PENSION PARTNERS LLP",
        "llp",
        "2011-02-08",
        "65300",
        _address("5", "Temple Quay", "Bristol", "BS1 6DZ"),
    ),
    (
        "08715526",
        "SALFORD COMMERCIAL FINANCE LTD",
        "ltd",
        "2013-10-02",
        "64999",
        _address("12", "Exchange Quay", "Salford", "M5 3EQ"),
    ),
    (
        "02914467",
        "MERCIA BANK PLC",
        "plc",
        "1994-03-31",
        "64191",
        _address("100", "Colmore Row", "Birmingham", "B3 3AG"),
    ),
)

FIRMS = (
    (
        "432119",
        "Pennine Asset Management LLP",
        "OC348217",
        "Managing investments|Arranging (bringing about) deals in investments|"
        "Entering into a regulated credit agreement as lender|"
        "Exercising or having the right to exercise the lender's rights and duties under a regulated credit "
        "agreement",
    ),
    (
        "518734",
        "Brunel Pension Partners LLP",
        "OC361904",
        "Managing investments|Dealing in investments as agent",
    ),
    ("697241", "Salford Commercial Finance Ltd", "08715526", "Credit broking"),
    ("204503", "Mercia Bank plc", "02914467", "Accepting Deposits|Dealing in investments as principal"),
)


class CompaniesHouseSimulator:
    def __init__(self, app: web.Application, store: Store, credentials: Credentials) -> None:
        self.store = store
        self.authorization = (
            "Basic " + base64.b64encode(f"{credentials.companies_house_key}:".encode()).decode()
        )
        store.script(SCHEMA)
        for number, name, kind, created, sic, address in COMPANIES:
            store.run(
                "INSERT OR IGNORE INTO company VALUES (?, ?, ?, 'active', ?, ?, ?)",
                number,
                name,
                kind,
                created,
                sic,
                msgspec.json.encode(address),
            )
        self.room = room = Room(
            app,
            store,
            "/companies-house",
            "Companies House",
            "The register of companies. Change a status to see what the daily monitoring makes of it.",
        )
        room.vendor("GET", "/company/{number}", self.profile)
        room.control("/control/companies/{number}/status", self.set_status)
        room.control("/control/companies", self.add)
        room.home(self.page)

    async def profile(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), self.authorization.encode()):
            return answer({"error": "Invalid Authorization", "type": "ch:service"}, 401)
        row = self.store.row("SELECT * FROM company WHERE number = ?", request.match_info["number"])
        if row is None:
            return answer({"errors": [{"type": "ch:service", "error": "company-profile-not-found"}]}, 404)
        return answer(
            {
                "company_number": row["number"],
                "company_name": row["name"],
                "company_status": row["status"],
                "type": row["type"],
                "date_of_creation": row["created"],
                "sic_codes": row["sic"].split(","),
                "registered_office_address": msgspec.json.decode(row["address"]),
                "jurisdiction": "england-wales",
                "can_file": row["status"] == "active",
                "links": {"self": f"/company/{row['number']}"},
            }
        )

    def set_status(self, fields: Fields) -> dict[str, str]:
        number, status = word(fields, "number").upper(), word(fields, "status").lower()
        if not self.store.run("UPDATE company SET status = ? WHERE number = ?", status, number):
            raise BadInput("no such company")
        return {"number": number, "status": status}

    def add(self, fields: Fields) -> dict[str, str]:
        number, name = word(fields, "number").upper(), word(fields, "name")
        address = msgspec.json.encode(_address("1", "High Street", "Leeds", "LS1 1AA"))
        created, sic = word(fields, "incorporated_on", "2015-01-05"), word(fields, "sic_codes", "62020")
        self.store.run(
            "INSERT OR IGNORE INTO company VALUES (?, ?, 'ltd', 'active', ?, ?, ?)",
            number,
            name,
            created,
            sic,
            address,
        )
        return {"number": number, "name": name}

    def page(self) -> list[Html]:
        rows = self.store.rows("SELECT * FROM company ORDER BY name")
        change = "/companies-house/control/companies/{}/status"
        return [
            element("h2", "Companies"),
            table(
                ["Number", "Name", "Status", "Change"],
                [
                    [
                        r["number"],
                        r["name"],
                        r["status"],
                        form(change.format(r["number"]), "Set", status="liquidation"),
                    ]
                    for r in rows
                ],
            ),
            form("/companies-house/control/companies", "Add a company", number="", name=""),
        ]


class FCASimulator:
    def __init__(self, app: web.Application, store: Store, credentials: Credentials) -> None:
        self.store = store
        self.email, self.key = credentials.fca_email, credentials.fca_key
        store.script(SCHEMA)
        for frn, name, company, permissions in FIRMS:
            store.run(
                "INSERT OR IGNORE INTO firm VALUES (?, ?, 'Authorised', ?, ?)",
                frn,
                name,
                company,
                permissions,
            )
        self.room = room = Room(
            app,
            store,
            "/fca",
            "FCA register",
            "The Financial Services Register. Revoke a firm or its permissions to see its access freeze.",
        )
        room.vendor("GET", "/services/V0.1/Firm/{frn}", self.details)
        room.vendor("GET", "/services/V0.1/Firm/{frn}/Permissions", self.permissions)
        room.control("/control/firms/{frn}", self.change)
        room.home(self.page)

    async def details(self, request: web.Request) -> web.Response:
        row = self._row(request)
        if row is None:
            return answer(
                {"Status": "FSR-API-02-01-11", "ResultInfo": None, "Message": "Firm not found", "Data": None}
            )
        data = {
            "FRN": row["frn"],
            "Organisation Name": row["name"],
            "Status": row["status"],
            "Business Type": "Regulated",
            "Companies House Number": row["company_number"],
        }
        return answer({"Status": "FSR-API-02-01-00", "Message": "Ok. Firm Found", "Data": [data]})

    async def permissions(self, request: web.Request) -> web.Response:
        row = self._row(request)
        names = [name for name in (row["permissions"].split("|") if row else []) if name]
        if not names:
            return answer({"Status": "FSR-API-02-08-11", "Message": "No permissions found", "Data": None})
        data = {name: [{"Customer Type": ["Professional"]}] for name in names}
        return answer({"Status": "FSR-API-02-08-00", "Message": "Ok. Firm Permissions found", "Data": data})

    def change(self, fields: Fields) -> dict[str, Any]:
        frn = word(fields, "frn")
        row = self.store.row("SELECT * FROM firm WHERE frn = ?", frn)
        if row is None:
            raise BadInput("no such firm")
        status = word(fields, "status", row["status"])
        permissions = str(fields.get("permissions", row["permissions"]))
        self.store.run("UPDATE firm SET status = ?, permissions = ? WHERE frn = ?", status, permissions, frn)
        return {
            "frn": frn,
            "status": status,
            "permissions": [name for name in permissions.split("|") if name],
        }

    def page(self) -> list[Html]:
        rows = self.store.rows("SELECT * FROM firm ORDER BY name")
        shown = [
            [
                r["frn"],
                r["name"],
                r["status"],
                form(
                    f"/fca/control/firms/{r['frn']}",
                    "Set",
                    status="No longer authorised",
                    permissions=r["permissions"],
                ),
            ]
            for r in rows
        ]
        return [element("h2", "Firms"), table(["FRN", "Name", "Status", "Change"], shown)]

    def _row(self, request: web.Request) -> Any:
        given = (request.headers.get("X-AUTH-EMAIL", ""), request.headers.get("X-AUTH-KEY", ""))
        if given != (self.email, self.key):
            refusal = (
                '{"Status":"FSR-API-01-01-11","Message":"Unauthorised: include a valid API key and Email"}'
            )
            raise web.HTTPOk(text=refusal, content_type="application/json")
        return self.store.row("SELECT * FROM firm WHERE frn = ?", request.match_info["frn"])
