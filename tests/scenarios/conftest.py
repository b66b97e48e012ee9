"""One town per file: people join once, and each test gives them an invoice of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chain.anvil import Anvil, free_port
from tests.scenarios.town import Person, Town, opened_town


@pytest.fixture(scope="module")
def chain_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """The chain of the file's town, in the hands of the test: it can be stopped and started."""
    with Anvil(tmp_path_factory.mktemp("chain"), free_port()) as node:
        yield node


@pytest.fixture(scope="module")
def town(empty_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory,
         chain_node: Anvil) -> Iterator[Town]:
    with opened_town(empty_database(), tmp_path_factory.mktemp("home"), chain_node.url) as town:
        yield town


@pytest.fixture(scope="module")
def deputy(town: Town) -> Person:
    """The other of the two compliance officers that an order takes."""
    return town.person("deputy")
