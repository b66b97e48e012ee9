"""kill -9 in the middle of everything: the story ends as it should, and nothing has happened twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap import Sandbox, Settings, load_secrets, open_database, open_store
from bootstrap.embedded import start_simulators
from chain.anvil import free_port
from chain.client import Chain, token_id
from chain.keys import FolderKeys
from domain.party import ADMIN, COMPLIANCE
from domain.platform import BatchAnchored, BatchCosigned
from domain.token import TOKEN
from eventstore.access import ANCHOR
from eventstore.entry import ZERO_HASH, body_hash, entry_hash
from eventstore.journal import JournalRows
from eventstore.store import Store
from scripts.staff import enrolled
from scripts.story import BEGINS, TOKENISED, Story
from tests.scenarios.killing import Assassin, KillPoint, Victim

pytestmark = pytest.mark.long

POINTS = [
    KillPoint("subject.identity_requested.1"),
    KillPoint("subject.review_opened.1", after_ms=2),
    KillPoint("subject.wallet_requested.1", after_ms=5),
    KillPoint("invoice.verification_started.1", after_ms=20),
    KillPoint("notice.requested.1", nth=3),
    KillPoint("token.mint_requested.1", after_ms=8),
    KillPoint("token.minted.1"),
    KillPoint("invoice.reserved.1"),
    KillPoint("invoice.cash_matched.1"),
    KillPoint("token.transfer_requested.1", after_ms=6, and_again=True),
    KillPoint("invoice.funded.1"),
    KillPoint("payment.requested.1", after_ms=3),
    KillPoint("payment.sent.1", nth=2),
    KillPoint("token.slicing_requested.1", after_ms=4),
    KillPoint("trade.reserved.1"),
    KillPoint("trade.executed.1"),
    KillPoint("clock.advanced.1", nth=10),
    KillPoint("invoice.obligor_paid.1", after_ms=1),
    KillPoint("payment.confirmed.1", nth=5),
    KillPoint("token.burn_requested.1", after_ms=4, and_again=True),
    KillPoint("audit.batch_anchored.1", nth=4),
]
BETWEEN_STEPS = ("Northwind joins", "21 July 11:14: Northwind pays")

ONCE = ("token.minted.1", "token.sliced.1", "token.burned.1", "invoice.confirmed.1", "invoice.funded.1",
        "invoice.disbursed.1", "trade.executed.1", "trade.settled.1", "invoice.obligor_paid.1", "invoice.settled.1")

PAID_OUT = Counter({
    ("20481753910462", 966_000, "advance to Coppergate"): 1,
    ("20000070000013", 10_000, "platform fee"): 1,
    ("30951222487719", 199_150, "slice 2 to Pennine"): 1,
    ("20000070000013", 797, "trading fee"): 1,
    ("30951222487719", 800_000, "settlement to Pennine"): 1,
    ("16001510733821", 200_000, "settlement to Brunel"): 1,
})


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Iterator[Settings]:
    """The database and the outside world are other processes: they survive."""
    outside = Sandbox(home=tmp_path / "outside", database_url=database, http_port=free_port(),
                       simulator_port=free_port(), smtp_port=free_port())
    simulators = start_simulators(outside)
    yield Sandbox(home=tmp_path / "home", database_url=database, chain_port=free_port(),
                   http_port=outside.http_port, simulators_url=outside.providers_url, smtp_port=outside.smtp_port,
                   clock=f"sandbox:{BEGINS.isoformat()}")
    simulators.terminate()
    simulators.wait(timeout=10)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    secrets = load_secrets(settings.home)
    open_database(settings, secrets, migrate=True)
    opened = open_store(settings, secrets)
    yield opened
    opened.close()


@pytest.fixture
def victim(settings: Settings, store: Store) -> Iterator[Victim]:
    process = Victim(settings)
    process.start()
    yield process
    process.stop()


@pytest.mark.timeout(240)
def test_the_story_survives_being_killed_at_every_turn(settings: Settings, store: Store, victim: Victim) -> None:
    story = Story(settings.http_url, settings.providers_url,
                  enrolled(settings, COMPLIANCE, "Priya Lall", "priya.lall@fintokenx.uk"),
                  enrolled(settings, ADMIN, "Marcus Doyle", "marcus.doyle@fintokenx.uk"))
    assassin = Assassin(victim, store, POINTS)
    with assassin.at_work():
        for title, act in story.steps():
            act()
            if any(name in title for name in BETWEEN_STEPS):
                assassin.strike()

    assert [str(point) for point in assassin.open] == []
    again = sum(point.and_again for point in POINTS)
    assert victim.kills == len(POINTS) + again + len(BETWEEN_STEPS) >= 25
    check_log(store)
    check_bank(story)
    check_books(story)
    check_chain(settings, store)
    head = store.head()
    story.play()
    added = store.read(head)  # the witness signs in its own time
    assert [entry for entry in added if not isinstance(entry.event, BatchCosigned)] == []


# ---------------------------------------------------------------- what must be true in the end


def check_log(store: Store) -> None:
    """Every turn of the story once; no alarm; the hash chain without a gap; batches that join."""
    entries = store.read(0, 100_000)
    counts = Counter(entry.event.tag for entry in entries)
    assert {tag: counts[tag] for tag in ONCE} == dict.fromkeys(ONCE, 1)
    assert counts["platform.alarm_raised.1"] == counts["credit.suspended.1"] == counts["payment.returned.1"] == 0
    assert counts["payment.requested.1"] == counts["payment.sent.1"] == counts["payment.confirmed.1"] == 6
    assert counts["credit.received.2"] == counts["credit.matched.1"] == 3
    assert counts["notice.requested.1"] == counts["notice.sent.1"]

    previous = ZERO_HASH
    for position, row in enumerate(store.rows(1, store.head()), start=1):
        assert row["position"] == position and bytes(row["prev_hash"]) == previous
        assert bytes(row["body_hash"]) == body_hash(bytes(row["body"]))
        previous = entry_hash(position, row["recorded_us"], previous, bytes(row["body_hash"]))
        assert bytes(row["hash"]) == previous

    batches = [entry.event for entry in entries if isinstance(entry.event, BatchAnchored)]
    ordered = sorted(batches, key=lambda batch: batch.batch_id)
    assert [batch.batch_id for batch in ordered] == list(range(1, len(batches) + 1))
    assert [batch.from_position for batch in ordered] == [1, *(batch.to_position + 1 for batch in ordered[:-1])]


def check_bank(story: Story) -> None:
    """The bank itself shows each payment once, and kept nothing."""
    rows = story.outside.get("/bank/transactions.json")
    paid = Counter((row["counterpart"], row["amount_pence"]) for row in rows if row["direction"] == "DBIT")
    assert paid == Counter({(account, pence): 1 for account, pence, _ in PAID_OUT})
    received = sum(row["amount_pence"] for row in rows if row["direction"] == "CRDT")
    assert received == sum(row["amount_pence"] for row in rows if row["direction"] == "DBIT")


def check_books(story: Story) -> None:
    ledger = story.admin.get("/v1/admin/ledger")
    assert ledger["sum_pence"] == 0
    assert ledger["not_cleared"] == []
    assert story.admin.get("/v1/compliance/incidents")["data"] == []


def check_chain(settings: Settings, store: Store) -> None:
    """One mint, one burn; nobody holds anything; every anchored batch stands there."""
    rows = JournalRows(connections := store.access.pool(ANCHOR))
    chain = Chain.connect(f"http://127.0.0.1:{settings.chain_port}", settings.chain_id, rows,
                          FolderKeys(settings.home / "keys"))
    state = chain.receivable(token_id(TOKENISED))
    assert (state.status, state.face_pence) == ("burned", 1_000_000)
    assert sum(chain.holders(token_id(TOKENISED)).values()) == 0
    assert store.load(TOKEN, TOKENISED).state == "BURNED"
    with connections.connection() as connection:
        operations = Counter(str(op).partition(":")[0] for op, in connection.execute(
            "SELECT op_id FROM fx.chain_transactions").fetchall())
    assert (operations["mint"], operations["slice"], operations["burn"], operations["transfer"]) == (1, 1, 1, 2)
    anchored = [entry for entry in store.read(0, 100_000) if isinstance(entry.event, BatchAnchored)]
    assert chain.batch_count() == len(anchored)
    connections.close()
