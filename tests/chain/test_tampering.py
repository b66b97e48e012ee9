"""The threat matrix: what each attacker does to the log, and what finds it; cells that nothing finds are tests as well.

A1 has the application's roles. A2 owns the database. A3 has the anchoring key besides. The log: batch 1 holds 1 to 20,
its record is 21; batch 2 holds 21 to 30, its record is 31; 32 to 36 are not anchored yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

import migrations
from chain.anchor import anchor_pending, make_batch
from chain.anvil import Anvil, free_port
from chain.audit import Audit, Batches, OnChain
from chain.errors import Final, Refused, Retryable
from chain.keys import FolderKeys
from domain.platform import BatchAnchored
from eventstore.verify import Log, Report, verify
from tests.chain.conftest import World
from tests.eventstore import logs
from tests.eventstore.logs import START_US, Database, append, body_of, fill, superuser

EVIDENCE = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text()
RECORD_OF_2 = 31


def hashes_of(db: Database) -> Callable[[int, int], list[bytes]]:
    return Log(db).hashes


def record(world: World, number: int, position: int, **changes: Any) -> bytes:
    """The body of the entry that records a batch."""
    batch = world.chain.batch(number)
    facts = {"batch_id": number, "from_position": batch.from_position, "to_position": batch.to_position,
             "root": batch.root.hex(), "head": batch.head.hex(), "tx": "0x", "block": 1}
    return body_of(position, event=BatchAnchored(**{**facts, **changes}))


@dataclass
class Scene:
    """A log in a database of its own, and the chain that holds its anchors."""

    url: str
    world: World

    @property
    def superuser(self) -> Any:
        return superuser(self.url)

    def verified(self, batches: Batches | None = None, *, chain: bool = True, **options: Any) -> Report:
        connect = partial(psycopg.connect, self.url, autocommit=True)
        witness = batches or (OnChain.of(self.world.chain) if chain else None)
        bounds = {name: options.pop(name) for name in ("first", "last") if name in options}
        with connect() as columns:
            log = Log(columns, connect, page=7)
            return verify(log, watchers=[Audit(log, witness, **options)], **bounds)


def build(url: str, world: World, entries: tuple[int, ...] = (20, 9, 5)) -> None:
    """Write the log of the module's docstring."""
    migrations.upgrade(url)
    with superuser(url) as db:
        for count in entries[:-1]:
            head = fill(db, count)
            assert anchor_pending(world.chain, hashes_of(db), head) is not None
            append(db, record(world, world.chain.batch_count(), head + 1))
        fill(db, entries[-1])


@pytest.fixture(scope="session")
def databases(empty_database: Callable[..., str]) -> Callable[[str | None], str]:
    """Makes databases, empty or as copies of the one at a URL; their superuser's URLs."""
    return lambda url=None: empty_database(url.partition("?")[0].rpartition("/")[2]) if url else empty_database()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, databases: Any, new_rows: Any,
             keys: FolderKeys) -> Iterator[Scene]:
    with Anvil(tmp_path_factory.mktemp("matrix"), port=free_port()) as anvil:
        world = World(anvil, new_rows(), keys)
        world.chain.deploy()
        url = databases()
        build(url, world)
        yield Scene(url, world)


@pytest.fixture
def scene(original: Scene, databases: Any) -> Scene:
    return Scene(databases(original.url), original.world)


def documented(marker: str) -> bool:
    """Whether docs/evidence.md owns up to it."""
    return f"undetectable: {marker}" in EVIDENCE


def test_the_untouched_log_passes_every_layer(scene: Scene) -> None:
    report = scene.verified()
    assert report.exit_code == 0 and report.unchecked == [], report
    assert {verdict for layer, verdict in report.layers.items()} == {"good"}


# ------------------------------------------------------------ A1: the application's roles

BY_SQL = {
    "edit": "UPDATE fx.audit_entries SET body = '' WHERE position = 12",
    "cut": "DELETE FROM fx.audit_entries WHERE position > 30",
    "insert": "INSERT INTO fx.audit_entries SELECT position + 100, tenant_id, originator_id, 99, topic, recorded_us, "
              "prev_hash, body_hash, hash, body FROM fx.audit_entries WHERE position = 12",
    "delete the table": "TRUNCATE fx.audit_entries",
    "take the guard away": "ALTER TABLE fx.audit_entries DISABLE TRIGGER ALL",
    "go round the guard": "SET session_replication_role = replica",
    "replace the guard": "CREATE OR REPLACE FUNCTION fx.refuse_change() RETURNS trigger LANGUAGE plpgsql "
                         "AS 'BEGIN RETURN NULL; END'",
}


@pytest.mark.parametrize("statement", BY_SQL.values(), ids=BY_SQL.keys())
def test_a1_cannot(scene: Scene, statement: str) -> None:
    with psycopg.connect(scene.url, autocommit=True) as db:
        roles = [row[0] for row in db.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'fx\\_%' AND rolcanlogin AND NOT rolsuper AND rolname <> "
            "(SELECT tableowner FROM pg_tables WHERE schemaname = 'fx' AND tablename = 'audit_entries')")]
        assert roles
        for role in roles:
            with db.transaction(force_rollback=True):
                db.execute(f"SET LOCAL ROLE {role}".encode())
                with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
                    db.execute(statement.encode())
    assert scene.verified().exit_code == 0


def test_a1_forges_the_record_of_a_batch(scene: Scene) -> None:
    """The append takes any body: what makes a record true is the contract."""
    with scene.superuser as db:
        forged = append(db, record(scene.world, 2, 37, batch_id=3, from_position=31, to_position=36))
    bad = scene.verified().first_bad
    assert bad is not None and (bad.kind, bad.position) == ("batch_forged", forged)


def test_a1_gives_another_actor(scene: Scene) -> None:
    """Staff acts and is marked as the customer: the log keeps faithfully what the application told it."""
    with scene.superuser as db:
        append(db, body_of(37, actor="sub_customer"))
    assert scene.verified().exit_code == 0 and documented("a forged actor")


# ------------------------------------------------------------ A2: the owner of the database, triggers off

def edit(db: Database) -> None:
    logs.set_body(db, 12, body_of(12, detail="changed"))


def edit_and_rechain(db: Database) -> None:
    edit(db)
    logs.rechain(db, 12)


def cut_behind_the_anchor(db: Database) -> None:
    logs.delete(db, 26, 36)


def restore_an_older_table(db: Database) -> None:
    logs.delete(db, 16, 36)


def restore_and_continue(db: Database) -> None:
    restore_an_older_table(db)
    append(db, *(body_of(position, detail="another history") for position in range(16, 40)))


def delete_the_table(db: Database) -> None:
    logs.delete(db, 1, 36)


def insert_back_dated(db: Database) -> None:
    logs.insert_before(db, 12, body_of(99), START_US + 11_500)


def insert_and_rechain(db: Database) -> None:
    insert_back_dated(db)
    logs.rechain(db, 12)


def drop_and_rechain(db: Database) -> None:
    logs.delete(db, 12)
    logs.renumber(db, 13, -1)
    logs.rechain(db, 12)


def reorder_and_rechain(db: Database) -> None:
    logs.swap(db, 12, 13)
    for position in (12, 13):
        logs.set_column(db, position, "recorded_us", START_US + position * 1_000)
    logs.rechain(db, 12)


def forge_the_record(scene: Scene, db: Database) -> None:
    logs.set_body(db, RECORD_OF_2, record(scene.world, 2, RECORD_OF_2, root="11" * 32))
    logs.rechain(db, RECORD_OF_2)


def rewrite_everything(scene: Scene, db: Database) -> None:
    """Every body, every hash, and the records of the batches so that they fit the new entries."""
    del scene
    for position in range(1, 31):
        if position != 21:
            logs.set_body(db, position, body_of(position, detail="another history"))
    head = bytes.fromhex("00" * 32)
    for first, last, at in ((1, 20, 21), (21, 30, RECORD_OF_2)):
        logs.rechain(db, 1)
        batch = make_batch(first // 20 + 1, list(enumerate(hashes_of(db)(first, last), first)), head)
        head = batch.head
        logs.set_body(db, at, body_of(at, event=BatchAnchored(
            batch_id=batch.batch_id, from_position=first, to_position=last, root=batch.root.hex(),
            head=batch.head.hex(), tx="0x", block=1)))
    logs.rechain(db, 1)


def rewrite_unrecorded(db: Database) -> None:
    """Rewrite everything, and leave out that anything was ever anchored."""
    logs.delete(db, 21, 36)
    edit_and_rechain(db)


# what is done: (kind and position with the chain, kind and position without, or None where it passes)
FOUND = tuple[str, int]
A2: dict[str, tuple[Callable[..., None], FOUND, FOUND | None]] = {
    "edit one entry": (edit, ("body_changed", 12), ("body_changed", 12)),
    "edit and compute all hashes anew": (edit_and_rechain, ("rewritten", 1), ("batch_differs", 21)),
    "cut the tail": (cut_behind_the_anchor, ("tail_cut", 26), None),
    "restore an older table": (restore_an_older_table, ("tail_cut", 16), None),
    "restore an older table and go on": (restore_and_continue, ("rewritten", 1), None),
    "delete the table": (delete_the_table, ("tail_cut", 1), None),
    "insert a back-dated entry": (insert_back_dated, ("inserted", 12), ("inserted", 12)),
    "insert and compute all hashes anew": (insert_and_rechain, ("rewritten", 1), ("batch_differs", 22)),
    "drop and compute all hashes anew": (drop_and_rechain, ("rewritten", 1), ("batch_forged", 20)),
    "reorder and compute all hashes anew": (reorder_and_rechain, ("rewritten", 1), ("batch_differs", 21)),
    "forge a batch": (forge_the_record, ("batch_forged", RECORD_OF_2), ("batch_forged", RECORD_OF_2)),
    "rewrite everything": (rewrite_everything, ("rewritten", 1), None),
}


def do_to(scene: Scene, attack: Callable[..., None]) -> None:
    with scene.superuser as db:
        attack(scene, db) if attack in (forge_the_record, rewrite_everything) else attack(db)


@pytest.mark.parametrize("name", A2)
def test_a2_is_found_with_the_chain(scene: Scene, name: str) -> None:
    attack, expected, _ = A2[name]
    do_to(scene, attack)
    report = scene.verified()
    bad = report.first_bad
    assert report.exit_code == 1 and bad is not None
    assert expected in [(found.kind, found.position) for found in report.findings], report.findings
    assert bad.position <= expected[1]


@pytest.mark.parametrize("name", A2)
def test_a2_without_the_chain(scene: Scene, name: str) -> None:
    """What the hash chain and the log's own records find; where they find nothing, that is documented."""
    attack, _, expected = A2[name]
    do_to(scene, attack)
    report = scene.verified(chain=False, why_not="nobody answers")
    assert report.unchecked == ["anchors: nobody answers"] and report.layers["anchors"] == "not checked"
    if expected is None:
        assert report.exit_code == 3 and report.findings == [], report.findings
        assert documented("without the chain") and name in EVIDENCE
    else:
        assert report.exit_code == 1
        assert expected in [(found.kind, found.position) for found in report.findings], report.findings


def test_a2_cuts_or_rewrites_what_no_anchor_holds_yet(scene: Scene) -> None:
    with scene.superuser as db:
        logs.delete(db, 34, 36)
    assert scene.verified().exit_code == 0
    with scene.superuser as db:
        logs.set_body(db, 33, body_of(33, detail="another history"))
        logs.rechain(db, 33)
    assert scene.verified().exit_code == 0
    assert documented("a tail no anchor holds")


def test_a2_shows_somebody_another_log(original: Scene, databases: Any) -> None:
    """Two logs with the same anchored past and different tails: each verifies, and neither knows of the other."""
    for detail in ("one story", "another story"):
        scene = Scene(databases(original.url), original.world)
        with scene.superuser as db:
            append(db, body_of(37, detail=detail))
        assert scene.verified().exit_code == 0
    assert documented("a fork of the tail")


def test_a2_names_a_contract_of_his_own(scene: Scene, new_rows: Any, tmp_path: Path) -> None:
    """The database says which contract is ours, and somebody who owns it can say another. The published address can not
    be changed there."""
    ours = scene.world.chain.deployment()["FXAuditAnchor"]
    theirs = World(scene.world.anvil, new_rows(), FolderKeys(tmp_path / "keys", seed=b"attacker"))
    theirs.chain.deploy()
    do_to(scene, edit_and_rechain)
    with scene.superuser as db:
        logs.delete(db, 21, 36)
        anchor_pending(theirs.chain, hashes_of(db), 20)
    assert scene.verified(OnChain.of(theirs.chain)).exit_code == 0 and documented("another contract")
    report = scene.verified(OnChain.at(scene.world.anvil.url, 31337, ours))
    assert {found.kind for found in report.findings} == {"rewritten", "tail_cut"}


def test_a2_withholds_anchors(scene: Scene) -> None:
    """Silence is a finding too."""
    report = scene.verified(due_us=START_US + 10**9)
    assert report.exit_code == 1
    assert [(found.position, found.kind) for found in report.findings] == [(31, "not_anchored")]
    assert scene.verified(due_us=START_US + 31_000).exit_code == 0


# ------------------------------------------------------------ A3: and the anchoring key

def test_a3_cannot_anchor_a_rewritten_range_again(scene: Scene) -> None:
    do_to(scene, edit_and_rechain)
    chain = scene.world.chain
    with scene.superuser as db:
        forged = make_batch(1, list(enumerate(hashes_of(db)(1, 20), 1)), chain.batch(1).head)
    with pytest.raises(Refused):
        chain.anchor(scene.world.op("forge"), 1, 1, 20, forged.root, forged.prev_head)
    assert [found.kind for found in scene.verified().findings][0] == "rewritten"


def test_a3_rewrites_the_tail_and_anchors_it(fresh_world: World, databases: Any) -> None:
    fresh_world.chain.deploy()
    scene = Scene(databases(), fresh_world)
    build(scene.url, fresh_world, (8, 5))
    with scene.superuser as db:
        logs.set_body(db, 11, body_of(11, detail="another history"))
        logs.rechain(db, 11)
        anchor_pending(fresh_world.chain, hashes_of(db), 14)
    assert scene.verified().exit_code == 0 and documented("a tail no anchor holds")


def test_what_only_people_can_check_is_documented() -> None:
    for marker in ("a replaced verifier", "colluding chain operators", "what was never recorded"):
        assert documented(marker), marker


# ------------------------------------------------------------ parts, and chains that fail

@pytest.mark.parametrize("bounds", [{"first": 15, "last": 25}, {"first": 20, "last": 21}, {"first": 31}, {"last": 5}])
def test_a_part_is_compared_with_the_batches_that_reach_into_it(scene: Scene, bounds: dict[str, Any]) -> None:
    report = scene.verified(**bounds)
    if bounds.get("first", 1) > 30:
        assert report.exit_code == 3 and report.layers["anchors"] == "not checked"
        assert report.unchecked == ["anchors: no entry of this range is in a batch on the chain"]
    else:
        assert report.exit_code == 0 and report.layers["anchors"] == "good"
    do_to(scene, edit_and_rechain)
    found = {finding.kind for finding in scene.verified(**bounds).findings}
    assert found == ({"rewritten"} if bounds.get("first", 1) <= 30 else set())


def test_a_contract_without_batches_proves_nothing(scene: Scene) -> None:
    """However well it answers: what it never held cannot be good."""
    nothing = OnChain(0, OnChain.of(scene.world.chain).genesis, scene.world.chain.batch)
    do_to(scene, rewrite_unrecorded)
    report = scene.verified(nothing)
    assert report.exit_code == 3 and report.layers["anchors"] == "not checked" and report.findings == []
    assert report.unchecked == ["anchors: no entry of this range is in a batch on the chain"]


def test_a_gap_as_wide_as_a_bigint_is_no_work(scene: Scene) -> None:
    with scene.superuser as db:
        logs.set_column(db, 36, "position", 9 * 10**18)
    for chain in (True, False):
        assert [found.kind for found in scene.verified(chain=chain).findings] == ["removed", "swapped"]


def test_a_record_whose_body_is_broken_is_a_finding(scene: Scene) -> None:
    with scene.superuser as db:
        logs.set_body(db, RECORD_OF_2, b"no body")
    assert [found.kind for found in scene.verified().findings] == ["body_changed"]


def test_a_chain_that_falls_silent_is_said(scene: Scene) -> None:
    def silent(number: int) -> Any:
        raise Retryable("the node does not answer")

    batches = OnChain(2, OnChain.of(scene.world.chain).genesis, silent)
    report = scene.verified(batches)
    assert report.exit_code == 3 and report.layers["anchors"] == "not checked"
    assert report.unchecked == ["anchors: the chain stopped answering (the node does not answer)"]


def test_a_node_that_lies_about_the_order_of_batches_is_caught(scene: Scene) -> None:
    honest = OnChain.of(scene.world.chain)
    lying = OnChain(2, honest.genesis, lambda number: honest.batch(2))
    assert "contract_broken" in {found.kind for found in scene.verified(lying).findings}


@pytest.mark.parametrize("address", ["0x12", "0x" + "12" * 20])
def test_what_is_no_contract_of_ours_is_refused(scene: Scene, address: str) -> None:
    with pytest.raises((Final, Retryable)):
        OnChain.at(scene.world.anvil.url, 31337, address)
