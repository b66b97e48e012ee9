"""House rules for what comes from outside: patterns that mean what they say, numbers that have bounds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.test_rules import ROOT, tracked

READS = "providers/documents/"
"""Reads what others wrote, in whatever digits; what it finds is compared, never taken at its word."""

ROOMS = ("ai", "api", "bootstrap", "chain", "domain", "eventstore", "processes", "projections", "providers", "scripts")
MATCHERS = {"match", "search"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in tracked("*.py"):
        if path.relative_to(ROOT).parts[0] in ROOMS and path.exists():
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def patterns(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """(line, function, pattern) of every regular expression that is written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            of_re = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and (
                node.func.value.id == "re")
            given = [keyword.value for keyword in node.keywords if keyword.arg == "pattern"]
            if of_re and node.args:
                given.append(node.args[0])
            for pattern in given:
                text = "".join(part.value for part in ast.walk(pattern)
                               if isinstance(part, ast.Constant) and isinstance(part.value, str))
                yield node.lineno, name, text


def test_digits_are_named_and_ends_are_ends() -> None:
    """`\\d` takes the digits of every script, and `$` a newline that follows."""
    loose = [f"{path}:{line} {pattern}" for path, tree in sources() for line, _, pattern in patterns(tree)
             if not path.startswith(READS) and re.search(r"\\d|(?<![\\\[])\$(?:\)*)\Z", pattern)]
    assert loose == []


def test_a_match_says_where_it_ends() -> None:
    loose = [f"{path}:{line} {pattern}" for path, tree in sources() for line, name, pattern in patterns(tree)
             if name == "match" and not pattern.endswith(r"\Z")]
    assert loose == []


def test_a_text_is_a_number_only_in_ascii() -> None:
    """`isdigit` and its kin know superscripts and other scripts: they stand beside `isascii` or nowhere."""
    loose = [f"{path}:{number}" for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in ROOMS
             for number, line in enumerate(path.read_text().splitlines(), 1)
             if re.search(r"\.is(digit|decimal|numeric)\(", line) and "isascii" not in line]
    assert loose == []


def test_a_list_is_cut_in_one_place() -> None:
    """Where a list ends early it says so: `.limit(` stands with what makes pages, and nowhere else."""
    cut = [str(path.relative_to(ROOT)) for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in ROOMS
           and path.exists() and ".limit(" in path.read_text()]
    assert cut == ["projections/paging.py"]


def test_no_request_takes_a_float() -> None:
    """A float can be infinite, not a number, or too long to convert: rates are basis points, percentages are texts."""
    for path in (ROOT / "api").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
                named = {part.id for part in ast.walk(node.annotation) if isinstance(part, ast.Name)}
                assert "float" not in named or _is_ours(path, node), f"{path.name}:{node.lineno}"


def _is_ours(path: Path, node: ast.AnnAssign | ast.arg) -> bool:
    """Not of a request: a setting of the program's own."""
    return path.parent.name != "rest"


def test_texts_are_normalised_in_one_place() -> None:
    """Which bounds what it is given: the library takes the square of the accents on a letter."""
    named = [file for file, tree in sources() for node in ast.walk(tree)
             if isinstance(node, ast.Attribute) and node.attr in ("normalize", "is_normalized")
             and isinstance(node.value, ast.Name) and node.value.id == "unicodedata"]
    assert set(named) == {"domain/forms.py"}
