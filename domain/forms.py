"""The forms of what people type: one definition each, for the API, the commands, the mailer and the command line.

A pattern runs from `\\A` to `\\Z` (a `$` would let a trailing newline in) and names its digits and letters (`\\d` and
`\\w` know four hundred digits more than a bank does). No text carries what its reader cannot see: control characters,
line breaks other than those of prose, direction controls, zero-width and unassigned characters. Texts are compared and
kept in NFC: `composed` makes one so, and what is not so has no form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
import msgspec.inspect

from domain.base import Invalid

WORDS: dict[str, str] = {}
"""Pattern -> what it asks for, in words a person can act on."""


def _form(pattern: str, words: str, *, most: int, least: int = 1) -> msgspec.Meta:
    whole = rf"\A(?:{pattern})\Z"
    WORDS[whole] = words
    return msgspec.Meta(pattern=whole, min_length=least, max_length=most, description=words)


_UNSEEN = (r"\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
           r"\u205f-\u206f\u2800\u3000\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff")
"""Beside the C0 controls: what shows nothing, ends a line, turns the direction or stands for no character."""

_LETTER = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_NAMED = rf" -~{_LETTER}\u00a3\u00b7\u2013\u2014\u2018\u2019\u201c\u201d\u20ac"

Name = Annotated[str, _form(
    rf"(?! )(?=.*[{_LETTER}])[{_NAMED}]*(?<! )",
    "a name in Latin letters, at least one, without spaces at its ends; no other scripts, no hidden characters",
    most=138)]
"""Of a company, a person or an account. One script, as registers and payment schemes have it: no look-alikes."""

Words = Annotated[str, _form(
    rf"(?! )(?=.*[^\W_])[^\x00-\x1f{_UNSEEN}]*(?<! )",
    "one line with at least one letter or digit, without spaces at its ends; no hidden characters", most=100)]
"""One line in somebody else's words: the seller's invoice number, an authority's reference."""

Prose = Annotated[str, _form(
    rf"(?=[\s\S]*[^\W_])[^\x00-\x08\x0b-\x1f{_UNSEEN}]*",
    "a text of 10 to 4,000 characters; lines end with a newline, no hidden characters", least=10, most=4_000)]

Reference = Annotated[str, _form(r"[!-~]+", "visible ASCII characters without spaces", most=64)]
"""Of something on the platform: a receivable, a token, a subject, an order; or a code from a list."""

PayoutId = Annotated[str, _form(r"[!-~]+", "visible ASCII characters without spaces", most=128)]
"""Of a payment that goes out, as its incident names it: what it pays and what for, with slashes."""

IdempotencyKey = Annotated[str, _form(r"[!-~]+", "visible ASCII characters without spaces", most=255)]

InvoiceReference = Annotated[str, _form(r"FX-INV-[0-9A-Z]{5,10}", "FX-INV- and 5 to 10 digits or capitals", most=17)]
ReferenceEnd = Annotated[str, _form(r"[0-9A-Za-z]{5}", "the last five characters of the reference", most=5)]
Sha256 = Annotated[str, _form(r"[0-9a-f]{64}", "a SHA-256 in 64 lower-case hex digits", most=64)]

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"

Email = Annotated[str, _form(
    rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?=[A-Za-z]){_LABEL}",
    "an e-mail address such as name@company.co.uk, in ASCII (an international domain in its xn-- form)", most=254)]
"""Dot-atom at a host name (RFC 5321 without quoted parts, RFC 1123): what every mail server takes without SMTPUTF8."""

MailedCode = Annotated[str, _form(
    r"[A-Za-z2-7]{4}[- ]?[A-Za-z2-7]{4}", "the 8 letters and digits of the code we mailed", most=9)]
CompanyNumber = Annotated[str, _form(r"[A-Za-z0-9]{8}", "the 8 letters and digits of a company number", most=8)]
FirmReference = Annotated[str, _form(r"[0-9]{6,7}", "the 6 or 7 digits of an FCA firm reference", most=7)]
SortCode = Annotated[str, _form(r"[0-9]{6}|[0-9]{2}-[0-9]{2}-[0-9]{2}", "six digits, such as 20-48-17", most=8)]
AccountNumber = Annotated[str, _form(r"[0-9]{8}", "the 8 digits of a UK account number", most=8)]

Percent = Annotated[str, _form(r"[0-9]{1,2}(?:\.[0-9]{1,2})?", "a percentage such as 2.4, below 100", most=5)]

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""RFC 3339 text with its offset, such as 2026-07-21T10:14:00Z."""

MOST_PENCE = 10**13
Pence = Annotated[int, msgspec.Meta(ge=0, le=MOST_PENCE)]
Bps = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Days = Annotated[int, msgspec.Meta(ge=0, le=3_650)]
Index = Annotated[int, msgspec.Meta(ge=0, le=1_000)]
MAX_POSITION = 2**53
"""Whole numbers that every reader of JSON reads as written."""


MOST_ACCENTS = 30
"""On one letter, as in Unicode's Stream-Safe Text Format (UAX #15): normalising sorts them, and takes the square of
their number, with everybody else waiting.
"""


def composed(text: str) -> str:
    """The text in NFC: a letter with its accent is one character, however it was typed."""
    return normal("NFC", text)


def normal(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """The text in that normal form, in linear time: accents beyond `MOST_ACCENTS` on one letter are left out."""
    if text.isascii():
        return text
    return unicodedata.normalize(form, "".join(letter for letter, accents in _accented(text)
                                               if accents <= MOST_ACCENTS))


def unseen(text: str) -> str | None:
    """The first character that no text of ours may carry, or None; the accent that is too much is one. A newline and a
    tab are for the form to judge."""
    if text.isascii():
        found = _CONTROL.search(text)
        return found[0] if found else None
    return next((letter for letter, accents in _accented(text) if accents > MOST_ACCENTS or (
        letter not in "\n\t" and (not letter.isprintable() or _SHOWS_NOTHING.match(letter)))), None)


def _accented(text: str) -> Iterator[tuple[str, int]]:
    """Every character, and which accent of its letter it is; 0 is the letter."""
    accents = 0
    for letter in text:
        accents = accents + 1 if letter > "\u02ff" and _is_accent(letter) else 0
        yield letter, accents


@lru_cache(4_096)
def _is_accent(letter: str) -> bool:
    """Also what is no accent itself and is taken apart into some."""
    return unicodedata.combining(unicodedata.normalize("NFKD", letter)[0]) != 0


def hidden(text: str) -> str | None:
    """The first character that does not belong in one line, a name of something; or None."""
    return unseen(text) or next((letter for letter in text if letter in "\n\t"), None)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SHOWS_NOTHING = re.compile(rf"[{_UNSEEN}\U000e0000-\U000e0fff]")


def fits(form: Any, value: str) -> bool:
    """Whether a text has one of the forms above."""
    if not value.isascii() and (unseen(value) is not None or not unicodedata.is_normalized("NFC", value)):
        return False
    try:
        msgspec.convert(value, form)
    except msgspec.ValidationError:
        return False
    return True


class NotInForm(Invalid):
    """What was sent has not the documented form (422, with where)."""

    code = "malformed"


def expect_form(form: Any, value: str | None, pointer: str) -> None:
    """Refuse a text that has not one of the forms above; None is not given, and fits."""
    if value is not None and not fits(form, value):
        raise NotInForm(f"Expected {words_of(form)}", pointer=pointer)


def bps_of(percent: str) -> int:
    """Basis points of a `Percent`: 2.4 -> 240."""
    whole, _, part = percent.partition(".")
    return int(whole) * 100 + int(part.ljust(2, "0"))


def pattern_of(form: Any) -> str:
    """The pattern of one of the texts above."""
    return str(form.__metadata__[0].pattern)


def words_of(form: Any) -> str:
    """What one of the texts above asks for."""
    return WORDS[pattern_of(form)]


_KINDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "object": "an object",
          "array": "a list", "null": "null", "date": "a date such as 2026-07-21",
          "datetime": "a time with its offset such as 2026-07-21T10:14:00Z"}
_SAYINGS = {
    "Invalid RFC3339 encoded date": "Expected `date`",
    "Invalid RFC3339 encoded datetime": "Expected `datetime`",
    "Expected `datetime` with a timezone component": "Expected `datetime`",
}
_FIELDS = {"Object missing required field": "send the field", "Object contains unknown field": "here is no field"}
_KIND = re.compile(r"`([a-z]+(?: \| [a-z]+)*)`")


def in_words(complaint: str, choices: Sequence[str] = ()) -> str:
    """What msgspec says of a value, in words a person can act on: a form's own instead of its pattern, no type of
    Python's, nothing of what was sent. `choices`: what may stand there, where it is one of a few words.
    """
    for pattern, words in WORDS.items():
        complaint = complaint.replace(f"`str` matching regex {pattern!r}", words)
    for said, meant in _FIELDS.items():
        if complaint.startswith(said):
            return complaint.replace(said, meant)
    if complaint.startswith("Invalid enum value"):
        return f"Expected one of: {', '.join(choices)}" if choices else "Expected one of the documented words"
    return _KIND.sub(_kinds, _SAYINGS.get(complaint, complaint))


def _kinds(found: re.Match[str]) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in found[1].split(" | "))


def choices_of(form: Any, pointer: str = "") -> tuple[str, ...]:
    """The words that may stand at a place of a form; none where it takes anything else."""
    kinds = [msgspec.inspect.type_info(form)]
    for step in filter(None, pointer.split("/")):
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
    return tuple(str(word) for kind in kinds for one in _inside(kind, None)
                 if isinstance(one, msgspec.inspect.LiteralType) for word in one.values)


def _inside(kind: msgspec.inspect.Type, step: str | None) -> Iterator[msgspec.inspect.Type]:
    """What stands at the next step of a pointer; without one, what the type itself may be."""
    match kind:
        case msgspec.inspect.Metadata():
            yield from _inside(kind.type, step)
        case msgspec.inspect.UnionType():
            for one in kind.types:
                yield from _inside(one, step)
        case msgspec.inspect.StructType() if step is not None:
            yield from (field.type for field in kind.fields if field.encode_name == step)
        case msgspec.inspect.ListType() if step is not None:
            yield kind.item_type
        case _ if step is None:
            yield kind
        case _:
            pass
