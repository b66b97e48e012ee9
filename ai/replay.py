"""Was this proposal really made so? Three layers, each from less to more; a mismatch names its layer.

    L1 record   the event's fields, with the explanation its row gives, hash to `record_sha256`
    L2 score    the stored row gives the stored score, grade, verdict and confidence
    L3 events   the events up to the cut-off fold to the stored row

All it needs is the `VerdictProposed` event and the events up to its cut-off position. The explanation is on
the log only through the record's hash, so L1 failing alone means that the hash or the explanation changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

from ai import canonical, decision, features, model, policy, schema
from ai.decision import Decision
from ai.features import Entry
from domain.subject import VerdictProposed

SCORED = ("verdict", "grade", "score", "confidence_ppm", "dataset_signature")
"""Fields of the event that follow from its row, its model and its policy."""


class Layer(StrEnum):
    RECORD = "L1 record"
    SCORE = "L2 score"
    EVENTS = "L3 events"


class Mismatch(msgspec.Struct, frozen=True):
    layer: Layer
    field: str
    stored: str
    computed: str


def replay(proposed: VerdictProposed, events: Iterable[Entry]) -> tuple[Mismatch, ...]:
    """Empty when the proposal is reproduced to the bit. `events` may reach beyond the cut-off."""
    return (*replay_row(proposed), *replay_events(proposed, events))


def replay_row(proposed: VerdictProposed) -> tuple[Mismatch, ...]:
    """L1 and L2, which need no other event."""
    try:
        again = decision.advisor(proposed.model_version, proposed.policy_version).decide(
            proposed.row, surface=proposed.surface, cut_off_position=proposed.cut_off_position)
    except (model.UnknownModel, model.BadModel) as unknown:
        return (Mismatch(Layer.RECORD, "model_version", proposed.model_version, str(unknown)),)
    except policy.UnknownPolicy as unknown:
        return (Mismatch(Layer.RECORD, "policy_version", proposed.policy_version, str(unknown)),)
    except decision.UnknownSurface as unknown:
        return (Mismatch(Layer.RECORD, "surface", proposed.surface, str(unknown)),)
    except schema.BadRow as impossible:
        return (Mismatch(Layer.SCORE, "row", str(proposed.row), str(impossible)),)
    record = _record_hash(proposed, again)
    found = [_compare(Layer.RECORD, "record_sha256", proposed.record_sha256, record)]
    for name in SCORED:
        found.append(_compare(Layer.SCORE, name, getattr(proposed, name), getattr(again, name)))
    return tuple(mismatch for mismatch in found if mismatch is not None)


def replay_events(proposed: VerdictProposed, events: Iterable[Entry]) -> tuple[Mismatch, ...]:
    """L3: with the row equal, everything after it is L2."""
    try:
        folded = features.fold(features.up_to(events, proposed.cut_off_position))
    except features.NothingToFold as nothing:
        return (Mismatch(Layer.EVENTS, "events", str(proposed.row), str(nothing)),)
    if len(proposed.row) != len(folded.row):
        return (Mismatch(Layer.EVENTS, "row", str(proposed.row), str(folded.row)),)
    found = [_compare(Layer.EVENTS, "cut_off_position", proposed.cut_off_position, folded.cut_off_position)]
    for name, stored, computed in zip(schema.NAMES, proposed.row, folded.row, strict=True):
        found.append(_compare(Layer.EVENTS, name, stored, computed))
    return tuple(mismatch for mismatch in found if mismatch is not None)


def _record_hash(proposed: VerdictProposed, again: Decision) -> str:
    """Of the record as the event tells it: its own fields, and the explanation that only the row can give."""
    told = msgspec.structs.replace(again, **{name: getattr(proposed, name) for name in SCORED})
    try:
        return told.record_sha256
    except canonical.NotCanonical as reason:
        return str(reason)


def _compare(layer: Layer, field: str, stored: Any, computed: Any) -> Mismatch | None:
    if stored == computed:
        return None
    return Mismatch(layer, field, str(stored), str(computed))
