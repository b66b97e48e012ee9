"""Port: key-encryption keys, which wrap the subjects' data keys (`eventstore.wrapping.KeyWrapping`).

Local by default: a key ring in the home folder. By configuration a KMS that speaks the Transit wire format of
HashiCorp Vault and OpenBao, which never lets the key-encryption key out; moving there is one rotation.

Errors: `SealError` for a key that does not open, `Retryable` while the KMS does not answer, `Final` when it refuses us.
"""

from eventstore.wrapping import BrokenSeal, KeyMissing, KeyWrapping, SealError, Several, Wrapped

__all__ = ["BrokenSeal", "KeyMissing", "KeyWrapping", "SealError", "Several", "Wrapped"]
