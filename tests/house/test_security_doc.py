"""docs/security.md names nothing that is not there: each kind has its row, its modules, its tests and its campaign."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "security.md").read_text()
NUMBERS = [*(f"K{n}" for n in range(1, 39)), *(f"D{n}" for n in range(1, 13))]


class Row(msgspec.Struct, frozen=True):
    number: str
    modules: list[str]
    tests: list[str]
    campaigns: list[str]


def _rows() -> list[Row]:
    lines = re.findall(r"^\| [KD]\d+ .*$", TEXT, re.M)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    named = re.compile(r"`([^`]+)`")
    return [Row(number, named.findall(modules), named.findall(tests), re.findall(r"[a-z-]+", campaigns))
            for number, _, modules, tests, campaigns in cells]


ROWS = _rows()


def test_each_kind_has_one_row() -> None:
    assert [row.number for row in ROWS] == NUMBERS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_what_a_row_names_exists(row: Row) -> None:
    assert row.modules and row.tests
    assert [module for module in row.modules if not (ROOT / module).is_file()] == []
    for test in row.tests:
        file, function = test.split("::")
        assert re.search(rf"^ *def {function}\(", (ROOT / "tests" / file).read_text(), re.M), test


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_its_campaigns_can_be_run_and_play_it(row: Row) -> None:
    targets = re.findall(r"^campaign-([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert [name for name in row.campaigns if name not in targets] == []
    assert ("cases" in row.campaigns) == (row.number in _played())


def test_every_case_that_is_played_has_a_row() -> None:
    assert _played() <= set(NUMBERS)


def test_what_the_text_names_exists() -> None:
    for path in re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|md))`", TEXT):
        assert (ROOT / path).is_file(), path


def _played() -> set[str]:
    files = (ROOT / "scripts" / "campaigns" / "cases").glob("*.py")
    return {number for file in files for number in re.findall(r'^@case\("(\w+)"', file.read_text(), re.M)}
