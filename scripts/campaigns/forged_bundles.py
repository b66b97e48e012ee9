"""Whole bundles, forged by somebody careful: hashes, counts and the manifest are repaired after each change.

None may be taken for true: exit code 0 with integrity PASS. Whoever makes roots of his own gets that far offline, where
authenticity is NOT PROVED; against the contract he must fail.
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import migrations
from chain import anchor, verifier
from chain.anvil import Anvil, free_port
from chain.bundle import EntryRow, Scope, write_bundle
from chain.checkpoint import genesis_head, head_after
from chain.client import Chain
from chain.keys import FolderKeys
from chain.merkle import Tree
from eventstore.access import ANCHOR, register
from eventstore.entry import ZERO_HASH, body_hash, canonical, entry_hash, fresh_salt
from eventstore.journal import JournalRows
from scripts.campaigns.commands import SECRET, TENANT, access
from scripts.campaigns.server import Server

STARTED = 1_779_444_000
BEGAN = "2026-05-22T10:00:00Z"
INVOICES = 6
BATCH_ENDS = (13, 14, 30)
STEPS = ("invoice.submitted.1", "invoice.confirmed.1", "token.mint_requested.1", "token.minted.1", "invoice.funded.1")
NAMES = UUID(int=1)


class Draft:
    """A bundle in a forger's hands: its lines taken apart, and all hashes of the log, which he may know."""

    def __init__(self, bundle: Path, hashes: list[bytes]) -> None:
        self.lines: list[dict[str, Any]] = []
        for text in (bundle / "entries.jsonl").read_text().splitlines():
            self.lines.append(json.loads(text) | {"body": text[text.index(',"body":') + 8:-1]})
        self.batches: list[dict[str, Any]] = json.loads((bundle / "batches.json").read_bytes())
        self.manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_bytes())
        self.hashes = list(hashes)

    @property
    def is_range(self) -> bool:
        return self.manifest["scope"]["kind"] == "range"

    def change(self, rng: random.Random, at: int) -> None:
        """Another amount in an entry's body."""
        body = json.loads(self.lines[at]["body"])
        body["data"]["pence"] = rng.randrange(10**9)
        self.lines[at]["body"] = canonical(body).decode()

    def rehash(self, at: int = 0) -> None:
        """Computes hashes from there on; where the entry before is shown, the link to it as well."""
        before = self.lines[at - 1] if at else None
        for line in self.lines[at:]:
            if before is not None and before["position"] == line["position"] - 1:
                line["prev_hash"] = before["hash"]
            hashed = entry_hash(line["position"], line["recorded_us"], bytes.fromhex(line["prev_hash"]),
                                body_hash(line["body"].encode()))
            line["hash"] = hashed.hex()
            if line["position"] <= len(self.hashes):
                self.hashes[line["position"] - 1] = hashed
            before = line

    def rebuild(self) -> None:
        """Makes roots, proofs and heads of one's own."""
        for batch in self.batches:
            first, last = batch["from_position"], batch["to_position"]
            tree = Tree(self.hashes[first - 1:last])
            batch["root"] = tree.root.hex()
            for line in self.lines:
                if first <= line["position"] <= last:
                    proof = b"".join(tree.proof(line["position"] - first))
                    line["batch_id"], line["proof"] = batch["batch_id"], proof.hex()
        self.rehead()

    def rehead(self) -> None:
        head = genesis_head(bytes.fromhex(self.manifest["chain"]["log_id"]))
        for number, batch in enumerate(self.batches, 1):
            batch["batch_id"], batch["prev_head"] = number, head.hex()
            head = head_after(head, number, batch["from_position"], batch["to_position"], bytes.fromhex(batch["root"]))
            batch["head"] = head.hex()

    def unanchor(self, position: int) -> None:
        for line in self.lines:
            if line["position"] >= position:
                line["batch_id"], line["proof"] = None, ""

    def write(self, target: Path) -> None:
        """Writes it with a manifest that fits."""
        scope = self.manifest["scope"]
        if self.is_range and self.lines:
            scope["from"], scope["to"] = self.lines[0]["position"], self.lines[-1]["position"]
        elif not self.is_range:
            bodies = [json.loads(line["body"]) for line in self.lines]
            self.manifest["streams"] = {body["stream"]: body["version"] for body in bodies}
        self.manifest["counts"] |= {"entries": len(self.lines), "batches": len(self.batches)}
        content = {"entries.jsonl": "".join(map(_line, self.lines)).encode(),
                   "batches.json": json.dumps(self.batches).encode()}
        self.manifest["files"] = {name: hashlib.sha256(text).hexdigest() for name, text in content.items()}
        for name, text in (content | {"manifest.json": json.dumps(self.manifest).encode()}).items():
            (target / name).write_bytes(text)


def _line(line: dict[str, Any]) -> str:
    members = json.dumps({name: value for name, value in line.items() if name != "body"}, separators=(",", ":"))
    return f'{members[:-1]},"body":{line["body"]}}}\n'


Forge = Callable[[random.Random, Draft], None]


# ---------------------------------------------------------------- ways to forge


def unanchored(rng: random.Random, draft: Draft) -> None:
    """Entries are changed, chained anew and said to be in no batch yet, though batches cover them."""
    at = rng.randrange(len(draft.lines))
    draft.change(rng, at)
    draft.rehash(at)
    draft.unanchor(draft.lines[at]["position"])


def unanchored_one(rng: random.Random, draft: Draft) -> None:
    at = rng.randrange(len(draft.lines))
    draft.change(rng, at)
    draft.rehash(at)
    draft.lines[at] |= {"batch_id": None, "proof": ""}


def batches_dropped(rng: random.Random, draft: Draft) -> None:
    """The last batches are left out, and what was in them is changed: it looks as if it were not anchored yet."""
    keep = rng.randrange(len(draft.batches))
    first = draft.batches[keep]["from_position"]
    del draft.batches[keep:]
    draft.unanchor(first)
    if at := [at for at, line in enumerate(draft.lines) if line["position"] >= first]:
        draft.change(rng, at[0])
        draft.rehash(at[0])
    else:
        unanchored(rng, draft)


def batch_removed(rng: random.Random, draft: Draft) -> None:
    del draft.batches[rng.randrange(len(draft.batches) - 1)]
    if rng.random() < 0.5:
        draft.rehead()


def boundary_moved(rng: random.Random, draft: Draft) -> None:
    """Entries go over to the batch beside, whose root stays."""
    at = rng.randrange(len(draft.batches) - 1)
    moved = rng.choice((-1, 1))
    draft.batches[at]["to_position"] += moved
    draft.batches[at + 1]["from_position"] += moved
    for line in draft.lines:
        line["batch_id"] = next((batch["batch_id"] for batch in draft.batches if line["position"] <=
                                 batch["to_position"]), line["batch_id"])
    draft.rehead()


def entry_moved(rng: random.Random, draft: Draft) -> None:
    line = rng.choice(draft.lines)
    line["batch_id"] = rng.choice([batch["batch_id"] for batch in draft.batches
                                   if batch["batch_id"] != line["batch_id"]] + [len(draft.batches) + 1])


def body_changed(rng: random.Random, draft: Draft) -> None:
    at = rng.randrange(len(draft.lines))
    draft.change(rng, at)
    if rng.random() < 0.7:
        draft.rehash(at)


def column_changed(rng: random.Random, draft: Draft) -> None:
    at = rng.randrange(len(draft.lines))
    field = rng.choice(("recorded_us", "prev_hash", "hash", "position"))
    value: Any = rng.randbytes(32).hex() if "hash" in field else draft.lines[at][field] + rng.choice((-1, 1))
    draft.lines[at][field] = value
    if field == "recorded_us" and rng.random() < 0.7:
        draft.rehash(at)


def duplicated(rng: random.Random, draft: Draft) -> None:
    at = rng.randrange(len(draft.lines))
    draft.lines.insert(rng.randint(at, len(draft.lines)), dict(draft.lines[at]))
    if rng.random() < 0.5:
        renumbered(draft)


def swapped(rng: random.Random, draft: Draft) -> None:
    one, two = sorted(rng.sample(range(len(draft.lines)), 2))
    draft.lines[one], draft.lines[two] = draft.lines[two], draft.lines[one]
    if rng.random() < 0.5:
        renumbered(draft)


def versions_exchanged(rng: random.Random, draft: Draft) -> None:
    """Two bodies change places, hashes are computed anew."""
    one, two = sorted(rng.sample(range(len(draft.lines)), 2))
    first, second = draft.lines[one], draft.lines[two]
    first["body"], second["body"] = second["body"], first["body"]
    draft.rehash(one)


def version_left_out(rng: random.Random, draft: Draft) -> None:
    """An entry of the middle of its stream is missing. (A range without its first is a true, shorter range.)"""
    streams = [json.loads(line["body"])["stream"] for line in draft.lines]
    inner = [at for at, stream in enumerate(streams) if stream in streams[at + 1:] and (at or not draft.is_range)]
    del draft.lines[rng.choice(inner)]
    if draft.is_range and rng.random() < 0.5:
        renumbered(draft)


def renumbered(draft: Draft) -> None:
    first = draft.lines[0]["position"]
    for position, line in enumerate(draft.lines, first):
        line["position"] = position
    draft.rehash()


def appended(rng: random.Random, draft: Draft) -> None:
    """An entry behind the last batch, which nothing binds."""
    line = dict(draft.lines[-1])
    body = json.loads(line["body"])
    body["version"] += 1
    draft.lines.append(line | {"position": draft.batches[-1]["to_position"] + 1, "batch_id": None, "proof": "",
                               "body": canonical(body).decode()})
    draft.change(rng, len(draft.lines) - 1)
    draft.rehash(len(draft.lines) - 1)


def root_replaced(rng: random.Random, draft: Draft) -> None:
    rng.choice(draft.batches)["root"] = rng.randbytes(32).hex()
    draft.rehead()


def another_history(rng: random.Random, draft: Draft) -> None:
    """A batch's entries are proved by a root of one's own; the heads are left as the contract has them."""
    at = rng.randrange(len(draft.lines))
    heads = [(batch["prev_head"], batch["head"]) for batch in draft.batches]
    draft.change(rng, at)
    draft.rehash(at)
    draft.rebuild()
    for batch, (before, after) in zip(draft.batches, heads, strict=True):
        batch["prev_head"], batch["head"] = before, after


def batches_of_ones_own(rng: random.Random, draft: Draft) -> None:
    """All agrees with itself."""
    at = rng.randrange(len(draft.lines))
    draft.change(rng, at)
    draft.rehash(at)
    draft.rebuild()


def one_more_batch(rng: random.Random, draft: Draft) -> None:
    """Behind the anchored batches, with an entry of one's own."""
    appended(rng, draft)
    position = draft.lines[-1]["position"]
    draft.hashes = [*draft.hashes[:position - 1], bytes.fromhex(draft.lines[-1]["hash"])]
    draft.batches.append(draft.batches[-1] | {"from_position": position, "to_position": position})
    draft.manifest["scope"]["to"] = position
    draft.rehead()
    draft.rebuild()


def contract_of_ones_own(rng: random.Random, draft: Draft) -> None:
    batches_of_ones_own(rng, draft)
    draft.manifest["chain"]["contract"] = "0x" + rng.randbytes(20).hex()


def renamed(rng: random.Random, draft: Draft) -> None:
    """The true story of one invoice or person, handed over as another's."""
    if draft.is_range:
        return body_changed(rng, draft)
    draft.manifest["scope"]["name"] += "0"
    return None


SELF_MADE: tuple[Forge, ...] = (batches_of_ones_own, one_more_batch, contract_of_ones_own, boundary_moved,
                                root_replaced)
"""These compute heads of their own, and may agree with themselves: then only the contract tells."""

KINDS: tuple[Forge, ...] = (
    unanchored, unanchored_one, batches_dropped, batch_removed, entry_moved, body_changed,
    column_changed, duplicated, swapped, versions_exchanged, version_left_out, appended, another_history, renamed,
    *SELF_MADE)


# ---------------------------------------------------------------- who is asked


class Town:
    """Honest bundles of each kind, and the node and the contract that know."""

    def __init__(self, chain: Chain, url: str, folder: Path) -> None:
        """`chain` is newly deployed: the log begins at its first position."""
        self.url, self._folder = url, folder
        rows = list(_rows())
        self.hashes = [row.hash for row in rows]
        anchored = [anchor.anchor_pending(chain, lambda first, last: self.hashes[first - 1:last], last)
                    for last in BATCH_ENDS]
        batches = [one.row() for one in anchored if one is not None]
        facts = anchor.facts(chain)
        self.contract = facts.contract
        stories = {"range": rows, "invoice": [row for row in rows if row.originator_id in (_stream("INV-2"),
                   _stream("TOK-2"))], "subject": [row for row in rows if row.originator_id == _stream("INV-4")]}
        for kind, entries in stories.items():
            scope = Scope("range", 1, len(rows)) if kind == "range" else Scope(
                "invoice" if kind == "invoice" else "subject", 1, len(rows), "INV-2" if kind == "invoice" else "INV-4")
            write_bundle(folder / kind, facts, entries, batches, lambda first, last: self.hashes[first - 1:last],
                         BEGAN, scope=scope)
        self.honest = [folder / kind for kind in stories]
        (folder / "forged").mkdir()

    def forged(self, count: int, seed: int) -> Iterator[tuple[Forge, Path]]:
        """`count` forged bundles, kind after kind; each stands where the one before stood."""
        rng = random.Random(seed)
        for number in range(count):
            draft = Draft(self.honest[number % len(self.honest)], self.hashes)
            forge = KINDS[number // len(self.honest) % len(KINDS)]
            forge(rng, draft)
            draft.write(self._folder / "forged")
            yield forge, self._folder / "forged"

    def accepted(self, bundle: Path, *, offline_proves: bool = True) -> str:
        """Who takes a bundle for true: "offline", "contract" or nobody."""
        offline = verdicts_of(bundle)
        if "FAIL" in offline.values() or offline["integrity"] != "PASS":
            return ""
        if offline_proves or offline["authenticity"] != "NOT PROVED":
            return "offline"
        asked = verdicts_of(bundle, rpc=self.url, contract=self.contract)
        return "" if asked["authenticity"] == "FAIL" else "contract"


def verdicts_of(bundle: Path, *, rpc: str | None = None, contract: str | None = None) -> dict[str, str]:
    """The verifier's verdicts; a bundle that it cannot read fails."""
    options = Namespace(rpc=rpc, contract=contract, chain_id=None, log=None, witness=[], quorum=None, now=None)
    try:
        found = verifier.verify(verifier.Bundle(bundle), options)["verdicts"]
    except (verifier.Unreadable, KeyError, TypeError, ValueError, AttributeError):
        return {"integrity": "FAIL"}
    return {name: line["verdict"] for name, line in found.items()}


def count_bundles_accepted(town: Town, count: int, seed: int) -> int:
    """How many of `count` forged bundles are taken for true."""
    return sum(1 for forge, bundle in town.forged(count, seed)
               if town.accepted(bundle, offline_proves=forge not in SELF_MADE))


@contextmanager
def founded() -> Iterator[Town]:
    """A town with a database and a node of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fx-forged-")))
        server = stack.enter_context(closing(Server(folder)))
        migrations.upgrade(server.url)
        register(server.url, TENANT, SECRET)
        rows = JournalRows(stack.enter_context(access(server.url).pool(ANCHOR)))
        anvil = stack.enter_context(Anvil(folder / "anvil", free_port()))
        chain = Chain.connect(anvil.url, None, rows, FolderKeys(folder / "keys"), set_time=anvil.set_time,
                              now=lambda: STARTED)
        chain.deploy()
        yield Town(chain, anvil.url, folder)


def _stream(name: str) -> UUID:
    return uuid5(NAMES, name)


def _rows() -> Iterator[EntryRow]:
    prev, versions = ZERO_HASH, dict[str, int]()
    for position in range(1, INVOICES * len(STEPS) + 1):
        number, step = divmod(position - 1, len(STEPS))
        topic = STEPS[step]
        name = f"TOK-{number + 1}" if topic.startswith("token") else f"INV-{number + 1}"
        version = versions[name] = versions.get(name, 0) + 1
        recorded_us = STARTED * 10**6 + position
        body = canonical({
            "action": "NOTE", "actor": "usr_1", "actor_role": "system", "at": BEGAN, "cause": None,
            "command": f"cmd:{position}", "data": {"invoice": f"INV-{number + 1}", "pence": position},
            "on_behalf_of": None, "resource": name, "salt": fresh_salt(), "stream": _stream(name), "tenant": TENANT,
            "type": topic, "version": version})
        hashed = body_hash(body)
        linked = entry_hash(position, recorded_us, prev, hashed)
        yield EntryRow(position, TENANT, _stream(name), version, topic, recorded_us, prev, hashed, linked, body)
        prev = linked
