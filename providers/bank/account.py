"""UK account numbers and texts as written by people and as the bank wants them, and the key a payment travels under."""

import hashlib
import re
import unicodedata

from domain.forms import normal
from providers.errors import Final

_NOT_SCHEME = re.compile(r"[^a-zA-Z0-9/\-?:().,'+ #=!\"%&*<>;{@]")


def digits(number: str, length: int) -> str:
    """`30-95-12` → `309512`. Account numbers of fewer than eight digits are padded with zeros on the left."""
    plain = number.replace("-", "").replace(" ", "")
    if length == 8:
        plain = plain.zfill(8)
    if not (plain.isascii() and plain.isdigit() and len(plain) == length):
        raise Final("account_invalid", f"expected {length} digits")
    return plain


def scheme_text(value: str) -> str:
    """Text in the characters Faster Payments carries: dashes and accents fold, the rest becomes a full
    stop.
    """
    folded = normal("NFKD", value.replace("—", "-").replace("–", "-").replace("’", "'"))
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return _NOT_SCHEME.sub(".", plain)


def end_to_end(key: str) -> str:
    """Faster Payments carries 35 characters end to end; keys may be longer, so this is their fingerprint."""
    return "FX" + hashlib.sha256(key.encode()).hexdigest()[:32].upper()
