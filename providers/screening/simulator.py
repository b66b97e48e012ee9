"""ComplyAdvantage, simulated. SANCTIONED and PEP in a name are magic; other names are listed by hand.

A search is answered from the lists as they stand when it is made and keeps that answer for good.
"""

import hmac
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from providers.credentials import Credentials
from providers.stage.page import Html, element, form, table
from providers.stage.room import BadInput, Fields, Room, answer, decoded, word
from providers.stage.store import Store

SOURCES = {
    "UKSL": "uk-sanctions-list",
    "OFAC": "ofac-sdn-list",
    "EU": "eu-consolidated-sanctions",
    "UN": "un-consolidated",
}
FIRST_VERSION = "2026-01-28"

SCHEMA = """
CREATE TABLE IF NOT EXISTS search (
    client_ref TEXT NOT NULL, ref TEXT PRIMARY KEY, term TEXT NOT NULL, hits BLOB NOT NULL,
    created_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS search_client_ref ON search (client_ref);
CREATE TABLE IF NOT EXISTS sanctions_list (name TEXT PRIMARY KEY, version TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS listed (name TEXT NOT NULL, list TEXT NOT NULL, PRIMARY KEY (name, list));
"""


class ScreeningSimulator:
    def __init__(self, app: web.Application, store: Store, credentials: Credentials) -> None:
        self.store = store
        self.authorization = f"Token {credentials.complyadvantage_key}"
        store.script(SCHEMA)
        for name in SOURCES:
            store.run("INSERT OR IGNORE INTO sanctions_list VALUES (?, ?)", name, FIRST_VERSION)
        self.room = room = Room(
            app,
            store,
            "/screening",
            "ComplyAdvantage",
            "Sanctions and PEP screening. A name that contains SANCTIONED or PEP is a hit; so is every name "
            "listed below. Take the service down to see a gate stay pending.",
        )
        room.vendor("POST", "/searches", self.create)
        room.vendor("GET", "/searches", self.past)
        room.vendor("GET", "/searches/{ref}/details", self.details)
        room.vendor("GET", "/lists", self.lists)
        room.control("/control/names", self.add_name)
        room.control("/control/names/remove", self.remove_name)
        room.control("/control/lists", self.set_version)
        room.home(self.page)

    async def create(self, request: web.Request) -> web.Response:
        self._authorised(request)
        body = await decoded(request, dict[str, Any])
        term = str(body.get("search_term") or "").strip()
        if not term:
            return answer({"code": 400, "status": "failure", "message": "search_term is required"}, 400)
        ref = f"{datetime.now(UTC):%s}-{uuid.uuid4().hex[:8]}"
        self.store.run(
            "INSERT INTO search VALUES (?, ?, ?, ?, ?)",
            body.get("client_ref") or ref,
            ref,
            body["search_term"],
            msgspec.json.encode(self._hits(term)),
            datetime.now(UTC).isoformat(),
        )
        return self._one(ref)

    async def past(self, request: web.Request) -> web.Response:
        self._authorised(request)
        client_ref = request.query.get("client_ref", "")
        rows = self.store.rows("SELECT * FROM search WHERE client_ref = ? ORDER BY rowid", client_ref)
        data = [{key: value for key, value in _shown(row).items() if key != "hits"} for row in rows]
        return answer({"code": 200, "status": "success", "content": {"data": data}})

    async def details(self, request: web.Request) -> web.Response:
        self._authorised(request)
        return self._one(request.match_info["ref"])

    async def lists(self, request: web.Request) -> web.Response:
        self._authorised(request)
        rows = self.store.rows("SELECT name, version FROM sanctions_list ORDER BY name")
        return answer({"code": 200, "status": "success", "content": {"data": [dict(row) for row in rows]}})

    def add_name(self, fields: Fields) -> dict[str, str]:
        name, listing = word(fields, "name"), word(fields, "list", "UKSL").upper()
        if listing not in (*SOURCES, "PEP"):
            raise BadInput(f"list must be one of {', '.join(SOURCES)} or PEP")
        self.store.run("INSERT OR IGNORE INTO listed VALUES (?, ?)", name, listing)
        return {"name": name, "list": listing}

    def remove_name(self, fields: Fields) -> dict[str, str]:
        name = word(fields, "name")
        self.store.run("DELETE FROM listed WHERE name = ?", name)
        return {"name": name}

    def set_version(self, fields: Fields) -> dict[str, str]:
        name, version = word(fields, "name").upper(), word(fields, "version")
        if not self.store.run("UPDATE sanctions_list SET version = ? WHERE name = ?", version, name):
            raise BadInput(f"name must be one of {', '.join(SOURCES)}")
        return {"name": name, "version": version}

    def page(self) -> list[Html]:
        listed = self.store.rows("SELECT * FROM listed ORDER BY name")
        remove = "/screening/control/names/remove"
        versions = self.store.rows("SELECT * FROM sanctions_list ORDER BY name")
        past = self.store.rows("SELECT * FROM search ORDER BY rowid DESC LIMIT 200")
        return [
            element("h2", "Listed names"),
            form("/screening/control/names", "List this name", name="", list="UKSL"),
            table(
                ["Name", "List", ""],
                [[r["name"], r["list"], form(remove, "Remove", _name=r["name"])] for r in listed],
            ),
            element("h2", "List versions"),
            form("/screening/control/lists", "Publish a version", name="UKSL", version=""),
            table(["List", "Version"], [[r["name"], r["version"]] for r in versions]),
            element("h2", "Searches"),
            table(
                ["When", "Name", "Hits"],
                [[r["created_at"][:19], r["term"], len(msgspec.json.decode(r["hits"]))] for r in past],
            ),
        ]

    def _hits(self, term: str) -> list[dict[str, Any]]:
        listings = {
            row["list"]
            for row in self.store.rows("SELECT list FROM listed WHERE name = ? COLLATE NOCASE", term)
        }
        if "SANCTIONED" in term:
            listings |= {"UKSL", "OFAC"}
        if re.search(r"\bPEP\b", term):
            listings.add("PEP")
        if not listings:
            return []
        sources = sorted(SOURCES[name] for name in listings if name in SOURCES)
        types = (["sanction"] if sources else []) + (["pep", "pep-class-1"] if "PEP" in listings else [])
        doc = {
            "id": uuid.uuid5(uuid.NAMESPACE_OID, term).hex,
            "name": term,
            "types": types,
            "sources": sources,
        }
        return [{"doc": doc, "match_types": ["name_exact"], "score": 1.7, "match_status": "potential_match"}]

    def _one(self, ref: str) -> web.Response:
        row = self.store.row("SELECT * FROM search WHERE ref = ?", ref)
        if row is None:
            return answer({"code": 404, "status": "failure", "message": "search not found"}, 404)
        return answer({"code": 200, "status": "success", "content": {"data": _shown(row)}})

    def _authorised(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), self.authorization.encode()):
            raise web.HTTPUnauthorized(text='{"code":401,"status":"failure","message":"Invalid API key"}')


def _shown(row: Any) -> dict[str, Any]:
    hits = msgspec.json.decode(row["hits"])
    return {
        "ref": row["ref"],
        "client_ref": row["client_ref"],
        "search_term": row["term"],
        "submitted_term": row["term"],
        "match_status": "potential_match" if hits else "no_match",
        "total_hits": len(hits),
        "created_at": row["created_at"],
        "hits": hits,
    }
