"""An invoice number is one number, however it is written."""

from __future__ import annotations

import unicodedata

import pytest

from domain.reference import reference_key


@pytest.mark.parametrize("written", [
    "CG-2026-114", "cg 2026 114", "CG/2026/114", "CG_2026_114", "#CG.2026.114", "ＣＧ－２０２６－１１４", "CG-2026-¹¹⁴",
    "CG\u200b-2026\u00ad-114", "СG-2026-114", "ⒸⒼ-2026-114", "ĊĠ-2026-114", "CG-2026-114\u2060", "𝐂𝐆-𝟐𝟎𝟐𝟔-𝟏𝟏𝟒",
])
def test_spellings_of_one_number(written: str) -> None:
    assert reference_key(written) == "cg2026114"
    assert reference_key(unicodedata.normalize("NFD", written)) == "cg2026114"


@pytest.mark.parametrize("other", ["CG-2026-1142", "CG-2026-114²", "CG-2026-11", "114", "CG", "CG-2026-114ж",
                                   "BG-2026-114"])
def test_other_numbers(other: str) -> None:
    assert reference_key(other) != "cg2026114"


def test_nothing_is_no_number() -> None:
    assert reference_key(" -#\u200b") == ""


def test_every_capital_that_reads_as_a_latin_one_is_that_one() -> None:
    assert reference_key("АВЕКМНОРСТУХ") == "abekmhopctyx"
    assert reference_key("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ") == "abezhikmnoptyx"
