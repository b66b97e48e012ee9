"""What reads foreign text has patterns with bounded repeats only: then their time grows with the text and no faster."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from re import _constants, _parser  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage, reportMissingImports]
from typing import Any

import pytest

from providers import documents

MODULES = [importlib.import_module(f"{documents.__name__}.{module.name}")
           for module in pkgutil.iter_modules(documents.__path__)]
PATTERNS = {f"{module.__name__.rpartition('.')[2]}.{name}": value for module in MODULES
            for name, value in vars(module).items() if isinstance(value, re.Pattern)}


def test_there_are_patterns() -> None:
    assert len(PATTERNS) > 20


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_repeats_without_bound(name: str) -> None:
    assert list(_unbounded(_parser.parse(PATTERNS[name].pattern, PATTERNS[name].flags & ~re.UNICODE))) == []


def _unbounded(parsed: Any) -> Iterator[Any]:
    for operation, argument in parsed:
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and argument[1] == _constants.MAXREPEAT:
            yield argument
        for inner in argument if isinstance(argument, (tuple, list)) else ():
            for part in inner if isinstance(inner, list) else (inner,):
                if isinstance(part, _parser.SubPattern):
                    yield from _unbounded(part)


def test_patterns_stand_where_these_tests_find_them() -> None:
    """No `re.search(text)` with a pattern written in place."""
    for module in MODULES:
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
                assert ast.unparse(node.func) == "re.compile", f"{module.__name__}:{node.lineno}"
