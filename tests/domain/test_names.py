"""Two texts, one company? A table, because every mistake here is somebody admitted or somebody paid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.party import same_account_name, same_name

COPPERGATE = "Coppergate Joinery Ltd"

SAME = [
    (COPPERGATE, "COPPERGATE JOINERY LTD"),
    (COPPERGATE, "Coppergate Joinery Limited"),
    (COPPERGATE, "coppergate joinery ltd."),
    (COPPERGATE, "  Coppergate   Joinery Ltd "),
    (COPPERGATE, "The Coppergate Joinery Ltd"),
    (COPPERGATE, "Coppergate-Joinery Ltd"),
    (COPPERGATE, "Coppergate Joinery, Ltd"),
    (COPPERGATE, "Coppergate Joinery (Ltd)"),
    (COPPERGATE, "Ｃｏｐｐｅｒｇａｔｅ Joinery Ltd"),
    (COPPERGATE, "Coppergate\u00a0Joinery Ltd"),
    (COPPERGATE, "Copper\u00adgate Joinery Ltd"),
    (COPPERGATE, "COPPERGATE JOINERY LIMITED"),
    (COPPERGATE, "Coppergate Joinery Cyfyngedig"),
    (COPPERGATE, "Coppergate Joinery Cyf."),
    ("Northwind Retail plc", "NORTHWIND RETAIL PLC"),
    ("Northwind Retail plc", "Northwind Retail P.L.C."),
    ("Northwind Retail plc", "Northwind Retail p l c"),
    ("Northwind Retail plc", "Northwind Retail Public Limited Company"),
    ("Northwind Retail plc", "The Northwind Retail PLC"),
    ("Northwind Retail plc", "Northwind Retail CCC"),
    ("Pennine Asset Management LLP", "PENNINE ASSET MANAGEMENT L.L.P."),
    ("Pennine Asset Management LLP", "Pennine Asset Management Limited Liability Partnership"),
    ("Marks & Spencer plc", "Marks and Spencer P.L.C."),
    ("Marks + Spencer plc", "MARKS AND SPENCER PLC"),
    ("Marks&Spencer plc", "Marks & Spencer plc"),
    ("Smith & Co Ltd", "Smith and Company Limited"),
    ("Smith & Co. Ltd", "SMITH AND CO LIMITED"),
    ("Sainsbury's Ltd", "SAINSBURYS LTD"),
    ("Sainsbury’s Ltd", "Sainsbury's Ltd"),
    ("J. P. Morgan Ltd", "JP Morgan Ltd"),
    ("J.P. Morgan Ltd", "J P MORGAN LIMITED"),
    ("Café Nero Ltd", "CAFE NERO LTD"),
    ("Cafe\u0301 Nero Ltd", "Café Nero Ltd"),
    ("Müller Ltd", "Muller Ltd"),
    ("Ørsted Ltd", "Orsted Limited"),
    ("Łódź Trading Ltd", "LODZ TRADING LTD"),
    ("Straße Ltd", "STRASSE LTD"),
    ("Ænon Ltd", "AENON LTD"),
    ("ﬁnance Ltd", "Finance Ltd"),
    ("Leeds Makers CIC", "Leeds Makers Community Interest Company"),
    ("Fund I LP", "Fund I Limited Partnership"),
    ("Acme (UK) Ltd", "ACME UK LTD"),
    ("3i Group plc", "3I GROUP PLC"),
    ("Acme Inc.", "Acme Incorporated"),
    ("Acme Corp", "ACME CORPORATION"),
]

OTHER = [
    (COPPERGATE, "Joinery Ltd"),
    ("Joinery Ltd", COPPERGATE),
    (COPPERGATE, "Coppergate Ltd"),
    (COPPERGATE, "Coppergate Joinery Holdings Ltd"),
    (COPPERGATE, "New Coppergate Joinery Ltd"),
    (COPPERGATE, "Coppergate Joinery"),
    (COPPERGATE, "Coppergate Joinery plc"),
    (COPPERGATE, "Coppergate Joinery LLP"),
    (COPPERGATE, "Coppergate Joinery Ltd — Trade Finance"),
    (COPPERGATE, "Coppergate Joiner Ltd"),
    (COPPERGATE, "Coppergates Joinery Ltd"),
    (COPPERGATE, "Copper Gate Joinery Ltd"),
    (COPPERGATE, "CoppergateJoinery Ltd"),
    (COPPERGATE, "Joinery Coppergate Ltd"),
    (COPPERGATE, "С\u043eppergate Joinery Ltd"),
    (COPPERGATE, "Copperg\u0430te Joinery Ltd"),
    (COPPERGATE, "Coppergate J\u03bfinery Ltd"),
    (COPPERGATE, "Coppergate Joinery \u0406td"),
    (COPPERGATE, "C0ppergate Joinery Ltd"),
    (COPPERGATE, "Coppergate Jo1nery Ltd"),
    ("Ikon Ltd", "\u0131kon Ltd"),
    ("Northwind Retail plc", "Northwind Retail"),
    ("Northwind Retail plc", "Northwind Retail Public Company"),
    ("Northwind Retail plc", "Northwind Retail plc and Sons"),
    ("Northwind Retail plc", "Northwind Retail 2 plc"),
    ("Marks & Spencer plc", "Marks Spencer plc"),
    ("Pennine Asset Management LLP", "Pennine Asset Management LP"),
    ("Pennine Asset Management LLP", "Pennine Asset Management Limited"),
    ("Limited Editions Ltd", "Ltd Editions Ltd"),
    ("Smith & Co Ltd", "Smith Ltd"),
    ("Ltd", "Limited"),
    ("The Ltd", "Limited"),
    ("", ""),
    ("—", "—"),
]

ACCOUNTS = [
    ("Pennine Asset Management LLP — Trade Finance", True),
    ("Pennine Asset Management LLP - Trade Finance", True),
    ("PENNINE ASSET MANAGEMENT LLP – CLIENT ACCOUNT", True),
    ("Pennine Asset Management LLP (Client Account)", True),
    ("Pennine Asset Management LLP t/a Pennine Trade Finance", True),
    ("Pennine Asset Management Limited Liability Partnership — No. 2", True),
    ("Pennine Asset Management LLP", True),
    ("Pennine Asset Management LLP-Holdings", False),
    ("Pennine Asset Management Holdings LLP — Trade Finance", False),
    ("Trade Finance — Pennine Asset Management LLP", False),
    ("Pennine Asset Management — Trade Finance", False),
    ("Caroline Beck", False),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_name_written_twice(one: str, other: str) -> None:
    assert same_name(one, other)
    assert same_name(other, one)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_another_name(one: str, other: str) -> None:
    assert not same_name(one, other)
    assert not same_name(other, one)


@pytest.mark.parametrize(("account", "theirs"), ACCOUNTS)
def test_what_an_account_is_for_may_follow_its_holders_name(account: str, theirs: bool) -> None:
    assert same_account_name(account, "Pennine Asset Management LLP") is theirs


@given(st.text(), st.text(min_size=1))
def test_a_name_is_never_found_inside_a_longer_one(name: str, more: str) -> None:
    """Whatever people type, the answer is yes or no, and a further word makes another name."""
    assert same_name(name, name) in (True, False)
    assert not same_name(f"{name} word", f"{name} word {more}q Ltd")


@given(st.text())
def test_a_name_with_letters_is_its_own(name: str) -> None:
    assert same_name(f"Acme {name} x7", f"acme {name} X7")
