"""`fx streams`: what is left out is shown, and a person can ask for another try."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import bootstrap
import scripts.fx as command_line
from bootstrap import SetupError
from domain.quarantine import StreamReleaseRequested
from eventstore.clock import SystemClock
from eventstore.quarantine import Held
from eventstore.store import Store
from tests.eventstore.newer import in_colour, stream_of, write

Say = Callable[..., str]


@pytest.fixture
def fx(store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command on this store; what it printed."""
    settings: Any = SimpleNamespace(home=None, tenant=store.tenant)
    monkeypatch.setattr(command_line, "settings_from", lambda environment: settings)
    monkeypatch.setattr(bootstrap, "kept_secrets", lambda home: None)
    monkeypatch.setattr(bootstrap, "open_store", lambda settings, secrets: store)
    monkeypatch.setattr(bootstrap, "choose_clock", lambda settings, store: SystemClock())
    monkeypatch.setattr(store, "close", lambda: None)
    monkeypatch.setattr(command_line.out, "width", 200)

    def run(*words: str) -> str:
        command_line.app(["streams", *words], result_action="return_value")
        return capsys.readouterr().out

    return run


def test_what_is_held_is_listed_and_asked_for(fx: Say, store: Store) -> None:
    assert "every stream flows" in fx("list")
    write(store, "a", in_colour("a1"))
    held = Held(store, SystemClock(), "processes")
    held.add(store.read(0)[0], "unused")
    stream = str(stream_of(store, "a"))
    shown = fx("list")
    for word in ("processes", stream, "fingerprint.claimed.2", "unknown_event"):
        assert word in shown
    assert "asked for: processes" in fx("release", stream)
    assert store.read(2)[0].event == StreamReleaseRequested(follower="processes", stream=stream_of(store, "a"))
    with pytest.raises(SetupError, match="no follower leaves out"):
        fx("release", "another")
