"""Companies House public data API: GET /company/{companyNumber}, the API key as the basic-auth user name.

Follows developer-specs.company-information.service.gov.uk: Company profile.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, date, datetime

import msgspec

from providers.errors import Final
from providers.http import Wire
from providers.registers import Company

_NUMBER = re.compile(r"[A-Z0-9]{8}")


class _Address(msgspec.Struct, frozen=True):
    care_of: str = ""
    premises: str = ""
    address_line_1: str = ""
    address_line_2: str = ""
    locality: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""


class _Profile(msgspec.Struct):
    company_number: str
    company_name: str
    company_status: str
    date_of_creation: date
    sic_codes: list[str] = []
    registered_office_address: _Address = _Address()


class CompaniesHouse:
    def __init__(
        self, base_url: str, api_key: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._wire = Wire("Companies House", base_url)
        self._headers = {"Authorization": "Basic " + base64.b64encode(f"{api_key}:".encode()).decode()}
        self._clock = clock

    def company(self, number: str) -> Company:
        normal = number.strip().upper().zfill(8)
        # The register answers 500 to some malformed numbers, which would look like an outage.
        if not _NUMBER.fullmatch(normal):
            raise Final("not_found", "a company number is eight letters and digits")
        said = self._wire.call("GET", f"/company/{normal}", headers=self._headers)
        profile = self._wire.read(said, _Profile)
        address = profile.registered_office_address
        return Company(
            number=profile.company_number,
            name=profile.company_name,
            status=profile.company_status,
            incorporated_on=profile.date_of_creation,
            sic_codes=tuple(profile.sic_codes),
            registered_office=", ".join(line for line in msgspec.structs.astuple(address) if line),
            checked_at=self._clock(),
            payload_sha256=hashlib.sha256(said.content).hexdigest(),
        )
