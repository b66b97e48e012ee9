"""The agent's proposal and its record: everything needed to explain it, contest it and compute it again.

`propose` is the whole agent. Its answer is advice: the caller records it with `as_advice`, a person decides.
When this room fails or is late the caller goes on with REVIEW and says that the agent was unavailable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal, get_args

import msgspec

from ai import canonical, features, model, policy, schema
from ai.counterfactual import Change, Counterfactuals
from ai.features import Entry
from ai.model import MILLION
from ai.policy import Grade, Verdict
from ai.scorer import Scorer, Signal
from domain.subject import RecordAdvice

FORMAT = "ftx.decision/1"

Surface = Literal["gate3", "gate4", "pre-trade"]
"""Where advice is asked for: the onboarding review, the continuous checks, before a trade."""


class UnknownSurface(ValueError):
    pass


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`score` is micro-log-odds of "bad"; `probability_ppm` the same through the model's calibration table.

    `confidence_ppm` is how sure the model is of the side it takes, even where a hard rule outranks it.
    """

    format: str = FORMAT
    surface: str
    verdict: Verdict
    grade: Grade
    score: int
    probability_ppm: int
    confidence_ppm: int
    rules: tuple[str, ...]
    top_signals: tuple[Signal, ...]
    counterfactual: tuple[Change, ...]
    regulatory_anchors: tuple[str, ...]
    model_version: str
    policy_version: str
    dataset_signature: str
    row: tuple[int, ...]
    cut_off_position: int

    @property
    def record(self) -> bytes:
        """The bytes that are hashed."""
        return canonical.canonical(self)

    @property
    def record_sha256(self) -> str:
        return canonical.sha256(self)

    def as_advice(self, subject_id: str) -> RecordAdvice:
        return RecordAdvice(
            subject=subject_id,
            surface=self.surface,
            verdict=self.verdict,
            grade=self.grade,
            score=self.score,
            confidence_ppm=self.confidence_ppm,
            model_version=self.model_version,
            policy_version=self.policy_version,
            dataset_signature=self.dataset_signature,
            row=self.row,
            cut_off_position=self.cut_off_position,
            record_sha256=self.record_sha256,
        )


class Advisor:
    """One model under one policy: what turns a row into a decision."""

    def __init__(self, model_version: str, policy_version: str) -> None:
        self._model = model.load(model_version)
        self._policy = policy.load(policy_version)
        self._model_version = model_version
        self._policy_version = policy_version
        self._scorer = Scorer(self._model)
        self._counterfactuals = Counterfactuals(self._model, self._scorer, self._policy)

    def decide(self, row: Sequence[int], *, surface: str, cut_off_position: int) -> Decision:
        schema.check_row(row)
        if surface not in get_args(Surface):
            raise UnknownSurface(f"{surface!r} is no surface; there are {', '.join(get_args(Surface))}")
        score = self._scorer.score(row)
        probability = self._scorer.probability_ppm(score)
        outcome = policy.apply(self._policy, score, row)
        signals = self._scorer.top_signals(row)
        return Decision(
            surface=surface,
            verdict=outcome.verdict,
            grade=outcome.grade,
            score=score,
            probability_ppm=probability,
            confidence_ppm=max(probability, MILLION - probability),
            rules=tuple(rule.code for rule in outcome.rules),
            top_signals=signals,
            counterfactual=self._counterfactuals.find(row),
            regulatory_anchors=_anchors(signals, outcome),
            model_version=self._model_version,
            policy_version=self._policy_version,
            dataset_signature=self._model.dataset_signature,
            row=tuple(row),
            cut_off_position=cut_off_position,
        )


@lru_cache(maxsize=8)
def advisor(model_version: str, policy_version: str) -> Advisor:
    return Advisor(model_version, policy_version)


def current() -> Advisor:
    return advisor(model.current_version(), policy.CURRENT.version)


def versions_in_force() -> dict[str, str]:
    """The model and the policy of today's proposals, as evidence names them."""
    return {"model": model.current_version(), "policy": policy.CURRENT.version}


def propose(events: Iterable[Entry], *, as_of: datetime, surface: str) -> Decision:
    """The proposal on one subject, from its own and its invoices' events, as far as known at `as_of`."""
    folded = features.fold(features.seen(events, as_of))
    return current().decide(folded.row, surface=surface, cut_off_position=folded.cut_off_position)


def _anchors(signals: tuple[Signal, ...], outcome: policy.Outcome) -> tuple[str, ...]:
    """The law behind the reasons and the rules, in one fixed order."""
    named = [name for signal in signals for name in signal.name.split("*")]
    anchors = {schema.FEATURES[schema.INDEX[name]].anchor for name in named}
    return tuple(sorted(anchors.union(rule.anchor for rule in outcome.rules)))
