"""Replaying the agent's advice: from the events of its time to the same row, score, explanation and record hash."""

from __future__ import annotations

import msgspec

from ai.replay import Mismatch, replay
from bootstrap import SetupError, known_events
from domain.subject import SUBJECT, VerdictProposed
from eventstore.store import Store
from projections.base import Engine


class Replayed(msgspec.Struct, frozen=True):
    """What was proposed on a file, and what its replay found (no mismatch: the same to the bit)."""

    position: int
    proposal: VerdictProposed
    mismatches: tuple[Mismatch, ...]


def replay_advice(store: Store, engine: Engine, subject: str, file_number: str) -> Replayed:
    """Replay the newest proposal on a subject's file; SetupError when there is none."""
    proposed = [(entry.position, entry.event) for entry in store.history(SUBJECT, subject)
                if isinstance(entry.event, VerdictProposed) and entry.event.file_number == file_number]
    if not proposed:
        raise SetupError(f"there is no proposal on file {file_number}")
    position, proposal = proposed[-1]
    events = known_events(store, engine, lambda: position, subject, proposal.cut_off_position)
    return Replayed(position, proposal, replay(proposal, events))
