"""Witnessing: every batch gets its line in order, whoever is away or forgets; another past is an alarm, and no line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from bootstrap import SetupError, settings_from, witnesses_of
from chain.anvil import free_port
from chain.checkpoint import BatchRecord, Tip, genesis_head
from chain.cosigning import WitnessAt, Witnesses
from chain.countersigned import Countersigned, entries_about_batches, signatures_of
from chain.deployment import DEFAULT_LOG_ID
from chain.notes import COSIGNATURE, BadSignature, Signer
from domain.platform import ALARM, BATCH, AlarmRaised, BatchCosigned
from eventstore.entry import Entry
from eventstore.verify import Page
from processes.anchoring import INTERVAL, Anchorer
from processes.freshness import Freshness
from processes.witnessing import Witnessing
from scripts.witness import last_countersigned
from tests.chain.witnesses import LOG, History, cosigned, listening
from tests.processes.conftest import Works
from tests.processes.test_anchoring import Contract, Time


class Anchors(Contract):
    """The contract of the log that LOG's key names."""

    def anchor_head(self) -> bytes:
        return self.batches[-1].head if self.batches else genesis_head(DEFAULT_LOG_ID)


@pytest.fixture
def contract() -> Contract:
    return Anchors()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def anchor(works: Works, contract: Contract, time: Time) -> Callable[[int], None]:
    """Anchors a number of batches, an interval apart."""
    anchorer = Anchorer(outside(works, contract, time), works.feed, entries=1_000)

    def batches(count: int) -> None:
        for _ in range(count):
            works.trigger(f"entry {works.store.head()}")
            time.moment += INTERVAL
            anchorer.turn()

    return batches


def outside(works: Works, contract: Contract, time: Time) -> Any:
    return SimpleNamespace(store=works.store, clock=time, freshness=Freshness(works.store, time),  # pyright: ignore[reportArgumentType]
                           chain=lambda: contract)


def asking(works: Works, contract: Contract, time: Time, *witnesses: WitnessAt) -> Witnessing:
    """A freshly started process; witnesses that were left alone are asked again at once."""
    return Witnessing(outside(works, contract, time), works.feed, LOG, Witnesses(witnesses, len(witnesses)))


def lines(works: Works) -> list[tuple[int, str]]:
    return [(entry.event.batch_id, entry.event.witness) for entry in works.store.read(0, 1_000)
            if isinstance(entry.event, BatchCosigned)]


def alarms(works: Works) -> list[AlarmRaised]:
    return [entry.event for entry in works.store.read(0, 1_000) if isinstance(entry.event, AlarmRaised)]


def test_every_batch_gets_its_line(works: Works, contract: Contract, time: Time, anchor: Callable[[int], None],
                                   tmp_path: Path) -> None:
    anchor(2)
    with listening(tmp_path) as witness:
        at = WitnessAt("w1", witness.url, witness.key)
        process = asking(works, contract, time, at)
        process.turn()
        anchor(1)
        process.turn()
        process.turn()
        asking(works, contract, time, at).turn()
        assert lines(works) == [(1, "w1"), (2, "w1"), (3, "w1")]
        for entry in works.store.read(0, 1_000):
            if isinstance(event := entry.event, BatchCosigned):
                assert entry.command == f"cosign:{event.batch_id}:w1"
                assert cosigned(event.cosignature, str(process.checkpoint(event.batch_id)), witness.key)
    assert works.store.load(BATCH, "3").cosigned_by == {"w1"} and alarms(works) == []


def test_recorded_lines_are_checked_anew_and_put_in_bundles(
    works: Works, contract: Contract, time: Time, anchor: Callable[[int], None], tmp_path: Path
) -> None:
    """`fx verify` believes no record; a bundle shows what the witness's own program can check."""
    anchor(3)
    with listening(tmp_path) as witness:
        witnesses = Witnesses((WitnessAt("w1", witness.url, witness.key),), 1)
        assert witnesses.listed[0].last_seen(LOG.verifier()) is None
        asking(works, contract, time, *witnesses.listed).turn()
        assert witnesses.listed[0].last_seen(LOG.verifier()) == Tip(3, 5, contract.batches[2].head)
        anchor(2)
    entries = entries_about_batches(works.store)

    def judged(entries: list[Entry]) -> tuple[list[int], list[str]]:
        watcher = Countersigned(entries, LOG.verifier(), witnesses)
        watcher.page(Page(1, works.store.head(), []))
        return [finding.position for finding in watcher.end()], watcher.notes

    found, notes = judged(entries)
    assert found == [] and len(notes) == 1 and "batches 4 to 5 are provisional" in notes[0]
    third = next(n for n, entry in enumerate(entries) if isinstance(entry.event, BatchCosigned)
                 and entry.event.batch_id == 3)
    other = next(entry.event for entry in entries if isinstance(entry.event, BatchCosigned))
    for line in (other.cosignature, "nonsense"):
        forged = structs.replace(entries[third], event=structs.replace(entries[third].event, cosignature=line))
        found, notes = judged([*entries[:third], forged, *entries[third + 1:]])
        assert found == [forged.position] and "batches 3 to 5" in notes[0]

    signatures = signatures_of(entries, LOG, witnesses)
    assert signatures.quorum == 1 and signatures.keys == {"log": LOG.verifier().vkey, "w1": witness.key.vkey}
    batches = [{"batch_id": batch.batch_id, "to_position": batch.to_position, "head": batch.head.hex(),
                "cosignatures": [{"line": given.line} for given in signatures.cosignatures
                                 if given.batch_id == batch.batch_id]} for batch in contract.batches]
    assert last_countersigned(batches, LOG.name, witness.key) == 3
    batches[1]["head"] = batches[2]["head"]
    with pytest.raises(BadSignature):
        last_countersigned(batches, LOG.name, witness.key)


def test_a_witness_that_was_away_gets_everything_in_order(works: Works, contract: Contract, time: Time,
                                                          anchor: Callable[[int], None], tmp_path: Path) -> None:
    port = free_port()
    with listening(tmp_path, port=port) as witness:
        at = WitnessAt("w1", witness.url, witness.key)
        anchor(1)
        asking(works, contract, time, at).turn()
    anchor(3)
    asking(works, contract, time, at).turn()
    assert lines(works) == [(1, "w1")] and alarms(works) == []
    time.moment += timedelta(hours=1)
    for _ in range(2):
        asking(works, contract, time, at).turn()
    assert [alarm.code for alarm in alarms(works)] == ["witness_silent"]
    assert works.store.load(ALARM, "witness_silent:w1").standing
    with listening(tmp_path, port=port):
        asking(works, contract, time, at).turn()
    assert lines(works) == [(number, "w1") for number in (1, 2, 3, 4)]
    assert not works.store.load(ALARM, "witness_silent:w1").standing


def test_an_answer_that_was_lost_is_asked_for_again(works: Works, contract: Contract, time: Time,
                                                    anchor: Callable[[int], None], tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    anchor(2)
    with listening(tmp_path) as witness:
        at = WitnessAt("w1", witness.url, witness.key)

        def crash(*_: Any, **__: Any) -> Any:
            raise RuntimeError("the power went")

        with monkeypatch.context() as broken:
            broken.setattr(Witnessing, "_keep", crash)
            with pytest.raises(RuntimeError):
                asking(works, contract, time, at).turn()
        asking(works, contract, time, at).turn()
    assert lines(works) == [(1, "w1"), (2, "w1")] and alarms(works) == []


@pytest.mark.parametrize("kept", [0, 2])
def test_a_witness_that_was_set_back_is_an_alarm_and_goes_on(
    works: Works, contract: Contract, time: Time, anchor: Callable[[int], None], tmp_path: Path, kept: int
) -> None:
    """Somebody restored an old state. It would sign another past of what it forgot, and a new line would hide that."""
    state = tmp_path / "state"
    with listening(tmp_path) as witness:
        at = WitnessAt("w1", witness.url, witness.key)
        fresh = state.read_bytes()
        anchor(2)
        asking(works, contract, time, at).turn()
        old = state.read_bytes() if kept else fresh
        anchor(2)
        asking(works, contract, time, at).turn()
    state.write_bytes(old)
    anchor(1)
    with listening(tmp_path) as witness:
        at = WitnessAt("w1", witness.url, witness.key)
        process = asking(works, contract, time, at)
        process.turn()
        process.turn()
    assert [batch for batch, _ in lines(works)] == [1, 2, 3, 4, 5]
    alarm, = alarms(works)
    assert alarm.code == "witness_set_back"
    held = contract.batches[1].head if kept else genesis_head(DEFAULT_LOG_ID)
    assert f"batch {kept} " in alarm.detail and held.hex() in alarm.detail
    assert "batch 4 " in alarm.detail and contract.batches[3].head.hex() in alarm.detail


@pytest.mark.parametrize("theirs", [1, 3, 5])
def test_another_past_is_an_alarm_that_names_what_the_witness_holds(
    works: Works, contract: Contract, time: Time, anchor: Callable[[int], None], tmp_path: Path, theirs: int
) -> None:
    """A fork at this size, at another, and a size this log never had: an old backup, or a rewritten history."""
    anchor(2)
    other = History().grown(*(f"another {n}" for n in range(theirs)))
    with listening(tmp_path) as witness:
        assert witness.add(other.request()).status_code == 200
        at = WitnessAt("w1", witness.url, witness.key)
        for _ in range(2):
            asking(works, contract, time, at).turn()
    assert lines(works) == []
    alarm, = alarms(works)
    assert alarm.code == "witness_refused"
    assert other.tip().head.hex() in alarm.detail and f"size {other.tip().size}" in alarm.detail


def test_a_restored_backup_is_an_alarm(make_works: Callable[[], Works], contract: Contract, time: Time,
                                       anchor: Callable[[int], None], tmp_path: Path) -> None:
    """The witness countersigned batch 3; the log it is asked for next ends with batch 2."""
    works = make_works()
    anchor(3)
    with listening(tmp_path) as witness:
        at = WitnessAt("w1", witness.url, witness.key)
        records = [BatchRecord(*structs.astuple(batch)[:4]) for batch in contract.batches]
        told = asking(works, contract, time, at)
        assert told.checkpoint(3) == asking(works, contract, time, at).checkpoint(3)
        body = f"old 0\n{''.join(record.line for record in records)}\n{told.checkpoint(3)}".encode()
        assert witness.add(body).status_code == 200
        backup = asking(works, contract, time, at)
        backup._find_newest = lambda: 2  # pyright: ignore[reportAttributeAccessIssue]
        backup.turn()
    assert lines(works) == [] and [alarm.code for alarm in alarms(works)] == ["witness_refused"]
    assert contract.batches[2].head.hex() in alarms(works)[0].detail


def test_only_the_pinned_key_counts(works: Works, contract: Contract, time: Time, anchor: Callable[[int], None],
                                    tmp_path: Path) -> None:
    anchor(1)
    with listening(tmp_path) as witness:
        pinned = Signer(witness.key.name, b"\x08" * 32).verifier(COSIGNATURE)
        asking(works, contract, time, WitnessAt("w1", witness.url, pinned)).turn()
    assert lines(works) == [] and [alarm.code for alarm in alarms(works)] == ["witness_refused"]


def test_one_that_is_away_does_not_hold_up_another(works: Works, contract: Contract, time: Time,
                                                   anchor: Callable[[int], None], tmp_path: Path) -> None:
    anchor(2)
    gone = Signer("gone", b"\x07" * 32).verifier(COSIGNATURE)
    with listening(tmp_path) as witness:
        asking(works, contract, time, WitnessAt("w0", f"http://127.0.0.1:{free_port()}", gone),
               WitnessAt("w1", witness.url, witness.key)).turn()
    assert lines(works) == [(1, "w1"), (2, "w1")]


def test_a_head_binds_the_batches_before_it() -> None:
    one, two = (WitnessAt(name, "http://x", Signer(name, bytes([n]) * 32).verifier(COSIGNATURE))
                for n, name in enumerate(("w1", "w2"), 1))
    last = {"w1": 9, "w2": 4, "dismissed": 99}
    assert Witnesses((one, two), 1).covered(last) == 9
    assert Witnesses((one, two), 2).covered(last) == 4
    assert Witnesses((one, two), 2).covered({"w1": 9}) == 0
    assert Witnesses().covered({}) == 0, "where nobody signs, nothing is signed"
    assert Witnesses(quorum=0).covered({}) > 10**9, "where no witness is required, none is missing"


KEY = Signer("w1", b"\1" * 32).verifier(COSIGNATURE).vkey


@pytest.mark.parametrize(("witnesses", "quorum", "says"), [
    ("w1", None, "name=url vkey"), (f"w1=ftp://x {KEY}", None, "name=url vkey"), ("w1=http://x nonsense", None, "w1"),
    (f"w1=http://x {KEY}; w1=http://y {KEY}", None, "share"), (f"w1=http://x {KEY}", "2", "names 1"),
    ("", "2", "names 0"), (f"w1=http://x {LOG.verifier().vkey}", None, "no key for cosignatures"),
])
def test_settings_that_name_no_witness(witnesses: str, quorum: str | None, says: str) -> None:
    with pytest.raises(SetupError, match=says):
        settings_from({"FX_WITNESSES": witnesses, **({"FX_WITNESS_QUORUM": quorum} if quorum else {})})


def test_settings_with_a_witness() -> None:
    found = witnesses_of(settings_from({"FX_WITNESSES": f" w1=https://w.example/ {KEY} ;"}))
    assert (found.quorum, found.names, found.listed[0].url) == (1, ["w1"], "https://w.example")
    assert witnesses_of(settings_from({})) == Witnesses()
