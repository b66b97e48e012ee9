"""`fx demo`: the whole road once, before your eyes, and checked at the end by a program that trusts none of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

import bootstrap
from bootstrap import Platform, Sandbox, Settings
from domain.calendar import LONDON
from domain.money import pounds
from domain.party import ADMIN, COMPLIANCE
from domain.platform import BATCH
from scripts.evidence import signatures_known, write_evidence
from scripts.replay import replay_advice
from scripts.serve import print_addresses, served_with_witness, wait_for_signal
from scripts.staff import enrol
from scripts.story import BEGINS, REFERENCE, Client, Story, StoryFailed

console = Console(width=max(Console().width, 120), highlight=False)

PEOPLE = {"coppergate": "Aisha · Coppergate", "northwind": "Tom · Northwind", "pennine": "Caroline · Pennine",
          "brunel": "Faisal · Brunel"}
STYLES = {"Aisha": "cyan", "Tom": "yellow", "Caroline": "magenta", "Faisal": "blue", "Priya": "red",
          "Marcus": "bright_black", "FinTokenX": "white"}

PLUMBING = frozenset({"NOTICE_REQUESTED", "NOTICE_SENT", "CLOCK_ADVANCED", "VIRTUAL_ACCOUNT_OPENED",
                      "FINGERPRINT_CLAIMED", "FINGERPRINT_RELEASED", "LIKENESS_CLAIMED", "LIKENESS_RELEASED",
                      "COMPANY_REGISTERED", "BATCH_COSIGNED", "MAILBOX_CODE_REQUESTED"})
COUNTERSIGNED_S = 10


class Mismatch(Exception):
    """The story did not come out as told."""


def run_demo(settings: Settings) -> int:
    """0 when every figure and verdict is as told; 1 otherwise."""
    # Outside the folder that is wiped: what runs there must keep it.
    with bootstrap.locked(settings.home, bootstrap.DEMO_LOCK, f"another demonstration runs on {settings.home}"):
        return _run(settings)


def _run(settings: Settings) -> int:
    started = time.monotonic()
    home = settings.home / "demo"
    if not isinstance(settings, Sandbox):
        raise bootstrap.SetupError("the demonstration plays in a sandbox: run it with FX_PROFILE=sandbox")
    settings = msgspec.structs.replace(settings, home=home, clock=f"sandbox:{BEGINS.isoformat()}")
    bootstrap.require_idle(home)
    bootstrap.require_ports(settings)
    bootstrap.stop_embedded_database(home)
    shutil.rmtree(home, ignore_errors=True)
    console.rule("[bold]FinToken X: one invoice from submission to settlement[/bold]")
    if settings.database_url is not None:
        _require_empty(settings)
    with console.status("starting PostgreSQL, the EVM node, the provider simulators and the platform …"):
        context = served_with_witness(settings)
        platform = context.__enter__()
    try:
        console.print(f"everything is up after {time.monotonic() - started:.1f} s\n")
        story = Story(settings.http_url, settings.providers_url,
                      enrol(platform, COMPLIANCE, "Priya Lall", "priya.lall@fintokenx.uk"),
                      enrol(platform, ADMIN, "Marcus Doyle", "marcus.doyle@fintokenx.uk"),
                      salt=uuid4().hex)
        try:
            _play(story)
            _replay(platform, story)
            _check(story)
            _prove(platform, settings, home)
        except (Mismatch, StoryFailed) as problem:
            console.print(f"[bold red]MISMATCH[/bold red] {problem}")
            return 1
        console.print(f"\n[bold green]The story is complete[/bold green] after {time.monotonic() - started:.1f} s, "
                      f"with {platform.store.head()} entries in the log.\n")
        print_addresses(settings)
        if os.environ.get("FX_ONESHOT") == "1" or not sys.stdout.isatty():
            return 0
        _print_keys(story)
        console.print("\nserving until Ctrl-C …")
        wait_for_signal()
        return 0
    finally:
        context.__exit__(None, None, None)
        bootstrap.stop_embedded_database(home)


def _require_empty(settings: Settings) -> None:
    """On a given server the story needs a log of its own; it brings the schema itself."""
    secrets = bootstrap.load_secrets(settings.home)
    bootstrap.open_database(settings, secrets, migrate=True)
    store = bootstrap.open_store(settings, secrets)
    entries = store.head()
    store.close()
    if entries:
        raise bootstrap.SetupError(f"the demonstration needs an empty database; this one holds {entries} entries")


# ---------------------------------------------------------------- the timeline


class Timeline:
    """Prints every entry as it appears: when, who, what, where it leads, its position in the log."""

    def __init__(self, story: Story):
        self._story = story
        self._client = Client(story.api_url, story.admin_key)
        self._after = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Timeline:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.catch_up()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.catch_up()

    def catch_up(self) -> None:
        with self._lock:
            for entry in self._client.get("/v1/audit/entries", after=self._after, limit=1_000)["data"]:
                self._after = entry["position"]
                console.print(self._line(entry), no_wrap=True, crop=True)

    def _line(self, entry: dict[str, Any]) -> str:
        at = datetime.fromisoformat(entry["at"]).astimezone(LONDON)
        who = self._who(entry["actor"])
        style = STYLES.get(who.split()[0], "white")
        line = (f"[bright_black]#{entry['position']:<4} {at:%d %b %Y %H:%M}[/bright_black]  "
                f"[{style}]{who:<21.21}[/{style}]  {entry['action']:<27} {entry['state'] or '·':<20.20} "
                f"[bright_black]{self._what(entry['resource']):.34}[/bright_black]")
        return f"[dim]{line}[/dim]" if entry["action"] in PLUMBING else line

    def _who(self, actor: str) -> str:
        if actor.startswith("system:"):
            return f"FinTokenX {actor.removeprefix('system:')}"
        if actor.startswith("stf_"):
            return "Priya · MLRO" if actor.endswith("1") else "Marcus · admin"
        for name, key in self._story.keys.items():
            if actor in key:
                return PEOPLE[name]
        return "new customer" if actor.startswith("anonymous") else actor

    def _what(self, resource: str) -> str:
        for name, key in self._story.keys.items():
            subject = "_".join(key.split("_")[2:4])
            resource = resource.replace(subject, name.capitalize())
        return resource


def _play(story: Story) -> None:
    with Timeline(story) as timeline:
        for title, act in story.steps():
            act()
            timeline.catch_up()
            note = NOTES.get(title)
            if note is not None:
                console.print(note(story))


def _note(title: str, rows: list[tuple[str, str]]) -> Panel:
    table = Table.grid(padding=(0, 3))
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    return Panel.fit(table, title=title, title_align="left", border_style="green")


def _review(story: Story) -> Panel:
    case = story.cases()[-1]
    return _note("MLRO's file on Coppergate (refresh)", [
        ("rule-based grade", str(case["grade"])),
        ("agent's advice (advisory)", f"{case['proposal']}, {case['proposal_grade']}, "
                                      f"confidence {case['proposal_confidence_ppm'] / 10_000:.1f} %"),
        ("MLRO's decision", f"{case['decision']}, rationale recorded sealed, its hash in the log")])


def _settlement(story: Story) -> Panel:
    invoice = story.as_("coppergate").get(f"/v1/invoices/{REFERENCE}")
    return _note("What the seller sees", [
        ("face value", pounds(invoice["face_value_pence"])),
        ("tokenisation fee", pounds(invoice["fee_tokenisation_pence"])),
        ("settlement fee (deferred, earned at settlement)", pounds(invoice["fee_settlement_pence"])),
        ("credit scoring", pounds(invoice["fee_scoring_pence"])),
        ("minimum-fee top-up", pounds(invoice["fee_top_up_pence"])),
        ("[bold]in your bank[/bold]", f"[bold]{pounds(invoice['seller_cash_pence'])}[/bold]")])


def _offer(story: Story) -> Panel:
    offer = story.as_("brunel").get("/v1/listings")["data"][0]
    return _note("Slice 2 on the secondary market", [
        ("face", pounds(offer["face_pence"])), ("price", pounds(offer["price_pence"])),
        ("yield to maturity, derived (Act/365)", f"{offer['yield_to_maturity_bps'] / 100:.2f} %"),
        ("trading fee", pounds(offer["trading_fee_pence"]))])


NOTES: dict[str, Any] = {
    "12:18: Priya approves the refresh": _review,
    "14:31: cash lands with the seller": _settlement,
    "slice 2 is listed": _offer,
}


# ---------------------------------------------------------------- the checks


def _check(story: Story) -> None:
    """Every figure of the story against the running system."""
    invoice = story.admin.get(f"/v1/invoices/{REFERENCE}")
    ledger = story.admin.get("/v1/admin/ledger")
    balance = {row["account"]: row["pence"] for row in ledger["accounts"]}
    paid = {name: _paid_out(story, name) for name in ("pennine", "brunel", "coppergate")}
    trade = story.as_("brunel").get(f"/v1/trades/{story.trade_id()}")
    entries = [row["action"] for row in story.admin.get("/v1/audit/entries", invoice=REFERENCE, limit=1_000)["data"]]
    expected: list[tuple[str, Any, Any]] = [
        ("invoice", "SETTLED", invoice["state"]),
        ("net advance", 976_000, invoice["net_advance_pence"]),
        ("platform fee", [2_000, 5_000, 1_500, 1_500], [invoice[f"fee_{line}_pence"] for line in (
            "tokenisation", "settlement", "scoring", "top_up")]),
        ("cash to the seller", 966_000, paid["coppergate"]),
        ("trading fee", 797, trade["trading_fee_pence"]),
        ("derived yield", 260, trade["yield_to_maturity_bps"]),
        ("Pennine received: 4 slices, and slice 2's price", 800_000 + 199_150, paid["pennine"]),
        ("Brunel received", 200_000, paid["brunel"]),
        ("reminders to Northwind", 2, entries.count("BUYER_REMINDED")),
        ("mints and burns", [1, 1], [entries.count("TOKEN_MINT"), entries.count("TOKEN_BURN")]),
        ("ledger sums to", 0, ledger["sum_pence"]),
        ("accounts that must be zero and are not", [], [row["account"] for row in ledger["not_cleared"]]),
        ("platform's own cash", 10_797, balance["platform_cash"]),
        ("settlement fee earned", -5_000, balance["fee_income:SETTLEMENT"]),
        ("bank's collections account", 0, _at_the_bank(story)),
    ]
    table = Table("what the story says", "told", "found", title="Checks")
    wrong: list[str] = []
    for what, told, found in expected:
        good = told == found
        table.add_row(what, str(told), f"{'[green]' if good else '[red]'}{found}")
        if not good:
            wrong.append(what)
    console.print(table)
    if wrong:
        raise Mismatch("; ".join(wrong))


def _replay(platform: Platform, story: Story) -> None:
    """The agent's advice on both of Coppergate's files, computed again from the events of its time."""
    table = Table("file", "agent's advice", "record hash", "replayed", title="Advice of the agent, replayed")
    for case in story.cases():
        found = replay_advice(platform.store, platform.engine, case["subject"], case["file_number"])
        table.add_row(case["file_number"], f"{found.proposal.verdict}, {found.proposal.grade}",
                      found.proposal.record_sha256[:20] + "…", "differs" if found.mismatches else "to the same hash")
        if found.mismatches:
            raise Mismatch(f"the advice on {case['file_number']} does not replay")
    console.print(table)


def _transactions(story: Story) -> list[dict[str, Any]]:
    return story.outside.get("/bank/transactions.json")


ACCOUNTS = {"coppergate": "53910462", "pennine": "22487719", "brunel": "10733821"}


def _paid_out(story: Story, name: str) -> int:
    """What the bank says it delivered to somebody's account."""
    return sum(row["amount_pence"] for row in _transactions(story)
               if row["direction"] == "DBIT" and row["counterpart"].endswith(ACCOUNTS[name]))


def _at_the_bank(story: Story) -> int:
    """The bank's own balance of the collections account: in minus out."""
    return sum(row["amount_pence"] if row["direction"] == "CRDT" else -row["amount_pence"]
               for row in _transactions(story))


# ---------------------------------------------------------------- the proof


def _prove(platform: Platform, settings: Settings, home: Path) -> None:
    """Export the evidence, let the separate verifier judge it, then change one byte of a copy."""
    folder = home / "evidence"
    _countersigned(platform)
    signatures = signatures_known(platform.settings, platform.secrets, platform.store)
    write_evidence(platform.store, platform.outside.chain(), platform.clock, folder, 1, None, signatures=signatures)
    rpc = settings.chain_url or f"http://127.0.0.1:{settings.chain_port}"
    keys = dict(signatures.keys)
    published = ["--rpc", rpc, "--contract", platform.outside.chain().deployment()["FXAuditAnchor"],
                 "--log", keys.pop("log"), *(word for vkey in keys.values() for word in ("--witness", vkey))]
    console.print(Panel.fit(f"python verify.py {folder} --rpc {rpc} --contract … --log … --witness …", title="an "
                            "independent verifier, standard library only", title_align="left", border_style="blue"))
    honest = _verify(folder, published, folder / "verify.py")
    console.print(honest.stdout.rstrip(), markup=False, soft_wrap=True)
    if honest.returncode != 0:
        raise Mismatch(f"the verifier refuses the evidence: {honest.stderr}")
    tampered = home / "tampered"
    position = _change_one_byte(folder, tampered)
    judged = _verify(tampered, published, folder / "verify.py")
    console.print(f"\nnow one byte of entry {position} in a copy is changed:")
    console.print(judged.stdout.rstrip(), markup=False, soft_wrap=True)
    if judged.returncode != 1 or f"{position}" not in judged.stdout:
        raise Mismatch("the verifier did not name the changed entry")


def _countersigned(platform: Platform) -> None:
    """Every batch has the line of a witness that keeps its own memory of the log."""
    batches = range(1, platform.outside.chain().batch_count() + 1)
    deadline = time.monotonic() + COUNTERSIGNED_S
    while any(not platform.store.load(BATCH, str(number)).cosigned_by for number in batches):
        if time.monotonic() > deadline:
            raise Mismatch("the witness has not countersigned every batch")
        time.sleep(0.1)
    console.print(f"a witness in a process of its own countersigned all {len(batches)} batches "
                  "(a sandbox's witness is not independent: whoever runs the platform runs it)\n")


def _verify(folder: Path, published: list[str], verifier: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", str(verifier), str(folder), *published], capture_output=True,
                          text=True, check=False, timeout=120)


def _change_one_byte(folder: Path, copy: Path) -> int:
    """In the entry that funds the invoice, one digit of the amount becomes another."""
    shutil.copytree(folder, copy)
    lines = (copy / "entries.jsonl").read_text().splitlines(keepends=True)
    for number, line in enumerate(lines):
        entry = json.loads(line)
        if entry.get("body", {}).get("type") == "invoice.funded.1":
            lines[number] = line.replace("966000", "966001", 1)
            (copy / "entries.jsonl").write_text("".join(lines))
            return entry["position"]
    raise Mismatch("the bundle holds no funding entry")


def _print_keys(story: Story) -> None:
    table = Table("person", "API key", title="Keys of this sandbox")
    for name, key in story.keys.items():
        table.add_row(PEOPLE[name], key)
    table.add_row("Priya · MLRO", story.mlro_key)
    table.add_row("Marcus · admin", story.admin_key)
    console.print(table)
