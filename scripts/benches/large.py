"""A log of a given length, appended inside the database; and verifying it, against hashlib alone."""

from __future__ import annotations

import hashlib
import time
from functools import partial

from domain.platform import AlarmRaised
from eventstore.access import ANCHOR, APPEND, READ, Access
from eventstore.entry import Entry, encode
from eventstore.verify import Log, available_cores, verify
from scripts.benches.load import BOOK, CONTEXT, LIFE
from scripts.benches.server import Server
from scripts.verify import WORKERS_FROM

BLOCK = 12_500
TOPIC = AlarmRaised.tag
STREAM = BOOK.stream(CONTEXT.tenant, "preloaded")
SALT = "5a17" * 8

# One command a stream: in a batch, every stream of a block moves on by one version.
PRELOAD = """
WITH entry AS MATERIALIZED (
  SELECT (s - {first})::int AS c, md5('stream' || s)::uuid AS o, 'preloaded/' || s AS b
    FROM generate_series({first}, {last}) s)
SELECT fx.append_batch(
  array_agg(c ORDER BY c), array_agg(o ORDER BY c), array_agg({version}::bigint), array_agg('{topic}'::text),
  array_agg(convert_to(replace(replace(replace($body${body}$body$, '{stream}', o::text), 'preloaded', b),
                               '{salt}', md5(b || {version})), 'UTF8') ORDER BY c),
  array_agg(c ORDER BY c), array_agg('http:' || md5(b || '/{version}') ORDER BY c), array_agg(''::bytea),
  array_agg(NULL::bytea), '{{}}', '{{}}', '{{}}')
FROM entry
"""
LINE = ("convert_to(format(E'fx2 %s %s %s %s\\n', position, recorded_us, encode(prev_hash, 'hex'), "
        "encode(body_hash, 'hex')), 'UTF8')")


def preload(server: Server, access: Access, entries: int) -> None:
    """Whole lives of aggregates, LIFE entries each: chained, with keys, as the application would have written them."""
    streams = entries // LIFE
    with access.connect(APPEND) as connection:
        for first in range(0, streams, BLOCK):
            for version in range(1, LIFE + 1):
                connection.execute(PRELOAD.format(first=first, last=min(first + BLOCK, streams) - 1, version=version,
                                                  topic=TOPIC, body=_body(access, version), stream=STREAM,
                                                  salt=SALT).encode())
    server.run(access.url, "VACUUM (ANALYZE) fx.audit_entries, fx.command_keys")
    server.run(access.url, "CHECKPOINT")


def _body(access: Access, version: int) -> str:
    [raised] = BOOK.decide(BOOK.initial, None, CONTEXT)
    return encode(Entry(originator_id=STREAM, originator_version=version, event=raised, tenant=access.tenant,
                        at=CONTEXT.now, actor=CONTEXT.actor, actor_role=CONTEXT.actor_role, on_behalf_of=None,
                        resource="preloaded", cause=None, command="preloaded"), salt=SALT).decode()


def verified_per_s(access: Access, entries: int, *, bodies: bool) -> float:
    """As `fx verify` does it: by as many processes as there are cores, where that is worth their start."""
    workers = available_cores() if bodies and entries >= WORKERS_FROM else 0
    with access.connect(ANCHOR) as chain:
        log = Log(chain, partial(access.connect, READ) if bodies else None, workers=workers)
        report = verify(log, last=entries)
    assert report.entries == entries and report.exit_code == 0, report
    return entries / report.seconds


def hashed_per_s(server: Server, access: Access, entries: int) -> float:
    """The bare loop: nothing but the two hashes of every entry, over the same bytes, in memory."""
    rows = server.run(access.url, f"SELECT body, {LINE} FROM fx.audit_entries WHERE position <= {entries}")
    bodies, lines = zip(*rows, strict=True)
    sha256 = hashlib.sha256
    started = time.perf_counter()
    for body, line in zip(bodies, lines, strict=True):
        sha256(body).digest()
        sha256(line).digest()
    return entries / (time.perf_counter() - started)
