"""`fx chain` as an operator meets it, on a home of its own; and the chain's campaign and bench at their smallest."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import scripts.fx as command_line
from bootstrap import settings_from, stop_embedded_database, unknown_variables
from scripts import bench
from scripts.benches.chain import TARGETS
from scripts.campaigns.chain import run_campaign
from tests.scripts.test_command_line import ROOT, surroundings

pytestmark = pytest.mark.long

Fx = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("operator") / "home"
    yield folder
    stop_embedded_database(folder)


@pytest.fixture
def fx(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fx:
    """Runs a command in this process; its exit code and what it printed."""
    environment = {**surroundings(home), "FX_CLOCK": "sandbox:2026-05-22T09:42:00Z"}

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(os, "environ", environment)
        monkeypatch.setattr(sys, "argv", ["fx", *words])
        monkeypatch.setattr(command_line, "configure_logs", lambda: None)
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def test_an_operator_sees_that_all_is_well(fx: Fx) -> None:
    assert fx("chain", "deploy")[0] == 0
    code, told = fx("chain", "status", "--json")
    found = json.loads(told)
    assert code == 0 and found["node"]["chain_id"] == 31337
    assert [key["role"] for key in found["keys"] if key["waiting"] or key["foreign"]] == []
    assert {key["role"]: key["next_nonce"] == key["mined"] for key in found["keys"]}["admin"]
    assert "nothing waits" in fx("chain", "status")[1]
    assert fx("chain", "resume")[1].startswith("0 transactions had been lost")
    assert fx("chain", "doctor") == (0, "ok  code, roles, keys, gas and time are as deployed\n")


def test_a_wrong_word_is_one_line(fx: Fx) -> None:
    code, told = fx("chain", "resume", "--noop", "mint:1")
    assert code == 1 and told.strip() == "fx: --noop OPERATION and --reason WHY belong together"
    code, told = fx("chain", "resume", "--noop", "mint:1", "--reason", "stuck")
    assert code == 1 and told.strip() == "fx: mint:1 is unknown: there is nothing to fill"


def test_every_fault_leaves_every_operation_done_once() -> None:
    figures = run_campaign(16, seed=3)
    assert figures.wrong == []
    assert (figures.faults_run, figures.faults_not_exactly_once) == (16, 0)


def test_compose_describes_four_validators_and_one_node() -> None:
    told = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = told["services"]
    profiles = {name: service.get("profiles", ["both"]) for name, service in services.items()}
    assert [name for name, given in profiles.items() if given == ["both"]] == ["postgres", "migrate", "app"]
    assert [name for name, given in profiles.items() if given == ["anvil"]] == ["anvil"]
    given = services["app"]["environment"]
    assert {"FX_WITNESSES", "FX_WITNESS_QUORUM", "FX_CHAIN_CERT", "FX_PROFILE"} < set(given)
    assert unknown_variables(given) == [] and settings_from(dict.fromkeys(given, "")) == settings_from({})
    validators = [service for name, service in services.items() if name.startswith("validator-")]
    assert [one["environment"]["NUMBER"] for one in validators] == ["1", "2", "3", "4"]
    network = json.loads(told["configs"]["network"]["content"])
    assert network["blockchain"]["nodes"]["count"] == len(validators)
    assert network["genesis"]["config"]["zeroBaseFee"] and "qbft" in network["genesis"]["config"]
    for name, service in services.items():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in told["volumes"], name
        for needed in service.get("depends_on", {}):
            assert needed in services, name
        for config in service.get("configs", []):
            assert config["source"] in told["configs"], name


def test_the_bench_names_what_it_promises() -> None:
    promised = {"journal_transfers_per_s", "bundle_verify_per_s", "mint_p99_s", "forged_accepted",
                "faults_not_exactly_once"}
    assert promised <= set(TARGETS) and {name for name in TARGETS if name.startswith("gas_")}
    assert bench._table("chain", dict.fromkeys(TARGETS, 0.0), TARGETS).row_count == len(TARGETS)
