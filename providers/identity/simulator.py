"""Sumsub, simulated. The verdict is read off the subject's name: YELLOW, RED and PENDING are magic words."""

import hmac
import re
import time
import uuid
from typing import Any

from aiohttp import web

from providers.credentials import Credentials
from providers.identity.sumsub import sign
from providers.stage.page import Html, element, form, join, table
from providers.stage.room import BadInput, Fields, Room, answer, decoded, word
from providers.stage.store import Store

CLOCK_SKEW_S = 60
VERDICTS = ("GREEN", "YELLOW", "RED", "PENDING")

SCHEMA = """
CREATE TABLE IF NOT EXISTS applicant (
    external_user_id TEXT PRIMARY KEY, id TEXT UNIQUE NOT NULL, type TEXT NOT NULL, name TEXT NOT NULL,
    email TEXT NOT NULL, requested INTEGER NOT NULL DEFAULT 0, verdict TEXT NOT NULL);
"""

REVIEWS = {
    "GREEN": {"reviewStatus": "completed", "reviewResult": {"reviewAnswer": "GREEN"}},
    "YELLOW": {
        "reviewStatus": "completed",
        "reviewResult": {
            "reviewAnswer": "RED",
            "reviewRejectType": "RETRY",
            "rejectLabels": ["UNSATISFACTORY_PHOTOS"],
        },
    },
    "RED": {
        "reviewStatus": "completed",
        "reviewResult": {"reviewAnswer": "RED", "reviewRejectType": "FINAL", "rejectLabels": ["FORGERY"]},
    },
    "PENDING": {"reviewStatus": "pending"},
}


class IdentitySimulator:
    def __init__(self, app: web.Application, store: Store, credentials: Credentials) -> None:
        self.store = store
        self.token = credentials.sumsub_app_token
        self.secret = credentials.sumsub_secret.encode()
        store.script(SCHEMA)
        self.room = room = Room(
            app,
            store,
            "/identity",
            "Sumsub",
            "Identity checks of companies and people. A subject whose name contains YELLOW, RED or PENDING "
            "gets that verdict; everybody else is GREEN.",
        )
        room.vendor("POST", "/resources/applicants", self.create)
        room.vendor("GET", "/resources/applicants/-;externalUserId={key}/one", self.by_key)
        room.vendor("POST", "/resources/applicants/{id}/status/pending", self.request_check)
        room.vendor("GET", "/resources/applicants/{id}/status", self.status)
        room.control("/control/review", self.review)
        room.home(self.page)

    async def create(self, request: web.Request) -> web.Response:
        await self._authorised(request)
        if not request.query.get("levelName"):
            return _refusal(400, "levelName is required")
        body = await decoded(request, dict[str, Any])
        info = body.get("fixedInfo") or {}
        name = (info.get("companyInfo") or {}).get("companyName") or info.get("lastName") or ""
        key = body.get("externalUserId") or ""
        if not key or len(key) > 512 or body.get("type") not in ("company", "individual"):
            return _refusal(400, "externalUserId or type is not acceptable")
        new = self.store.run(
            "INSERT OR IGNORE INTO applicant (external_user_id, id, type, name, email, verdict) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            key,
            uuid.uuid4().hex[:24],
            body["type"],
            name,
            body.get("email", ""),
            _magic(name),
        )
        row = self.store.row("SELECT * FROM applicant WHERE external_user_id = ?", key)
        if not new:
            return _refusal(
                409, f"Applicant with external user id '{key}' already exists: {row['id'] if row else ''}"
            )
        return answer(_profile(row), 201)

    async def by_key(self, request: web.Request) -> web.Response:
        await self._authorised(request)
        row = self.store.row("SELECT * FROM applicant WHERE external_user_id = ?", request.match_info["key"])
        return answer(_profile(row)) if row else _refusal(404, "Applicant not found")

    async def request_check(self, request: web.Request) -> web.Response:
        await self._authorised(request)
        known = self.store.run("UPDATE applicant SET requested = 1 WHERE id = ?", request.match_info["id"])
        return answer({"ok": 1}) if known else _refusal(404, "Applicant not found")

    async def status(self, request: web.Request) -> web.Response:
        await self._authorised(request)
        row = self.store.row("SELECT * FROM applicant WHERE id = ?", request.match_info["id"])
        if row is None:
            return _refusal(404, "Applicant not found")
        review = REVIEWS[row["verdict"]] if row["requested"] else {"reviewStatus": "init"}
        return answer({"attemptId": row["id"][::-1], "attemptCnt": 0, **review})

    def review(self, fields: Fields) -> dict[str, str]:
        key, verdict = word(fields, "external_user_id"), word(fields, "verdict").upper()
        if verdict not in VERDICTS:
            raise BadInput(f"verdict must be one of {', '.join(VERDICTS)}")
        if not self.store.run("UPDATE applicant SET verdict = ? WHERE external_user_id = ?", verdict, key):
            raise BadInput("no such applicant")
        return {"external_user_id": key, "verdict": verdict}

    def page(self) -> list[Html]:
        rows = self.store.rows("SELECT * FROM applicant ORDER BY rowid DESC LIMIT 200")
        shown = [
            [r["name"], r["type"], r["email"], r["verdict"], _buttons(r["external_user_id"])] for r in rows
        ]
        return [element("h2", "Applicants"), table(["Name", "Type", "E-mail", "Verdict", "Decide"], shown)]

    async def _authorised(self, request: web.Request) -> None:
        ts = request.headers.get("X-App-Access-Ts", "")
        expected = sign(self.secret, ts, request.method, request.raw_path, await request.read())
        fresh = ts.isascii() and ts.isdigit() and abs(time.time() - int(ts)) <= CLOCK_SKEW_S
        signed = hmac.compare_digest(expected, request.headers.get("X-App-Access-Sig", ""))
        known = hmac.compare_digest(self.token, request.headers.get("X-App-Token", ""))
        if not (fresh and signed and known):
            raise web.HTTPUnauthorized(text='{"code":401,"description":"Request signature mismatch"}')


def _magic(name: str) -> str:
    found = re.search(r"YELLOW|RED|PENDING", name)
    return found.group() if found else "GREEN"


def _profile(row: Any) -> dict[str, Any]:
    company = row["type"] == "company"
    info = (
        {"companyInfo": {"companyName": row["name"], "country": "GBR"}}
        if company
        else {"lastName": row["name"]}
    )
    return {
        "id": row["id"],
        "externalUserId": row["external_user_id"],
        "type": row["type"],
        "email": row["email"],
        "fixedInfo": info,
    }


def _refusal(status: int, description: str) -> web.Response:
    return answer({"code": status, "description": description}, status)


def _buttons(key: str) -> Html:
    return join(form("/identity/control/review", v, _external_user_id=key, _verdict=v) for v in VERDICTS)
