"""Rows as hypothesis draws them: every bin of the model is reached, and the far ends of the int32 range."""

from __future__ import annotations

from hypothesis import strategies as st

from ai import model
from ai.schema import FEATURES, MISSING, FeatureSpec

CARD = model.load(model.current_version())
EDGES = {term.name: term.edges for term in CARD.terms}


def values(feature: FeatureSpec) -> st.SearchStrategy[int]:
    """Answered values, with those next to an edge as likely as all others together."""
    near = {edge + step for edge in EDGES[feature.name] for step in (-1, 0, 1)} | {feature.low, feature.high}
    inside = sorted(value for value in near if feature.low <= value <= feature.high)
    return st.sampled_from(inside) | st.integers(feature.low, feature.high)


rows = st.tuples(*(st.just(MISSING) | values(feature) for feature in FEATURES))
