"""References a payment rail can carry: what we ask people to write, and what we write ourselves.

Faster Payments and Bacs carry 18 characters; letters and digits arrive everywhere, and hyphens only where matching
does without them (`domain.invoice.normalise`). A reference that is made here ends in a check character (ISO 7064,
MOD 37,36), so that one wrong or two swapped characters name nothing.
"""

from __future__ import annotations

import hashlib
import re

MAX_CHARACTERS = 18
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CARRIED = re.compile(r"[A-Z0-9]+(?:-[A-Z0-9]+)*")
_BODY = 10


def carried(text: str) -> bool:
    return len(text) <= MAX_CHARACTERS and _CARRIED.fullmatch(text) is not None


def check_character(text: str) -> str:
    """Over letters and digits; hyphens do not count."""
    product = 36
    for character in text.replace("-", ""):
        product = (product + _ALPHABET.index(character)) % 36 or 36
        product = product * 2 % 37
    return _ALPHABET[(37 - product) % 36]


def checked(text: str) -> str:
    return text + check_character(text)


def is_checked(text: str) -> bool:
    return carried(text) and text == checked(text[:-1])


def trade_reference(trade: str) -> str:
    """What an investor writes with its payment."""
    return _named("FXT", trade)


def bill_reference(subject: str, month: str) -> str:
    """Of one subject's bill of one month."""
    return _named("FXB", f"{subject}\n{month}")


def fee_narration(reference: str) -> str:
    """What our own statement says of a fee: FX-INV-23A4F -> FEEFXINV23A4F."""
    return "FEE" + reference.replace("-", "")


def _named(prefix: str, what: str) -> str:
    return checked(prefix + hashlib.sha256(what.encode()).hexdigest()[:_BODY].upper())
