"""Cases of the log's evidence: what hashes, keys, receipts and positions tell whom."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
import zipfile
from typing import Any

from eventstore.entry import canonical
from scripts.campaigns.cases import World, Wrong, case, seen

ROLES = ("coppergate", "northwind", "pennine", "brunel")


def _entries(world: World) -> list[dict[str, Any]]:
    """Whole entries of the anchored part of the log, as compliance gets them."""
    answer = world.get("mlro", "/v1/audit/bundles", **{"from": 1})
    seen(answer, 200)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return [json.loads(line) for line in archive.read("entries.jsonl").splitlines()]


def _upload(world: World) -> Any:
    """Any mutation of a customer's that is taken: the onboarding form of a newcomer."""
    key = uuid.uuid4().hex
    form = {"role": "sme_seller", "legal_name": "Evidence Ltd", "company_number": "07452999",
            "representative": "Eve Dence", "email": "eve@evidence.co.uk"}
    return world.post(None, "/v1/subjects", form, **{"FX-Idempotency-Key": key}), key


@case("K8", "proofs of every position, asked for by each persona")
def proofs_of_others(world: World) -> str:
    last = _entries(world)[-1]["position"]
    step = max(1, last // 40)
    for who in ROLES:
        told = {world.get(who, f"/v1/audit/proofs/{position}").status_code for position in range(1, last + 1, step)}
        if told != {404}:
            raise Wrong(f"{who} is answered {sorted(told)}")
    seen(world.get("mlro", "/v1/audit/proofs/1"), 200)
    return "404 to customers, 200 to staff"


@case("K8", "body hashes of guessed bodies")
def bodies_cannot_be_guessed(world: World) -> str:
    lines = [line for line in _entries(world) if "body" in line]
    if any(len(line["body"].get("salt", "")) != 32 for line in lines):
        raise Wrong("a body without a salt")
    if len({line["body"]["salt"] for line in lines}) != len(lines):
        raise Wrong("a salt stands twice")
    for line in lines[:10]:
        told = world.get("mlro", f"/v1/audit/proofs/{line['position']}").json()
        guess = {name: value for name, value in line["body"].items() if name != "salt"}
        if hashlib.sha256(canonical(guess)).hexdigest() == told["body_hash"]:
            raise Wrong(f"entry {line['position']} is confirmed without its salt")
        if hashlib.sha256(canonical(line["body"])).hexdigest() != told["body_hash"]:
            raise Wrong(f"entry {line['position']} does not give its hash")
    return f"{len(lines)} bodies, each with a salt of its own"


@case("K9", "the raw idempotency key of a sign-up, looked for in a bundle")
def keys_are_not_kept(world: World) -> str:
    answer, key = _upload(world)
    seen(answer, 201)
    if key in answer.text + json.dumps(dict(answer.headers)):
        raise Wrong("the answer says it")
    commands = {line["body"]["command"] for line in _entries(world) if "body" in line}
    shown = [command for command in commands if command.startswith("http:")]
    if any(len(command) != len("http:") + 64 for command in shown) or not shown:
        raise Wrong(f"a readable key: {min(shown, key=len, default='none')}")
    return "keyed hashes only"


@case("K11", "FX-Position of a customer's request")
def positions_are_opaque(world: World) -> str:
    answer, _ = _upload(world)
    seen(answer, 201)
    place = answer.headers["FX-Position"]
    if len(place) != 32:
        raise Wrong(f"FX-Position: {place}")
    again, _ = _upload(world)
    if again.headers["FX-Position"][:8] == place[:8]:
        raise Wrong("two places begin alike")
    seen(world.get("coppergate", f"/v1/audit/receipts/{place}"), 404)
    told = world.get("admin", f"/v1/audit/receipts/{place}").json()
    if "position" in told["receipt"] or not isinstance(told["position"], int):
        raise Wrong("the receipt tells the position, or staff does not learn it")
    return "32 opaque characters; 404 to others; the receipt names the entry by its hash"


@case("K11", "which positions an anchored batch covers, asked for by a lender")
def batches_tell_no_positions(world: World) -> str:
    batches = world.get("pennine", "/v1/audit/anchors").json()["data"]
    if not batches or any({"from_position", "to_position"} & set(batch) for batch in batches):
        raise Wrong(f"told: {sorted(batches[0]) if batches else 'nothing'}")
    return "batch, root, heads and signatures; no positions"
