"""What the adapters authenticate with. The simulators are given the same values and insist on them.

The defaults open the simulators only: no vendor knows them, so leaving one in place fails closed.
"""

from collections.abc import Mapping

import msgspec


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    sumsub_app_token: str = "sbx:fintokenx"
    sumsub_secret: str = "sandbox-sumsub-secret"
    complyadvantage_key: str = "sandbox-complyadvantage-key"
    companies_house_key: str = "sandbox-companies-house-key"
    fca_email: str = "platform@fintokenx.uk"
    fca_key: str = "sandbox-fca-key"
    payee_token: str = "sandbox-payee-token"
    payee_secret: str = "sandbox-payee-signing-secret"
    clearbank_token: str = "sandbox-clearbank-token"
    clearbank_secret: str = "sandbox-clearbank-signing-secret"
    kms_token: str = "sandbox-kms-token"
    """Of the key management service; nothing asks for it where `FX_KMS_URL` names none."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Credentials":
        """`FX_SUMSUB_APP_TOKEN`, `FX_SUMSUB_SECRET` and so on: FX_ and the field's name."""
        given = {name: environ.get(f"FX_{name.upper()}") for name in cls.__struct_fields__}
        return cls(**{name: value for name, value in given.items() if value})

    def __repr__(self) -> str:
        return "Credentials(…)"
