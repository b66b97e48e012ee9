"""HashiCorp Vault or OpenBao, Transit secrets engine: the key-encryption key never leaves the KMS.

Follows openbao.org/api-docs/secret/transit: Encrypt data, Decrypt data, Rewrap data, Read key. The named key is of type
aes256-gcm96 with `derived=true`; the owner is its derivation context, because rewrap takes a context and no
associated data. Ids are `transit:<key>:v<version>`. `min_decryption_version` retires an old version and can be moved
back; only `POST /transit/keys/<key>/trim` destroys it.
"""

import base64
import re
from urllib.parse import quote

import httpx
import msgspec

from eventstore.wrapping import BrokenSeal, KeyMissing, Wrapped
from providers.errors import Final, Retryable
from providers.http import Wire

_CIPHERTEXT = re.compile(r"vault:v([1-9][0-9]*):[A-Za-z0-9+/=]+")
_TIMEOUT = httpx.Timeout(5.0, connect=3.0)


class _Ciphertext(msgspec.Struct):
    ciphertext: str


class _Plaintext(msgspec.Struct):
    plaintext: str


class _Key(msgspec.Struct):
    latest_version: int
    derived: bool


class _Encrypted(msgspec.Struct):
    data: _Ciphertext


class _Decrypted(msgspec.Struct):
    data: _Plaintext


class _Described(msgspec.Struct):
    data: _Key


class Transit:
    def __init__(self, base_url: str, token: str, key: str, *, mount: str = "transit") -> None:
        self._wire = Wire("the key management service", base_url, timeout=_TIMEOUT)
        self._headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
        self._key = key
        self._mount = f"/v1/{quote(mount, safe='/')}"

    def current(self) -> str:
        answer = self._call("GET", "keys")
        key = self._wire.read(answer, _Described).data
        if not key.derived:  # without derivation the context binds nothing: a key could be moved to another subject
            raise Final("misconfigured", f"the transit key {self._key} must be created with derived=true")
        return self._id(key.latest_version)

    def knows(self, kek: str) -> bool:
        return kek.startswith(f"transit:{self._key}:v")

    def wrap(self, data_key: bytes, owner: str) -> Wrapped:
        answer = self._call("POST", "encrypt", owner, plaintext=base64.b64encode(data_key).decode())
        return self._wrapped(self._wire.read(answer, _Encrypted).data.ciphertext)

    def unwrap(self, key: Wrapped, owner: str) -> bytes:
        answer = self._call("POST", "decrypt", owner, ciphertext=self._ciphertext(key, owner))
        return base64.b64decode(self._wire.read(answer, _Decrypted).data.plaintext)

    def rewrap(self, key: Wrapped, owner: str) -> Wrapped:
        answer = self._call("POST", "rewrap", owner, ciphertext=self._ciphertext(key, owner))
        return self._wrapped(self._wire.read(answer, _Encrypted).data.ciphertext)

    def _call(self, method: str, what: str, owner: str | None = None, **fields: str) -> httpx.Response:
        path = f"{self._mount}/{what}/{quote(self._key, safe='')}"
        if owner is None:
            return self._wire.call(method, path, headers=self._headers)
        body = msgspec.json.encode({**fields, "context": base64.b64encode(owner.encode()).decode()})
        answer = self._wire.call(method, path, body=body, headers=self._headers, also=frozenset({400, 500}))
        if answer.status_code in (400, 500):
            raise _refusal(answer, owner)
        return answer

    def _ciphertext(self, key: Wrapped, owner: str) -> str:
        text = key.wrapped.decode("ascii", "replace")
        if not _CIPHERTEXT.fullmatch(text):
            raise BrokenSeal(f"the wrapped key of {owner} has an unknown form")
        return text

    def _wrapped(self, ciphertext: str) -> Wrapped:
        found = _CIPHERTEXT.fullmatch(ciphertext)
        if found is None:
            raise Final("unreadable", "the key management service answered no ciphertext")
        return Wrapped(self._id(int(found[1])), ciphertext.encode())

    def _id(self, version: int) -> str:
        return f"transit:{self._key}:v{version}"


def _refusal(answer: httpx.Response, owner: str) -> Exception:
    """400 is Transit's answer to whatever it will not do; some releases say 500 to a value that does not authenticate
    (hashicorp/vault#10842), where any other 500 is worth another try. The text tells them apart.
    """
    said = answer.text[:500]
    if "too old" in said or "too new" in said or "larger than the latest" in said or "key not found" in said:
        return KeyMissing(f"the key version that wraps {owner} is not there")
    if "authentication failed" in said or "invalid ciphertext" in said:
        return BrokenSeal(f"the wrapped key of {owner} does not open")
    if answer.status_code == 500:
        return Retryable("unavailable", "the key management service answered 500")
    return Final("refused", "the key management service answered 400")
