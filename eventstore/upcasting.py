"""Reading old versions: a retired tag is led, step by step, to the newest version of its event.

The table of steps is `domain/upcasts.py`. Nothing here runs for an entry of a current version.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

import msgspec

from domain.upcasts import Data, Step


class Upcaster:
    """A checked table of steps. Raises ValueError when a chain of steps does not end in a known tag."""

    def __init__(self, steps: Mapping[str, Step], known: Container[str]):
        self._steps = steps
        for tag in steps:
            if tag in known:
                raise ValueError(f"{tag} is retired, but an event still has this tag")
            if self.newest(tag) not in known:
                raise ValueError(f"the steps from {tag} lead to {self.newest(tag)}, which no event has")

    def __contains__(self, tag: object) -> bool:
        return tag in self._steps

    def newest(self, tag: str) -> str:
        """The tag at the end of the chain; a ValueError for a chain without end."""
        passed: list[str] = []
        while tag in self._steps:
            if tag in passed:
                raise ValueError(f"the steps go round: {' -> '.join([*passed, tag])}")
            passed.append(tag)
            tag = self._steps[tag].to
        return tag

    def lift(self, tag: str, data: bytes) -> tuple[str, bytes]:
        """The newest tag and the data in its shape. Whatever a step raises on data it cannot read, passes through."""
        value: Data = msgspec.json.decode(data)
        while (step := self._steps.get(tag)) is not None:
            tag, value = step.to, step.run(value)
        return tag, msgspec.json.encode(value)
