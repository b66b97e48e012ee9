"""What makes two written invoice numbers one number."""

from __future__ import annotations

from domain.forms import normal

_LOOK_ALIKE = str.maketrans(
    "авекмнорстухіјѕԁһԛԝɡɑαβεζηικμνορτυχℓøłđ", "abekmhopctyxijsdhqwgaabezhikmnoptyxlold")
"""Letters of other alphabets whose capitals read as a Latin one, and Latin ones that carry no separable accent."""


def reference_key(reference: str) -> str:
    """Small letters and digits only: however a seller's invoice number is written, "" when nothing is left.

    Compatibility forms (full-width, superscript, ligatures), case, accents, spaces, punctuation and what has no shape
    do not count; a Cyrillic or Greek letter that reads as a Latin one is that one. The check against the document and
    the key of the debt both use this, so that no spelling passes the one and makes another debt of the other.
    """
    folded = normal("NFKC", reference).casefold()
    bare = normal("NFKD", folded).translate(_LOOK_ALIKE)
    return "".join(filter(str.isalnum, bare))
