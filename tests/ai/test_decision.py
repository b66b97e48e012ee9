"""The proposal as the officer gets it, and the one hash it has everywhere."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given

from ai import decision, model, policy
from ai.decision import UnknownSurface, propose
from ai.schema import BadRow
from domain import subject
from domain.base import Context
from tests.ai.histories import MORNING, coppergate, created, log, row
from tests.ai.strategies import CARD, rows

AS_OF = MORNING + timedelta(hours=1)
RECORD = "7ac4ae7f20203efe24ba4c80dfa4ac097fe590406bd074a86c6e49b4b8f2ec77"
"""Coppergate's record. It changes only with a model, a policy or a record format of a new version."""


def test_coppergate_is_proposed_for_approval() -> None:
    proposed = propose(coppergate(), as_of=AS_OF, surface="gate3")
    assert (proposed.verdict, proposed.grade) == ("APPROVE", "LOW")
    assert proposed.score == -3_900_000
    assert proposed.probability_ppm + proposed.confidence_ppm == 1_000_000
    assert proposed.confidence_ppm == 979_500
    assert [signal.name for signal in proposed.top_signals] == [
        "company_age_days", "onboarding_files", "invoices_submitted"]
    assert proposed.counterfactual == ()
    assert proposed.rules == ()
    assert proposed.regulatory_anchors == ("MLR 2017 reg. 28", "MLR 2017 reg. 28(11)", "MLR 2017 reg. 28(13)")
    assert proposed.row == row()
    assert proposed.cut_off_position == coppergate()[-1][0]
    assert proposed.model_version == model.current_version()
    assert proposed.policy_version == policy.CURRENT.version
    assert proposed.dataset_signature == CARD.dataset_signature


def test_the_record_hash_is_pinned_and_covers_the_record_bytes() -> None:
    proposed = propose(coppergate(), as_of=AS_OF, surface="gate3")
    assert proposed.record_sha256 == RECORD
    assert hashlib.sha256(proposed.record).hexdigest() == RECORD
    plain = json.loads(proposed.record)
    assert list(plain) == sorted(plain)
    assert plain.keys() == set(decision.Decision.__struct_fields__)
    assert msgspec.json.decode(proposed.record, type=decision.Decision) == proposed


def test_asking_later_about_the_same_events_gives_the_same_record() -> None:
    much_later = AS_OF + timedelta(days=365)
    assert propose(coppergate(), as_of=much_later, surface="gate3").record_sha256 == RECORD


def test_the_subject_records_the_advice_as_it_is() -> None:
    proposed = propose(coppergate(), as_of=AS_OF, surface="gate3")
    state = subject.SUBJECT.initial
    for _, _, event in coppergate():
        state = subject.evolve(state, event)
    context = Context(actor="agent", actor_role="system", tenant="fx", now=AS_OF)
    (event,) = subject.decide(state, proposed.as_advice("seller-1"), context)
    assert isinstance(event, subject.VerdictProposed)
    assert event.record_sha256 == RECORD
    for name in subject.RecordAdvice.__struct_fields__:
        if name != "subject":
            assert getattr(event, name) == getattr(proposed, name)


@given(rows)
def test_every_possible_row_gets_a_proposal_of_integers(drawn: tuple[int, ...]) -> None:
    proposed = decision.current().decide(drawn, surface="gate4", cut_off_position=7)
    again = decision.current().decide(drawn, surface="gate4", cut_off_position=7)
    assert proposed.record_sha256 == again.record_sha256
    assert 500_000 <= proposed.confidence_ppm <= 1_000_000


def test_the_hash_covers_surface_and_cut_off() -> None:
    decide = decision.current().decide
    hashes = {decide(row(), surface=surface, cut_off_position=position).record_sha256
              for surface in ("gate3", "gate4", "pre-trade") for position in (1, 2)}
    assert len(hashes) == 6


def test_bad_requests_are_refused() -> None:
    with pytest.raises(UnknownSurface):
        propose(log(created()), as_of=AS_OF, surface="gate5")
    with pytest.raises(BadRow):
        decision.current().decide(row()[1:], surface="gate3", cut_off_position=1)


ELSEWHERE = """
import sys
from tests.ai.histories import MORNING, coppergate
from ai.decision import propose
from datetime import timedelta
print(propose(coppergate(), as_of=MORNING + timedelta(hours=1), surface="gate3").record_sha256)
print(sorted({"jax", "numpy"} & sys.modules.keys()))
"""


PLACES = [("0", "UTC"), ("1", "Pacific/Kiritimati"), ("4294967295", "Etc/GMT+12")]


@pytest.mark.parametrize(("seed", "zone"), PLACES)
def test_another_process_gives_the_same_hash_and_needs_no_array_library(seed: str, zone: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
    command = [sys.executable, "-c", ELSEWHERE]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)
    assert answer.stdout.splitlines() == [RECORD, "[]"]
