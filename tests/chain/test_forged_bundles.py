"""Whole bundles that a careful forger made are taken for true neither offline nor against the contract."""

from collections import Counter

import pytest

from chain import verifier
from chain.anvil import Anvil, free_port
from scripts.campaigns.forged_bundles import (
    KINDS,
    Town,
    batches_of_ones_own,
    contract_of_ones_own,
    count_bundles_accepted,
    verdicts_of,
)
from tests.chain.conftest import World

FORGED, SEED = 570, 22


@pytest.fixture(scope="module")
def town(tmp_path_factory, new_rows, keys):
    with Anvil(tmp_path_factory.mktemp("anvil"), port=free_port()) as anvil:
        chain = World(anvil, new_rows(), keys).chain
        chain.deploy()
        yield Town(chain, anvil.url, tmp_path_factory.mktemp("bundles"))


def test_no_forged_bundle_is_taken_for_true(town):
    assert count_bundles_accepted(town, FORGED, SEED) == 0


def test_honest_bundles_are_and_every_kind_of_forgery_is_tried(town):
    for bundle in town.honest:
        found = verdicts_of(bundle, rpc=town.url, contract=town.contract)
        assert "FAIL" not in found.values()
        assert found["integrity"] == found["authenticity"] == found["freshness"] == "PASS"
        assert town.accepted(bundle) == "offline" and town.accepted(bundle, offline_proves=False) == "contract"
    tried = Counter(forge for forge, _ in town.forged(3 * len(KINDS), SEED))
    assert set(tried) == set(KINDS)


def test_only_the_contract_tells_of_batches_of_ones_own(town):
    for forge, bundle in town.forged(3 * len(KINDS), SEED):
        if forge in (batches_of_ones_own, contract_of_ones_own):
            found = verdicts_of(bundle)
            assert (found["integrity"], found["authenticity"]) == ("PASS", "NOT PROVED"), forge
            assert verdicts_of(bundle, rpc=town.url, contract=town.contract)["authenticity"] == "FAIL"


def test_one_careless_check_would_be_counted(town, monkeypatch):
    monkeypatch.setattr(verifier.Log, "_in_no_batch", lambda *_: "")
    assert count_bundles_accepted(town, 3 * len(KINDS), SEED) > 0
