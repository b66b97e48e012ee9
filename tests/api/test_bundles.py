"""Evidence bundles of a running platform, over HTTP and on the command line, judged by the verifier they bring."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.opaque import Opaque
from api.rest import audit
from bootstrap import SetupError
from chain.client import Chain
from chain.merkle import Trees
from domain.base import Context
from domain.platform import ClaimFingerprint
from eventstore.naming import streams_naming
from eventstore.store import Store
from scripts.evidence import export_bundle
from tests.api.conftest import Past
from tests.api.test_visibility import EVERYBODY
from tests.conftest import access_to
from tests.eventstore.logs import superuser
from tests.scenarios.town import Person, Town, accepted, refused


@pytest.fixture(scope="module")
def anchored(past: Past) -> Past:
    """All that happened so far is anchored, with an entry of a neighbour's and a report to the authority in it."""
    town, platform = past.town, past.town.house.platform
    with_neighbour = Store(access_to(str(platform.settings.database_url), "tnt_neighbour"))
    with_neighbour.execute(ClaimFingerprint(fingerprint="f", invoice=past.settled), key="k", context=Context(
        actor="system:test", actor_role="system", tenant="tnt_neighbour", now=platform.clock.now()))
    with_neighbour.close()
    report = {"subject": town.id_of("clifton"), "made_on": "2026-05-22", "reference": past.settled}
    accepted(town.person("mlro").post("/v1/compliance/reports", report))
    until = platform.store.links.head()
    anchor_now(town, until)
    return past


def anchor_now(town: Town, position: int) -> None:
    town.forward(minutes=11)
    town.wait(lambda: chain_of(town).next_position() > position, f"position {position} to be anchored")
    town.wait(lambda: town.person("admin").get(f"/v1/audit/proofs/{position}").status_code == 200, "its batch's record")


def chain_of(town: Town) -> Chain:
    return town.house.platform.chain()


def asked(person: Person, **params: Any) -> httpx.Response:
    """`begin` stands for `from`, which is a word of Python's."""
    named = {{"begin": "from"}.get(name, name): value for name, value in params.items()}
    return person.http.get("/v1/audit/bundles", params=named)


def fetched(town: Town, folder: Path, **params: Any) -> Path:
    answer = asked(town.person("mlro"), **params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    (folder / "bundle.zip").write_bytes(answer.content)
    with zipfile.ZipFile(folder / "bundle.zip") as archive:
        archive.extractall(folder / "b")
    return folder / "b"


def judged(town: Town, bundle: Path) -> dict[str, str]:
    chain = chain_of(town)
    node = f"http://127.0.0.1:{town.house.platform.settings.chain_port}"
    url = town.house.platform.settings.chain_url or node
    anchored_at = json.loads((bundle / "batches.json").read_text())[-1]["anchored_at"]  # this node has its own time
    command = [sys.executable, "-I", str(bundle / "verify.py"), str(bundle), "--json", "--rpc", url, "--contract",
               chain.deployment()["FXAuditAnchor"], "--chain-id", str(chain.chain_id),
               "--now", datetime.fromtimestamp(anchored_at, UTC).isoformat()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: line["verdict"] for name, line in json.loads(done.stdout)["verdicts"].items()}


def lines_of(bundle: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bundle / "entries.jsonl").read_text().splitlines()]


def test_a_range_holds_every_position(anchored: Past, tmp_path: Path) -> None:
    town = anchored.town
    last = chain_of(town).next_position() - 1
    bundle = fetched(town, tmp_path, begin=1, to=last)
    lines = lines_of(bundle)
    assert [line["position"] for line in lines] == list(range(1, last + 1))
    withheld = [line for line in lines if "body" not in line]
    reports = town.entries("restricted.recorded.1") + town.entries("restricted.turn_taken.1")
    assert len(withheld) == 1 + len(reports) and reports, "the neighbour's, and what is restricted"
    assert b"restricted." not in (bundle / "entries.jsonl").read_bytes()
    assert judged(town, bundle) == dict.fromkeys(
        ("integrity", "completeness", "freshness", "authenticity", "policy"), "PASS")


def test_an_invoices_bundle_is_its_whole_story(anchored: Past, tmp_path: Path) -> None:
    town = anchored.town
    bundle = fetched(town, tmp_path, invoice=anchored.settled)
    lines = lines_of(bundle)
    kinds = {line["body"]["type"].partition(".")[0] for line in lines}
    assert {"invoice", "token", "trade", "payment", "credit", "notice", "fingerprint"} <= kinds
    assert not {"restricted", "audit", "clock"} & kinds
    resources = {line["body"]["resource"] for line in lines}
    assert anchored.settled in resources and anchored.outstanding not in resources
    own = [line["body"] for line in lines if line["body"]["resource"] == anchored.settled]
    assert [body["version"] for body in own] == list(range(1, len(own) + 1)) and own[-1]["type"] == "invoice.settled.1"
    verdicts = judged(town, bundle)
    assert verdicts == {"integrity": "PASS", "completeness": "NOT PROVED", "freshness": "PASS",
                        "authenticity": "PASS", "policy": "PASS"}
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert set(manifest["versions"]) == {"model", "policy"} and "log" in manifest["keys"]
    assert all(batch["block"]["hash"].startswith("0x") for batch in json.loads((bundle / "batches.json").read_text()))


def test_a_subjects_bundle_is_its_stream_and_what_names_it(anchored: Past, tmp_path: Path) -> None:
    town, subject = anchored.town, anchored.town.id_of("brunel")
    bundle = fetched(town, tmp_path, subject=subject)
    lines = lines_of(bundle)
    assert {line["body"]["type"].partition(".")[0] for line in lines} >= {"subject", "trade", "payment"}
    assert not any(line["body"]["type"].startswith("restricted.") for line in lines)
    assert judged(town, bundle)["integrity"] == "PASS"


def test_only_compliance_and_only_for_one_thing(anchored: Past) -> None:
    """Whole entries hold reasons of freezes and reviews: the administrator reads neither these nor a range of them."""
    town = anchored.town
    for who in EVERYBODY:
        answer = asked(town.person(who), begin=1, to=2)
        if who == "mlro":
            assert answer.status_code == 200
        else:
            refused(answer, 403, "not_your_role")
    refused(asked(town.person("nobody"), invoice=anchored.settled), 401, "not_authenticated")
    mlro = town.person("mlro")
    refused(asked(mlro), 422, "one_thing")
    refused(asked(mlro, invoice="a", subject="b"), 422, "one_thing")
    refused(asked(mlro, invoice="a", to=3), 422, "one_thing")
    refused(asked(mlro, begin=5, to=4), 422, "one_thing")
    refused(asked(mlro, begin=0, to=4), 422, "one_thing")
    refused(asked(mlro, begin=-3), 400, "malformed")
    refused(asked(mlro, begin=10**30), 400, "malformed")
    refused(asked(mlro, begin="x"), 400, "malformed")
    refused(asked(mlro, invoice=""), 400, "malformed")
    for unknown in ("FX-INV-00000", anchored.settled[:-1], anchored.token, "%", "../x", "(", "restricted"):
        refused(asked(mlro, invoice=unknown), 404, "not_found")
        refused(asked(mlro, subject=unknown), 404, "not_found")


def test_a_name_is_a_whole_word(anchored: Past) -> None:
    store = anchored.town.house.platform.store
    assert streams_naming(store, [anchored.settled], store.head())
    for part in (anchored.settled[:-1], anchored.settled[1:], anchored.settled + "0"):
        assert not streams_naming(store, [part], store.head())


def test_the_command_line_writes_the_same(anchored: Past, tmp_path: Path) -> None:
    settings = anchored.town.house.platform.settings
    told = export_bundle(settings, tmp_path / "b", 1, None, invoice=anchored.settled)
    assert told["scope"]["name"] == anchored.settled and told["counts"]["withheld"] == 0
    assert judged(anchored.town, tmp_path / "b")["integrity"] == "PASS"
    with pytest.raises(SetupError, match="one range, one invoice or one subject"):
        export_bundle(settings, tmp_path / "c", 1, 5, invoice=anchored.settled)
    with pytest.raises(SetupError, match="there is no subject 'sub_nobody'"):
        export_bundle(settings, tmp_path / "c", 1, None, subject="sub_nobody")


def test_proofs_say_where_to_check_them(anchored: Past) -> None:
    town = anchored.town
    told = accepted(town.person("admin").get("/v1/audit/proofs/1"))
    assert told["contract"] == chain_of(town).deployment()["FXAuditAnchor"] and told["chain_id"] == 31337
    batch = chain_of(town).batch(told["batch_id"])
    assert (told["root"], told["head"]) == (batch.root.hex(), batch.head.hex())
    assert told["call"] == "verifyInclusion(uint64,uint64,bytes32,bytes32[])"
    proof = [bytes.fromhex(sibling) for sibling in told["proof"]]
    assert chain_of(town).verify_inclusion(told["batch_id"], 1, bytes.fromhex(told["hash"]), proof)


OFF_CHAIN = {"hash", "anchored_at", "provisional"}
ON_CHAIN = {*OFF_CHAIN, "chain_id", "contract", "batch_id", "root", "head", "tx", "block", "cosignatures"}


def test_customers_learn_in_which_batch_their_own_entries_are(anchored: Past) -> None:
    """No position, no path: both would say how much everybody else does. The chain is for who reads it."""
    town = anchored.town
    acted = {"coppergate": "invoice.submitted.1", "northwind": "invoice.confirmed.1", "pennine": "invoice.reserved.1",
             "brunel": "trade.reserved.1"}
    platform = town.house.platform
    opaque = Opaque(platform.secrets.edge_secret, platform.settings.tenant)
    for who, topic in acted.items():
        entry = town.entries(topic)[0]
        place = opaque.place(entry.position)
        told = accepted(town.person(who).get(f"/v1/audit/proofs/{place}"))
        assert set(told) == (ON_CHAIN if who in ("pennine", "brunel") else OFF_CHAIN), told
        row = next(platform.store.rows(entry.position, entry.position))
        assert told["hash"] == row["hash"].hex()
        absent = refused(town.person(who).get(f"/v1/audit/proofs/{opaque.place(10**9)}"), 404, "not_found")
        for other in set(acted) - {who}:
            hidden = refused(town.person(other).get(f"/v1/audit/proofs/{place}"), 404, "not_found")
            assert {**hidden, "request_id": ""} == {**absent, "request_id": ""}
            refused(town.person(other).get(f"/v1/audit/proofs/{entry.position}"), 404, "not_found")
        refused(town.person(who).get(f"/v1/audit/proofs/{entry.position}"), 404, "not_found")


def test_a_log_that_does_not_give_the_root_gives_no_proof(anchored: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof made of changed hashes would be refused by everybody; better to say so here."""
    admin = anchored.town.person("admin")
    kept = accepted(admin.get("/v1/audit/proofs/1"))
    change = "UPDATE fx.audit_entries SET hash = decode(%s, 'hex') WHERE position = 2"
    with superuser(str(anchored.town.house.platform.settings.database_url)) as db:
        row = db.execute("SELECT hash FROM fx.audit_entries WHERE position = 2").fetchone()
        assert row is not None
        try:
            db.execute(change, ("ab" * 32,))
            assert accepted(admin.get("/v1/audit/proofs/1")) == kept, "the anchored tree, as it was"
            monkeypatch.setattr(audit, "_trees", Trees())
            refused(admin.get("/v1/audit/proofs/1"), 409, "root_differs")
        finally:
            db.execute(change, (row[0].hex(),))
    assert accepted(admin.get("/v1/audit/proofs/1")) == kept
