"""A KMS, simulated: the Transit engine of HashiCorp Vault and OpenBao, with keys that rotate and retire.

Each version of the named key is 32 random bytes; a request's key is HMAC-SHA256(version key, context), as `derived`
asks for. The real engine derives with HKDF; nobody outside can tell.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from providers.credentials import Credentials
from providers.stage.page import Html, element, form, table
from providers.stage.room import BadInput, Fields, Room, answer, decoded
from providers.stage.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS kms_version (number INTEGER PRIMARY KEY, secret BLOB NOT NULL);
"""
KEY = "fintokenx"
"""The one named key, created with derived=true."""

_NONCE_BYTES = 12
_CIPHERTEXT = re.compile(r"vault:v([1-9][0-9]*):(.+)")


class Refused(Exception):
    """What Transit says with 400."""


class KeySimulator:
    def __init__(self, app: web.Application, store: Store, credentials: Credentials) -> None:
        self.store = store
        self.token = credentials.kms_token
        store.script(SCHEMA)
        store.run("INSERT OR IGNORE INTO kms_version VALUES (1, ?)", os.urandom(32))
        self.room = room = Room(
            app,
            store,
            "/kms",
            "Key management (Transit)",
            "Wraps the subjects' data keys. Rotate the key, then re-wrap with `fx vault rotate`; retire what no key "
            "uses any more.",
        )
        room.vendor("GET", "/v1/transit/keys/{name}", self.describe)
        for action in (self.encrypt, self.decrypt, self.rewrap):
            room.vendor("POST", f"/v1/transit/{action.__name__}/{{name}}", action)
        room.control("/control/rotate", self.rotate)
        room.control("/control/retire", self.retire)
        room.home(self.page)

    # ------------------------------------------------------------ the vendor's endpoints

    async def describe(self, request: web.Request) -> web.Response:
        if refusal := self._refused(request):
            return refusal
        return answer({"data": {
            "name": KEY, "type": "aes256-gcm96", "derived": True, "latest_version": self.latest,
            "min_decryption_version": self.oldest, "deletion_allowed": False, "exportable": False}})

    async def encrypt(self, request: web.Request) -> web.Response:
        return await self._act(request, lambda body: {"ciphertext": self._seal(_bytes(body, "plaintext"), body)})

    async def decrypt(self, request: web.Request) -> web.Response:
        return await self._act(
            request, lambda body: {"plaintext": base64.b64encode(self._open(body)).decode()})

    async def rewrap(self, request: web.Request) -> web.Response:
        return await self._act(request, lambda body: {"ciphertext": self._seal(self._open(body), body)})

    async def _act(self, request: web.Request, act: Any) -> web.Response:
        if refusal := self._refused(request):
            return refusal
        try:
            return answer({"data": act(await decoded(request, dict[str, Any]))})
        except Refused as refused:
            return answer({"errors": [str(refused)]}, 400)

    def _refused(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("X-Vault-Token", "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return answer({"errors": ["permission denied"]}, 403)
        if request.match_info["name"] != KEY:
            return answer({"errors": ["encryption key not found"]}, 400 if request.method == "POST" else 404)
        return None

    # ------------------------------------------------------------ keys

    @property
    def latest(self) -> int:
        row = self.store.row("SELECT max(number) AS number FROM kms_version")
        return row["number"] if row else 0

    @property
    def oldest(self) -> int:
        return int(self.store.setting("kms oldest", "1"))

    def _seal(self, plaintext: bytes, body: dict[str, Any]) -> str:
        version, nonce = self.latest, os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(self._derived(version, body)).encrypt(nonce, plaintext, None)
        return f"vault:v{version}:{base64.b64encode(sealed).decode()}"

    def _open(self, body: dict[str, Any]) -> bytes:
        found = _CIPHERTEXT.fullmatch(str(body.get("ciphertext", "")))
        if found is None:
            raise Refused("invalid ciphertext: no prefix")
        version = int(found[1])
        if version < self.oldest:
            raise Refused("ciphertext or signature version is disallowed by policy (too old)")
        if version > self.latest:
            raise Refused("invalid ciphertext: version is too new")
        sealed = _bytes({"ciphertext": found[2]}, "ciphertext")
        try:
            return AESGCM(self._derived(version, body)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            raise Refused("cipher: message authentication failed") from None

    def _derived(self, version: int, body: dict[str, Any]) -> bytes:
        if not body.get("context"):
            raise Refused("missing 'context' for key derivation; the key was created using a derived key")
        row = self.store.row("SELECT secret FROM kms_version WHERE number = ?", version)
        return hmac.new(bytes(row["secret"]) if row else b"", _bytes(body, "context"), hashlib.sha256).digest()

    # ------------------------------------------------------------ a person's part

    def rotate(self, _fields: Fields) -> dict[str, int]:
        self.store.run("INSERT INTO kms_version VALUES (?, ?)", self.latest + 1, os.urandom(32))
        return {"latest_version": self.latest}

    def retire(self, fields: Fields) -> dict[str, int]:
        """Sets min_decryption_version."""
        try:
            oldest = int(fields.get("min_decryption_version", ""))
        except (TypeError, ValueError) as error:
            raise BadInput("min_decryption_version is a number") from error
        if not 1 <= oldest <= self.latest:
            raise BadInput(f"min_decryption_version lies between 1 and {self.latest}")
        self.store.set("kms oldest", str(oldest))
        return {"min_decryption_version": oldest}

    def page(self) -> list[Html]:
        rows = self.store.rows("SELECT number FROM kms_version ORDER BY number")
        return [
            element("h2", f"Versions of {KEY}"),
            table(["Version", ""], [[r["number"], "retired" if r["number"] < self.oldest else "" if r["number"]
                                     < self.latest else "current"] for r in rows]),
            form("/kms/control/rotate", "Rotate"),
            form("/kms/control/retire", "Retire versions below", min_decryption_version=str(self.latest)),
        ]


def _bytes(body: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(str(body.get(name, "")), validate=True)
    except binascii.Error:
        raise Refused(f"failed to base64-decode {name}") from None
