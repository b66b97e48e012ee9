"""Every released event can be read as it was written, for ever, and written again to the same bytes."""

from __future__ import annotations

import subprocess

import msgspec
import pytest

from domain.catalogue import EVENTS
from domain.upcasts import UPCASTS
from tests.golden.make import FOLDER, encoder, path_of

FROZEN_FROM: str | None = None
"""The commit from which a released event never changes. Nothing is deployed: until the house's reset names one, shapes
may change in place (`git rm` the file, `python -m tests.golden.make`, read what it wrote)."""

HOW = "run `python -m tests.golden.make`, read what it wrote, and commit it with the event"


def test_every_released_event_has_its_golden_body() -> None:
    assert not [tag for tag in EVENTS if not path_of(tag).exists()], HOW


def test_no_released_event_was_dropped() -> None:
    """A tag may leave the catalogue only for a newer version, with a step to it: the log still holds it."""
    assert {path.name.removesuffix(".json") for path in FOLDER.glob("*.json")} == set(EVENTS) | set(UPCASTS)


def test_no_golden_body_ever_changed() -> None:
    """What git has of the folder since then was added, and nothing else ever happened to it."""
    if FROZEN_FROM is None:
        return
    done = subprocess.run(["git", "log", "--format=", "--name-status", "--no-renames", f"{FROZEN_FROM}..HEAD", "--",
                           "tests/golden/*.json"],
                          cwd=FOLDER.parent.parent, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line and not line.startswith("A")] == []


@pytest.mark.parametrize("tag", EVENTS)
def test_the_body_is_read_and_written_back_to_the_same_bytes(tag: str) -> None:
    body = path_of(tag).read_bytes()
    assert encoder.encode(msgspec.json.decode(body, type=EVENTS[tag])) == body
