"""PostgreSQL hangs up on everybody, between requests and during them: an answer or 503, and never twice."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from domain.subject import SubjectCreated
from eventstore.database import connect
from tests.api.conftest import Past
from tests.api.test_visibility import OPEN, READS, address
from tests.eventstore.test_sessions import hang_up, spoil
from tests.scenarios.town import accepted

READS_S, ORDERS_S = 0.2, 2.0
"""How often everybody is hung up on: so that reads are met midway, and an order has a moment to be carried out."""

LONG_S = 4.0
PATIENCE_S = 40.0
HUNG_UP = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
           "WHERE datname = current_database() AND pid <> pg_backend_pid()")


def database_of(past: Past) -> str:
    url = past.town.house.platform.settings.database_url
    assert url is not None
    return url


def readers_of(past: Past) -> list[tuple[str, str]]:
    """Who reads what: every GET route once, by somebody who may."""
    shown = [(readers[0], address(route, past, past.settled)) for route, (readers, _) in READS.items()]
    return [*shown, *(("nobody", route) for route in OPEN)]


def settled(past: Past, answer: httpx.Response) -> bool:
    """Whether it is an answer. Otherwise it is 503, says when to come again, and that coming again is safe."""
    assert answer.status_code != 500, answer.text
    if answer.status_code != 503:
        return True
    if "health" not in str(answer.url):
        assert answer.headers["retry-after"] == "1" and "same request again" in answer.json()["detail"]
    return False


@contextmanager
def hanging_up(past: Past, every_s: float) -> Iterator[None]:
    """Every session is ended again and again, until the block is left."""
    stop = threading.Event()

    def run() -> None:
        with connect(database_of(past)) as owner:
            while not stop.wait(every_s):
                owner.execute(HUNG_UP)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_read_after_everybody_was_hung_up_on_is_answered(past: Past) -> None:
    for who, path in readers_of(past):
        person = past.town.person(who)
        assert person.http.get(path).status_code == 200, path
        hang_up(database_of(past))
        assert person.http.get(path).status_code == 200, f"{path} did not survive it"


def test_reads_under_which_sessions_end_are_answered_or_told_to_come_again(past: Past) -> None:
    seen, failed = Counter[int](), list[str]()

    def read(who: str, path: str) -> None:
        person, until = past.town.person(who), time.monotonic() + LONG_S
        while time.monotonic() < until:
            answer = person.http.get(path)
            seen[answer.status_code] += 1
            try:
                settled(past, answer)
            except AssertionError as error:
                failed.append(f"{path}: {error}")

    reads = readers_of(past)
    with hanging_up(past, READS_S):
        for part in (reads[::2], reads[1::2]):
            threads = [threading.Thread(target=read, args=one) for one in part]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert failed == [] and set(seen) <= {200, 503}, (seen, failed)


def test_an_order_is_carried_out_once_and_its_answer_comes_in_the_end(past: Past) -> None:
    """Whatever the caller was told meanwhile: the same key, and in the end the answer, which stays the same."""
    with hanging_up(past, ORDERS_S):
        asked = [signs_up(past, number) for number in range(6)]
    for key, body, answer in asked:
        assert answer.status_code == 201, answer.text
        again = past.town.person("nobody").post("/v1/subjects", body, key=key)
        assert again.headers["fx-idempotency-replayed"] == "true"
        assert again.json()["id"] == answer.json()["id"]
    log = past.town.house.platform.store.read(0, 100_000)
    made = Counter(entry.resource.rpartition("/")[2] for entry in log if isinstance(entry.event, SubjectCreated))
    assert {made[answer.json()["id"]] for _, _, answer in asked} == {1}


def signs_up(past: Past, number: int) -> tuple[str, dict[str, str], httpx.Response]:
    key = uuid.uuid4().hex
    body = {"role": "sme_seller", "legal_name": f"Harbour {number} Ltd", "company_number": f"0855{number:04}",
            "representative": "Hal Harbour", "email": f"hal@harbour{number}.co.uk"}
    until = time.monotonic() + PATIENCE_S
    while True:
        answer = past.town.person("nobody").post("/v1/subjects", body, key=key)
        if settled(past, answer):
            return key, body, answer
        assert time.monotonic() < until, "no answer came"
        time.sleep(0.05)


def test_the_platform_is_well_again_afterwards(past: Past) -> None:
    until = time.monotonic() + PATIENCE_S
    while (answer := past.town.person("nobody").http.get("/health/ready")).json()["status"] != "ready":
        assert time.monotonic() < until, answer.text
        time.sleep(0.1)
    accepted(past.town.person("coppergate").get("/v1/me"))


def test_the_servers_own_settings_change_nothing_that_is_read_or_written(past: Past) -> None:
    """New York, German dates, a millisecond for each statement: the same answers, and every time in UTC with Z."""
    reads = readers_of(past)
    before = {path: past.town.person(who).http.get(path) for who, path in reads}
    spoil(database_of(past))
    try:
        hang_up(database_of(past))
        after = {path: past.town.person(who).http.get(path) for who, path in reads}
        _, _, written = signs_up(past, 77)
    finally:
        with connect(database_of(past)) as owner:
            owner.execute(f'ALTER DATABASE "{owner.info.dbname}" RESET ALL')  # pyright: ignore
    assert written.status_code == 201
    for path, answer in after.items():
        if path.startswith("/health"):
            continue  # its figures come and go
        assert answer.status_code == 200 and _shape(answer.json()) == _shape(before[path].json()), path
        assert [time for time in TIME.findall(answer.text) if not time.endswith("Z")] == [], path


TIME = re.compile(r'"([0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*)"')


def _shape(value: object) -> object:
    """What is there, without the numbers and moments that go on meanwhile."""
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in value.items()}
    return [_shape(value[0])] if isinstance(value, list) and value else type(value).__name__
