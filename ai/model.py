"""The model artefact: a committed JSON file of integers whose SHA-256 is the model version.

A model is read only after `validate` has shown, from its numbers alone, that no row can overflow an int32 in
any of its scorers, and that every signal points the way the schema says.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

import msgspec

from ai import canonical, schema
from ai.schema import INT32_MAX, MISSING

FORMAT = "ftx.sparsescore/1"
CURRENT = "sparsescore-1"

MAX_TERMS = 128
REASON_LIMIT = 2**24
"""A bulk scorer ranks reasons by |reason| * 128 + (127 - term): that key must fit an int32 too."""

MILLION = 1_000_000


class BadModel(ValueError):
    """The artefact breaks a rule; nothing may be scored with it."""


class UnknownModel(LookupError):
    """No committed artefact has this version."""


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signal. `weights[0]` is for no answer, `weights[1 + k]` for a value that has reached k edges.

    Weights are micro-log-odds of "bad". `baseline` is the ordinary customer's weight: reasons start from it.
    """

    name: str
    edges: tuple[int, ...]
    weights: tuple[int, ...]
    baseline: int


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What two signals say together beyond what each says alone: `weights[bin of left][bin of right]`."""

    left: str
    right: str
    weights: tuple[tuple[int, ...], ...]
    baseline: int

    @property
    def name(self) -> str:
        return f"{self.left}*{self.right}"


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Score to probability: the score, clipped to the table, counted from `low` in steps of 2**shift."""

    low: int
    shift: int
    ppm: tuple[int, ...]

    @property
    def high(self) -> int:
        return self.low + (len(self.ppm) << self.shift) - 1


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    name: str
    feature_schema: str
    provenance: str
    intercept: int
    terms: tuple[Term, ...]
    pairs: tuple[Pair, ...]
    calibration: Calibration

    @property
    def dataset_signature(self) -> str:
        """What the numbers come from. A hand-set model has no dataset: its provenance text stands for it."""
        return hashlib.sha256(self.provenance.encode()).hexdigest()


def version_of(artefact: bytes) -> str:
    return hashlib.sha256(artefact).hexdigest()


def decode(artefact: bytes) -> Model:
    """The model in these bytes, which must be its canonical form to the byte, and valid."""
    try:
        model = msgspec.json.decode(artefact, type=Model)
    except msgspec.DecodeError as error:
        raise BadModel(f"not a model: {error}") from error
    if canonical.canonical(model) != artefact:
        raise BadModel("the artefact is not in canonical form")
    validate(model)
    return model


@lru_cache(maxsize=1)
def _artefacts() -> dict[str, bytes]:
    folder = resources.files("ai") / "models"
    files = (file.read_bytes() for file in folder.iterdir() if file.name.endswith(".json"))
    return {version_of(artefact): artefact for artefact in files}


@lru_cache(maxsize=8)
def load(version: str) -> Model:
    """A committed model by its version: old decisions replay for as long as their model stays committed."""
    if version not in _artefacts():
        raise UnknownModel(f"no model of version {version[:12]} is committed")
    return decode(_artefacts()[version])


@lru_cache(maxsize=1)
def current_version() -> str:
    return version_of((resources.files("ai") / "models" / f"{CURRENT}.json").read_bytes())


# ---------------------------------------------------------------- validation


def validate(model: Model) -> int:
    """Refuse a model that could go wrong on some row. Returns the largest |score| any row can reach."""
    _require(model.format == FORMAT, f"format {model.format!r} is not {FORMAT!r}")
    _require(model.feature_schema == schema.HASH,
             f"made for feature schema {model.feature_schema[:12]}, this code has {schema.HASH[:12]}")
    names = [term.name for term in model.terms]
    _require(len(set(names)) == len(names), "a signal occurs twice")
    _require(len(model.terms) + len(model.pairs) <= MAX_TERMS, f"more than {MAX_TERMS} terms")
    for term in model.terms:
        _check_term(term)
    for pair in model.pairs:
        _check_pair(pair, model)
    _check_calibration(model.calibration)
    for term in model.terms:
        _check_monotone(term, model)
    return _check_overflow(model)


def _check_term(term: Term) -> None:
    _require(term.name in schema.INDEX, f"{term.name}: no such signal")
    _require(len(term.weights) == len(term.edges) + 2, f"{term.name}: two more weights than edges are needed")
    ascending = all(low < high for low, high in zip(term.edges, term.edges[1:], strict=False))
    _require(ascending, f"{term.name}: the edges do not ascend")
    _require(all(MISSING + 1 < edge < INT32_MAX for edge in term.edges), f"{term.name}: an edge is no int32")
    _check_reasons(term.name, term.weights, term.baseline)


def _check_pair(pair: Pair, model: Model) -> None:
    bins = {term.name: len(term.weights) for term in model.terms}
    _require(pair.left in bins and pair.right in bins, f"{pair.name}: a pair joins two signals of the model")
    _require(pair.left != pair.right, f"{pair.name}: a pair joins two different signals")
    shape = [len(line) for line in pair.weights]
    _require(shape == [bins[pair.right]] * bins[pair.left], f"{pair.name}: the table does not match the bins")
    _check_reasons(pair.name, _flat(pair), pair.baseline)


def _check_reasons(name: str, weights: tuple[int, ...], baseline: int) -> None:
    largest = max(abs(weight - baseline) for weight in weights)
    _require(largest < REASON_LIMIT, f"{name}: a reason of {largest} overflows its ranking key")


def _check_calibration(table: Calibration) -> None:
    _require(table.shift in range(31) and len(table.ppm) > 0, "calibration: empty, or no such step")
    _require(table.low >= -INT32_MAX and table.high <= INT32_MAX, "calibration: the table leaves int32")
    _require(table.high - table.low <= INT32_MAX, "calibration: the width of the table overflows int32")
    _require(all(0 <= ppm <= MILLION for ppm in table.ppm), "calibration: a probability is not 0..1 in ppm")
    _require(list(table.ppm) == sorted(table.ppm), "calibration: probability falls as the score rises")


def _check_monotone(term: Term, model: Model) -> None:
    """Raising the signal by one bin never moves the score the wrong way, with each partner at its worst."""
    direction = schema.FEATURES[schema.INDEX[term.name]].monotone
    if direction == 0:
        return
    tables = [table for pair in model.pairs for table in _by_bin_of(term.name, pair)]
    for low in range(1, len(term.weights) - 1):
        step = direction * (term.weights[low + 1] - term.weights[low])
        for table in tables:
            moves = [above - below for below, above in zip(table[low], table[low + 1], strict=True)]
            step += min(direction * move for move in moves)
        _require(step >= 0, f"{term.name}: the score moves the wrong way from bin {low} to {low + 1}")


def _by_bin_of(name: str, pair: Pair) -> list[tuple[tuple[int, ...], ...]]:
    """The pair's table with this signal's bins as its lines, if the pair has the signal."""
    if pair.left == name:
        return [pair.weights]
    if pair.right == name:
        return [tuple(zip(*pair.weights, strict=True))]
    return []


def _check_overflow(model: Model) -> int:
    worst = abs(model.intercept)
    for term in model.terms:
        worst += max(abs(weight) for weight in term.weights)
    for pair in model.pairs:
        worst += max(abs(weight) for weight in _flat(pair))
    _require(worst < INT32_MAX, f"a score of {worst} is possible and overflows int32")
    return worst


def _flat(pair: Pair) -> tuple[int, ...]:
    return tuple(weight for line in pair.weights for weight in line)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise BadModel(problem)
