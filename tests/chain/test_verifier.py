"""Bundles verify anywhere, and one changed byte is found and named."""

import ast
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from chain import anchor, verifier, verify_chain
from chain.anvil import Anvil, free_port
from chain.bundle import BatchRow, write_bundle
from scripts.benches.evidence import write_large_bundle
from tests.chain.conftest import World
from tests.chain.logbook import Logbook, chained

CREATED_AT = "2026-05-22T10:30:00Z"
PASSED = {"integrity": "PASS", "completeness": "PASS", "freshness": "PASS", "policy": "PASS"}
OFFLINE = PASSED | {"freshness": "NOT PROVED", "authenticity": "NOT PROVED"}
UNUSED = {"created_at", "versions", "keys", "streams", "checkpoint", "tx_hash", "block_number", "block"}
FILES = ("manifest.json", "entries.jsonl", "batches.json", "VERIFY.md", "verify.py", "verify_chain.py",
         "verify_notes.py", "verify_policy.py")


@pytest.fixture(scope="module")
def log() -> Logbook:
    log = Logbook()
    for number in range(1, 31):
        log.invoice_story(number)
    return log


@pytest.fixture(scope="module")
def anchored_world(tmp_path_factory, new_rows, keys):
    with Anvil(tmp_path_factory.mktemp("anvil"), port=free_port()) as anvil:
        world = World(anvil, new_rows(), keys)
        world.chain.deploy()
        yield world


@pytest.fixture(scope="module")
def batches(anchored_world, log) -> list[BatchRow]:
    """Three batches that cover positions 1 to 240."""
    rows = []
    for last in (100, 101, 240):
        anchored = anchor.anchor_pending(anchored_world.chain, log.hashes, last)
        assert anchored is not None
        rows.append(anchored.row())
    return rows


@pytest.fixture
def bundle(tmp_path, anchored_world, log, batches) -> Path:
    facts = anchor.facts(anchored_world.chain)
    write_bundle(tmp_path / "bundle", facts, log.entries, batches, log.hashes, CREATED_AT, {"policy": "7"})
    return tmp_path / "bundle"


def report(path: Path, *options: str) -> dict:
    """Runs the verifier the bundle brings, as its reader would."""
    script = path / "verify.py" if path.is_dir() else Path(verifier.__file__)
    command = [sys.executable, "-I", str(script), str(path), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    verdicts = found["verdicts"]
    assert done.returncode == int(any(line["verdict"] == "FAIL" for line in verdicts.values()))
    return found


def quick(path: Path, *options: str | int | list[str]) -> dict[str, tuple[str, str]]:
    """Verdicts without a new process."""
    parsed = verifier.argparse.Namespace(
        rpc=None, contract=None, chain_id=None, log=None, witness=[], quorum=None, now=None)
    for name, value in zip(options[::2], options[1::2], strict=True):
        setattr(parsed, str(name), value)
    found = verifier.verify(verifier.Bundle(path), parsed)
    return {name: (line["verdict"], line["why"]) for name, line in found["verdicts"].items()}


def change(bundle: Path, position: int, **fields) -> None:
    """Changes fields of one entry and repairs the manifest's file hash, as a careful forger would."""
    lines = texts(bundle)
    lines[position - 1] = written(entry(bundle, position) | fields)
    rewrite(bundle, lines)


def written(line: dict) -> str:
    """A line as bundles have it: `body` is text and comes last, exactly as it is hashed."""
    body = f',"body":{line["body"]}' if "body" in line else ""
    return json.dumps({name: line[name] for name in line if name != "body"}, separators=(",", ":"))[:-1] + body + "}"


def rewrite(bundle: Path, lines: list[str]) -> None:
    path = bundle / "entries.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["entries.jsonl"] = verifier.sha256(path.read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def texts(bundle: Path) -> list[str]:
    return (bundle / "entries.jsonl").read_text().splitlines()


def entry(bundle: Path, position: int) -> dict:
    """One line's members, the body as text."""
    text = texts(bundle)[position - 1]
    return json.loads(text) | {"body": text[text.index(',"body":') + 8 : -1]}


def test_a_bundle_verifies_offline_with_its_own_verifier(bundle):
    found = report(bundle)
    verdicts = {name: line["verdict"] for name, line in found["verdicts"].items()}
    assert verdicts == OFFLINE
    assert found["entries"] == 240


def test_a_bundle_verifies_against_the_chain(bundle, anchored_world):
    facts = anchor.facts(anchored_world.chain)
    published = ("--contract", facts.contract, "--chain-id", str(facts.chain_id))
    found = report(bundle, "--rpc", anchored_world.anvil.url, *published)
    verdicts = {name: line["verdict"] for name, line in found["verdicts"].items()}
    assert verdicts == PASSED | {"authenticity": "PASS"}


def test_the_text_report_names_all_five_verdicts(bundle):
    command = [sys.executable, str(bundle / "verify.py"), str(bundle)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in text.splitlines()[:5]] == list(verifier.Verdicts.NAMES)
    assert "entries/s" in text


def test_a_zip_verifies_and_is_the_same_twice(tmp_path, anchored_world, log, batches):
    facts = anchor.facts(anchored_world.chain)
    for name in ("one.zip", "two.zip"):
        write_bundle(tmp_path / name, facts, log.entries[90:150], batches, log.hashes, CREATED_AT)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert set(archive.namelist()) == set(FILES)
    verdicts = {name: line["verdict"] for name, line in report(tmp_path / "one.zip")["verdicts"].items()}
    assert verdicts == OFFLINE | {"policy": "NOT PROVED"}


def test_entries_after_the_last_anchor_are_reported(tmp_path, anchored_world, log, batches):
    facts = anchor.facts(anchored_world.chain)
    manifest = write_bundle(tmp_path / "b", facts, log.entries, batches[:2], log.hashes, CREATED_AT)
    assert manifest["counts"] == {"entries": 240, "withheld": 0, "anchored": 101, "batches": 2}
    verdicts = quick(tmp_path / "b")
    assert verdicts["completeness"] == (
        "NOT PROVED", "positions 1 to 240; the last 139 entries are not anchored yet")
    assert verdicts["integrity"] == (
        "NOT PROVED", "139 entries from position 102 on are in no batch of the bundle: nothing binds them")
    contract = ("rpc", anchored_world.anvil.url, "contract", facts.contract)
    assert quick(tmp_path / "b", *contract)["authenticity"] == (
        "FAIL", "position 102 is in a batch of the contract, which the bundle leaves out")


def test_the_contract_says_what_is_not_anchored(tmp_path, anchored_world, log, batches):
    """Honest, and written before the next anchor: nothing is wrong, and nothing of the last entries is proved."""
    facts, longer = anchor.facts(anchored_world.chain), Logbook()
    longer.entries, longer._versions = list(log.entries), dict(log._versions)
    longer.append("notice.sent.1", "notice:N")
    write_bundle(tmp_path / "b", facts, longer.entries, batches, longer.hashes, CREATED_AT)
    verdicts = quick(tmp_path / "b", "rpc", anchored_world.anvil.url, "contract", facts.contract)
    assert verdicts["integrity"][0] == verdicts["completeness"][0] == "NOT PROVED"
    assert verdicts["authenticity"] == ("NOT PROVED", "the bundle's 3 of 3 batches and 35 entries asked are in the "
                                                      "contract; from position 241 on there are none")
    write_bundle(tmp_path / "c", facts, longer.entries[240:], batches, longer.hashes, CREATED_AT)
    verdict, why = quick(tmp_path / "c", "rpc", anchored_world.anvil.url, "contract", facts.contract)["authenticity"]
    assert verdict == "NOT PROVED" and "0 entries asked" in why


def test_without_the_published_address_the_contract_may_be_anybodys(bundle, anchored_world):
    facts = anchor.facts(anchored_world.chain)
    verdicts = quick(bundle, "rpc", anchored_world.anvil.url)
    assert verdicts["authenticity"][0] == verdicts["freshness"][0] == "NOT PROVED"
    assert verdicts["authenticity"][1].endswith(f"published address, the bundle names {facts.contract}")


def test_more_batches_than_the_contract_has_are_not_authentic(bundle, anchored_world, batches):
    path = bundle / "batches.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([*rows, rows[-1] | {"batch_id": 4, "from_position": 241, "to_position": 250}]))
    assert quick(bundle, "rpc", anchored_world.anvil.url)["authenticity"] == (
        "FAIL", "the contract has 3 batches, the bundle 4")


@pytest.mark.parametrize(
    ("text", "replacement", "problem"),
    [
        ("usr_1", "usr_2", "the entry does not give its hash"),
        ('"at": "2026', '"at"; "2026', "the entry does not give its hash"),
        ('"recorded_us":1', '"recorded_us":2', "the entry does not give its hash"),
        ('"prev_hash":"', '"prev_hash":" ', "the entry does not give its hash"),
        ('{"position"', '["position"', "malformed entry"),
        ('"body"', '"bodi"', "malformed entry"),
        ('"proof":"', '"proof":"\u00e9', "the inclusion proof"),
    ],
)
def test_one_changed_byte_of_the_file_names_the_position(bundle, text, replacement, problem):
    path = bundle / "entries.jsonl"
    lines = path.read_text().splitlines()
    assert text in lines[122]
    lines[122] = lines[122].replace(text, replacement, 1)
    path.write_text("\n".join(lines) + "\n")
    verdict, why = quick(bundle)["integrity"]
    assert verdict == "FAIL" and why.startswith(f"position 123: {problem}")


def test_a_changed_file_is_found(bundle):
    for name in ("VERIFY.md", "verify.py"):
        path = bundle / name
        original = path.read_bytes()
        path.write_bytes(original + b"\n")
        assert quick(bundle)["integrity"] == ("FAIL", f"the file {name} differs from the manifest")
        path.write_bytes(original)
    (bundle / "VERIFY.md").unlink()
    assert quick(bundle)["completeness"] == ("FAIL", "the file VERIFY.md is missing")


def test_a_changed_byte_of_a_body_names_the_position(bundle):
    body = entry(bundle, 77)["body"].replace("sme_seller", "sme_sellor").replace("lender", "lendor")
    change(bundle, 77, body=body)
    assert quick(bundle)["integrity"] == ("FAIL", "position 77: the entry does not give its hash")


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("recorded_us", 5, "the entry does not give its hash"),
        ("prev_hash", "ab" * 32, "the entry does not give its hash"),
        ("hash", "ab" * 32, "the entry does not give its hash"),
        ("batch_id", 2, "the inclusion proof does not lead to the batch's root"),
        ("batch_id", 9, "the inclusion proof does not lead to the batch's root"),
        ("proof", "", "the inclusion proof does not lead to the batch's root"),
        ("proof", "zz" * 224, "the inclusion proof does not lead to the batch's root"),
    ],
)
def test_a_changed_column_names_the_position_and_the_kind(bundle, field, value, problem):
    change(bundle, 50, **{field: value})
    assert quick(bundle)["integrity"] == ("FAIL", f"position 50: {problem}")


def test_every_sibling_of_every_proof_counts(bundle):
    for position, place in ((1, 0), (2, 6), (51, 3), (99, 1), (170, 7)):
        good = entry(bundle, position)["proof"]
        change(bundle, position, proof=good[: place * 64] + "00" * 32 + good[place * 64 + 64 :])
        assert quick(bundle)["integrity"][1].startswith(f"position {position}: the inclusion proof")
        change(bundle, position, proof=good)
    assert quick(bundle)["integrity"][0] == "PASS"


def test_a_consistent_rewrite_of_an_entry_fails_at_the_next_link(bundle):
    line = entry(bundle, 60)
    body = line["body"].replace("usr_1", "usr_2")
    _, entry_hash = chained(60, line["recorded_us"], bytes.fromhex(line["prev_hash"]), body.encode())
    change(bundle, 60, body=body, hash=entry_hash.hex())
    verdict, why = quick(bundle)["integrity"]
    assert (verdict, why[:13]) == ("FAIL", "position 60: ")
    rewrite(bundle, [written(entry(bundle, position) | {"batch_id": None, "proof": ""}) for position in range(1, 241)])
    assert quick(bundle)["integrity"] == ("FAIL", "position 1: the entry names no batch")


def test_removed_and_swapped_entries_are_found(bundle):
    lines = texts(bundle)
    rewrite(bundle, lines[:79] + lines[80:])
    assert quick(bundle)["completeness"] == ("FAIL", "position 80: gap")
    rewrite(bundle, lines[:200])
    assert quick(bundle)["completeness"] == ("FAIL", "the entries end before position 201, the range at 240")
    lines[10], lines[11] = lines[11], lines[10]
    rewrite(bundle, lines)
    assert quick(bundle)["integrity"][1] == "position 11: gap"


def test_changed_batches_and_files_are_found(bundle):
    path = bundle / "batches.json"
    original = path.read_text()
    rows = json.loads(original)
    rows[1]["root"] = "ab" * 32
    path.write_text(json.dumps(rows))
    assert quick(bundle)["integrity"][1] == "batch 2 does not give its head"
    rows = json.loads(original)
    del rows[1]
    path.write_text(json.dumps(rows))
    assert quick(bundle)["completeness"] == ("FAIL", "batch 2 does not continue the one before")


def test_a_whole_forged_history_is_not_authentic(tmp_path, anchored_world, batches):
    """Everything agrees with itself, and only the chain tells."""
    forged, rows, head = Logbook(), [], anchor.genesis_head(anchored_world.chain.deployment().log_id)
    for number in range(1, 31):
        forged.invoice_story(number + 100)
    for real in batches:
        positions = range(real.from_position, real.to_position + 1)
        hashes = forged.hashes(real.from_position, real.to_position)
        batch = anchor.make_batch(real.batch_id, list(zip(positions, hashes, strict=True)), head)
        head = batch.head
        row = {name: getattr(real, name) for name in ("tx_hash", "block_number", "anchored_at")}
        rows.append(BatchRow(**{name: getattr(batch, name) for name in batch.__struct_fields__}, **row))
    facts = anchor.facts(anchored_world.chain)
    write_bundle(tmp_path / "b", facts, forged.entries, rows, forged.hashes, CREATED_AT)
    verdicts = quick(tmp_path / "b", "rpc", anchored_world.anvil.url)
    assert verdicts["integrity"][0] == "PASS"
    assert verdicts["authenticity"] == ("FAIL", "batch 1 differs on the chain")


def test_another_contract_chain_or_sender_is_not_authentic(bundle, anchored_world):
    url = anchored_world.anvil.url
    assert quick(bundle, "contract", "0x" + "11" * 20)["authenticity"][0] == "FAIL"
    assert quick(bundle, "chain_id", 1)["authenticity"][0] == "FAIL"
    path = bundle / "manifest.json"
    original = json.loads(path.read_text())
    token = anchored_world.chain.deployment()["FXReceivableToken"]
    for field, value, why in (
        ("chain_id", 1, "the node serves another chain"),
        ("contract", token, "the contract's code is not the published one"),
        ("anchorer", token, "batch 1 was not sent by the anchoring key"),
    ):
        path.write_text(json.dumps(original | {"chain": original["chain"] | {field: value}}))
        assert quick(bundle, "rpc", url)["authenticity"] == ("FAIL", why)
    path.write_text(json.dumps(original))
    verdict, why = quick(bundle, "rpc", f"http://127.0.0.1:{free_port()}")["authenticity"]
    assert verdict == "NOT PROVED" and why.startswith("the node gave no usable answer")


@pytest.mark.parametrize(
    ("now", "verdict", "start"),
    [
        ("2026-05-22T10:05:00Z", "PASS", "the newest anchor is 300 s older"),
        ("2026-05-22T10:30:00+00:00", "PASS", "warning: the newest anchor is 1800 s"),
        ("2026-05-22T11:00:01Z", "FAIL", "the newest anchor is 3601 s older than --now"),
        ("2026-05-22T09:00:00Z", "PASS", "the newest anchor is not older"),
        ("soon", "NOT PROVED", "no time to compare with"),
    ],
)
def test_freshness(bundle, anchored_world, now, verdict, start):
    """The contract's time proves it. The bundle's own time proves nothing, and may still admit that it is too old."""
    asked = ("rpc", anchored_world.anvil.url, "contract", anchor.facts(anchored_world.chain).contract)
    found, why = quick(bundle, "now", now, *asked)["freshness"]
    assert found == verdict and why.startswith(start)
    found, why = quick(bundle, "now", now)["freshness"]
    assert found == (verdict if verdict == "FAIL" else "NOT PROVED")
    assert verdict != "PASS" or start.removeprefix("warning: ") in why and "as the bundle states: " in why


@pytest.mark.parametrize(
    ("name", "steps", "why"),
    [
        (
            "funding first",
            [("invoice.funded.1", "invoice:A", {})],
            "position 1: A is funded and was never confirmed",
        ),
        (
            "minting another invoice",
            [
                ("invoice.confirmed.1", "invoice:A", {}),
                ("token.mint_requested.1", "token:T", {"data": {"invoice": "B"}}),
            ],
            "position 2: B is minted and was never confirmed",
        ),
        (
            "burning unpaid",
            [
                ("invoice.confirmed.1", "invoice:A", {}),
                ("token.minted.1", "token:T", {"data": {"invoice": "A"}}),
                ("invoice.payout_requested.1", "invoice:A", {"data": {"payout": "p1"}}),
                ("invoice.payout_requested.1", "invoice:A", {"data": {"payout": "p2"}}),
                ("invoice.payout_confirmed.1", "invoice:A", {"data": {"payout": "p1"}}),
                ("token.burned.1", "token:T", {}),
            ],
            "position 6: burned while a payout of A is not confirmed: p2",
        ),
        (
            "minting twice",
            [
                ("invoice.confirmed.1", "invoice:A", {}),
                ("token.minted.1", "token:T", {"data": {"invoice": "A"}}),
                ("token.minted.1", "token:T", {"data": {"invoice": "A"}}),
            ],
            "position 3: token.minted happened twice for token:T",
        ),
        (
            "an officer on nobody's behalf",
            [
                (
                    "invoice.confirmed.1",
                    "invoice:A",
                    {"actor_role": "compliance_officer", "action": "CONFIRM_INVOICE"},
                )
            ],
            "position 1: CONFIRM_INVOICE by compliance_officer names no on_behalf_of",
        ),
    ],
)
def test_policy(tmp_path, anchored_world, name, steps, why):
    log = Logbook()
    for topic, resource, context in steps:
        log.append(topic, resource, **context)
    facts = anchor.facts(anchored_world.chain)
    write_bundle(tmp_path / "b", facts, log.entries, [], log.hashes, CREATED_AT)
    assert quick(tmp_path / "b")["policy"] == ("FAIL", why)


def test_an_officer_may_act_on_behalf_of_somebody(tmp_path, anchored_world):
    log = Logbook()
    officer = {"actor_role": "platform_admin", "action": "CONFIRM_INVOICE", "on_behalf_of": "usr_9"}
    log.append("invoice.confirmed.1", "invoice:A", **officer)
    write_bundle(tmp_path / "b", anchor.facts(anchored_world.chain), log.entries, [], log.hashes, CREATED_AT)
    assert quick(tmp_path / "b")["policy"][0] == "PASS"


@pytest.mark.parametrize("salt", ["", "5a" * 15, "5A" * 16, "5a" * 16 + "\n", "zz" * 16, None, 5])
def test_a_body_without_its_salt_does_not_pass(tmp_path, anchored_world, salt):
    log = Logbook()
    log.append("note.taken.1", "note:1")
    log.append("note.taken.1", "note:2", salt=salt)
    write_bundle(tmp_path / "b", anchor.facts(anchored_world.chain), log.entries, [], log.hashes, CREATED_AT)
    verdict, why = quick(tmp_path / "b")["integrity"]
    assert verdict == "FAIL" and why.startswith("position 2: ")


def test_what_is_no_bundle_exits_with_2(tmp_path, capsys):
    assert verifier.main([str(tmp_path / "nothing")]) == 2
    (tmp_path / "manifest.json").write_text('{"format": "other"}')
    (tmp_path / "batches.json").write_text("[]")
    assert verifier.main([str(tmp_path)]) == 2
    assert "this program reads" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["manifest.json", "batches.json"])
def test_what_is_malformed_exits_with_2(bundle, capsys, name):
    """Whatever member is missing or of another type: no traceback, and never 0."""
    original = (bundle / name).read_text()
    members = json.loads(original) if name == "manifest.json" else json.loads(original)[0]
    for member in {*members} - UNUSED:
        for change in (lambda rows, at: rows.pop(at), lambda rows, at: rows.update({at: "x"})):
            broken = json.loads(original)
            change(broken if name == "manifest.json" else broken[0], member)
            (bundle / name).write_text(json.dumps(broken))
            code = verifier.main([str(bundle)])
            assert code in (1, 2), (member, capsys.readouterr())
            (bundle / name).write_text(original)
    assert "malformed" in capsys.readouterr().err
    assert verifier.main([str(bundle)]) == 0


def test_a_bundle_has_no_gap_and_is_not_empty(tmp_path, anchored_world, log, batches):
    facts = anchor.facts(anchored_world.chain)
    with pytest.raises(ValueError, match="position 3 follows 1"):
        write_bundle(tmp_path / "b", facts, [log.entries[0], log.entries[2]], batches, log.hashes, CREATED_AT)
    with pytest.raises(ValueError, match="at least one"):
        write_bundle(tmp_path / "b", facts, [], batches, log.hashes, CREATED_AT)


@pytest.mark.parametrize("file", ["verifier.py", "verify_chain.py", "verify_notes.py", "verify_policy.py"])
def test_the_verifier_stands_alone(file):
    source = Path(verifier.__file__).with_name(file).read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {str(name).partition(".")[0] for name in imported} <= set(sys.stdlib_module_names)
    assert not re.search(r"removeprefix|removesuffix|file_digest|strict=|itertools\.batched|match ", source)


@pytest.mark.parametrize(
    ("selector", "signature"),
    [
        (verify_chain.GET_BATCH, "getBatch(uint64)"),
        (verify_chain.GENESIS_HEAD, "genesisHead()"),
        (verify_chain.BATCH_COUNT, "batchCount()"),
        (verify_chain.NEXT_POSITION, "nextPosition()"),
        (verify_chain.VERIFY_INCLUSION, "verifyInclusion(uint64,uint64,bytes32,bytes32[])"),
    ],
)
def test_selectors(selector, signature):
    assert selector == "0x" + keccak(text=signature)[:4].hex()


def test_it_verifies_ten_thousand_entries_and_says_how_fast(tmp_path):
    """How fast is measured by `make bench-verifier`, which has the target: a busy machine must fail no test."""
    write_large_bundle(tmp_path / "b", 10_000)
    found = report(tmp_path / "b")
    assert found["entries"] == 10_000 and found["entries_per_second"] > 0
    assert found["proof_bytes_per_entry"] < 1_500
