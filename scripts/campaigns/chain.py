"""`make campaign-chain`: every fault a chain and its node know, under every operation; each happens exactly once.

A worker process carries out one operation at a time while the campaign stops its node, drops, replaces or reorganises
its transaction, uses its nonce, takes blocks away, pauses the contract, or kills the worker. Then the chain is asked
(receipts of everything that was ever signed for the operation, and the state it should have led to) and the journal.
The seed fixes which fault meets which operation when, not what the machine did then.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import cyclopts
import msgspec
from rich.console import Console
from rich.table import Table

import migrations
from chain.anvil import Anvil, end_with_parent, free_port
from chain.client import Chain, token_id
from chain.errors import ChainError, Retryable
from chain.keys import FolderKeys, Role
from eventstore.access import ANCHOR, register
from eventstore.journal import JournalRow, JournalRows
from scripts.campaigns.chain_worker import CHAIN_ID, Answer, Order
from scripts.campaigns.commands import SECRET, TENANT, access
from scripts.campaigns.figures import keep
from scripts.campaigns.server import Server

ROOT = Path(__file__).resolve().parents[2]
FAULTS = 200
FACE = 1_000
MOVED = 7
PATIENCE_S = 30.0
LATEST_BLOW_S = 0.04
YEAR_S = 365 * 86_400
TOPICS = ("KYC_VERIFIED", "AML_CLEARED", "JURISDICTION_UK")
OPERATIONS = ("mint", "transfer", "slice", "burn", "anchor", "claim")
KEYS: dict[str, Role] = {"mint": "minter", "burn": "minter", "anchor": "anchorer", "claim": "registrar"}


class Figures(msgspec.Struct):
    """What was done and what came of it. `by` counts faults under "kind operation"."""

    seed: int
    faults_run: int = 0
    faults_not_exactly_once: int = 0
    by: dict[str, int] = {}
    wrong: list[str] = []
    seconds: float = 0.0


Tell = Callable[[Figures], None]


class Worker:
    """The process that is killed: orders go in, answers come out."""

    def __init__(self, url: str, database: str, folder: Path):
        self._command = [sys.executable, "-m", "scripts.campaigns.chain_worker", url, database, str(folder)]
        self.answers: Queue[Answer] = Queue()
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, preexec_fn=end_with_parent)
        Thread(target=self._listen, args=(self._process,), daemon=True).start()
        self.await_answer(lambda answer: not answer.op)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.answers.put(msgspec.json.decode(line, type=Answer))

    def give(self, order: Order) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order).decode() + "\n")
        self._process.stdin.flush()

    def await_answer(self, wanted: Callable[[Answer], bool]) -> Answer:
        deadline = time.monotonic() + PATIENCE_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                answer = self.answers.get(timeout=left)
            except Empty:
                break
            if wanted(answer):
                return answer
        raise Retryable(f"the worker gave no answer within {PATIENCE_S:.0f} s")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """After a kill; what it told before counts no more."""
        self.answers = Queue()
        self._start()

    close = kill


class Campaign:
    """A node, a worker, and our own view of the chain."""

    def __init__(self, anvil: Anvil, chain: Chain, rows: JournalRows, keys: FolderKeys, worker: Worker, seed: int):
        self._anvil, self._chain, self._rows, self._keys, self._worker = anvil, chain, rows, keys, worker
        self._random = random.Random(seed)
        self._number = 0
        self._orders: list[tuple[str, Order]] = []
        self._batches = 0
        self.figures = Figures(seed=seed)
        self._lender = self._wallet("lender")

    def run(self, faults: int, tell: Tell) -> None:
        began = time.monotonic()
        pairs = [(kind, operation) for kind in self._kinds for operation in OPERATIONS]
        while self.figures.faults_run < faults:
            for kind, operation in self._random.sample(pairs, min(len(pairs), faults - self.figures.faults_run)):
                self._strike(kind, operation)
                self.figures.seconds = round(time.monotonic() - began, 1)
                tell(self.figures)
        for operation, order in self._orders:
            self._check(operation, order, "in the end")
        self._check_keys()

    def _strike(self, kind: str, operation: str) -> None:
        order = self._patiently(lambda: self._prepare(operation))
        wrong = len(self.figures.wrong)
        self._kinds[kind](self, order, KEYS.get(operation, "operator"))
        self._patiently(self._chain.journal.reconcile)
        self._orders.append((operation, order))
        self._check(operation, order, kind)
        self.figures.faults_run += 1
        self.figures.faults_not_exactly_once += len(self.figures.wrong) > wrong
        name = f"{kind} {operation}"
        self.figures.by[name] = self.figures.by.get(name, 0) + 1

    # ------------------------------------------------------------ operations

    def _prepare(self, operation: str) -> Order:
        """Everything the operation needs, done; and the operation, not yet done."""
        self._number += 1
        op = f"{operation}:{self._number}"
        token, platform = token_id(op), self._chain.platform_wallet
        if operation in ("transfer", "slice", "burn"):
            self._chain.mint(f"{op}:minted", token, FACE)
        match operation:
            case "mint":
                return Order(op, "mint", [str(token), FACE])
            case "transfer":
                self._chain.fractionalise(f"{op}:split", token, [FACE // 2, FACE // 2])
                return Order(op, "transfer", [platform, self._lender, str(token), MOVED])
            case "slice":
                return Order(op, "fractionalise", [str(token), [FACE // 2, FACE // 2]])
            case "burn":
                return Order(op, "burn", [str(token)])
            case "claim":
                return Order(op, "issue_claims", [self._wallet(op, ()), TOPICS[:1], self._chain.block_time() + YEAR_S])
            case _:
                self._batches += 1
                first = self._chain.next_position()
                root = hashlib.sha256(op.encode()).digest()
                return Order(op, "anchor", [self._batches, first, first + 9], [root, self._chain.anchor_head()])

    def _wallet(self, name: str, topics: tuple[str, ...] = TOPICS) -> str:
        wallet = self._keys.custody_address(name)
        self._chain.register_wallet(f"{name}:wallet", wallet, "lender", hashlib.sha256(name.encode()).digest())
        if topics:
            self._chain.issue_claims(f"{name}:claims", wallet, topics, self._chain.block_time() + YEAR_S)
        return wallet

    # ------------------------------------------------------------ checking

    def _check(self, operation: str, order: Order, when: str) -> None:
        """Successful transactions of the operation, whatever try, its rows, and what the chain shows of it.

        Only a transfer may have been refused instead: its refusal is an outcome. Everything else is owed.
        """
        rows = self._tries(_signed_op(order))
        successes, shown = self._successes(rows), self._shown(operation, order)
        confirmed = sum(row.status == "CONFIRMED" for row in rows)
        refused = operation == "transfer" and {row.status for row in rows} == {"REVERTED"}
        if (confirmed, successes, shown) != ((0, 0, False) if refused else (1, 1, True)):
            statuses = [row.status for row in rows]
            self.figures.wrong.append(f"{order.op} {when}: {statuses}, {successes} transactions, shown: {shown}")

    def _tries(self, op: str) -> list[JournalRow]:
        """Everything that was signed for an operation: its attempts, and those of its later tries."""
        found, name = list[JournalRow](), op
        while attempts := self._rows.attempts(name):
            found += attempts
            name = f"{op}#{len({row.op_id for row in found}) + 1}"
        return found

    def _successes(self, rows: list[JournalRow]) -> int:
        found = [self._rpc("eth_getTransactionReceipt", "0x" + row.tx_hash.hex()) for row in rows]
        return sum(receipt is not None and int(receipt["status"], 16) == 1 for receipt in found)

    def _shown(self, operation: str, order: Order) -> bool:
        chain, token = self._chain, token_id(order.op)
        match operation:
            case "mint":
                return chain.receivable(token).status == "live" and chain.receivable(token).face_pence == FACE
            case "transfer":
                return chain.balance(self._lender, token) == MOVED
            case "slice":
                return chain.receivable(token).fractionalised
            case "burn":
                return chain.receivable(token).status == "burned"
            case "claim":
                return TOPICS[0] in chain.claims(order.arguments[0])
            case _:
                batch_id = order.arguments[0]
                return chain.batch_count() >= batch_id and chain.batch(batch_id).root == order.hashes[0]

    def _check_keys(self) -> None:
        """Every nonce the chain knows is in the journal, and nothing waits."""
        for key in self._chain.key_statuses():
            if key.mined != key.next_nonce or key.waiting:
                self.figures.wrong.append(f"{key.role}: {key.mined} mined of {key.next_nonce}, {len(key.waiting)} wait")

    # ------------------------------------------------------------ faults

    def _node_stop(self, order: Order, role: Role) -> None:
        """kill -9 of the node; it comes back with the last state saved, or with nothing."""
        if self._random.random() < 0.5:
            self._anvil.save()
        self._worker.give(order)
        self._nap()
        self._anvil.stop(signal.SIGKILL)
        self._anvil.start()
        self._patiently(self._chain.journal.reconcile)
        self._finished(order)

    def _drop(self, order: Order, role: Role) -> None:
        with self._unmined(order) as tx_hash:
            self._rpc("anvil_dropTransaction", tx_hash)
        self._finished(order)

    def _replace(self, order: Order, role: Role) -> None:
        """An operator fills the nonce while the worker still wants the operation: it is signed anew."""
        with self._unmined(order) as tx_hash:
            self._rpc("anvil_dropTransaction", tx_hash)
            with suppress(Retryable):  # it is mined with the next block
                self._chain.journal.cancel(_signed_op(order), "campaign")
        self._finished(order)

    def _reorganise(self, order: Order, role: Role) -> None:
        self._mine_three()
        self._worker.give(order)
        self._finished(order)
        self._rpc("anvil_reorg", self._random.randint(1, 3), [])

    def _lose_blocks(self, order: Order, role: Role) -> None:
        self._mine_three()
        self._worker.give(order)
        self._finished(order)
        self._rpc("anvil_rollback", self._random.randint(1, 3))

    def _foreign_nonce(self, order: Order, role: Role) -> None:
        """Somebody else uses the key: the worker stops with an alarm; their block goes away, and it goes on."""
        self._mine_three()
        nonce = int(self._rpc("eth_getTransactionCount", self._keys.address(role), "latest"), 16)
        self._use_nonce(role, nonce)
        self._worker.give(order)
        answer = self._worker.await_answer(lambda answer: answer.op == order.op)
        if not answer.foreign:
            self.figures.wrong.append(f"{order.op}: a foreign nonce was not noticed")
        self._rpc("anvil_rollback", 1)
        self._finished(order)

    def _foreign_for_good(self, order: Order, role: Role) -> None:
        """Somebody else takes the nonce of what waits, for good: an operator writes it off, and it is signed anew."""
        with self._unmined(order) as tx_hash:
            row = self._rows.find(_signed_op(order))
            assert row is not None
            self._rpc("anvil_dropTransaction", tx_hash)
            self._use_nonce(role, row.nonce)
        self._patiently(lambda: self._chain.journal.cancel(_signed_op(order), "campaign"))
        self._finished(order)
        self._anvil.save()  # the journal cannot bring back what was never its own

    def _use_nonce(self, role: Role, nonce: int) -> None:
        fields = {"chainId": CHAIN_ID, "nonce": nonce, "gasPrice": 0, "gas": 21_000, "value": 0, "data": b""}
        raw = self._keys.sign_transaction(role, {**fields, "to": self._chain.platform_wallet}).raw
        self._rpc("eth_sendRawTransaction", "0x" + raw.hex())

    def _pause(self, order: Order, role: Role) -> None:
        """A transfer is refused for good, a mint is done afterwards; the rest goes through."""
        self._patiently(lambda: self._chain.set_paused(f"{order.op}:pause", True))
        self._worker.give(order)
        self._patiently(lambda: self._require_settled(order))
        self._patiently(lambda: self._chain.set_paused(f"{order.op}:resume", False))
        self._finished(order)

    def _require_settled(self, order: Order) -> None:
        row = self._rows.find(_signed_op(order))
        if row is None or not row.settled:
            raise Retryable(f"{order.op} waits")

    def _kill_worker(self, order: Order, role: Role) -> None:
        self._worker.give(order)
        self._nap()
        self._worker.kill()
        self._worker.restart()
        self._worker.give(order)
        self._finished(order)

    _kinds: dict[str, Callable[[Campaign, Order, Role], None]] = {
        "node_stop": _node_stop, "drop": _drop, "replace": _replace, "reorganise": _reorganise,
        "foreign_nonce": _foreign_nonce, "foreign_for_good": _foreign_for_good, "lose_blocks": _lose_blocks,
        "pause": _pause, "kill_worker": _kill_worker}

    def _mine_three(self) -> None:
        """A node that came back from a saved state cannot go back behind it."""
        for _ in range(3):
            self._rpc("evm_mine")

    def _unmined(self, order: Order) -> Any:
        return _Unmined(self, order)

    def _finished(self, order: Order) -> Answer:
        return self._worker.await_answer(lambda answer: answer.op == order.op and not answer.foreign)

    def _nap(self) -> None:
        time.sleep(self._random.uniform(0, LATEST_BLOW_S))

    def _patiently(self, act: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return act()
            except Retryable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _rpc(self, method: str, *params: Any) -> Any:
        return self._anvil.call(method, *params)


class _Unmined:
    """The worker's transaction is in the pool and in no block while this is open; its hash."""

    def __init__(self, campaign: Any, order: Order):
        self._campaign, self._order = campaign, order

    def __enter__(self) -> str:
        campaign, op = self._campaign, _signed_op(self._order)
        campaign._rpc("evm_setAutomine", False)
        campaign._worker.give(self._order)
        while True:
            row = campaign._rows.find(op)
            if row is not None and campaign._rpc("eth_getTransactionByHash", "0x" + row.tx_hash.hex()) is not None:
                return "0x" + row.tx_hash.hex()
            time.sleep(0.002)

    def __exit__(self, *_: object) -> None:
        self._campaign._rpc("evm_setAutomine", True)
        self._campaign._rpc("evm_mine")


def _signed_op(order: Order) -> str:
    """The journal's name: a claim's is its wallet operation and its topic."""
    return f"{order.op}:{TOPICS[0]}" if order.method == "issue_claims" else order.op


def run_campaign(faults: int, seed: int, tell: Tell = lambda figures: None) -> Figures:
    """All of it in a folder of its own, which stays where it is when something was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="fx-campaign-"))
    with ExitStack() as stack:
        server = stack.enter_context(closing(Server(folder)))
        migrations.upgrade(server.url)
        register(server.url, TENANT, SECRET)
        rows = JournalRows(stack.enter_context(access(server.url).pool(ANCHOR)))
        anvil = stack.enter_context(Anvil(folder / "anvil", free_port(), prune=False))
        keys = FolderKeys(folder / "keys")
        chain = Chain.connect(anvil.url, CHAIN_ID, rows, keys)
        chain.deploy()
        worker = stack.enter_context(closing(Worker(anvil.url, server.url, folder / "keys")))
        campaign = Campaign(anvil, chain, rows, keys, worker, seed)
        campaign.run(faults, tell)
    if not campaign.figures.wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return campaign.figures


def main(faults: int = FAULTS, seed: int | None = None) -> None:
    """Run the campaign and write build/campaign/chain.json; exit 1 when an operation was not done exactly once."""
    console = Console()
    chosen = secrets.randbelow(1 << 31) if seed is None else seed
    console.print(f"seed {chosen}")

    printed: list[str] = []

    def tell(figures: Figures) -> None:
        if figures.faults_run % 25 == 0 or len(figures.wrong) > len(printed):
            printed.extend(figures.wrong[len(printed):])
            console.print("".join(f"{line}\n" for line in printed[-1:]), end="", markup=False, soft_wrap=True)
            console.print(f"{figures.faults_run} faults, {figures.faults_not_exactly_once} not exactly once, "
                          f"{figures.seconds} s")

    try:
        figures = run_campaign(faults, chosen, tell)
    except ChainError as error:
        console.print(f"seed {chosen}: {error}", markup=False, soft_wrap=True)
        sys.exit(1)
    kinds = Counter[str]()
    for name, count in figures.by.items():
        kinds[name.split()[0]] += count
    table = Table("fault", "times", title="chain campaign")
    for kind, count in sorted(kinds.items()):
        table.add_row(kind, str(count))
    console.print(table)
    for line in figures.wrong:
        console.print(line, markup=False, soft_wrap=True)
    keep("chain", figures)
    console.print(f"{figures.faults_run} faults, {figures.faults_not_exactly_once} not exactly once")
    sys.exit(1 if figures.wrong else 0)


if __name__ == "__main__":
    cyclopts.run(main)
