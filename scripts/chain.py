"""`fx chain`: the contracts and the chain, for whoever operates them (docs/chain.md)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

import bootstrap
from bootstrap import Settings, SetupError, settings_from
from chain.client import Chain
from chain.errors import Retryable
from chain.status import KeyStatus, NodeStatus
from eventstore.store import Store

chain_app = App(name="chain", help="The contracts and the chain.")
out = Console()
PATIENCE_S = 30.0
PAUSE_S = 0.2


@chain_app.command
def deploy() -> None:
    """Deploy the contracts that are missing (idempotent) and print their addresses."""
    settings = settings_from(os.environ)
    with _opened(settings, bootstrap.load_secrets(settings.home), deploy=True) as (chain, _, _):
        table = Table("contract", "address", title=f"chain {chain.chain_id}")
        for contract, address in chain.deployment().addresses.items():
            table.add_row(contract, address)
        out.print(table)


@chain_app.command
def status(*, as_json: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """The node, the contracts, and what each key waits for and why."""
    settings = settings_from(os.environ)
    with _opened(settings, bootstrap.kept_secrets(settings.home)) as (chain, store, now):
        node, keys = chain.node(now()), chain.key_statuses()
        addresses = chain.deployment().addresses
        behind = store.head() - chain.next_position() + 1
    if as_json:
        told: dict[str, Any] = {"node": node, "keys": keys, "contracts": addresses, "entries_not_anchored": behind}
        print(msgspec.json.encode(told).decode())
        return
    out.print(_node_table(node, behind, addresses["FXReceivableToken"], addresses["FXAuditAnchor"]))
    out.print(_key_table(keys))
    waiting = _waiting_table(keys)
    out.print(waiting if waiting.row_count else "nothing waits")


@chain_app.command
def resume(*, noop: str | None = None, reason: str | None = None) -> None:
    """Send again what is signed and not mined, and take up what the chain has done meanwhile. Harmless to repeat.

    It works beside a running platform, or alone.

    Parameters
    ----------
    noop
        An operation that no node will ever take: its nonce is filled with a transaction that does nothing, so that
        those behind it move on. Or one whose nonce a transaction not ours has used: that is recorded. The operation is
        cancelled, and signed anew when it is asked for again.
    reason
        Why; it is kept beside the no-op.
    """
    if (noop is None) != (reason is None) or reason == "":
        raise SetupError("--noop OPERATION and --reason WHY belong together")
    settings = settings_from(os.environ)
    with _opened(settings, bootstrap.kept_secrets(settings.home)) as (chain, _, _):
        if noop is not None and reason is not None:
            row = _patiently(lambda: _cancelled(chain, noop, reason))
            out.print(f"{noop}, nonce {row.nonce}: {row.status}", highlight=False)
        lost = _patiently(chain.journal.reconcile)
        waiting = _waiting_table(chain.key_statuses())
    out.print(f"{lost} transactions had been lost and are back; {waiting.row_count} wait", highlight=False)
    if waiting.row_count:
        out.print(waiting)


@chain_app.command
def doctor() -> None:
    """Check code, roles, keys, gas and time against what was deployed; exit 1 names each finding and its remedy."""
    settings = settings_from(os.environ)
    with _opened(settings, bootstrap.kept_secrets(settings.home)) as (chain, _, now):
        findings = chain.examine(now())
        foreign = [key for key in chain.key_statuses() if key.foreign]
    for finding in findings:
        out.print(f"[red]no[/red]  {escape(finding.what)}: {escape(finding.remedy)}", soft_wrap=True, highlight=False)
    for key in foreign:
        out.print(f"[red]no[/red]  somebody else signs with {key.role} ({key.address}), and its writer has stopped: "
                  "take its roles away with the admin key, give them to a new key, and write off what waits for it "
                  "(resume --noop)", soft_wrap=True, highlight=False)
    if not findings and not foreign:
        out.print("[green]ok[/green]  code, roles, keys, gas and time are as deployed")
    sys.exit(1 if findings or foreign else 0)


def _cancelled(chain: Chain, op: str, reason: str) -> Any:
    """Repeated while neither the no-op nor the operation is mined."""
    row = chain.journal.rows.find(op)
    return row if row is not None and row.status == "CANCELLED" else chain.journal.cancel(op, reason)


def _patiently(act: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except Retryable:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_S)


@contextmanager
def _opened(settings: Settings, secrets: bootstrap.Secrets, *,
            deploy: bool = False) -> Iterator[tuple[Chain, Store, Callable[[], int]]]:
    """The chain, the store, and the platform's clock in Unix seconds."""
    store = bootstrap.open_store(settings, secrets)
    link = bootstrap.chain_link(settings, store, deploy=deploy)
    clock = bootstrap.choose_clock(settings, store)
    try:
        link.start()
        yield link(), store, lambda: int(clock.now().timestamp())
    finally:
        link.stop()
        store.close()


def _node_table(node: NodeStatus, behind: int, token: str, anchor: str) -> Table:
    table = Table("node", "", title=f"chain {node.chain_id}")
    table.add_row("client", escape(node.client))
    table.add_row("newest block", f"{node.head}, {node.head_age_s} s old by the platform's clock")
    table.add_row("confirmations", str(node.confirmations))
    table.add_row("entries not anchored yet", str(behind))
    table.add_row("token contract", token)
    table.add_row("anchor contract", anchor)
    return table


def _key_table(keys: list[KeyStatus]) -> Table:
    """Narrow enough for 80 columns. Mined: how many of its nonces the chain has used, of those that were signed."""
    table = Table(Column("key", no_wrap=True), Column("address", no_wrap=True), "mined", "waits", box=SIMPLE_HEAD,
                  pad_edge=False)
    for key in keys:
        table.add_row(key.role, key.address, f"{key.mined}/{key.next_nonce}", str(len(key.waiting)) +
                      (" [red]used by somebody else[/red]" if key.foreign else ""))
    return table


def _waiting_table(keys: list[KeyStatus]) -> Table:
    table = Table("key", "nonce", "operation", "signed", "why it waits")
    for key in keys:
        for one in key.waiting:
            name = f"{one.op} (no-op for {one.fills}: {one.reason})" if one.fills else one.op
            table.add_row(key.role, str(one.nonce), escape(name), f"{one.age_s} s ago", one.why)
    return table
