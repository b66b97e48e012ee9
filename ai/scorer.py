"""Row to score, probability and reasons, in Python integers: the online path and the judge of faster ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from ai import schema
from ai.model import Model
from ai.schema import MISSING

TOP_SIGNALS = 5


class Signal(msgspec.Struct, frozen=True):
    """One reason: how far a term moves the score from the ordinary customer's, in micro-log-odds."""

    name: str
    contribution: int


def bin_of(value: int, edges: Sequence[int]) -> int:
    """0 for no answer, then one bin more for every edge the value has reached."""
    if value == MISSING:
        return 0
    return 1 + bisect_right(edges, value)


class Scorer:
    """A model, unpacked for scoring one row at a time."""

    def __init__(self, model: Model) -> None:
        place = {term.name: index for index, term in enumerate(model.terms)}
        self._intercept = model.intercept
        self._terms = [(schema.INDEX[term.name], term.edges, term.weights) for term in model.terms]
        self._pairs = [(place[pair.left], place[pair.right], pair.weights) for pair in model.pairs]
        self._names = [term.name for term in (*model.terms, *model.pairs)]
        self._baselines = [term.baseline for term in (*model.terms, *model.pairs)]
        self._calibration = model.calibration

    def score(self, row: Sequence[int]) -> int:
        """Micro-log-odds of "bad"."""
        return self._intercept + sum(self._weights(row))

    def probability_ppm(self, score: int) -> int:
        table = self._calibration
        clipped = min(max(score, table.low), table.high)
        return table.ppm[(clipped - table.low) >> table.shift]

    def top_signals(self, row: Sequence[int]) -> tuple[Signal, ...]:
        """The strongest reasons either way, strongest first; on a tie the model's order decides."""
        weighed = zip(self._weights(row), self._baselines, strict=True)
        reasons = [weight - baseline for weight, baseline in weighed]
        ranked = sorted(range(len(reasons)), key=lambda index: (-abs(reasons[index]), index))
        strongest = [index for index in ranked[:TOP_SIGNALS] if reasons[index] != 0]
        return tuple(Signal(self._names[index], reasons[index]) for index in strongest)

    def _weights(self, row: Sequence[int]) -> list[int]:
        bins = [bin_of(row[column], edges) for column, edges, _ in self._terms]
        weights = [weights[chosen] for (_, _, weights), chosen in zip(self._terms, bins, strict=True)]
        weights.extend(table[bins[left]][bins[right]] for left, right, table in self._pairs)
        return weights
