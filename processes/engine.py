"""How processes run: reactions to entries, and effects on the outside, each done once however often we crash.

A reaction is pure: entry -> commands. Its key is (process, position), so a repeated entry changes nothing.
An effect talks to the outside with its entry's key, then records the outcome under that key; a crash in between
repeats the call with the same key, which the outside knows. Aggregates hold all state; a process keeps none.
What cannot be handled holds up its own stream and nothing else: docs/decisions/0010-quarantine.md.
"""

from processes.effects import Effects
from processes.process import Effect, EffectSpec, Look, NotYet, Process, Reaction, context_for
from processes.reactor import Reactor

__all__ = ["Effect", "EffectSpec", "Effects", "Look", "NotYet", "Process", "Reaction", "Reactor", "context_for"]
