"""Small inputs that once broke something, played against a served platform: `python -m scripts.campaigns.cases`.

Each case is a function that says in a few words what it saw, or raises Wrong with that. Cases run one after another on
one platform, a process of its own with a sandbox clock, and leave it fit for those that follow.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bootstrap import Settings
from scripts.campaigns.served import Apart
from scripts.story import Story


class Wrong(Exception):
    """What was seen is not what is right."""


class Case(msgspec.Struct, frozen=True):
    """`number` names the fault's kind in docs/security.md; `input` what is tried, in a few words."""

    number: str
    input: str
    play: Callable[[World], str]


CASES: list[Case] = []


def case(number: str, input: str) -> Callable[[Callable[[World], str]], Callable[[World], str]]:
    """Adds a case to the campaign, in the order of the files that hold them."""
    def add(play: Callable[[World], str]) -> Callable[[World], str]:
        CASES.append(Case(number, input, play))
        return play
    return add


@dataclass
class World:
    """The served platform and its people: the story's four, two compliance officers, an administrator."""

    apart: Apart
    story: Story
    staff: dict[str, str]
    """API keys of "mlro", "mlro2" and "admin"."""

    _people: dict[str, httpx.Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.anyone = httpx.Client(base_url=self.url, timeout=20)
        self.outside = httpx.Client(base_url=self.settings.providers_url, timeout=20)

    @property
    def settings(self) -> Settings:
        return self.apart.settings

    @property
    def url(self) -> str:
        return self.settings.http_url

    @property
    def home(self) -> Path:
        return self.settings.home

    def as_(self, who: str) -> httpx.Client:
        """A client with that person's key."""
        if who not in self._people:
            key = {**self.story.keys, **self.staff}[who]
            self._people[who] = httpx.Client(base_url=self.url, timeout=20, headers={"Authorization": f"Bearer {key}"})
        return self._people[who]

    def get(self, who: str | None, path: str, **params: Any) -> httpx.Response:
        return (self.as_(who) if who else self.anyone).get(path, params=params)

    def post(self, who: str | None, path: str, body: Any, **headers: str) -> httpx.Response:
        """One mutation under a key of its own; `who` None: without any API key. Bytes are sent as they are."""
        client = self.as_(who) if who else self.anyone
        sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        return client.post(path, headers={"FX-Idempotency-Key": uuid.uuid4().hex, "Content-Type": "application/json",
                                          **headers}, **sent)

    def alive(self) -> None:
        """The platform still answers, and at once."""
        started = time.monotonic()
        seen(self.anyone.get("/health/live"), 200)
        took = time.monotonic() - started
        if took > 1:
            raise Wrong(f"health took {took:.1f} s")


def seen(answer: httpx.Response, status: int, code: str | None = None) -> str:
    """What an answer says, in a few words; Wrong unless it has this status and, as a problem, this code."""
    problem = answer.json() if answer.headers.get("content-type", "").startswith("application/problem+json") else {}
    said = f"{answer.status_code} {problem.get('code', '')}".strip()
    if answer.status_code != status or (code is not None and problem.get("code") != code):
        raise Wrong(f"{said}: {answer.text[:200]}")
    return said
