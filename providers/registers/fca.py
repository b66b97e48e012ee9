"""FCA Financial Services Register API V0.1: the firm, then its permissions.

Follows register.fca.org.uk/Developer (Firm Details, Firm Permissions). The register reports by its own
`Status` code inside a 200 answer: codes that end in 00 found something, those that end in 11 did not.
Beyond 50 requests in 10 seconds it answers 429 and blocks for a minute.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from providers.errors import Final, Retryable
from providers.http import Wire
from providers.registers import Firm


class _Envelope(msgspec.Struct, rename="pascal"):
    status: str | None
    message: str | None = None
    data: Any = None


class _FirmData(msgspec.Struct):
    frn: str = msgspec.field(name="FRN")
    name: str = msgspec.field(name="Organisation Name")
    status: str = msgspec.field(name="Status")
    company_number: str = msgspec.field(name="Companies House Number", default="")


class FCARegister:
    def __init__(
        self,
        base_url: str,
        email: str,
        api_key: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._wire = Wire("FCA register", base_url, throttle_s=60.0)
        self._headers = {"X-AUTH-EMAIL": email, "X-AUTH-KEY": api_key, "Accept": "application/json"}
        self._clock = clock

    def firm(self, frn: str) -> Firm:
        if not (frn.isascii() and frn.isdigit() and 6 <= len(frn) <= 7):
            raise Final("not_found", "a firm reference number is six or seven digits")
        found = self._ask(f"/services/V0.1/Firm/{frn}")
        if found is None:
            raise Final("not_found", "the register does not know this firm")
        try:
            firm = msgspec.convert(found, list[_FirmData])[0]
        except (msgspec.ValidationError, IndexError) as error:
            raise Retryable("unreadable", f"FCA register: {error}") from error
        granted = self._ask(f"/services/V0.1/Firm/{frn}/Permissions")
        if granted is not None and not isinstance(granted, dict):
            raise Retryable("unreadable", "FCA register: permissions are not an object")
        payload = msgspec.json.encode([found, granted], order="sorted")
        return Firm(
            frn=firm.frn,
            name=firm.name,
            status=firm.status,
            permissions=tuple(sorted(granted or {})),
            checked_at=self._clock(),
            company_number=firm.company_number,
            payload_sha256=hashlib.sha256(payload).hexdigest(),
        )

    def _ask(self, path: str) -> Any:
        """The answer's `Data`, or None where the register has nothing."""
        envelope = self._wire.read(self._wire.call("GET", path, headers=self._headers), _Envelope)
        status = envelope.status or ""
        if status.startswith("FSR-API-01"):
            raise Final("unauthorised", "FCA register refused the credentials")
        if status.endswith("-11"):
            return None
        if not status.endswith("-00"):
            raise Retryable("unreadable", f"FCA register: status {status!r}")
        return envelope.data
