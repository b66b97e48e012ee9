"""Submits malformed documents to a served platform and watches its health: `python -m scripts.campaigns.documents [N]`.

Most are damaged invoices, some are bombs and loops (`malformed.KINDS`). Each is uploaded and submitted as an invoice of
its own; it must end rejected, or be examined to the end, and the platform must answer all the while. Writes
build/campaign/documents.json; exit 1 when something stood, crashed or was slow.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from collections import Counter
from typing import Any

import httpx
from rich.console import Console

from scripts.campaigns.figures import keep
from scripts.campaigns.malformed import FIELDS, KINDS, malformed
from scripts.campaigns.served import Apart, served_apart

COUNT = 2_000
COSTLY = 0.05
"""Of the documents are of a kind that takes its reader seconds; they would be most of the time otherwise."""

CHEAP = ("truncated", "flipped", "cut_out", "doubled", "other_numbers", "empty", "wrong_length")
HEALTH_MAX_MS = 100.0
WAIT_S = 600.0
UNDER_WAY = ("SUBMITTED", "VERIFYING", "IN_VERIFICATION")


class Health(threading.Thread):
    """Asks /health/live 50 times a second; how long each answer took, in milliseconds. No answer is infinitely long."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.client = httpx.Client(base_url=url, timeout=60)
        self.took: list[float] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.02):
            started = time.perf_counter()
            try:
                answered = self.client.get("/health/live").status_code == 200
            except httpx.HTTPError:
                answered = False
            self.took.append((time.perf_counter() - started) * 1000 if answered else float("inf"))

    def at(self, share: float) -> float:
        return sorted(self.took)[min(int(len(self.took) * share), len(self.took) - 1)]


def documents(count: int) -> list[tuple[str, bytes]]:
    chance = random.Random("documents")
    costly = [kind for kind in KINDS if kind not in CHEAP]
    kinds = [costly[at % len(costly)] if at < count * COSTLY else chance.choice(CHEAP) for at in range(count)]
    chance.shuffle(kinds)
    return [(kind, malformed(kind, seed)) for seed, kind in enumerate(kinds)]


def submitted(seller: httpx.Client, number: int, pdf: bytes) -> str | None:
    """The invoice's reference; None when the file was refused at the door."""
    uploaded = seller.post("/v1/documents", content=pdf, headers={"Content-Type": "application/pdf"})
    if uploaded.status_code == 400:
        return None
    assert uploaded.status_code == 201, uploaded.text
    answer = seller.post("/v1/invoices", headers={"FX-Idempotency-Key": uuid.uuid4().hex}, json={
        "buyer_company_number": "04382671", "buyer_email": "tom.whitfield@northwind.co.uk",
        "face_value_pence": FIELDS.face_pence, "due_date": FIELDS.due_on.isoformat(),
        "seller_reference": f"CG-2026-{number}", "document_sha256": uploaded.json()["sha256"]})
    assert answer.status_code == 201, answer.text
    return answer.json()["reference"]


def ended(seller: httpx.Client, reference: str) -> str:
    deadline = time.monotonic() + WAIT_S
    while (state := seller.get(f"/v1/invoices/{reference}").json()["state"]) in UNDER_WAY:
        if time.monotonic() > deadline:
            return "STANDING"
        time.sleep(0.1)
    return state


def played(apart: Apart, seller: httpx.Client, made: list[tuple[str, bytes]]) -> tuple[Counter[str], Counter[str]]:
    """How they ended, and of which kind those are that were not rejected."""
    ends, passed = Counter[str](), Counter[str]()
    with Console().status("") as status:
        waiting: list[tuple[str, str]] = []
        for number, (kind, pdf) in enumerate(made):
            status.update(f"document {number + 1} of {len(made)}: {kind}")
            assert apart.process is not None and apart.process.is_alive(), "the platform ended"
            reference = submitted(seller, number, pdf)
            if reference is None:
                ends["refused at the door"] += 1
            else:
                waiting.append((kind, reference))
            while len(waiting) > (8 if number < len(made) - 1 else 0):
                kind, reference = waiting.pop(0)
                state = ended(seller, reference)
                ends[state] += 1
                passed[kind] += not state.startswith("REJECTED")
    return ends, +passed


def main(count: int) -> int:
    made = documents(count)
    with served_apart() as (apart, story, staff):
        seller = httpx.Client(base_url=apart.settings.http_url, timeout=120,
                              headers={"Authorization": f"Bearer {story.keys['coppergate']}"})
        health = Health(apart.settings.http_url)
        health.start()
        started = time.monotonic()
        ends, passed = played(apart, seller, made)
        took = time.monotonic() - started
        health.done.set()
        health.join()
        mlro = httpx.Client(base_url=apart.settings.http_url, headers={"Authorization": f"Bearer {staff['mlro']}"})
        incidents = mlro.get("/v1/compliance/incidents").json()["data"]
    rejected = sum(number for state, number in ends.items() if state.startswith(("REJECTED", "refused")))
    figures: dict[str, Any] = {
        "documents": count, "rejected": rejected, "ends": dict(ends), "not_rejected": dict(passed),
        "crashes": len(incidents) + ends["STANDING"], "seconds": round(took, 1),
        "health_asked": len(health.took), "health_p50_ms": round(health.at(0.5), 1),
        "health_p99_ms": round(health.at(0.99), 1), "health_max_ms": round(max(health.took), 1)}
    keep("documents", figures)
    Console().print(figures)
    return 0 if figures["crashes"] == 0 and figures["health_max_ms"] < HEALTH_MAX_MS else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT))
