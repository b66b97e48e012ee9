"""ClearBank Confirmation of Payee: POST /open-banking/outbound/v1/name-verification.

Follows clearbank.github.io/uk: Confirmation of Payee, CoP request (outbound), and Pay.UK's reason codes.
"""

import hashlib
from datetime import UTC, datetime

import msgspec

from providers.bank.account import digits
from providers.bank.signature import headers
from providers.errors import Final
from providers.http import Wire
from providers.payee import Match, PayeeResult

# Pay.UK reason codes. The name matched but the account is a personal one (PANM) is no match for a company.
_REASONS: dict[str, Match] = {
    "MBAM": "CLOSE_MATCH",
    "BAMM": "CLOSE_MATCH",
    "BANM": "CLOSE_MATCH",
    "ANNM": "NO_MATCH",
    "PANM": "NO_MATCH",
    "PAMM": "NO_MATCH",
    "AC01": "UNKNOWN",
    "IVCR": "NO_MATCH",
    "CASS": "NO_MATCH",
    "ACNS": "UNAVAILABLE",
    "OPTO": "UNAVAILABLE",
    "SCNS": "UNAVAILABLE",
}


class _Request(msgspec.Struct, rename="pascal"):
    scheme_name: str
    legal_owner_type: str
    identification: str
    owner_name: str


class _Report(msgspec.Struct, rename="pascal"):
    matched: bool
    name: str | None = None
    reason_code: str | None = None


class _Data(msgspec.Struct, rename="pascal"):
    verification_report: _Report


class _Answer(msgspec.Struct, rename="pascal"):
    data: _Data


class ClearBankPayeeCheck:
    def __init__(self, base_url: str, api_token: str, secret: str) -> None:
        self._wire = Wire("ClearBank CoP", base_url)
        self._api_token = api_token
        self._secret = secret.encode()

    def verify(self, name: str, sort_code: str, account_number: str) -> PayeeResult:
        if not 1 <= len(name.strip()) <= 138:
            raise Final("refused", "a payee's name has 1 to 138 characters")
        body = msgspec.json.encode(
            _Request(
                scheme_name="SortCodeAccountNumber",
                legal_owner_type="Business",
                identification=digits(sort_code, 6) + digits(account_number, 8),
                # The unstructured form: title and first name stay empty, the whole name is the third part.
                owner_name=f",,{name.strip()}",
            )
        )
        sent = headers(self._secret, self._api_token, body, datetime.now(UTC))
        path = "/open-banking/outbound/v1/name-verification"
        # 422: no such participant in the scheme; 424: the payee's bank failed to answer.
        answer = self._wire.call("POST", path, body=body, headers=sent, also=frozenset({422, 424}))
        if not answer.is_success:
            return PayeeResult("UNAVAILABLE", reason=str(answer.status_code))
        payload = hashlib.sha256(answer.content).hexdigest()
        report = self._wire.read(answer, _Answer).data.verification_report
        if report.matched:
            return PayeeResult("MATCH", payload_sha256=payload)
        match = _REASONS.get(report.reason_code or "", "UNAVAILABLE")
        return PayeeResult(match, report.name if match == "CLOSE_MATCH" else None, report.reason_code, payload)
