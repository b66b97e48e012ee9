"""The fewest changes, among signals the customer can change, that would make the proposal milder. Exact.

Score and rules are constant between neighbouring cut points, so trying one value from each such cell tries
every value there is: some hundred rows for a model of this size. A model with many actionable signals needs
another method: per connected component of the pairs, then a knapsack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from math import prod

import msgspec

from ai import policy as policies
from ai import schema
from ai.model import BadModel, Model
from ai.policy import Policy
from ai.schema import FEATURES
from ai.scorer import Scorer

MAX_ROWS = 10_000

Cell = tuple[int, int]
"""First and last value of a stretch within which nothing changes."""

Move = tuple[int, int]
"""Column and the value it is set to."""


class Change(msgspec.Struct, frozen=True):
    signal: str
    value: int
    wanted: int


class Counterfactuals:
    """The search for one model under one policy."""

    def __init__(self, model: Model, scorer: Scorer, policy: Policy) -> None:
        self._scorer = scorer
        self._policy = policy
        actionable = [column for column, feature in enumerate(FEATURES) if feature.actionable]
        self._cells = {column: _cells(column, model, policy) for column in actionable}
        rows = prod(len(cells) + 1 for cells in self._cells.values())
        if rows > MAX_ROWS:
            raise BadModel(f"up to {rows} rows to try for one counterfactual; at most {MAX_ROWS} are allowed")

    def find(self, row: Sequence[int]) -> tuple[Change, ...]:
        """Empty when the proposal is the mildest already, or nothing the customer can do makes it milder.

        Among equally few changes the one that leaves the highest score wins: it asks no more than is needed.
        """
        severity = self._severity(row, self._scorer.score(row))
        if severity == 0:
            return ()
        for count in range(1, len(self._cells) + 1):
            flips: list[tuple[int, tuple[Move, ...]]] = []
            for moves in self._moves(row, count):
                changed = _moved(row, moves)
                score = self._scorer.score(changed)
                if self._severity(changed, score) < severity:
                    flips.append((-score, moves))
            if flips:
                _, best = min(flips)
                return tuple(Change(schema.NAMES[column], row[column], wanted) for column, wanted in best)
        return ()

    def _moves(self, row: Sequence[int], count: int) -> Iterator[tuple[Move, ...]]:
        """Every way to take exactly `count` signals into another cell."""
        for columns in combinations(self._cells, count):
            targets = [self._targets(column, row[column]) for column in columns]
            for values in product(*targets):
                yield tuple(zip(columns, values, strict=True))

    def _targets(self, column: int, value: int) -> list[int]:
        """The nearest value in each other cell. No answer is never a target."""
        return [min(max(value, low), high) for low, high in self._cells[column] if not low <= value <= high]

    def _severity(self, row: Sequence[int], score: int) -> int:
        return policies.severity(policies.apply(self._policy, score, row).verdict)


def _moved(row: Sequence[int], moves: tuple[Move, ...]) -> list[int]:
    changed = list(row)
    for column, value in moves:
        changed[column] = value
    return changed


def _cells(column: int, model: Model, policy: Policy) -> tuple[Cell, ...]:
    """The signal's range, cut wherever the model or a rule tells two values apart."""
    feature = FEATURES[column]
    cuts = {edge for term in model.terms if term.name == feature.name for edge in term.edges}
    for rule in policy.rules:
        for condition in rule.when:
            if condition.signal == feature.name:
                cuts.update((condition.low, condition.high + 1))
    starts = [feature.low, *sorted(cut for cut in cuts if feature.low < cut <= feature.high)]
    ends = [start - 1 for start in starts[1:]] + [feature.high]
    return tuple(zip(starts, ends, strict=True))
