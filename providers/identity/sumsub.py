"""Sumsub: one applicant per key (`externalUserId`), a requested check, and its review status.

Follows docs.sumsub.com: Authentication, Create applicant, Get applicant data by externalUserId, Request
applicant check, Get applicant review status.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import quote

import httpx
import msgspec

from providers.errors import Final
from providers.http import Wire
from providers.identity import IdentityResult, Kind, Verdict


class _Company(msgspec.Struct, frozen=True, rename="camel"):
    company_name: str
    country: str = "GBR"


class _Info(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    company_info: _Company | None = None
    last_name: str | None = None
    """A person's full name: the provider compares it with the document, and splitting names is guesswork."""


class _NewApplicant(msgspec.Struct, rename="camel"):
    external_user_id: str
    type: str
    email: str
    fixed_info: _Info


class _Applicant(msgspec.Struct, rename="camel"):
    id: str
    fixed_info: _Info = _Info()


class _Review(msgspec.Struct, frozen=True, rename="camel"):
    review_answer: str = ""
    review_reject_type: str = ""


class _Status(msgspec.Struct, rename="camel"):
    review_status: str
    review_result: _Review = _Review()


class Sumsub:
    def __init__(
        self,
        base_url: str,
        app_token: str,
        secret: str,
        *,
        company_level: str = "fintokenx-kyb",
        person_level: str = "fintokenx-kyc",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._wire = Wire("Sumsub", base_url)
        self._path = httpx.URL(base_url).path.rstrip("/")
        self._app_token = app_token
        self._secret = secret.encode()
        self._levels: dict[Kind, str] = {"company": company_level, "person": person_level}
        self._clock = clock

    def check(self, key: str, subject_name: str, kind: Kind, email: str) -> IdentityResult:
        applicant = self._applicant(key, subject_name, kind, email)
        # Asking for a check that is already running or done changes nothing at the provider.
        self._call("POST", f"/resources/applicants/{applicant}/status/pending", also=frozenset({409}))
        answer = self._call("GET", f"/resources/applicants/{applicant}/status")
        return IdentityResult(
            verdict=_verdict(self._wire.read(answer, _Status)),
            provider_ref=applicant,
            payload_sha256=hashlib.sha256(answer.content).hexdigest(),
        )

    def _applicant(self, key: str, name: str, kind: Kind, email: str) -> str:
        info = _Info(company_info=_Company(name)) if kind == "company" else _Info(last_name=name)
        applicant_type = "company" if kind == "company" else "individual"
        body = msgspec.json.encode(_NewApplicant(key, applicant_type, email, info))
        path = f"/resources/applicants?levelName={quote(self._levels[kind], safe='')}"
        created = self._call("POST", path, body, also=frozenset({409}))
        if created.status_code != 409:
            return self._wire.read(created, _Applicant).id
        known = self._call("GET", f"/resources/applicants/-;externalUserId={quote(key, safe='')}/one")
        applicant = self._wire.read(known, _Applicant)
        if applicant.fixed_info != info:
            raise Final("key_reused", "the key belongs to a check of another subject")
        return applicant.id

    def _call(
        self, method: str, path: str, body: bytes | None = None, also: frozenset[int] = frozenset()
    ) -> httpx.Response:
        ts = str(int(self._clock()))
        headers = {
            "X-App-Token": self._app_token,
            "X-App-Access-Ts": ts,
            "X-App-Access-Sig": sign(self._secret, ts, method, self._path + path, body or b""),
        }
        return self._wire.call(method, path, body=body, headers=headers, also=also)


def sign(secret: bytes, ts: str, method: str, uri: str, body: bytes) -> str:
    """Lower-case hex HMAC-SHA256 over timestamp, method, URI with its query, and the body as sent."""
    return hmac.new(secret, ts.encode() + method.encode() + uri.encode() + body, hashlib.sha256).hexdigest()


def _verdict(status: _Status) -> Verdict:
    """RED with RETRY means the subject may try again, and `onHold` that an officer must look: both are
    YELLOW.
    """
    if status.review_status == "onHold":
        return "YELLOW"
    if status.review_status != "completed":
        return "PENDING"
    if status.review_result.review_answer == "GREEN":
        return "GREEN"
    if status.review_result.review_answer == "RED":
        return "YELLOW" if status.review_result.review_reject_type == "RETRY" else "RED"
    return "PENDING"
