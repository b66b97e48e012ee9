"""The forms of what people type: what has each form, and its near misses."""

from __future__ import annotations

import re
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import forms
from domain.forms import (
    AccountNumber,
    CompanyNumber,
    Email,
    FirmReference,
    IdempotencyKey,
    InvoiceReference,
    MailedCode,
    Name,
    PayoutId,
    Percent,
    Prose,
    Reference,
    ReferenceEnd,
    Sha256,
    SortCode,
    Words,
    composed,
    fits,
    normal,
    unseen,
)
from domain.party import same_name
from domain.reference import reference_key
from providers.email.smtp import SMTPEmail

GOOD: dict[str, tuple[Any, list[str]]] = {
    "Name": (Name, ["Coppergate Joinery Ltd", "Zoë O’Brien", "A", "3i Group plc", "Brunel & Sons — Trade Finance",
                    composed("Zoe\u0308")]),
    "Words": (Words, ["CG-2026-114", "114", "INV#1001", "INV_2026_001", "ＣＧ-1", "CG²", "é1"]),
    "Prose": (Prose, ["all checks clear", "line one\nline two\twith a tab", "счёт проверен"]),
    "Reference": (Reference, ["FX-INV-23A4F", "sub_0123", "COURT_ORDER"]),
    "PayoutId": (PayoutId, ["FX-INV-23A4F/advance", "p" * 128]),
    "IdempotencyKey": (IdempotencyKey, ["a", "k" * 255]),
    "InvoiceReference": (InvoiceReference, ["FX-INV-23A4F"]),
    "ReferenceEnd": (ReferenceEnd, ["23A4F", "23a4f"]),
    "Sha256": (Sha256, ["0a" * 32]),
    "Email": (Email, ["a@b.co", "tom.whitfield@northwind.co.uk", "o'neil+x@xn--bcher-kva.example",
                      "a!#$%&'*+/=?^_`{|}~-@b.co", "a" * 64 + "@b.co"]),
    "MailedCode": (MailedCode, ["ABCD-EFGH", "abcd 2345", "ABCDEFGH"]),
    "CompanyNumber": (CompanyNumber, ["07452983", "SC123456", "sc123456"]),
    "FirmReference": (FirmReference, ["697241", "1234567"]),
    "SortCode": (SortCode, ["204817", "20-48-17"]),
    "AccountNumber": (AccountNumber, ["53910462"]),
    "Percent": (Percent, ["2.4", "0", "99.99"]),
}

BAD: dict[str, list[str]] = {
    "Name": ["12345", "---", "Соppergate", "李", "e\u0301", " a", "a ", "a\nb", "a" * 139, "\u3164", "\u2800a"],
    "Words": ["---", " a", "a\tb", "a" * 101],
    "Prose": ["short", " " * 12, "a" * 4001, "all checks clear\r\n"],
    "Reference": ["a b", "é", "a" * 65],
    "PayoutId": ["a b", "p" * 129],
    "IdempotencyKey": ["a b", "k" * 256],
    "InvoiceReference": ["FX-INV-23A4", "fx-inv-23a4f", "FXR-INV-23A4F"],
    "ReferenceEnd": ["23A4", "23-4F"],
    "Sha256": ["0A" * 32, "0a" * 31],
    "Email": ["a..b@x.uk", ".a@x.uk", "a.@x.uk", "tomás@x.uk", "a,b@x.uk", '"a"@x.uk', "a(b)@x.uk", "a@x", "a@-x.uk",
              "a@x-.uk", "a@x..uk", "a@x.uk.", "a" * 65 + "@x.uk", "a@" + "b" * 64 + ".uk", "a@1.2.3.4", "a@bücher.de",
              "a@b@c.uk", "a b@x.uk", "a@x_y.uk", "A Person <a@x.uk>", "a@x.uk,b@x.uk", "a@x.u" + "k" * 250],
    "MailedCode": ["ABCD-EFG", "ABCD--EFGH", "ABC1-EFGH", "ABCD_EFGH"],
    "CompanyNumber": ["7452983", "0745-983", " 7452983"],
    "FirmReference": ["12345", "12345678"],
    "SortCode": ["20-4817", "2048-17", "20 48 17"],
    "AccountNumber": ["5391046", "5391046a"],
    "Percent": ["inf", "nan", "1e3", "-1", "2.456", "100", "+2", "2.", ".5"],
}

HIDDEN = ["\n", "\r", "\x00", "\x1b", "\x7f", "\x85", "\xa0", "\xad", "\u061c", "\u180e", "\u200b", "\u200e", "\u2028",
          "\u2029", "\u202e", "\u2060", "\u2066", "\u3164", "\ufeff", "\ufffe", "\ue000", "\u0378", "\U000e0041",
          "\U000e0100", "\ud800"]


def test_every_form_is_tried() -> None:
    texts = {name for name, form in vars(forms).items()
             if getattr(form, "__metadata__", None) and getattr(form.__metadata__[0], "pattern", None)}
    assert texts == set(GOOD) == set(BAD)


@pytest.mark.parametrize("name", GOOD)
def test_a_form_takes_what_has_it_and_nothing_near_it(name: str) -> None:
    form, good = GOOD[name]
    assert [text for text in good if not fits(form, text)] == []
    assert [text for text in ["", *BAD[name]] if fits(form, text)] == []


@pytest.mark.parametrize("name", GOOD)
def test_no_form_takes_what_nobody_sees(name: str) -> None:
    form, good = GOOD[name]
    allowed = {"\n"} if name == "Prose" else set()
    for hidden in HIDDEN:
        near = [hidden + good[0], good[0][:3] + hidden + good[0][3:], good[0] + hidden]
        assert [text for text in near if fits(form, text) and hidden not in allowed] == [], repr(hidden)


@pytest.mark.parametrize("name", GOOD)
def test_digits_are_ascii(name: str) -> None:
    form, good = GOOD[name]
    foreign = [text.translate({ord("0") + n: chr(0x0660 + n) for n in range(10)}) for text in good]
    if name not in ("Words", "Prose"):  # in somebody's own words any script may stand
        assert [text for text, plain in zip(foreign, good, strict=True) if text != plain and fits(form, text)] == []


@pytest.mark.parametrize("name", GOOD)
def test_a_form_is_judged_in_a_moment(name: str) -> None:
    began = time.perf_counter()
    for text in ("a." * 2_000, "a@" + "a-" * 2_000, "a@" + "a." * 2_000, " " * 4_000, "-" * 3_999 + "\x00",
                 "a@" + "-" * 250, "1" * 4_000, "a" * 64 + "@" + "a" * 63 + ".", "a" * 4_000):
        for cut in (64, 100, 254, 4_000):
            fits(GOOD[name][0], text[:cut])
    assert time.perf_counter() - began < 0.1


def test_patterns_are_whole_and_can_be_read_elsewhere() -> None:
    for pattern in forms.WORDS:
        assert pattern.startswith(r"\A(?:") and pattern.endswith(r")\Z")
        assert not re.search(r"\\d|\\w|(?<!\\)\$\Z", pattern)


ATOM = st.text(sorted(set(map(chr, range(33, 127))) - set('"(),:;<>@[\\]')), min_size=1, max_size=20)
LABEL = st.from_regex(r"\A[a-zA-Z][a-zA-Z0-9-]{0,20}[a-zA-Z0-9]\Z")


@given(ATOM, LABEL)
def test_whoever_has_an_address_can_be_written_to(local: str, label: str) -> None:
    """The mailer's rule is the same rule: nothing is accepted that cannot be sent to."""
    address = f"{local}@{label}.co.uk"
    if not fits(Email, address):
        assert local.startswith(".") or local.endswith(".") or ".." in local
        return
    SMTPEmail("localhost", 25)._message("key", address, "subject", "text", None).as_bytes()


def test_a_percentage_is_exact() -> None:
    assert [forms.bps_of(text) for text in ("2.4", "0", "99.99", "0.05", "07")] == [240, 0, 9_999, 5, 700]


HEAPS = ["a" + "\u0300" * 24_500 + "\u0316" * 24_500, "\u0300" * 30_000, "a" + "\u0f73" * 24_500,
         ("a" + "\u0300" * 31) * 1_500, "\u0344\u0316" * 20_000]
"""Accents heaped on one letter: sorting them takes the square of their number."""


@pytest.mark.parametrize("heap", HEAPS, ids=lambda heap: repr(heap[:3]))
def test_accents_heaped_on_one_letter_take_no_time(heap: str) -> None:
    began = time.process_time()
    assert unseen(heap) is not None and not fits(Prose, heap) and len(composed(heap)) < len(heap)
    same_name(heap, heap + "b")
    reference_key(heap)
    assert time.process_time() - began < 1


def test_what_people_write_keeps_its_accents() -> None:
    for text in ("Zoe\u0308", "Việt", "ก็", "שָׁ", "a" + "\u0300" * 30):
        assert normal("NFC", text) == unicodedata.normalize("NFC", text) and composed(text) == normal("NFC", text)
        assert normal("NFKD", text) == unicodedata.normalize("NFKD", text)
