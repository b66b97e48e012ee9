"""Checks an evidence bundle of FinToken X. Needs Python 3.8 or later and nothing else.

    python verify.py BUNDLE [--rpc URL] [--contract 0x...] [--chain-id N] [--now ISO] [--json]

BUNDLE is a folder or a zip. Exit code 0: nothing failed; 1: a verdict is FAIL; 2: the bundle cannot be read.
This program shares no code with the platform. VERIFY.md says what each verdict proves and what it does not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

FORMAT = "fintokenx-evidence/1"
PASS, FAIL, NOT_PROVED = "PASS", "FAIL", "NOT PROVED"
LATE_SECONDS, STALE_SECONDS = 600, 3600
SAMPLE = 32
RPC_SECONDS = 20
MICROSECONDS_FROM = 10**14

# What policy looks for. An event's name is its type without the version number.
ONCE = {"token.minted", "token.burned", "invoice.funded", "invoice.settled"}
OFFICERS = {"compliance_officer", "platform_admin"}
CUSTOMER_ACTIONS = {"SUBMIT_INVOICE", "CONFIRM_INVOICE", "FUND_INVOICE", "SECONDARY_TRADE"}

# First four bytes of keccak256 of the signature; the standard library has no keccak.
GET_BATCH = "0x888775d9"  # getBatch(uint64)
GENESIS_HEAD = "0xa912c1c4"  # genesisHead()
VERIFY_INCLUSION = "0xbca46017"  # verifyInclusion(uint64,uint64,bytes32,bytes32[])
PROOF_OFFSET = 4 * 32  # where the proof starts in the call data

sha256 = hashlib.sha256


class Unreadable(Exception):
    """The bundle is not one, or a file of it is missing or malformed."""


class Verdicts:
    """The five verdicts. The first failure of each is kept, because it names the first bad position."""

    NAMES = ("integrity", "completeness", "freshness", "authenticity", "policy")

    def __init__(self) -> None:
        self._failures: dict[str, str] = {}
        self._unproved: dict[str, str] = {}
        self._proved: dict[str, str] = {}

    def fail(self, name: str, why: str) -> None:
        self._failures.setdefault(name, why)

    def leave_open(self, name: str, why: str) -> None:
        self._unproved.setdefault(name, why)

    def prove(self, name: str, why: str) -> None:
        self._proved[name] = why

    def of(self, name: str) -> dict[str, str]:
        for verdict, reasons in ((FAIL, self._failures), (NOT_PROVED, self._unproved), (PASS, self._proved)):
            if name in reasons:
                return {"verdict": verdict, "why": reasons[name]}
        return {"verdict": NOT_PROVED, "why": "not checked"}


class Bundle:
    """Reads the files of a folder or a zip."""

    def __init__(self, path: Path) -> None:
        self._folder = path if path.is_dir() else None
        try:
            self._zip = None if self._folder else zipfile.ZipFile(path)
            self.manifest: dict[str, Any] = json.loads(self.read("manifest.json"))
            self.batches: list[dict[str, Any]] = json.loads(self.read("batches.json"))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise Unreadable(f"no evidence bundle at {path}: {error}") from error
        if self.manifest.get("format") != FORMAT:
            raise Unreadable(f"the format is {self.manifest.get('format')!r}, this program reads {FORMAT!r}")

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    def open(self, name: str) -> Any:
        if self._folder:
            return (self._folder / name).open("rb")
        assert self._zip is not None
        return self._zip.open(name)

    def entries(self) -> Iterator[dict[str, Any]]:
        with self.open("entries.jsonl") as lines:
            for line in lines:
                yield json.loads(line)


class Log:
    """Follows the entries: hashes, links, gaps, columns and proofs."""

    def __init__(self, verdicts: Verdicts, batches: dict[int, dict[str, Any]], first: int) -> None:
        self._verdicts = verdicts
        self._proofs = Proofs(batches)
        self.next = first
        self._link = "00" * 32 if first == 1 else None
        self.count = 0
        self.not_anchored = 0

    def check(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        """Returns the entry's body, or None when the entry is not what was hashed."""
        position = entry["position"]
        if position != self.next:
            kind = "gap" if position > self.next else "repeated or misplaced entry"
            self._verdicts.fail("completeness", f"position {self.next}: {kind}")
            self._verdicts.fail("integrity", f"position {self.next}: {kind}")
            self._link = None
        problem, body = self._problem(entry, position)
        if problem:
            self._verdicts.fail("integrity", f"position {position}: {problem}")
        self._link = entry["hash"]
        self.next = position + 1
        self.count += 1
        return body

    def _problem(self, entry: dict[str, Any], position: int) -> tuple[str, dict[str, Any] | None]:
        body_hash = sha256(entry["body"].encode("utf-8")).hexdigest()
        if body_hash != entry["body_hash"]:
            return "the body does not give the body hash", None
        line = f"fx2 {position} {entry['recorded_us']} {entry['prev_hash']} {body_hash}\n"
        entry_hash = sha256(line.encode("ascii")).digest()
        if entry_hash.hex() != entry["hash"]:
            return "the entry does not give its hash", None
        if self._link is not None and entry["prev_hash"] != self._link:
            return "the link to the entry before is broken", None
        body = json.loads(entry["body"])
        if columns(entry) != columns_in(body):
            return "a column differs from the body", body
        if entry["batch_id"] is None:
            self.not_anchored += 1
        elif self.not_anchored:
            return "anchored after an entry that is not", body
        elif not self._proofs.hold(entry["batch_id"], position, entry_hash, entry["proof"]):
            return "the inclusion proof does not lead to the batch's root", body
        return "", body


def columns(entry: dict[str, Any]) -> tuple[Any, ...]:
    return entry["tenant_id"], entry["originator_id"], entry["originator_version"], entry["topic"]


def columns_in(body: dict[str, Any]) -> tuple[Any, ...]:
    return body["tenant"], body["stream"], body["version"], body["type"]


class Proofs:
    """Checks inclusion proofs. A node proved once is remembered with the rest of its way to the root, so that
    an entry costs two hashes and not fourteen; a proof must then agree with that rest, sibling by sibling."""

    def __init__(self, batches: dict[int, dict[str, Any]]) -> None:
        self._batches = batches
        self._batch_id = 0
        self._proved: dict[tuple[int, int], tuple[bytes, list[str]]] = {}

    def hold(self, batch_id: int, position: int, entry_hash: bytes, proof: list[str]) -> bool:
        batch = self._batches.get(batch_id)
        if batch is None or not batch["from_position"] <= position <= batch["to_position"]:
            return False
        if batch_id != self._batch_id:
            self._batch_id = batch_id
            self._proved.clear()
        index = position - batch["from_position"]
        size = batch["to_position"] - batch["from_position"] + 1
        return self._walk(index, size, sha256(b"\x00" + entry_hash).digest(), proof, batch["root"])

    def _walk(self, index: int, size: int, node: bytes, proof: list[str], root: str) -> bool:
        last, level, used = size - 1, 0, 0
        passed: list[tuple[tuple[int, int], tuple[bytes, list[str]]]] = []
        while last > 0:
            known = self._proved.get((level, index))
            if known is not None:
                if known != (node, proof[used:]):
                    return False
                break
            passed.append(((level, index), (node, proof[used:])))
            is_right = index & 1
            if is_right or index < last:
                if used == len(proof):
                    return False
                sibling = bytes.fromhex(proof[used])
                used += 1
                node = sha256(b"\x01" + (sibling + node if is_right else node + sibling)).digest()
            index >>= 1
            last >>= 1
            level += 1
        else:
            if used != len(proof) or node.hex() != root:
                return False
        self._proved.update(passed)
        return True


class Policy:
    """Rules over the order of events.

    A rule that asks for an earlier event cannot be judged when the range starts later than position 1.
    """

    def __init__(self, verdicts: Verdicts, from_start: bool) -> None:
        self._verdicts = verdicts
        self._from_start = from_start
        self._once: set[tuple[str, str]] = set()
        self._confirmed: set[str] = set()
        self._unpaid: dict[str, set[str]] = {}
        self._invoice_of_token: dict[str, str] = {}
        self._rules = {
            "invoice.confirmed": self._invoice_confirmed,
            "invoice.funded": self._invoice_funded,
            "invoice.payout_requested": self._payout_requested,
            "invoice.payout_confirmed": self._payout_confirmed,
            "token.mint_requested": self._token_minted,
            "token.minted": self._token_minted,
            "token.burned": self._token_burned,
        }

    def check(self, position: int, body: dict[str, Any]) -> None:
        name = body["type"].rpartition(".")[0]
        resource = body["resource"]
        assists = body["actor_role"] in OFFICERS and body["action"] in CUSTOMER_ACTIONS
        if assists and not body["on_behalf_of"]:
            self._broken(position, f"{body['action']} by {body['actor_role']} names no on_behalf_of")
        if name in ONCE:
            if (name, resource) in self._once:
                self._broken(position, f"{name} happened twice for {resource}")
            self._once.add((name, resource))
        rule = self._rules.get(name)
        if rule:
            rule(position, reference(resource), body["data"])

    def _invoice_confirmed(self, _: int, invoice: str, __: dict[str, Any]) -> None:
        self._confirmed.add(invoice)

    def _invoice_funded(self, position: int, invoice: str, _: dict[str, Any]) -> None:
        self._needs_confirmation(position, invoice, "funded")

    def _token_minted(self, position: int, token: str, data: dict[str, Any]) -> None:
        invoice = reference(data.get("invoice") or self._invoice_of_token.get(token, ""))
        self._invoice_of_token[token] = invoice
        self._needs_confirmation(position, invoice, "minted")

    def _payout_requested(self, _: int, invoice: str, data: dict[str, Any]) -> None:
        self._unpaid.setdefault(invoice, set()).add(str(data.get("payout")))

    def _payout_confirmed(self, _: int, invoice: str, data: dict[str, Any]) -> None:
        self._unpaid.setdefault(invoice, set()).discard(str(data.get("payout")))

    def _token_burned(self, position: int, token: str, data: dict[str, Any]) -> None:
        invoice = reference(data.get("invoice") or self._invoice_of_token.get(token, ""))
        if self._unpaid.get(invoice):
            unpaid = ", ".join(sorted(self._unpaid[invoice]))
            self._broken(position, f"burned while a payout of {invoice} is not confirmed: {unpaid}")

    def _needs_confirmation(self, position: int, invoice: str, what: str) -> None:
        if invoice in self._confirmed:
            return
        if self._from_start:
            self._broken(position, f"{invoice} is {what} and was never confirmed")
        else:
            self._verdicts.leave_open("policy", f"{invoice} was confirmed before the range, or never")

    def _broken(self, position: int, why: str) -> None:
        self._verdicts.fail("policy", f"position {position}: {why}")


def reference(resource: str) -> str:
    """Returns INV-1 for INV-1, invoice:INV-1 and invoices/INV-1."""
    return resource.replace("/", ":").rpartition(":")[2]


def check_files(bundle: Bundle, verdicts: Verdicts) -> None:
    for name, expected in sorted(bundle.manifest["files"].items()):
        digest = sha256()
        try:
            with bundle.open(name) as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
        except (OSError, KeyError):
            verdicts.fail("completeness", f"the file {name} is missing")
            continue
        if digest.hexdigest() != expected:
            verdicts.fail("integrity", f"the file {name} differs from the manifest")


def check_batches(bundle: Bundle, verdicts: Verdicts) -> None:
    """Follows the heads from genesis; batches must cover the log from position 1 without a gap."""
    head = sha256(b"FXA1-genesis" + bytes.fromhex(bundle.manifest["chain"]["log_id"])).digest()
    position = 1
    for number, batch in enumerate(bundle.batches, 1):
        first, last = batch["from_position"], batch["to_position"]
        if batch["batch_id"] != number or first != position or last < first:
            return verdicts.fail("completeness", f"batch {number} does not continue the one before")
        numbers = b"".join(value.to_bytes(8, "big") for value in (number, first, last))
        if batch["prev_head"] != head.hex():
            return verdicts.fail("integrity", f"batch {number} continues another history")
        head = sha256(b"FXA1" + head + numbers + bytes.fromhex(batch["root"])).digest()
        if batch["head"] != head.hex():
            return verdicts.fail("integrity", f"batch {number} does not give its head")
        position = last + 1
    return None


def check_entries(bundle: Bundle, verdicts: Verdicts) -> dict[str, Any]:
    """Checks every entry; returns counts, the newest business time and a sample for the chain."""
    first, last = bundle.manifest["range"]["from"], bundle.manifest["range"]["to"]
    log = Log(verdicts, {batch["batch_id"]: batch for batch in bundle.batches}, first)
    policy = Policy(verdicts, from_start=first == 1)
    step = max(1, (last - first + 1) // SAMPLE)
    sample: list[dict[str, Any]] = []
    newest: Any = None
    try:
        for entry in bundle.entries():
            body = log.check(entry)
            if body is not None:
                policy.check(entry["position"], body)
                newest = body["at"]
            if (log.count - 1) % step == 0 and entry["batch_id"] is not None:
                sample.append(entry)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        verdicts.fail("integrity", f"position {log.next}: malformed entry ({error!r})")
    if log.next != last + 1 or log.count != bundle.manifest["counts"]["entries"]:
        verdicts.fail("completeness", f"the entries end before position {log.next}, the range at {last}")
    if log.not_anchored:
        verdicts.leave_open("completeness", f"the last {log.not_anchored} entries are not anchored yet")
    verdicts.prove("integrity", f"hashes, links, columns, proofs and heads of {log.count} entries agree")
    verdicts.prove("completeness", f"positions {first} to {last}, each in an anchored batch")
    verdicts.prove("policy", f"{log.count} entries keep the rules")
    return {"count": log.count, "newest": newest, "sample": sample}


def check_freshness(bundle: Bundle, verdicts: Verdicts, newest: Any, now: str | None) -> None:
    if not bundle.batches:
        return verdicts.fail("freshness", "nothing is anchored")
    try:
        reference_time = to_unix(now if now is not None else newest)
    except (ValueError, TypeError):
        return verdicts.leave_open("freshness", "no time to compare with")
    age = int(reference_time - bundle.batches[-1]["anchored_at"])
    against = "--now" if now is not None else "the newest entry"
    if age > STALE_SECONDS:
        return verdicts.fail("freshness", f"the newest anchor is {age} s older than {against}")
    warning = "warning: " if age > LATE_SECONDS else ""
    late = f"{age} s older" if age > 0 else "not older"
    return verdicts.prove("freshness", f"{warning}the newest anchor is {late} than {against}")


def to_unix(value: Any) -> float:
    """Reads a business time: ISO 8601, or a number of seconds or microseconds since 1970."""
    if isinstance(value, (int, float)):
        return value / 1e6 if value > MICROSECONDS_FROM else float(value)
    moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()  # noqa: UP017


class Node:
    """A JSON-RPC endpoint."""

    def __init__(self, url: str, contract: str) -> None:
        self._url = url
        self._contract = contract

    def ask(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=RPC_SECONDS) as response:
            answer = json.loads(response.read())
        if "error" in answer:
            raise ValueError("{}: {}".format(method, answer["error"].get("message")))
        return answer["result"]

    def call(self, selector: str, *words: str) -> list[str]:
        """Calls the contract with 32-byte words in hex; returns words in hex."""
        call = {"to": self._contract, "data": selector + "".join(words)}
        answer = self.ask("eth_call", call, "latest")[2:]
        return [answer[start : start + 64] for start in range(0, len(answer), 64)]


def check_chain(bundle: Bundle, verdicts: Verdicts, sample: list[dict[str, Any]], options: Any) -> None:
    """Compares the bundle with the contract."""
    chain = bundle.manifest["chain"]
    if options.contract and options.contract.lower() != chain["contract"].lower():
        return verdicts.fail(
            "authenticity", "the bundle names another contract: {}".format(chain["contract"])
        )
    if options.chain_id is not None and options.chain_id != chain["chain_id"]:
        return verdicts.fail("authenticity", "the bundle names another chain: {}".format(chain["chain_id"]))
    if not options.rpc:
        return verdicts.leave_open("authenticity", "no --rpc: the anchors were not compared with the chain")
    try:
        problem = chain_problem(Node(options.rpc, chain["contract"]), bundle, sample)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        return verdicts.leave_open("authenticity", f"the node gave no usable answer ({error})")
    if problem:
        return verdicts.fail("authenticity", problem)
    hint = "" if options.contract else "; compare {} with the published address".format(chain["contract"])
    return verdicts.prove(
        "authenticity",
        f"{len(bundle.batches)} batches and {len(sample)} entries are in the contract{hint}",
    )


def chain_problem(node: Node, bundle: Bundle, sample: list[dict[str, Any]]) -> str:
    chain = bundle.manifest["chain"]
    if int(node.ask("eth_chainId"), 16) != chain["chain_id"]:
        return "the node serves another chain"
    code = bytes.fromhex(node.ask("eth_getCode", chain["contract"], "latest")[2:])
    if sha256(code).hexdigest() != chain["code_sha256"]:
        return "the contract's code is not the published one"
    genesis = sha256(b"FXA1-genesis" + bytes.fromhex(chain["log_id"])).hexdigest()
    if node.call(GENESIS_HEAD) != [genesis]:
        return "the contract belongs to another log"
    for batch in bundle.batches:
        number = batch["batch_id"]
        expected = [batch["root"], batch["head"]]
        expected += [word(batch[field]) for field in ("from_position", "to_position", "anchored_at")]
        if node.call(GET_BATCH, word(number)) != expected:
            return f"batch {number} differs on the chain"
        sent = node.ask("eth_getTransactionByHash", batch["tx_hash"])
        if sent is None or sent["from"].lower() != chain["anchorer"].lower():
            return f"batch {number} was not sent by the anchoring key"
        if sent["to"].lower() != chain["contract"].lower():
            return f"batch {number} names a transaction to another contract"
    for entry in sample:
        proof = [word(PROOF_OFFSET), word(len(entry["proof"])), *entry["proof"]]
        words = [word(entry["batch_id"]), word(entry["position"]), entry["hash"], *proof]
        if node.call(VERIFY_INCLUSION, *words) != [word(1)]:
            return f"position {entry['position']}: the contract does not accept the proof"
    return ""


def word(number: int) -> str:
    """Returns a number as an ABI word in hex."""
    return f"{number:064x}"


def verify(bundle: Bundle, options: Any) -> dict[str, Any]:
    """Runs every check; returns what is printed."""
    verdicts = Verdicts()
    started = time.perf_counter()
    check_batches(bundle, verdicts)
    result = check_entries(bundle, verdicts)
    check_files(bundle, verdicts)  # after the entries, which can name a position
    seconds = time.perf_counter() - started
    check_freshness(bundle, verdicts, result["newest"], options.now)
    check_chain(bundle, verdicts, result["sample"], options)
    return {
        "entries": result["count"],
        "entries_per_second": round(result["count"] / max(seconds, 1e-9)),
        "verdicts": {name: verdicts.of(name) for name in Verdicts.NAMES},
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Checks an evidence bundle of FinToken X.")
    parser.add_argument("bundle", type=Path, help="folder or zip")
    parser.add_argument("--rpc", help="a node of the network")
    parser.add_argument("--contract", help="published address of the anchoring contract")
    parser.add_argument("--chain-id", type=int, help="published number of the network")
    parser.add_argument("--now", help="time to measure freshness against, ISO 8601")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        report = verify(Bundle(options.bundle), options)
    except Unreadable as error:
        print(json.dumps({"error": str(error)}) if options.json else error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        for name, line in report["verdicts"].items():
            print(f"{name:13} {line['verdict']:10}  {line['why']}")
        print(f"{report['entries']} entries, {report['entries_per_second']} entries/s")
    return 1 if any(line["verdict"] == FAIL for line in report["verdicts"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
