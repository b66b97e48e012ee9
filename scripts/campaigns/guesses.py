"""Whether anybody can confirm a guess at what an entry says: `python -m scripts.campaigns.guesses`.

Each persona collects every hash it is shown: by all routes it may call, in its mails, on the chain, in receipts. It is
then given everything about the entries worth guessing at, but for their salts, and tries bodies with other reasons,
scores, rates and amounts against all of it. Nothing may be found; a control that is given the salts finds every truth.
Writes build/campaign/guesses.json.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from api.opaque import Opaque
from bootstrap import kept_secrets
from eventstore.entry import canonical, entry_hash
from scripts.campaigns.figures import keep
from scripts.campaigns.served import served_apart
from scripts.story import REFERENCE, TOKENISED, Story

GUESSES = 1_000
WORTH_GUESSING = ("subject.review_opened", "subject.mlro_", "subject.screening_", "subject.kyc_", "subject.risk_",
                  "subject.frozen", "subject.verdict", "invoice.risk_scored", "invoice.rejected", "invoice.reserved",
                  "invoice.disbursed", "invoice.payout", "payment.requested", "trade.pre_trade", "token.slice_listed")
OPERATIONS = ("notice-", "mail\n", "mint:", "lock:", "unlock:", "transfer:", "slice:", "burn:", "order:", "wallet:",
              "claims:", "kyc-", "screening-", "pre-trade-", "payments.send:", "")
"""What hashes of positions are made of; on the chain, where anchors tell positions, they are no secret."""

SHORTEST = 16
"""Hex digits from which on something shown is taken for a hash, or for the beginning of one."""

_HEX, _BASE64 = re.compile(rf"[0-9a-fA-F]{{{SHORTEST},}}"), re.compile(r"[A-Za-z0-9+/_-]{22,}")


@dataclass
class Seen:
    """Hashes somebody is shown, whole or cut off."""

    whole: set[str] = field(default_factory=set[str])
    begun: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def add(self, text: str) -> None:
        runs = [run.lower() for run in _HEX.findall(text)]
        for run in _BASE64.findall(text):
            plain = run.replace("-", "+").replace("_", "/")
            runs.append(base64.b64decode(plain[:len(plain) // 4 * 4]).hex())
        for run in runs:
            self.whole.update(run[at:at + 64] for at in range(0, len(run) - 63, 2))
            if SHORTEST <= len(run) < 64:
                self.begun.setdefault(run[:SHORTEST], set()).add(run)

    def holds(self, digest: str) -> bool:
        return digest in self.whole or any(digest.startswith(run) for run in self.begun.get(digest[:SHORTEST], ()))


class Target(msgspec.Struct, frozen=True):
    """An entry worth guessing at, as only compliance reads it."""

    position: int
    recorded_us: int
    prev_hash: str
    body: dict[str, Any]


def targets(compliance: httpx.Client) -> tuple[list[Target], int]:
    """From a bundle over all that is anchored; and the last position."""
    answer = compliance.get("/v1/audit/bundles", params={"from": 1}, timeout=60)
    answer.raise_for_status()
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        lines = [json.loads(line) for line in archive.read("entries.jsonl").splitlines()]
    found = [msgspec.convert({name: line[name] for name in Target.__struct_fields__}, Target)
             for line in lines if line.get("body", {}).get("type", "").startswith(WORTH_GUESSING)]
    return found, lines[-1]["position"]


def variants(true: Mapping[str, Any], words: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    """What a body might say: the truth first, then other values in each of its fields."""
    yield dict(true)
    for name, value in true.items():
        for other in _others(value, words.get(name, ())):
            yield {**true, name: other}


def _others(value: Any, words: Sequence[str]) -> Iterable[Any]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (near for near in itertools.chain(range(25), range(value - 15, value + 16)) if near != value)
    return (word for word in words if word != value) if isinstance(value, str) else ()


def digests(body: Mapping[str, Any], of: Target) -> Iterator[str]:
    """The hashes under which a body could be met: its own, its entry's, its leaf's."""
    hashed = hashlib.sha256(canonical(body)).digest()
    linked = entry_hash(of.position, of.recorded_us, bytes.fromhex(of.prev_hash), hashed)
    yield from (hashed.hex(), linked.hex(), hashlib.sha256(b"\0" + linked).hexdigest())


def unsalted(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """As somebody writes it who does not know the salt."""
    bare = {name: value for name, value in body.items() if name != "salt"}
    yield bare
    yield from ({**bare, "salt": salt} for salt in ("", "0" * 32, None))
    yield bare["data"]


def tried(aims: Sequence[Target], guesses: int) -> Iterator[tuple[Target, dict[str, Any]]]:
    """`guesses` bodies, spread over the entries; the true one of each is among them."""
    words: dict[str, list[str]] = {}
    for name, value in itertools.chain.from_iterable(aim.body["data"].items() for aim in aims):
        if isinstance(value, str) and value not in words.setdefault(name, []):
            words[name].append(value)
    left = {aim.position: variants(aim.body["data"], words) for aim in aims}
    made = 0
    while left and made < guesses:
        for aim in aims:
            data = next(left.get(aim.position, iter(())), None)
            if data is None:
                left.pop(aim.position, None)
            elif made < guesses or data == aim.body["data"]:
                made += 1
                yield aim, {**aim.body, "data": data}


def guessed(seen: Mapping[str, Seen], aims: Sequence[Target], guesses: int) -> tuple[int, list[str]]:
    """How many bodies were tried, and what was found by whom."""
    made, found = 0, list[str]()
    for aim, body in tried(aims, guesses):
        made += 1
        for digest in {digest for form in unsalted(body) for digest in digests(form, aim)}:
            found += [f"{who} confirmed {body['type']} at {aim.position}" for who, known in seen.items()
                      if known.holds(digest)]
    return made, found


def control(seen: Seen, aims: Sequence[Target], guesses: int) -> int:
    """The same guesser, given the salts, against what staff sees: how many truths it finds, and nothing but truths."""
    found: set[int] = set()
    for aim, body in tried(aims, guesses):
        if any(map(seen.holds, digests(body, aim))):
            assert body == aim.body, "a guess that is not the truth fits"
            found.add(aim.position)
    return len(found)


def positions_found(seen: Mapping[str, Seen], last: int) -> list[str]:
    """Hashes of positions: whoever meets one learns how far the log is."""
    made = [(hashlib.sha256(f"{operation}{number}".encode()).hexdigest(), operation, number)
            for operation in OPERATIONS for number in range(1, last + 1)]
    return [f"{who} confirmed {operation!r} {number}" for digest, operation, number in made
            for who, known in seen.items() if known.holds(digest)]


# ---------------------------------------------------------------- what is shown to whom


def read_everything(client: httpx.Client, known: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Every GET of the API with everything that is known for its parameters: answers and headers."""
    paths = client.get("/docs/openapi.json").json()["paths"]
    for path in (path for path, methods in paths.items() if "get" in methods and not path.endswith("/bundles")):
        names = re.findall(r"{(\w+)}", path)
        for values in itertools.product(*(known.get(name, ()) for name in names)):
            answer = client.get(path.format(**dict(zip(names, values, strict=True))))
            yield answer.text + json.dumps(dict(answer.headers))


def on_the_chain(url: str) -> Iterator[str]:
    """Every transaction and every event."""
    def ask(method: str, *params: Any) -> Any:
        return httpx.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).json()["result"]

    for number in range(int(ask("eth_blockNumber"), 16) + 1):
        yield json.dumps(ask("eth_getBlockByNumber", hex(number), True))
    yield json.dumps(ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"}))


@dataclass
class Onlookers:
    """The personas of a platform, each with what it was shown; `shown` is without the chain."""

    opaque: Opaque
    compliance: httpx.Client
    people: Mapping[str, httpx.Client]
    shown: dict[str, Seen] = field(default_factory=dict[str, Seen])
    seen: dict[str, Seen] = field(default_factory=dict[str, Seen])

    def collect(self, known: Mapping[str, Iterable[str]], positions: Sequence[int], mails: str, chain_url: str) -> None:
        """All that everybody is shown; of the log, what is shown of the entries at `positions`."""
        chain = list(on_the_chain(chain_url))
        entries = [*map(str, positions), *map(self.opaque.place, positions)]
        for who, client in self.people.items():
            self.shown[who], self.seen[who] = Seen(), Seen()
            for text in (mails, *read_everything(client, {**known, "entry": entries})):
                self.shown[who].add(text)
                self.seen[who].add(text)
            for text in chain:
                self.seen[who].add(text)

    def staff_sees(self, aims: Sequence[Target]) -> Seen:
        """The proofs of the entries that are guessed at."""
        seen = Seen()
        for aim in aims:
            seen.add(self.compliance.get(f"/v1/audit/proofs/{aim.position}").text)
        return seen


def figures_of(onlookers: Onlookers, aims: Sequence[Target], last: int, guesses: int) -> dict[str, Any]:
    made, found = guessed(onlookers.seen, aims, guesses)
    found += positions_found(onlookers.shown, last)
    return {"guesses": made, "targets": len(aims), "personas": len(onlookers.seen),
            "hashes_seen": sum(len(seen.whole) for seen in onlookers.seen.values()), "found": len(found),
            "control_found": control(onlookers.staff_sees(aims), aims, guesses), "what": found[:20]}


# ---------------------------------------------------------------- the long form


def lived_through(story: Story) -> None:
    """The whole story, a declined applicant, and a freeze."""
    for title, act in story.steps():
        if "joins" not in title and "the MLRO approves Coppergate" not in title:
            act()
    story.sign_up("declined", role="sme_seller", legal_name="Declined Joinery Ltd", company_number="07452983",
                  representative="Dee Clined", email="dee@declined.co.uk")


def main() -> int:
    with served_apart() as (apart, story, staff):
        lived_through(story)
        url = apart.settings.http_url
        clients = {who: httpx.Client(base_url=url, timeout=30, headers={"Authorization": f"Bearer {key}"})
                   for who, key in {**story.keys, "compliance": staff["mlro"]}.items()}
        compliance = clients.pop("compliance")
        opaque = Opaque(kept_secrets(apart.home).edge_secret, apart.settings.tenant)
        onlookers = Onlookers(opaque, compliance, {**clients, "stranger": httpx.Client(base_url=url, timeout=30)})
        aims, last = targets(compliance)
        ids = [client.get("/v1/me").json()["id"] for client in clients.values()]
        known = {"reference": [REFERENCE], "token": [TOKENISED], "trade": [story.trade_id()], "subject": ids}
        mails = json.dumps(story.outside.get("/email/mail.json"))
        onlookers.collect(known, range(1, last + 1), mails, f"http://127.0.0.1:{apart.settings.chain_port}")
        figures = figures_of(onlookers, aims, last, GUESSES)
    keep("guesses", figures)
    print(json.dumps(figures, indent=2))
    return 0 if figures["found"] == 0 and figures["control_found"] == figures["targets"] else 1


if __name__ == "__main__":
    sys.exit(main())
