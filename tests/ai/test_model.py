"""The committed artefact, and every kind of artefact that must be refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from ai import canonical, model, scorecard
from ai.model import BadModel
from tests.ai.strategies import CARD

Edit = Callable[[dict[str, Any]], Any]


def edited(edit: Edit) -> bytes:
    plain = json.loads(canonical.canonical(CARD))
    edit(plain)
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def test_the_artefact_is_what_the_readable_scorecard_says() -> None:
    assert model.version_of(scorecard.build()) == model.current_version()
    assert model.decode(scorecard.build()) == CARD


def test_version_and_signature_are_plain_sha256() -> None:
    assert model.current_version() == hashlib.sha256(scorecard.build()).hexdigest()
    assert CARD.dataset_signature == hashlib.sha256(scorecard.PROVENANCE.encode()).hexdigest()


def test_the_version_is_pinned() -> None:
    """A changed number is a new model: it gets a new name, and the old artefact stays for old decisions."""
    assert model.current_version() == "9125a6b9acba4828811004457a1654f12690f1714d412c4d3bd01b6c17af7c63"


def test_the_worst_score_is_the_sum_of_the_largest_weights() -> None:
    largest = 1_400 + 1_500 + 2_000 + 900 + 500 + 200 + 700 + 100 + 1_900 + 700 + 1_200 + 400
    assert model.validate(CARD) == 1_000 * (3_900 + largest)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(model.UnknownModel):
        model.load("0" * 64)


def _set(*path: str | int, to: Any) -> Edit:
    def edit(plain: dict[str, Any]) -> None:
        place: Any = plain
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return edit


REFUSED: dict[str, tuple[Edit, str]] = {
    "another format": (_set("format", to="ftx.sparsescore/2"), "format"),
    "another schema": (_set("feature_schema", to="0" * 64), "feature schema"),
    "an unknown field": (_set("threshold", to=1), "unknown field"),
    "a float": (_set("intercept", to=-3_900_000.5), "Expected `int`"),
    "a whole float": (_set("terms", 0, "weights", 0, to=600_000.0), "Expected `int`"),
    "an intercept beyond int32": (_set("intercept", to=-(2**31)), "overflows int32"),
    "weights that add up beyond int32": (
        lambda plain: [term.update(weights=[250_000_000] * len(term["weights"]), baseline=250_000_000)
                       for term in plain["terms"]], "overflows int32"),
    "a reason beyond its ranking key": (_set("terms", 1, "weights", 2, to=2**24), "ranking key"),
    "a pair's reason beyond its key": (_set("pairs", 0, "weights", 2, 1, to=2**24), "ranking key"),
    "edges out of order": (_set("terms", 0, "edges", to=[365, 183, 1095, 3650]), "ascend"),
    "an edge twice": (_set("terms", 0, "edges", to=[183, 183, 1095, 3650]), "ascend"),
    "an edge at the missing code": (_set("terms", 1, "edges", to=[-(2**31)]), "int32"),
    "an edge beyond int32": (_set("terms", 1, "edges", to=[2**31 - 1]), "int32"),
    "a weight too few": (_set("terms", 1, "weights", to=[0, 0]), "weights than edges"),
    "an unknown signal": (_set("terms", 1, "name", to="shoe_size"), "no such signal"),
    "a signal twice": (_set("terms", 1, "name", to="screening_hit"), "twice"),
    "a pair with itself": (_set("pairs", 0, "left", to="company_age_days"), "two different"),
    "a pair outside the model": (_set("pairs", 0, "left", to="shoe_size"), "of the model"),
    "a pair table of another shape": (_set("pairs", 0, "weights", to=[[0]]), "match the bins"),
    "an empty probability table": (_set("calibration", "ppm", to=[]), "empty"),
    "a falling probability": (_set("calibration", "ppm", 90, to=0), "falls"),
    "a probability above one": (_set("calibration", "ppm", 183, to=1_000_001), "0..1"),
    "a table beyond int32": (_set("calibration", "low", to=2**31 - 2), "int32"),
    "a step that is no step": (_set("calibration", "shift", to=-1), "no such step"),
    "a hit that lowers the score": (_set("terms", 2, "weights", 2, to=-1), "wrong way"),
    "an age that raises the score": (_set("terms", 0, "weights", 5, to=1), "wrong way"),
    "a pair that turns a signal round": (_set("pairs", 0, "weights", 2, 5, to=400_000), "wrong way"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_artefacts_are_refused(name: str) -> None:
    edit, reason = REFUSED[name]
    with pytest.raises(BadModel, match=reason):
        model.decode(edited(edit))


def test_unedited_it_is_accepted() -> None:
    assert model.decode(edited(lambda plain: None)) == CARD


@pytest.mark.parametrize("other", [b" ", b"\n"])
def test_another_spelling_of_the_same_model_is_refused(other: bytes) -> None:
    with pytest.raises(BadModel, match="canonical"):
        model.decode(scorecard.build() + other)


@pytest.mark.parametrize("value", [1.0, {"a": [1, {"b": 0.5}]}, 2**53, -(2**53), float("nan")])
def test_floats_and_unsafe_integers_have_no_canonical_form(value: object) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.canonical(value)


def test_canonical_form() -> None:
    assert canonical.canonical({"b": (1, None, True), "a": "é"}) == '{"a":"é","b":[1,null,true]}'.encode()
