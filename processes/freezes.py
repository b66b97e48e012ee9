"""A freeze holds what is under way: nothing is minted for a frozen subject and nothing is paid to it."""

from __future__ import annotations

from domain.party import FROZEN
from domain.platform import RaiseAlarm
from domain.subject import SUBJECT
from processes.process import Look


def frozen(look: Look, subject: str) -> bool:
    return look(SUBJECT, subject).state == FROZEN


def held(source: str, reference: str, step: str) -> RaiseAlarm:
    """The step waits for compliance, who see it among the incidents; the subject is told nothing."""
    return RaiseAlarm(alarm=f"frozen:{reference}:{step}", source=source, code="subject_frozen", detail=f"{step} held")
