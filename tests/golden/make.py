"""Write one canonical example body for every event that has none yet: `python -m tests.golden.make`.

Run it after adding an event or a new version of one, read the file it wrote, and commit it with the event. It never
overwrites: a released event's body is what the log holds for ever, and the test beside it keeps today's code able to
read it. A changed event gets a new tag (`noun.verb.2`), an upcast, and a file of its own; the old file stays.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from domain.base import Event
from domain.catalogue import EVENTS
from tests.domain.examples import example_of
from tests.domain.story import settled

FOLDER = Path(__file__).parent
encoder = msgspec.json.Encoder(order="sorted", uuid_format="canonical")


def path_of(tag: str) -> Path:
    return FOLDER / f"{tag}.json"


def examples() -> dict[str, Event]:
    """The canonical story's first event of each tag; for the others, one built from the types."""
    told: dict[str, Event] = {}
    for event in settled().events:
        told.setdefault(event.tag, event)
    return {tag: told.get(tag) or example_of(event) for tag, event in EVENTS.items()}


def main() -> None:
    for tag, event in examples().items():
        if not path_of(tag).exists():
            path_of(tag).write_bytes(encoder.encode(event))
            print(f"wrote {path_of(tag).name}")


if __name__ == "__main__":
    main()
