"""The benches run: every piece once, at the smallest size. What they measure here means nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console

from eventstore.access import Access
from scripts import bench
from scripts.benches import eventstore, large
from scripts.benches.load import LIFE, Ours, tasks, threads
from scripts.benches.rivals import Naive
from scripts.benches.server import Server

PRELOADED = 40 * LIFE


def test_every_target_is_a_figure_that_can_be_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures = {name: 1.0 for name in eventstore.TARGETS}
    console = Console(record=True, width=120)
    monkeypatch.setattr(bench, "console", console)
    monkeypatch.setattr(bench, "OUTPUT", tmp_path)
    monkeypatch.setitem(bench.BENCHES, "eventstore", lambda: figures)
    bench.run_benches("eventstore")
    assert json.loads((tmp_path / "eventstore.json").read_text()) == figures
    assert ">= 20" in console.export_text()
    monkeypatch.setenv("FX_BENCH_QUICK", "1")
    monkeypatch.setitem(bench.BENCHES, "eventstore", lambda: {"rounds": 1.0})
    bench.run_benches("eventstore")
    assert json.loads((tmp_path / "eventstore.json").read_text()) == figures, "a quick run leaves a full one's figures"


def test_callers_live_through_whole_aggregates(access: Access) -> None:
    ours = Ours(access)
    try:
        for round_ in (threads(ours, 2, 0.2), tasks(ours, 8, 0.2)):
            assert round_.per_s > 0 and 0 < round_.p50_ms <= round_.p99_ms
        bodies = [len(row["body"]) for row in ours.store.rows(1, ours.store.head())]
        versions = {row["originator_version"] for row in ours.store.rows(1, ours.store.head())}
    finally:
        ours.close()
    assert versions == set(range(1, LIFE + 1))
    assert 520 <= min(bodies) <= max(bodies) <= 585


def test_the_naive_chain_is_one(database: str) -> None:
    assert threads(Naive(database), 4, 0.2).per_s > 0
    with psycopg.connect(database) as owner:
        rows: list[Any] = owner.execute("SELECT prev_hash, hash FROM naive_log ORDER BY position").fetchall()
    assert [row[0] for row in rows[1:]] == [row[1] for row in rows[:-1]]


def test_a_preloaded_log_verifies(database: str, access: Access, tmp_path: Path) -> None:
    here = Server(tmp_path, database)
    large.preload(here, access, PRELOADED)
    assert large.verified_per_s(access, PRELOADED, bodies=True) > 0
    assert large.verified_per_s(access, PRELOADED, bodies=False) > 0
    assert large.hashed_per_s(here, access, PRELOADED) > 0


def test_a_batch_reads_no_key_but_its_own(database: str, access: Access) -> None:
    """Planned while the log was empty, the look for known keys once read all of them, batch after batch."""
    ours = Ours(access)
    threads(ours, 4, 0.3)
    ours.close()
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("SELECT pg_stat_force_next_flush()")
        read = owner.execute(
            "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'command_keys_pkey'").fetchone()
    assert read == (0,)
