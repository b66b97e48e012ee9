"""The auditor of the event-store campaign: reads on from where it was, and compares the log with what callers know.

A caller asks for its next command only when it has the answer to the one before. So the log must hold each caller's
commands once each, whole, in the order of their numbers, whatever was killed meanwhile.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec

from eventstore.access import ANCHOR, APPEND, READ, Access
from eventstore.database import select
from eventstore.entry import ZERO_HASH, Entry, body_hash, decode, entry_hash
from eventstore.store import Store
from eventstore.verify import Log, verify
from scripts.campaigns.commands import PAD, TENANT, answer, caller_of, key_of, notes

KEYS_AT_ONCE = 2_000
QUIET_S = 10.0
KEYS = "SELECT key, first_position, response FROM fx.command_keys WHERE key = ANY(%s)"
APPENDERS = "SELECT count(*) AS n FROM pg_stat_activity WHERE usename = 'fx_append'"
KEY_COUNT = "SELECT count(*) AS n FROM fx.command_keys"
DURABLE = "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
BOOKMARKS = "SELECT name, position FROM fx.bookmarks"


class Ack(msgspec.Struct, frozen=True):
    """A line that a caller wrote down: what it was told."""

    key: str
    position: int
    replayed: bool
    repeated: int
    answer: str

    @classmethod
    def read(cls, line: str) -> Ack:
        key, position, replayed, repeated, told = line.split(" ", 4)
        return cls(key, int(position), replayed == "1", int(repeated), told)


class Landed(msgspec.Struct, frozen=True):
    """A command as the log has it."""

    key: str
    position: int
    answer: bytes


class Auditor:
    """`faults` counts what is wrong by kind; `told` says it in words. Nothing of either is the campaign's aim."""

    def __init__(self, access: Access):
        self.store = Store(access)
        self.faults: Counter[str] = Counter()
        self.told: list[str] = []
        self.position, self._link, self._moment = 0, ZERO_HASH, 0
        self._versions: dict[UUID, int] = {}
        self.next: dict[str, int] = {}
        """Each caller's number after the last one that landed."""

        self.acknowledged: dict[str, int] = {}
        """Each caller's number after the last one that was acknowledged."""

        self._unacknowledged: dict[str, Landed] = {}
        self.replayed = 0
        """Answers that came from the key: the command had landed, and whoever asked before did not hear of it."""

        self.repeated = 0
        """How often a caller was told to ask again."""

    @property
    def commands(self) -> int:
        return sum(self.next.values())

    @property
    def acknowledgements(self) -> int:
        return sum(self.acknowledged.values())

    def close(self) -> None:
        self.store.close()

    def expect_durable(self) -> None:
        """A server that does not wait for the disk when it appends would prove nothing."""
        with self.store.access.connect(APPEND) as appending:
            found = appending.execute(DURABLE).fetchone()
        self._expect(found == ("on", "on"), "server", "the server may lose what it has committed")

    def await_quiet(self) -> None:
        """The server goes on with what a killed process has sent: wait until it has noticed that nobody listens."""
        deadline = time.monotonic() + QUIET_S
        while (left := select(self.store.datastore, APPENDERS, ())[0]["n"]) and time.monotonic() < deadline:
            time.sleep(0.02)
        self._expect(left == 0, "server", "sessions of killed processes are still there")

    # ------------------------------------------------------------ after every blow

    def check(self, acks: Iterable[Ack]) -> None:
        """`acks` were written before this was called, so what they tell of must be in the log."""
        self._same_end_as_before()
        marks = self._bookmarks()
        landed = [one for one in map(self._landed, self._commands(self.store.head())) if one]
        self._keys(landed)
        self._unacknowledged.update({one.key: one for one in landed})
        for ack in acks:
            self._acknowledged(ack)
        for name, position in marks.items():
            self._expect(position <= self.next.get(name, 0), "bookmark", f"{name} is ahead of its entries: {position}")

    def check_all(self) -> None:
        """When nobody appends any more: nothing beside what was seen, and the whole log as `fx verify` sees it."""
        self._expect(self._bookmarks() == self.next, "bookmark", "bookmarks are not where their commands are")
        keys = select(self.store.datastore, KEY_COUNT, ())[0]["n"]
        self._expect(keys == self.commands, "doubled", f"{keys} keys for {self.commands} commands")
        with self.store.access.connect(ANCHOR) as chain:
            report = verify(Log(chain, lambda: self.store.access.connect(READ)))
        self._expect(report.exit_code == 0, "chain", f"fx verify finds {report.findings}")
        self._expect((report.entries, report.bodies) == (self.position, self.position), "chain",
                     f"{report.entries} entries and {report.bodies} bodies where {self.position} were seen")
        self._same_end_as_before()

    # ------------------------------------------------------------ the log

    def _same_end_as_before(self) -> None:
        """A server that lost what it had shown would have another entry here, or none."""
        if self.position:
            here = [bytes(row["hash"]) for row in self.store.rows(self.position, self.position)]
            self._expect(here == [self._link], "lost", f"entry {self.position} is not the one that was there before")

    def _commands(self, head: int) -> Iterator[list[Entry]]:
        """The entries that came, by command. A command that lies in two places comes twice."""
        entries = (self._entry(row) for row in self.store.rows(self.position + 1, head))
        for _, together in groupby(entries, key=lambda entry: entry.command):
            yield list(together)

    def _entry(self, row: dict[str, Any]) -> Entry:
        position, body = row["position"], bytes(row["body"])
        hashed, link = body_hash(body), bytes(row["hash"])
        self._expect(position == self.position + 1, "chain", f"entry {position} follows {self.position}")
        self._expect(bytes(row["prev_hash"]) == self._link, "chain", f"entry {position} is linked to another before it")
        self._expect(bytes(row["body_hash"]) == hashed, "chain", f"entry {position} has another body")
        self._expect(entry_hash(position, row["recorded_us"], self._link, hashed) == link, "chain",
                     f"entry {position} has another hash")
        self._expect(row["recorded_us"] >= self._moment, "chain", f"entry {position} is earlier than the one before")
        stream, version = row["originator_id"], row["originator_version"]
        self._expect(version == self._versions.get(stream, 0) + 1, "version", f"entry {position} is version {version}")
        self.position, self._link, self._moment, self._versions[stream] = position, link, row["recorded_us"], version
        return decode(body, position)

    def _landed(self, entries: list[Entry]) -> Landed | None:
        """One command: in turn, whole, decided on the state it was appended to."""
        key = entries[0].command
        caller, n = caller_of(key)
        due = self.next.get(caller, 0)
        if n != due:
            self._fault("doubled" if n < due else "lost", f"{key} where {key_of(caller, due)} is due")
            return None
        self.next[caller] = n + 1
        wanted = [PAD.stream(TENANT, note.pad) for note in notes(caller, n) for _ in range(note.copies)]
        self._expect([entry.originator_id for entry in entries] == wanted, "half", f"{key} is not stored whole")
        codes = [str(getattr(entry.event, "code", "")) for entry in entries]
        self._expect(codes == [str(entry.originator_version - 1) for entry in entries], "version",
                     f"{key} was decided on another state")
        return Landed(key, entries[0].position, answer(key, codes))

    # ------------------------------------------------------------ keys, bookmarks, acknowledgements

    def _keys(self, landed: list[Landed]) -> None:
        """Each command's key, with its position and its answer."""
        for start in range(0, len(landed), KEYS_AT_ONCE):
            some = landed[start:start + KEYS_AT_ONCE]
            rows = select(self.store.datastore, KEYS, ([one.key for one in some],))
            kept = {row["key"]: (row["first_position"], bytes(row["response"] or b"")) for row in rows}
            for one in some:
                self._expect(kept.get(one.key) == (one.position, one.answer), "key",
                             f"{one.key} is at {one.position}, and its key says {kept.get(one.key)}")

    def _bookmarks(self) -> dict[str, int]:
        return {row["name"]: row["position"] for row in select(self.store.datastore, BOOKMARKS, ())}

    def _acknowledged(self, ack: Ack) -> None:
        caller, n = caller_of(ack.key)
        self._expect(n == self.acknowledged.get(caller, 0), "doubled", f"{ack.key} was acknowledged out of turn")
        self.acknowledged[caller] = n + 1
        self.replayed += ack.replayed
        self.repeated += ack.repeated
        landed = self._unacknowledged.pop(ack.key, None)
        if landed is None:
            self._fault("lost", f"{ack.key} was acknowledged at {ack.position} and is not in the log")
        else:
            self._expect((landed.position, landed.answer) == (ack.position, ack.answer.encode()), "answer",
                         f"{ack.key} was acknowledged with {ack}, and the log has {landed}")

    def _expect(self, holds: bool, kind: str, words: str) -> None:
        if not holds:
            self._fault(kind, words)

    def _fault(self, kind: str, words: str) -> None:
        self.faults[kind] += 1
        if len(self.told) < 20:
            self.told.append(f"{kind}: {words}")
