"""The vault and what it stands on: the home's key ring, or a KMS where one is named."""

from __future__ import annotations

from bootstrap.secrets import Secrets
from bootstrap.settings import Settings
from eventstore.access import VAULT, Access
from eventstore.vault import Vault
from eventstore.wrapping import Several
from providers.documents.archive import Archive
from providers.keys.local import KeyRing
from providers.keys.transit import Transit


def key_ring(settings: Settings, secrets: Secrets) -> KeyRing:
    """The key-encryption keys of this home; the first is the one among its secrets."""
    return KeyRing(settings.home / "key_ring.json", secrets.key_encryption_key)


def make_vault(settings: Settings, secrets: Secrets, access: Access) -> Vault:
    """With a KMS, what the ring wrapped before stays readable until `fx vault rotate` has moved it there."""
    ring = key_ring(settings, secrets)
    if settings.kms_url is None:
        return Vault(access.pool(VAULT), ring, settings.tenant)
    kms = Transit(settings.kms_url, settings.credentials.kms_token, settings.kms_key)
    return Vault(access.pool(VAULT), Several(kms, ring), settings.tenant)


def open_archive(settings: Settings, vault: Vault) -> Archive:
    return Archive(settings.home / "documents", vault)
