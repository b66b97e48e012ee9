"""One town per file: people join once, and each test gives them an invoice of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import migrations
from bootstrap import Settings
from domain.party import ADMIN, COMPLIANCE
from scripts.serve import served
from scripts.story import BEGINS
from tests.conftest import House, enrol, free_port
from tests.scenarios.town import Town


@pytest.fixture(scope="module")
def town(empty_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    url = empty_database()
    migrations.upgrade(url)
    settings = Settings(home=tmp_path_factory.mktemp("home"), database_url=url, chain_port=free_port(),
                        http_port=free_port(), simulator_port=free_port(), smtp_port=free_port(),
                        clock=f"sandbox:{BEGINS.isoformat()}")
    with served(settings) as platform:
        house = House(platform, enrol(platform, "stf_0000000000000001", COMPLIANCE),
                      enrol(platform, "stf_0000000000000002", ADMIN))
        yield Town(house).settle_in()
