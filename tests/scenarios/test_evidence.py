"""The evidence of a running platform, as its command line gives it: verified, exported, tampered with, verified again.

The tests of this file share one town and build on each other, in order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chain.anvil import Anvil
from domain.base import Context
from domain.platform import ClaimFingerprint
from eventstore.segments import read_segments
from eventstore.store import Store
from eventstore.verify import CannotVerify
from projections.base import checksum, rebuild
from projections.catalogue import PROJECTIONS
from scripts.segments import export_segments
from scripts.verify import verify_log, verify_segments
from tests.conftest import access_to
from tests.eventstore import logs
from tests.eventstore.logs import superuser
from tests.scenarios.town import Town, accepted, refused

ANCHORED = "audit.batch_anchored.1"


@pytest.fixture(scope="module")
def anchored(town: Town) -> Town:
    """Two batches are anchored, and recorded."""
    for count in (len(town.entries(ANCHORED)) + 1, len(town.entries(ANCHORED)) + 2):
        town.forward(minutes=11)
        town.wait(lambda count=count: len(town.entries(ANCHORED)) >= count, f"batch {count}")
    return town


@pytest.fixture(scope="module")
def folder(anchored: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("segments")
    assert list(export_segments(anchored.house.platform.settings, target, rows=1))
    return target


def contract_of(town: Town) -> str:
    return town.house.platform.chain().deployment()["FXAuditAnchor"]


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_a_running_platforms_log_is_good_on_every_layer(anchored: Town, capsys: pytest.CaptureFixture[str]) -> None:
    settings = anchored.house.platform.settings
    assert verify_log(settings, 1, None, as_json=True) == 0
    told = report(capsys)
    assert set(told["layers"].values()) == {"good"} and told["unknown_topics"] == []
    witness, clock = sorted(told["not_checked"], reverse=True)
    assert "this sandbox moves its own clock" in clock, "said, and no reason for another exit code"
    assert "no countersignature was looked at" in witness, "neither is that"
    assert told["entries"] == told["bodies"] > 50
    assert verify_log(settings, 1, None, contract=contract_of(anchored)) == 0
    said = capsys.readouterr()
    assert "anchors   good" in said.out and said.err == "", "no progress bar where there is no terminal"


def test_parts_and_chain_only(anchored: Town, capsys: pytest.CaptureFixture[str]) -> None:
    settings = anchored.house.platform.settings
    assert verify_log(settings, 5, 20, as_json=True) == 0
    assert (told := report(capsys))["entries"] == 16 and told["from"] == 5
    assert verify_log(settings, 1, None, chain_only=True, as_json=True) == 0
    assert report(capsys)["layers"]["bodies"] == "not checked"
    with pytest.raises(CannotVerify):
        verify_log(settings, 1, 10**9)


def test_segments_of_it_verify_without_its_database(anchored: Town, folder: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    settings = anchored.house.platform.settings
    assert verify_segments(settings, folder, as_json=True) == 3
    assert "--contract" in report(capsys)["not_checked"][0]
    assert verify_segments(settings, folder, contract=contract_of(anchored), as_json=True) == 0
    assert report(capsys)["layers"]["anchors"] == "good"
    with pytest.raises(CannotVerify, match="no segments"):
        verify_segments(settings, folder / "nowhere")


def test_segments_hold_what_the_store_holds(anchored: Town, folder: Path) -> None:
    entries = list(read_segments(folder))
    assert entries == anchored.house.platform.store.read(0, 100_000)[:len(entries)]
    assert list(export_segments(anchored.house.platform.settings, folder, rows=1)) == []


def test_read_models_built_from_segments_and_the_rest_are_the_live_ones(anchored: Town, folder: Path) -> None:
    platform = anchored.house.platform
    assert platform.projector.wait_for(platform.store.head(), 10)
    projection = PROJECTIONS["audit_trail"]
    with platform.engine.connect() as connection:
        live = checksum(connection, projection)
    rebuild(platform.projector.engine, platform.store, projection, closed=read_segments(folder))
    with platform.engine.connect() as connection:
        assert checksum(connection, projection) == live


def test_manifests_that_name_other_batches_are_found(anchored: Town, folder: Path, tmp_path: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    last = sorted(copy.glob("*.json"))[-1]
    manifest = json.loads(last.read_text())
    manifest["batches"][0]["root"] = "11" * 32
    last.write_text(json.dumps(manifest))
    assert verify_segments(anchored.house.platform.settings, copy, contract=contract_of(anchored), as_json=True) == 1
    assert report(capsys)["first_bad"]["kind"] == "manifest_changed"


def test_a_changed_byte_is_named(anchored: Town, capsys: pytest.CaptureFixture[str]) -> None:
    settings = anchored.house.platform.settings
    assert settings.database_url is not None
    with superuser(settings.database_url) as db:
        row = db.execute("SELECT body FROM fx.audit_entries WHERE position = 12").fetchone()
        assert row is not None
        logs.set_body(db, 12, row[0].replace(b'"at":"2', b'"at":"3'))
        assert verify_log(settings, 1, None, as_json=True) == 1
        assert report(capsys)["first_bad"] | {"fits": ""} == {"position": 12, "kind": "body_changed", "fits": ""}
        assert verify_log(settings, 1, None) == 1
        assert "entry 12: body_changed: its body was changed after the append" in capsys.readouterr().out
        logs.set_body(db, 12, row[0])
        assert verify_log(settings, 1, None) == 0


def test_a_neighbours_entry_is_anchored_and_its_proof_is_not_ours_to_give(anchored: Town) -> None:
    platform = anchored.house.platform
    database = platform.settings.database_url
    assert database is not None
    neighbour = Store(access_to(database, "tnt_neighbour"))
    theirs = neighbour.execute(ClaimFingerprint(fingerprint="f", invoice="i"), key="k", context=Context(
        actor="system:test", actor_role="system", tenant="tnt_neighbour", now=platform.clock.now())).position
    neighbour.close()
    count = len(anchored.entries(ANCHORED)) + 1
    anchored.forward(minutes=11)
    anchored.wait(lambda: len(anchored.entries(ANCHORED)) >= count, "the batch over the neighbour's entry")
    assert platform.projector.wait_for(platform.store.head(), 10)
    person = anchored.person("admin")
    refused(person.get(f"/v1/audit/proofs/{theirs}"), 404, "not_found")
    assert accepted(person.get(f"/v1/audit/proofs/{theirs - 1}"))["position"] == theirs - 1


def test_without_a_chain_it_says_so(anchored: Town, chain_node: Anvil, capsys: pytest.CaptureFixture[str]) -> None:
    settings = anchored.house.platform.settings
    chain_node.stop()
    assert verify_log(settings, 1, None, as_json=True) == 3
    told = report(capsys)
    assert told["layers"]["anchors"] == "not checked" and told["layers"]["batches"] == "good"
    assert told["not_checked"][0].startswith("anchors: the chain at ")
