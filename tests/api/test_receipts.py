"""Receipts: what a customer is given with a confirmation, a funding and a trade, and what it is good for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.opaque import Opaque
from bootstrap import log_signer
from chain.checkpoint import Checkpoint, Tip
from chain.notes import Note, Verifier, read_signature
from chain.receipts import EntryReceipt, read_receipt
from scripts.receipt import receipt_app, verify
from tests.api.conftest import Past
from tests.scenarios.town import Person, Town, accepted, refused


@pytest.fixture
def log(town: Town) -> Verifier:
    return Verifier.read(accepted(town.person("nobody").get("/v1/audit/keys"))["log"])


def checked(town: Town, log: Verifier, answer: dict[str, Any]) -> EntryReceipt:
    """The receipt of an answer, compared with what the log itself holds."""
    receipt = read_receipt(answer["receipt"], log)
    position = accepted(town.person("admin").get(f"/v1/audit/receipts/{receipt.place}"))["position"]
    row = next(town.house.platform.store.rows(position, position))
    assert (receipt.hash, receipt.recorded_us) == (row["hash"].hex(), row["recorded_us"])
    return receipt


def test_a_confirmation_comes_with_a_receipt_and_a_repeat_with_the_same(town: Town, log: Verifier) -> None:
    reference = town.awaiting()
    body, headers = town.confirmation(reference), town.token_of(reference)
    first = town.person("nobody").post(f"/v1/confirmations/{reference}", body, key="confirm-once", headers=headers)
    again = town.person("nobody").post(f"/v1/confirmations/{reference}", body, key="confirm-once", headers=headers)
    assert again.headers["FX-Idempotency-Replayed"] == "true" and accepted(again) == accepted(first)
    receipt = checked(town, log, accepted(first))
    assert (receipt.resource, receipt.actor) == (reference, town.id_of("northwind"))
    assert receipt.place == first.headers["FX-Position"]
    town.wait_state(reference, "LISTED")


def test_a_funding_comes_with_a_receipt(town: Town, log: Verifier) -> None:
    reference = town.listed()
    answers = [accepted(town.reserves(reference, key="fund-once")) for _ in range(2)]
    assert answers[0] == answers[1]
    receipt = checked(town, log, answers[0])
    assert (receipt.action, receipt.resource, receipt.actor) == ("FUNDING_RESERVED", reference, town.id_of("pennine"))


def test_a_trade_comes_with_a_receipt_also_long_after(past: Past, log: Verifier) -> None:
    """Faisal sends his acceptance once more, with the key of then."""
    faisal = past.town.story.as_("brunel")
    total = faisal.get(f"/v1/pre-trade-checks/{past.trade}")["total_pence"]
    answer = faisal.post("/v1/trades", "trade", {"pre_trade_check": past.trade, "accepted_total_pence": total}).json()
    receipt = checked(past.town, log, answer)
    assert (receipt.resource, receipt.actor) == (past.trade, past.town.id_of("brunel"))
    fetched = accepted(past.town.person("brunel").get(f"/v1/audit/receipts/{receipt.place}"))
    assert fetched == {"place": receipt.place, "hash": receipt.hash, "receipt": answer["receipt"]}
    for staff in ("mlro", "admin"):
        told = accepted(past.town.person(staff).get(f"/v1/audit/receipts/{receipt.place}"))
        assert accepted(past.town.person(staff).get(f"/v1/audit/receipts/{told['position']}")) == told
        assert told == {**fetched, "position": told["position"]}
    for other in ("pennine", "coppergate"):
        refused(past.town.person(other).get(f"/v1/audit/receipts/{receipt.place}"), 404, "not_found")
    refused(past.town.person("brunel").get(f"/v1/audit/receipts/{told['position']}"), 404, "not_found")


@pytest.mark.parametrize("entry", ["0", "-1", "999999", str(2**53), str(2**63), str(10**30), "٣", "A" * 32, "%ff"])
@pytest.mark.parametrize("route", ["receipts", "proofs"])
def test_an_entry_that_is_none(town: Town, route: str, entry: str) -> None:
    refused(town.person("admin").get(f"/v1/audit/{route}/{entry}"), 404, "not_found")


# ------------------------------------------------------------ the check at home


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str], log: Verifier) -> Callable[..., tuple[int, str]]:
    """Exit code and words of `fx receipt verify`."""

    def run(content: str, **options: Any) -> tuple[int, str]:
        file = tmp_path / "receipt"
        file.write_text(content)
        code = 0
        try:
            verify(file, **{"vkey": log.vkey, **options})
        except SystemExit as ended:
            code = int(str(ended.code))
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_the_customer_s_check(town: Town, check: Callable[..., tuple[int, str]]) -> None:
    platform = town.house.platform
    answer = accepted(town.reserves(town.listed()))
    api = {"api": town.house.url, "api_key": town.story.keys["pennine"]}
    for content in (answer["receipt"], json.dumps(answer)):
        code, said = check(content, **api)
        assert code == 0 and f"{town.house.url} holds it" in said, said
    signer = log_signer(platform.settings, platform.secrets)
    ours = read_receipt(answer["receipt"], signer.verifier())
    nowhere = Opaque(platform.secrets.edge_secret, platform.settings.tenant).place(10**9)
    dropped, replaced = replace(ours, place=nowhere), replace(ours, hash="ab" * 32)
    for receipt, says in ((dropped, "dropped after it was signed"), (replaced, "another entry")):
        assert check(str(receipt.signed(signer)))[0] == 0, "the signature alone still holds"
        code, said = check(str(receipt.signed(signer)), **api)
        assert code == 1 and says in said, said
    code, said = check(answer["receipt"].replace("FUNDING_RESERVED", "FUNDING_RELEASED"))
    assert code == 1 and "wrong" in said
    for content, options in (("{}", {}), ("no note", {}), (answer["receipt"], {**api, "api_key": "nonsense"}),
                             (answer["receipt"], {**api, "api": "http://127.0.0.1:9"}),
                             (answer["receipt"], {"vkey": "mistyped"}), (answer["receipt"], {"bundle": Path("none")})):
        assert check(content, **options)[0] == 2


def test_the_key_need_not_stand_on_the_command_line(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "receipt"
    file.write_text(accepted(town.reserves(town.listed()))["receipt"])
    vkey = log_signer(town.house.platform.settings, town.house.platform.secrets).verifier().vkey
    asked = ["verify", str(file), "--vkey", vkey, "--api", town.house.url]
    for key, code in (("nonsense", 2), (town.story.keys["pennine"], 0)):
        monkeypatch.setenv("FX_API_KEY", key)
        with pytest.raises(SystemExit) as ended:
            receipt_app(asked)
        assert (ended.value.code or 0) == code


# ------------------------------------------------------------ the witness, as everybody sees it


def test_published_keys_check_what_witnesses_signed(town: Town) -> None:
    keys = accepted(town.person("nobody").get("/v1/audit/keys"))
    log, witness = Verifier.read(keys["log"]), Verifier.read(keys["witnesses"][0]["vkey"])
    assert keys["quorum"] == 1
    admin: Person = town.person("admin")
    town.wait(lambda: accepted(admin.get("/health/ready"))["witness_lag_seconds"] == 0, "the witness")
    batches = accepted(admin.get("/v1/audit/anchors"))["data"]
    assert len(batches) > 3
    for batch in batches:
        signed, = batch["cosignatures"]
        tip = Tip(batch["batch_id"], batch["to_position"], bytes.fromhex(batch["head"]))
        witness.check(Note(Checkpoint(log.name, tip).text, (read_signature(signed["cosignature"]),)))
        assert batch["provisional"] is False
    proof = accepted(admin.get("/v1/audit/proofs/1"))
    assert proof["provisional"] is False and len(proof["cosignatures"]) == 1
