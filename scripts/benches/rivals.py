"""What ours is compared with: the stock library, a hash chain as one would first write it, and our recorder under
the library's own Application."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from eventstore.access import Access
from eventstore.database import connect
from eventstore.entry import ZERO_HASH, Entry
from scripts.benches.load import BOOK, CONTEXT, DETAIL, LIFE
from scripts.benches.server import TENANT

POOL = 24
"""More than the callers: nobody waits for a connection."""

PADDING = " " * 140
"""Makes the library's stored event as long as ours."""


def _environment(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    return {"POSTGRES_DBNAME": parts.path.lstrip("/"), "POSTGRES_HOST": host, "POSTGRES_PORT": str(parts.port or 5432),
            "POSTGRES_USER": parts.username or "postgres", "POSTGRES_PASSWORD": parts.password or "none",
            "POSTGRES_POOL_SIZE": str(POOL), "POSTGRES_MAX_OVERFLOW": "0"}


def _said(command: str, line: int) -> dict[str, str]:
    return {"source": "bench", "code": str(line), "detail": DETAIL + PADDING, "actor": CONTEXT.actor,
            "actor_role": CONTEXT.actor_role, "tenant": TENANT, "command": command}


class Ledger(Aggregate):
    """Our aggregate in the library's words; who did it travels in the event, as an audit log needs it."""

    @event("Opened")
    def __init__(self, source: str, code: str, detail: str, actor: str, actor_role: str, tenant: str, command: str):
        self.lines = 1
        self.last = detail

    @event("Noted")
    def note(self, source: str, code: str, detail: str, actor: str, actor_role: str, tenant: str, command: str) -> None:
        self.lines += 1
        self.last = detail


class StockApplication(Application[UUID]):
    name = "stock"


class Stock:
    """`repository.get`, a command, `save`: the library's own path and defaults, with a pool that is large enough."""

    def __init__(self, url: str):
        self.application = StockApplication({**_environment(url), "PERSISTENCE_MODULE": "eventsourcing.postgres"})

    def caller(self, name: str) -> Callable[[], object]:
        numbers, current = count(), uuid4()

        def call() -> object:
            nonlocal current
            number = next(numbers)
            said = _said(f"{name}/{number}", number % LIFE)
            if number % LIFE == 0:
                ledger = Ledger(**said)
                current = ledger.id
            else:
                ledger: Ledger = self.application.repository.get(current)
                ledger.note(**said)
            return self.application.save(ledger)

        return call

    def close(self) -> None:
        self.application.close()


NAIVE_TABLE = """
CREATE TABLE public.naive_log (position bigserial PRIMARY KEY, stream uuid NOT NULL, version bigint NOT NULL,
                        prev_hash bytea NOT NULL, hash bytea NOT NULL, body bytea NOT NULL, UNIQUE (stream, version))
"""


NAIVE_LOAD = "SELECT body FROM public.naive_log WHERE stream = %s ORDER BY version"


class Naive:
    """A hash chain as one would first write it: lock, read the last hash, hash in Python, insert, commit."""

    def __init__(self, url: str):
        self._url = url
        self._mine = threading.local()
        with connect(url) as connection:
            connection.execute(NAIVE_TABLE)

    def caller(self, name: str) -> Callable[[], object]:
        connection, numbers = connect(self._url), count()

        def call() -> object:
            number = next(numbers)
            stream = uuid5(UUID(int=0), f"{name}/{number // LIFE}")
            rows = connection.execute(NAIVE_LOAD, (stream,)).fetchall()
            lines = sum(1 for row in rows if json.loads(row[0])["detail"])  # pyright: ignore[reportArgumentType]
            body = json.dumps(_said(f"{name}/{number}", lines)).encode()
            with connection.transaction():
                connection.execute("LOCK TABLE public.naive_log IN EXCLUSIVE MODE")
                last = connection.execute("SELECT hash FROM public.naive_log ORDER BY position DESC LIMIT 1").fetchone()
                previous: Any = last[0] if last else ZERO_HASH
                connection.execute(
                    "INSERT INTO public.naive_log (stream, version, prev_hash, hash, body) VALUES (%s, %s, %s, %s, %s)",
                    (stream, lines + 1, previous, hashlib.sha256(previous + body).digest(), body))
            return number

        return call

    def close(self) -> None:
        """The callers' connections end with their callers."""


class OneEvent:
    """`Application.save` of the library over our recorder: one event a commit, nothing loaded."""

    def __init__(self, access: Access):
        environment = {**_environment(access.url), "PERSISTENCE_MODULE": "eventstore.recorder:ChainedFactory",
                       "MAPPER_TOPIC": "eventstore.recorder:EntryMapper", "POSTGRES_SCHEMA": "fx",
                       "TRANSCODER_TOPIC": "eventstore.recorder:NoTranscoder", "FX_TENANT": access.tenant,
                       "FX_TENANT_SECRET": access.secret.hex()}
        self.application: Application[UUID] = Application(environment)

    def caller(self, name: str) -> Callable[[], object]:
        numbers = count()

        def call() -> object:
            key = f"{name}/{next(numbers)}"
            [raised] = BOOK.decide(BOOK.initial, None, CONTEXT)
            entry = Entry(originator_id=BOOK.stream(TENANT, key), originator_version=1, event=raised, tenant=TENANT,
                          at=CONTEXT.now, actor=CONTEXT.actor, actor_role=CONTEXT.actor_role, on_behalf_of=None,
                          resource=key, cause=None, command=key)
            return self.application.save(entry, key=key)  # pyright: ignore[reportArgumentType]

        return call

    def close(self) -> None:
        self.application.close()
