"""What bundles hold: ranges with withheld entries, the streams of one thing, keys and countersignatures."""

import json
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest

from chain import anchor
from chain.bundle import AnchorFacts, BatchRow, Cosignature, Scope, Withheld, write_bundle
from chain.header import Header
from tests.chain.logbook import Logbook
from tests.chain.test_verifier import CREATED_AT, entry, quick, rewrite, texts, written

FACTS = AnchorFacts(31337, "0x" + "11" * 20, bytes(32), "0x" + "22" * 20, "33" * 32)
ANCHORED_AT = 1_779_444_000


@pytest.fixture(scope="module")
def log() -> Logbook:
    log = Logbook()
    for number in range(1, 6):
        log.invoice_story(number)
    return log


@pytest.fixture(scope="module")
def batches(log: Logbook) -> list[BatchRow]:
    """Positions 1 to 40 in three batches."""
    rows, head = [], anchor.genesis_head(FACTS.log_id)
    for number, first, last in ((1, 1, 17), (2, 18, 18), (3, 19, 40)):
        made = anchor.make_batch(number, list(enumerate(log.hashes(first, last), first)), head)
        head = made.head
        rows.append(BatchRow(number, first, last, made.root, made.prev_head, made.head, "0x" + "44" * 32, number,
                             ANCHORED_AT, Header(number, "0x01", "0x00", "0x02", "0x03", ANCHORED_AT)))
    return rows


def write(path: Path, log: Logbook, batches: list[BatchRow], entries=None, **options) -> dict:
    return write_bundle(path / "b", FACTS, entries or log.entries, batches, log.hashes, CREATED_AT, **options)


def with_neighbours(log: Logbook, theirs: set[int]) -> list:
    return [Withheld(one.position, one.hash) if one.position in theirs else one for one in log.entries]


def story_of(log: Logbook, number: int, last: int = 40) -> list:
    streams = {uuid5(NAMESPACE_URL, name) for name in (f"invoice:INV-{number}", f"token:TOK-{number}")}
    return [one for one in log.entries if one.originator_id in streams and one.position <= last]


# ---------------------------------------------------------------- ranges


def test_every_position_of_a_range_appears(tmp_path, log, batches):
    """The second and the fourth invoice's are a neighbour's."""
    theirs = {*range(9, 17), *range(25, 33)}
    manifest = write(tmp_path, log, batches, with_neighbours(log, theirs))
    assert manifest["counts"] == {"entries": 40, "withheld": 16, "anchored": 40, "batches": 3}
    lines = [json.loads(line) for line in texts(tmp_path / "b")]
    assert [line["position"] for line in lines] == list(range(1, 41))
    assert {frozenset(lines[position - 1]) for position in theirs} == {
        frozenset(("position", "hash", "batch_id", "proof"))}
    verdicts = quick(tmp_path / "b")
    assert verdicts["integrity"] == ("PASS", "hashes, links, proofs and heads of 40 entries agree; 16 of them are "
                                             "withheld: where they stand is proved, what they say is not")
    assert verdicts["completeness"] == ("PASS", "positions 1 to 40, each in an anchored batch")
    assert verdicts["policy"] == ("PASS", "24 entries keep the rules")


def test_a_neighbours_hash_binds_too(tmp_path, log, batches):
    entries = with_neighbours(log, {9, 10})
    write(tmp_path, log, batches, entries)
    lines = texts(tmp_path / "b")
    other = lines[9].replace(log.entries[9].hash.hex(), "ab" * 32)
    rewrite(tmp_path / "b", [*lines[:9], other, *lines[10:]])
    assert quick(tmp_path / "b")["integrity"] == (
        "FAIL", "position 10: the inclusion proof does not lead to the batch's root")
    unanchored = written(json.loads(other) | {"batch_id": None, "proof": ""})
    tail = [written(entry(tmp_path / "b", at) | {"batch_id": None, "proof": ""}) for at in range(11, 41)]
    rewrite(tmp_path / "b", [*lines[:9], unanchored, *tail])
    assert quick(tmp_path / "b")["integrity"] == ("FAIL", "position 10: the entry names no batch")


def test_an_entry_withheld_from_the_middle_of_its_stream_is_missed(tmp_path, log, batches):
    write(tmp_path, log, batches, with_neighbours(log, {5}))
    assert quick(tmp_path / "b")["completeness"] == (
        "FAIL", "position 6: version 4 of its stream follows version 2")


def test_half_an_entry_is_no_entry(tmp_path, log, batches):
    write(tmp_path, log, batches)
    lines = texts(tmp_path / "b")
    lines[4] = lines[4].partition(',"body":')[0] + "}"
    rewrite(tmp_path / "b", lines)
    verdict, why = quick(tmp_path / "b")["integrity"]
    assert verdict == "FAIL" and why.startswith("position 5: malformed entry")


def test_a_range_is_what_it_says(tmp_path, log, batches):
    with pytest.raises(ValueError, match="these are the positions 1 to 40"):
        write(tmp_path, log, batches, scope=Scope("range", 1, 41))


# ---------------------------------------------------------------- one thing's streams


def test_the_streams_of_one_invoice(tmp_path, log, batches):
    manifest = write(tmp_path, log, batches, story_of(log, 3), scope=Scope("invoice", 1, 40, "INV-3"))
    assert manifest["scope"] == {"kind": "invoice", "name": "INV-3", "from": 1, "to": 40}
    assert sorted(manifest["streams"].values()) == [3, 5]
    verdicts = quick(tmp_path / "b")
    assert verdicts["integrity"][0] == verdicts["policy"][0] == "PASS"
    assert verdicts["completeness"] == (
        "NOT PROVED", "2 streams of INV-3 from version 1 without a gap; not proved: that none of them goes on up to "
        "position 40, and that no other stream belongs here")


def test_a_story_is_that_of_whom_it_names_and_as_long_as_its_batches(tmp_path, log, batches):
    write(tmp_path, log, batches, story_of(log, 3), scope=Scope("invoice", 1, 40, "INV-4"))
    assert quick(tmp_path / "b")["completeness"] == ("FAIL", "no entry is of INV-4")
    write(tmp_path, log, batches[:2], story_of(log, 1), scope=Scope("invoice", 1, 40, "INV-1"))
    assert quick(tmp_path / "b")["completeness"][1].endswith("or the batches end before position 40")


def test_every_entry_of_a_story_is_in_a_batch(tmp_path, log, batches):
    write(tmp_path, log, batches[:2], story_of(log, 3), scope=Scope("invoice", 1, 18, "INV-3"))
    assert quick(tmp_path / "b")["integrity"] == ("FAIL", "position 19: the entry names no batch")


@pytest.mark.parametrize(("removed", "why"), [
    (0, "position 18: version 2 of its stream follows version 0"),
    (2, "position 20: version 2 of its stream follows version 0"),
    (4, "position 22: version 4 of its stream follows version 2"),
    (6, "ends at version 4, not at 5"),
])
def test_a_missing_version_is_named(tmp_path, log, batches, removed, why):
    write(tmp_path, log, batches, story_of(log, 3), scope=Scope("invoice", 1, 40, "INV-3"))
    lines = texts(tmp_path / "b")
    rewrite(tmp_path / "b", lines[:removed] + lines[removed + 1:])
    verdict, found = quick(tmp_path / "b")["completeness"]
    assert verdict == "FAIL" and found.endswith(why)


def test_order_and_neighbourhood_hold_among_selected_entries(tmp_path, log, batches):
    write(tmp_path, log, batches, story_of(log, 3), scope=Scope("invoice", 1, 40, "INV-3"))
    lines = texts(tmp_path / "b")
    rewrite(tmp_path / "b", [lines[1], lines[0], *lines[2:]])
    assert "repeated or misplaced entry" in quick(tmp_path / "b")["integrity"][1]
    rewrite(tmp_path / "b", [*lines, lines[-1]])
    assert "repeated or misplaced entry" in quick(tmp_path / "b")["integrity"][1]
    with pytest.raises(ValueError, match="follows"):
        write(tmp_path, log, batches, story_of(log, 3)[::-1], scope=Scope("invoice", 1, 40, "INV-3"))


def test_an_invoice_funded_before_its_confirmation_is_judged_from_its_own_stream(tmp_path):
    log = Logbook()
    log.append("notice.sent.1", "notice:N")
    log.append("invoice.submitted.1", "invoice:A")
    log.append("invoice.funded.1", "invoice:A")
    log.append("token.minted.1", "token:T", data={"invoice": "B"})
    write(tmp_path, log, [], log.entries[1:], scope=Scope("subject", 1, 4, "usr_1"))
    assert quick(tmp_path / "b")["policy"] == ("FAIL", "position 3: A is funded and was never confirmed")
    write(tmp_path, log, [], log.entries[3:], scope=Scope("subject", 1, 4, "usr_1"))
    assert quick(tmp_path / "b")["policy"] == ("NOT PROVED", "B was confirmed before the range, or never")


# ---------------------------------------------------------------- keys and countersignatures


@pytest.mark.parametrize(("signed", "quorum", "provisional"), [
    ([], 0, ""),
    ([], 1, "; provisional: batches 1 to 3 have fewer than 1 countersignatures"),
    ([(2, "w1")], 1, "; provisional: batches 3 to 3 have fewer than 1 countersignatures"),
    ([(3, "w1")], 1, ""),
    ([(3, "w1"), (2, "w2")], 2, "; provisional: batches 3 to 3 have fewer than 2 countersignatures"),
    ([(2, "w1"), (3, "w1")], 2, "; provisional: batches 1 to 3 have fewer than 2 countersignatures"),
    ([(3, "w1"), (3, "w2")], 2, ""),
])
def test_a_batch_without_its_countersignatures_is_provisional(tmp_path, log, batches, signed, quorum, provisional):
    given = [Cosignature(batch_id, witness, f"- {witness} AAAA") for batch_id, witness in signed]
    manifest = write(tmp_path, log, batches, keys={"log": "fx+00+AA"}, cosignatures=given, quorum=quorum)
    assert manifest["keys"] == {"log": "fx+00+AA"}
    found = json.loads((tmp_path / "b" / "batches.json").read_text())
    assert sum(len(batch["cosignatures"]) for batch in found) == len(signed)
    verdicts = quick(tmp_path / "b")
    claims = len({witness for _, witness in signed})
    words = (f"; claims countersignatures of {claims} witnesses, not checked" if claims else "") + provisional
    assert f"the newest anchor is not older than the newest entry{words};" in verdicts["freshness"][1]
    assert verdicts["authenticity"][1].endswith("with the chain" + words)


def test_batches_carry_their_blocks_header(tmp_path, log, batches):
    write(tmp_path, log, batches)
    found = json.loads((tmp_path / "b" / "batches.json").read_text())
    assert found[1]["block"] == {"number": 2, "hash": "0x01", "parent_hash": "0x00", "state_root": "0x02",
                                 "transactions_root": "0x03", "time": ANCHORED_AT}
