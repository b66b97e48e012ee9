"""Checks an evidence bundle of FinToken X. Needs Python 3.8 or later and nothing else.

    python verify.py BUNDLE [--rpc URL] [--contract 0x...] [--chain-id N] [--log VKEY] [--witness VKEY]... [--quorum N]
                     [--now ISO] [--json]

BUNDLE is a folder or a zip. Exit code 0: nothing failed; 1: a verdict is FAIL; 2: the bundle cannot be read.
This program shares no code with the platform. Beside it lie verify_policy.py, verify_chain.py (for --rpc) and
verify_notes.py (for --log). VERIFY.md says what each verdict proves and what it does not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import runpy
import sys
import time
import zipfile
from binascii import hexlify, unhexlify
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

BEGUN = time.perf_counter()
FORMAT = "fintokenx-evidence/2"
PASS, FAIL, NOT_PROVED = "PASS", "FAIL", "NOT PROVED"
LATE_SECONDS, STALE_SECONDS = 600, 3600
SAMPLE = 32
BUFFER = 1 << 20
MICROSECONDS_FROM = 10**14

# One entry: its members in this order and no other, so that the body is cut out exactly as it was hashed. A withheld
# entry has neither time, nor previous hash, nor body.
LINE = re.compile(
    rb'(?s)\{"position":([0-9]+),(?:"recorded_us":([0-9]+),"prev_hash":"([^"]*)",)?"hash":"([^"]*)",'
    rb'"batch_id":([0-9]+|null),"proof":"([^"]*)"(?:,"body":(\{.*\}))?\}\n?'
)
HEX_DIGITS = 64  # of a hash
SALT = re.compile(r"[0-9a-f]{32}")  # 128 random bits in every body, or its hash could be guessed at

sha256 = hashlib.sha256
decode = json.JSONDecoder().raw_decode


class Unreadable(Exception):
    """The bundle is not one, or a file of it is missing or malformed."""


class Verdicts:
    """The five verdicts. The first failure of each is kept, because it names the first bad position."""

    NAMES = ("integrity", "completeness", "freshness", "authenticity", "policy")

    def __init__(self) -> None:
        self._reasons: dict[str, dict[str, str]] = {FAIL: {}, NOT_PROVED: {}, PASS: {}}

    def fail(self, name: str, why: str) -> None:
        self._reasons[FAIL].setdefault(name, why)

    def leave_open(self, name: str, why: str) -> None:
        self._reasons[NOT_PROVED].setdefault(name, why)

    def prove(self, name: str, why: str) -> None:
        self._reasons[PASS][name] = why

    def of(self, name: str) -> dict[str, str]:
        for verdict, reasons in self._reasons.items():
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
            return (self._folder / name).open("rb", buffering=BUFFER)
        assert self._zip is not None
        return self._zip.open(name)

    def lines(self) -> Iterator[bytes]:
        with self.open("entries.jsonl") as lines:
            yield from lines

    def claimed(self) -> str:
        """Says what the bundle tells of witnesses; who signs a batch's head signs all batches before it."""
        quorum, last = self.manifest["quorum"], len(self.batches)
        newest = {given["witness"]: batch["batch_id"] for batch in self.batches for given in batch["cosignatures"]}
        words = f"; claims countersignatures of {len(newest)} witnesses, not checked" if newest else ""
        covered = sorted(newest.values(), reverse=True)[quorum - 1 : quorum] or [0]
        if not quorum or covered[0] >= last:
            return words
        return f"{words}; provisional: batches {covered[0] + 1} to {last} have fewer than {quorum} countersignatures"


class Log:
    """Follows the entries: order, hashes, links, versions of streams, and proofs."""

    def __init__(self, verdicts: Verdicts, bundle: Bundle) -> None:
        scope = bundle.manifest["scope"]
        self._verdicts = verdicts
        self._proofs = Proofs({batch["batch_id"]: batch for batch in bundle.batches})
        self._is_range = scope["kind"] == "range"
        self._from_version_1 = not self._is_range or scope["from"] == 1
        self.last = scope["from"] - 1
        self._link = b"0" * HEX_DIGITS if self.last == 0 else None
        self.versions: dict[str, int] = {}
        self.count = self.withheld = self.proof_digits = 0
        self.covered = bundle.batches[-1]["to_position"] if bundle.batches else 0
        self.not_anchored = self.not_anchored_from = 0
        self.resources: set[str] = set()
        self._unread = False

    def check(self, line: bytes) -> dict[str, Any] | None:
        """Returns the entry's body; None when it is withheld, or not what was hashed. ValueError: not a line."""
        found = LINE.fullmatch(line)
        if found is None:
            raise ValueError("not a line of this format")
        number, recorded_us, prev_hash, entry_hash, batch_id, proof, text = found.groups()
        if (text is None) != (recorded_us is None):
            raise ValueError("half an entry")
        position = int(number)
        problem = "" if position == self.last + 1 else self._misplaced(position)
        body = None
        if text is None:
            self.withheld += 1
        else:
            chained = b"fx2 %b %b %b %b\n" % (number, recorded_us, prev_hash, hexlify(sha256(text).digest()))
            if hexlify(sha256(chained).digest()) != entry_hash:
                self._unread = True
                problem = problem or "the entry does not give its hash"
            else:
                words = text.decode()
                body, end = decode(words)
                if end != len(words):
                    raise ValueError("text after the body")
                if not SALT.fullmatch(body["salt"]):
                    problem = problem or "the body's salt is not 32 hex digits"
                if position == self.last + 1 and self._link is not None and prev_hash != self._link:
                    problem = problem or "the link to the entry before is broken"
        problem = problem or self._unproved(position, entry_hash, batch_id, proof)
        if problem:
            self._verdicts.fail("integrity", f"position {position}: {problem}")
        if body is not None:
            self._follow(position, body["stream"], body["version"])
            if not self._is_range:
                self.resources.add(body["resource"].replace("/", ":").rpartition(":")[2])
        self.last, self._link = position, entry_hash
        self.count += 1
        self.proof_digits += len(proof)
        return body

    def _misplaced(self, position: int) -> str:
        if position > self.last and not self._is_range:
            return ""
        kind = "gap" if position > self.last else "repeated or misplaced entry"
        for name in ("completeness", "integrity"):
            self._verdicts.fail(name, f"position {self.last + 1}: {kind}")
        self._link = None
        return kind

    def _follow(self, position: int, stream: str, version: int) -> None:
        """In every stream the versions count up without a gap; from 1, where the bundle holds its beginning."""
        before = self.versions.get(stream)
        expected = version == (before or 0) + 1 or (before is None and not self._from_version_1)
        if not expected and not self._unread:  # one changed entry is one finding, not also a gap in its stream
            why = f"position {position}: version {version} of its stream follows version {before or 0}"
            self._verdicts.fail("completeness", why)
        self.versions[stream] = version

    def _unproved(self, position: int, entry_hash: bytes, batch_id: bytes, proof: bytes) -> str:
        if batch_id == b"null":
            return self._in_no_batch(position)
        if self.not_anchored:
            return "anchored after an entry that is not"
        if self._proofs.hold(batch_id, position, entry_hash, proof):
            return ""
        return "the inclusion proof does not lead to the batch's root"

    def _in_no_batch(self, position: int) -> str:
        """Only a range may go on behind the last batch. Nothing binds what it holds there."""
        self.not_anchored_from = self.not_anchored_from or position
        self.not_anchored += 1
        return "the entry names no batch" if position <= self.covered or not self._is_range else ""


class Proofs:
    """Checks inclusion proofs: siblings from the leaf upwards, in hex, one after the other.

    A proof that leads to the root also proves each sibling it names, with the rest of that sibling's own proof. Both
    are remembered, so that an entry costs one hash more than its leaf and not fourteen; the proof that comes there
    later must agree with them digit by digit. What was met is forgotten: no other proof passes there.
    """

    def __init__(self, batches: dict[int, dict[str, Any]]) -> None:
        self._batches = batches
        self._batch_id = b"null"
        self._first, self._last, self._root = 1, 0, ""
        self._known: dict[int, tuple[bytes, bytes]] = {}

    def hold(self, batch_id: bytes, position: int, entry_hash: bytes, proof: bytes) -> bool:
        if batch_id != self._batch_id:
            batch = self._batches.get(int(batch_id))
            if batch is None:
                return False
            self._batch_id, self._root = batch_id, batch["root"]
            self._first, self._last = batch["from_position"], batch["to_position"]
            self._known.clear()
        if not self._first <= position <= self._last:
            return False
        try:
            leaf = sha256(b"\x00" + unhexlify(entry_hash)).digest()
            return len(entry_hash) == HEX_DIGITS and self._walk(position - self._first, leaf, proof)
        except ValueError:  # no hex
            return False

    def _walk(self, index: int, node: bytes, rest: bytes) -> bool:
        last, level = self._last - self._first, 0
        named: list[tuple[int, tuple[bytes, bytes]]] = []
        while last > 0:
            known = self._known.pop(index << 6 | level, None)
            if known is not None:
                if known != (node, rest):
                    return False
                break
            if index & 1 or index < last:
                digits, rest = rest[:HEX_DIGITS], rest[HEX_DIGITS:]
                sibling = unhexlify(digits)
                if len(digits) != HEX_DIGITS or hexlify(sibling) != digits:
                    return False
                named.append(((index ^ 1) << 6 | level, (sibling, hexlify(node) + rest)))
                node = sha256(b"\x01" + (sibling + node if index & 1 else node + sibling)).digest()
            index >>= 1
            last >>= 1
            level += 1
        else:
            if rest or node.hex() != self._root:
                return False
        self._known.update(named)
        return True


def check_files(bundle: Bundle, verdicts: Verdicts) -> None:
    for name, expected in sorted(bundle.manifest["files"].items()):
        digest = sha256()
        try:
            with bundle.open(name) as file:
                for block in iter(lambda: file.read(BUFFER), b""):
                    digest.update(block)
            if digest.hexdigest() != expected:
                verdicts.fail("integrity", f"the file {name} differs from the manifest")
        except (OSError, KeyError):
            verdicts.fail("completeness", f"the file {name} is missing")


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
    """Checks every entry; returns figures, the newest business time and a sample for the chain."""
    manifest, scope = bundle.manifest, bundle.manifest["scope"]
    log = Log(verdicts, bundle)
    policy = beside("verify_policy.py")["Policy"](verdicts, from_start=scope["kind"] == "range" and scope["from"] == 1)
    step = max(1, manifest["counts"]["entries"] // SAMPLE)
    sample: list[bytes] = []
    newest: Any = None
    started = time.perf_counter()
    try:
        for line in bundle.lines():
            body = log.check(line)
            if body is not None:
                policy.check(log.last, body)
                newest = body["at"]
            if log.count % step == 1 % step:
                sample.append(line)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        verdicts.fail("integrity", f"position {log.last + 1}: malformed entry ({error!r})")
    seconds = time.perf_counter() - started
    say_completeness(manifest, scope, log, verdicts)
    if log.not_anchored:
        loose = f"{log.not_anchored} entries from position {log.not_anchored_from} on are in no batch of the bundle"
        verdicts.leave_open("integrity", loose + ": nothing binds them")
    apart = f"; {log.withheld} of them are withheld: where they stand is proved, what they say is not"
    agreed = f"hashes, links, proofs and heads of {log.count} entries agree"
    verdicts.prove("integrity", agreed + (apart if log.withheld else ""))
    verdicts.prove("policy", f"{log.count - log.withheld} entries keep the rules")
    return {"entries": log.count, "withheld": log.withheld, "seconds": seconds, "newest": newest,
            "sample": [one for one in map(json.loads, sample) if one["batch_id"] is not None],
            "not_anchored_from": log.not_anchored_from,
            "proof_bytes": round(log.proof_digits / max(log.count, 1))}


def say_completeness(manifest: dict[str, Any], scope: dict[str, Any], log: Log, verdicts: Verdicts) -> None:
    first, last = scope["from"], scope["to"]
    if scope["kind"] == "range":
        if log.last != last or log.count != manifest["counts"]["entries"]:
            verdicts.fail("completeness", f"the entries end before position {log.last + 1}, the range at {last}")
        found = f"positions {first} to {last}"
        if log.not_anchored:
            verdicts.leave_open("completeness", f"{found}; the last {log.not_anchored} entries are not anchored yet")
        verdicts.prove("completeness", f"{found}, each in an anchored batch")
    else:
        for stream, version in manifest["streams"].items():
            if log.versions.get(stream) != version:
                got = log.versions.get(stream, 0)
                verdicts.fail("completeness", f"stream {stream} ends at version {got}, not at {version}")
        told = manifest["counts"]["entries"], set(manifest["streams"])
        if (log.count, set(log.versions)) != told or not log.last <= last <= log.covered:
            why = f"the entries are not those that the manifest counts, or the batches end before position {last}"
            verdicts.fail("completeness", why)
        verdicts.leave_open("completeness", (
            f"{len(log.versions)} streams of {scope['name']} from version 1 without a gap; not proved: that none of "
            f"them goes on up to position {last}, and that no other stream belongs here"))
        if scope["name"] not in log.resources:
            verdicts.fail("completeness", "no entry is of {}".format(scope["name"]))
    if not log.count:
        verdicts.fail("completeness", "there is no entry")


def check_freshness(
    bundle: Bundle, verdicts: Verdicts, since: Any, against: str, compared: bool, signers: Signers
) -> None:
    """Takes the time that the contract or the witnesses gave; what the bundle itself states proves nothing."""
    if not bundle.batches:
        return verdicts.fail("freshness", "nothing is anchored")
    try:
        reference_time = to_unix(since)
    except (ValueError, TypeError, AttributeError):
        return verdicts.leave_open("freshness", "no time to compare with")
    stated = (bundle.batches[-1]["anchored_at"], "anchor")
    seen = [] if signers.seen is None else [(signers.seen, "countersignature")]
    known = ([stated] if compared else []) + seen
    moment, what = max(known, default=stated)
    age = int(reference_time - moment)
    if age > STALE_SECONDS:
        return verdicts.fail("freshness", f"the newest {what} is {age} s older than {against}")
    warning = "warning: " if age > LATE_SECONDS else ""
    late = f"{age} s older" if age > 0 else "not older"
    found = f"the newest {what} is {late} than {against}{signers.words}"
    if known:
        return verdicts.prove("freshness", warning + found)
    unsigned = f"{warning}as the bundle states: {found}; take the time from --rpc and --contract, or from --witness"
    return verdicts.leave_open("freshness", unsigned)


def to_unix(value: Any) -> float:
    """Reads a business time: ISO 8601, or a number of seconds or microseconds since 1970."""
    if isinstance(value, (int, float)):
        return value / 1e6 if value > MICROSECONDS_FROM else float(value)
    moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()  # noqa: UP017


class Signers(NamedTuple):
    """What there is to say of signatures, and when enough witnesses still saw the last batch as the newest."""

    words: str
    seen: int | None = None
    missing: bool = False


def check_signers(bundle: Bundle, verdicts: Verdicts, options: Any) -> Signers:
    """Checks signatures with the keys that were given; without keys the bundle's word is repeated as such."""
    if not options.log:
        return Signers(bundle.claimed())
    notes = beside("verify_notes.py")
    try:
        log, witnesses = notes["read_keys"](options.log, options.witness)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    try:
        words, seen = notes["check"](bundle.manifest, bundle.batches, log, witnesses, options.quorum)
    except ValueError as error:
        verdicts.fail("authenticity", str(error))
        return Signers("", missing=True)
    return Signers(words, seen, missing=bool(witnesses) and seen is None)


def check_chain(bundle: Bundle, verdicts: Verdicts, found: dict[str, Any], options: Any, signers: Signers) -> bool:
    """Compares the bundle with the contract; says whether the anchors are those of the published one."""
    chain, from_position = bundle.manifest["chain"], found["not_anchored_from"]
    if options.contract and options.contract.lower() != chain["contract"].lower():
        verdicts.fail("authenticity", "the bundle names another contract: {}".format(chain["contract"]))
    elif options.chain_id is not None and options.chain_id != chain["chain_id"]:
        verdicts.fail("authenticity", "the bundle names another chain: {}".format(chain["chain_id"]))
    elif not options.rpc:
        verdicts.leave_open("authenticity", "no --rpc: the anchors were not compared with the chain" + signers.words)
    else:
        try:
            compare = beside("verify_chain.py")["compare"]
            problem, words = compare(options.rpc, chain, bundle.batches, found["sample"], from_position)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            verdicts.leave_open("authenticity", f"the node gave no usable answer ({error})")
            return False
        if not options.contract:
            words += "; give --contract with the published address, the bundle names {}".format(chain["contract"])
        whole = options.contract and found["sample"] and not from_position and not signers.missing
        say = verdicts.fail if problem else verdicts.prove if whole else verdicts.leave_open
        say("authenticity", problem or words + signers.words)
        return bool(options.contract and not problem)
    return False


def beside(name: str) -> dict[str, Any]:
    """Runs a file that lies beside this one and returns its names."""
    path = Path(__file__).with_name(name)
    if not path.is_file():
        raise Unreadable(f"{name} does not lie beside this program")
    return runpy.run_path(str(path))


def verify(bundle: Bundle, options: Any) -> dict[str, Any]:
    """Runs every check; returns what is printed."""
    verdicts = Verdicts()
    check_batches(bundle, verdicts)
    found = check_entries(bundle, verdicts)
    check_files(bundle, verdicts)  # after the entries, which can name a position
    signers = check_signers(bundle, verdicts, options)
    compared = check_chain(bundle, verdicts, found, options, signers)
    since = (found["newest"], "the newest entry") if options.now is None else (options.now, "--now")
    check_freshness(bundle, verdicts, *since, compared, signers)
    return {
        "entries": found["entries"],
        "withheld": found["withheld"],
        "entries_per_second": round(found["entries"] / max(found["seconds"], 1e-9)),
        "seconds": round(found["seconds"], 4),
        "program_seconds": round(time.perf_counter() - BEGUN, 4),
        "proof_bytes_per_entry": found["proof_bytes"],
        "verdicts": {name: verdicts.of(name) for name in Verdicts.NAMES},
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Checks an evidence bundle of FinToken X.")
    parser.add_argument("bundle", type=Path, help="folder or zip")
    parser.add_argument("--rpc", help="a node of the network")
    parser.add_argument("--contract", help="published address of the anchoring contract")
    parser.add_argument("--chain-id", type=int, help="published number of the network")
    parser.add_argument("--log", metavar="VKEY", help="published key of the log")
    parser.add_argument("--witness", metavar="VKEY", action="append", default=[], help="a witness's key; repeatable")
    parser.add_argument("--quorum", type=int, help="how many of these witnesses must have signed; all, unless given")
    parser.add_argument("--now", help="time to measure freshness against, ISO 8601")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.witness and not options.log:
        parser.error("--witness needs --log, the key whose name the signatures cover")
    if options.quorum is not None and not 0 < options.quorum <= len(set(options.witness)):
        parser.error("--quorum is from 1 to the number of witnesses given")
    try:
        report = verify(Bundle(options.bundle), options)
    except (Unreadable, KeyError, TypeError, ValueError, AttributeError) as error:
        why = str(error) if isinstance(error, Unreadable) else f"a file of the bundle is malformed: {error!r}"
        print(json.dumps({"error": why}) if options.json else why, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        for name, line in report["verdicts"].items():
            print(f"{name:13} {line['verdict']:10}  {line['why']}")
        print("{entries} entries in {seconds} s: {entries_per_second} entries/s; whole program {program_seconds} s; "
              "{proof_bytes_per_entry} bytes of proof an entry".format(**report))
    return 1 if any(line["verdict"] == FAIL for line in report["verdicts"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
