"""The witness: what it countersigns, and that no second past of a log gets its signature, whoever asks and when.

Rows of docs/evidence.md that only a witness closes are tests here.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chain.anchor import anchor_pending
from chain.checkpoint import BatchRecord, read_checkpoint
from chain.keys import FolderKeys
from chain.notes import COSIGNATURE, Signer, Verifier, read_note
from chain.witness import HEAD_HEADER, SIZE_TYPE, Contract, StateLost, Witness, make, read_signer
from eventstore.journal import JournalRows
from tests.chain.conftest import World
from tests.chain.witnesses import LOG, NAME, ROOT, History, cosigned, running

PAST = History().grown("one", "two", "three")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path / "witness.key", tmp_path / "state")
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Witness]]:
    """Starts the witness on its files, again and again as after a crash."""
    begun: list[Witness] = []

    def started(**options: object) -> Witness:
        while begun:
            begun.pop().close()
        begun.append(Witness(LOG.verifier(), read_signer(NAME, folder / "witness.key"), folder / "state", **options))  # pyright: ignore[reportArgumentType]
        return begun[-1]

    yield started
    for witness in begun:
        witness.close()


@pytest.fixture
def witness(start: Callable[..., Witness]) -> Witness:
    return start()


@pytest.fixture
def key(folder: Path) -> Verifier:
    return read_signer(NAME, folder / "witness.key").verifier(COSIGNATURE)


# ------------------------------------------------------------ what it countersigns


def test_it_countersigns_each_batch_after_the_one_before(witness: Witness, key: Verifier) -> None:
    for upto in (1, 2, 3):
        answer = witness.add_checkpoint(PAST.request(upto - 1, upto))
        assert answer.status == 200 and cosigned(answer.text, PAST.note(upto), key)
    shown = read_note(witness.status().text)
    LOG.verifier().check(shown)
    key.check(shown)
    assert read_checkpoint(shown.text).tip == PAST.tip()


def test_batches_it_missed_come_in_one_request(witness: Witness, key: Verifier) -> None:
    long = History().grown(*map(str, range(63)))
    assert cosigned(witness.add_checkpoint(long.request()).text, long.note(), key)
    assert witness.add_checkpoint(History().grown(*map(str, range(64))).request(0)).status == 400


def test_the_same_checkpoint_is_signed_again(witness: Witness, key: Verifier) -> None:
    """An answer may get lost on its way."""
    witness.add_checkpoint(PAST.request())
    again = witness.add_checkpoint(PAST.request(3))
    assert again.status == 200 and cosigned(again.text, PAST.note(), key)


# ------------------------------------------------------------ a second past


def test_a_fork_shown_to_two_parties_gets_one_signature(witness: Witness) -> None:
    """Both branches are signed by the log itself (A3); only one of them can ever be shown with the witness's line."""
    common = PAST.request(0, 2)
    assert witness.add_checkpoint(common).status == 200
    for_regulator, for_auditor = PAST, History(PAST.roots[:2]).grown("another third")
    assert witness.add_checkpoint(for_regulator.request(2)).status == 200
    refused = witness.add_checkpoint(for_auditor.request(2))
    assert (refused.status, refused.text, refused.kind) == (409, "30\n", SIZE_TYPE)
    assert base64.b64decode(refused.headers[HEAD_HEADER]) == for_regulator.tip().head
    for body in (for_auditor.request(3), for_auditor.request(0), for_auditor.request(3, records=[])):
        assert witness.add_checkpoint(body).status == 409


def test_an_old_backup_is_refused_with_the_larger_size(start: Callable[..., Witness]) -> None:
    assert start().add_checkpoint(PAST.request()).status == 200
    for body in (PAST.request(0, 1), PAST.request(1, 2), PAST.request(2, 2)):
        answer = start().add_checkpoint(body)
        assert (answer.status, answer.text) == (409, "30\n")


def test_a_backup_that_goes_on_is_refused(witness: Witness) -> None:
    witness.add_checkpoint(PAST.request())
    gone_on = History(PAST.roots[:2]).grown("other", "and more")
    assert witness.add_checkpoint(gone_on.request(2)).status == 409
    honest = gone_on.request(3, old=30)
    assert witness.add_checkpoint(honest).status == 422


def anchored(world: World, entry: bytes) -> History:
    """The first batch, really anchored: ten entries that all have one hash."""
    world.chain.deploy()
    done = anchor_pending(world.chain, lambda first, last: [entry * 32] * (last - first + 1), 10)
    assert done is not None
    history = History((done.batch.root,))
    assert done.batch.head == history.tip().head == world.chain.anchor_head()
    return history


def test_a_log_rewritten_with_its_chain_is_refused(fresh_world: World, folder: Path, witness: Witness,
                                                   new_rows: Callable[[], JournalRows]) -> None:
    """A4: every hash, every head and the contract made anew, with the log's own key. The witness remembers."""
    assert witness.add_checkpoint(anchored(fresh_world, b"\1").request()).status == 200
    rewritten = World(fresh_world.anvil, new_rows(), FolderKeys(folder / "colluding"))
    history = anchored(rewritten, b"\2")
    assert witness.add_checkpoint(history.request()).status == 409
    assert witness.add_checkpoint(history.grown("and on").request(1)).status == 422


def test_what_it_does_not_know_or_trust(witness: Witness) -> None:
    stranger = Signer(LOG.name, b"\x09" * 32)
    elsewhere = Signer(LOG.name.replace("tnt_fintokenx", "tnt_other"), b"\1" * 32)
    assert witness.add_checkpoint(History(PAST.roots, stranger).request()).status == 403
    assert witness.add_checkpoint(History(PAST.roots, elsewhere).request()).status == 404
    assert witness.add_checkpoint(PAST.request(0, 1)).status == 200


@pytest.mark.parametrize(("records", "upto"), [
    ([], 2), (PAST.records, 2), (PAST.records[1:], 3), (list(reversed(PAST.records)), 3),
    ([PAST.records[0], PAST.records[0]], 2), ([BatchRecord(1, 1, 20, PAST.roots[0])], 2),
    ([PAST.records[0], PAST.records[1]._replace(from_position=12)], 2),
])
def test_a_proof_that_does_not_lead_there(witness: Witness, records: list[BatchRecord], upto: int) -> None:
    assert witness.add_checkpoint(PAST.request(0, upto, records=records)).status == 422
    assert witness.status().status == 404


@pytest.mark.parametrize("body", [
    b"", b"\n\n", b"old 1", b"old 00\n\n" + PAST.note().encode(), b"old -1\n\n" + PAST.note().encode(),
    b"new 0\n\n" + PAST.note().encode(), b"old 0\nAAAA\n\n" + PAST.note().encode(), b"\xff" * 99,
    PAST.request(old=31), PAST.request(old=10**19), PAST.request()[:-40]])
def test_what_is_no_request(witness: Witness, body: bytes) -> None:
    answer = witness.add_checkpoint(body)
    assert answer.status == 400 and answer.text.count("\n") == 1


# ------------------------------------------------------------ its files


def test_it_never_goes_back_after_a_crash(start: Callable[..., Witness], folder: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """The power goes between the draft and its place: nothing was answered, and the old state stands."""
    witness = start()
    witness.add_checkpoint(PAST.request(0, 1))
    before = (folder / "state").read_text()
    with monkeypatch.context() as broken, pytest.raises(OSError):
        broken.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("the power went")))
        witness.add_checkpoint(PAST.request(1, 2))
    assert (folder / "state").read_text() == before
    assert start().add_checkpoint(PAST.request(1, 2)).status == 200


@pytest.mark.parametrize("content", [None, "", "nonsense\n", PAST.note(), PAST.note().replace("30", "20")])
def test_a_state_that_was_lost_or_changed_stops_it(start: Callable[..., Witness], folder: Path,
                                                   content: str | None) -> None:
    start().add_checkpoint(PAST.request())
    (folder / "state").unlink()
    if content is not None:
        (folder / "state").write_text(content)
    with pytest.raises(StateLost):
        start()


def test_two_witnesses_do_not_share_a_state(witness: Witness, folder: Path) -> None:
    with pytest.raises(StateLost, match="another witness"):
        Witness(LOG.verifier(), read_signer(NAME, folder / "witness.key"), folder / "state")
    with pytest.raises(StateLost, match="there already"):
        make(folder / "witness.key", folder / "state")
    (folder / "witness.key").chmod(0o644)
    with pytest.raises(StateLost, match="chmod"):
        read_signer(NAME, folder / "witness.key")


# ------------------------------------------------------------ the contract


def test_asked_to_it_compares_with_the_contract(fresh_world: World, start: Callable[..., Witness]) -> None:
    world, history, chain = fresh_world, anchored(fresh_world, b"\6"), fresh_world.chain
    address = chain.deployment()["FXAuditAnchor"]
    unanchored = History().grown("never anchored")
    strict = start(confirm=Contract(world.anvil.url, address, chain.chain_id).confirm)
    refused = strict.add_checkpoint(unanchored.request())
    assert refused.status == 422 and "another head" in refused.text
    assert start(confirm=Contract(world.anvil.url, address, 1).confirm).add_checkpoint(history.request()).status == 422
    silent = start(confirm=Contract("http://127.0.0.1:9", address, chain.chain_id).confirm)
    assert silent.add_checkpoint(history.request()).status == 503
    strict = start(confirm=Contract(world.anvil.url, address, chain.chain_id).confirm)
    assert strict.add_checkpoint(history.request()).status == 200
    assert strict.add_checkpoint(history.grown("two").request(1)).status == 422


@pytest.mark.parametrize("answer", [
    {}, {"result": None}, {"result": 31337}, {"result": "31337 or so"}, {"error": None}, {"error": "no"}, {"error": {}},
    [], None, "0x7a69"], ids=repr)
def test_a_node_whose_answer_says_nothing_is_silent(start: Callable[..., Witness], answer: object) -> None:
    with answering(answer) as url:
        witness = start(confirm=Contract(url, "0x" + "00" * 20, 31337).confirm)
        given = witness.add_checkpoint(History().grown("one").request())
    assert given.status == 503 and witness.status().status == 404


@contextmanager
def answering(answer: object) -> Iterator[str]:
    """A node that gives one answer to everything; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# ------------------------------------------------------------ the program


def test_the_program_runs_apart_from_the_platform(tmp_path: Path) -> None:
    """Six files, two libraries and a command line; many callers at once; SIGTERM ends it, and it remembers."""
    branches = [History(PAST.roots[:1]).grown(f"branch {n}") for n in range(8)]
    with running(tmp_path) as witness:
        assert witness.status().status_code == 404
        assert witness.add(PAST.request(0, 1)).status_code == 200
        with ThreadPoolExecutor(8) as callers:
            answers = list(callers.map(lambda branch: witness.add(branch.request(1)), branches))
        assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
        conflict = next(answer for answer in answers if answer.status_code == 409)
        assert conflict.headers["content-type"].startswith(SIZE_TYPE) and conflict.text == "20\n"
        assert witness.add(b"x" * 40_000).status_code == 413
        shown = witness.status().text
        asked = subprocess.run(
            [sys.executable, "-m", "scripts.witness", "status", witness.url, "--vkey", witness.key.vkey, "--log",
             LOG.verifier().vkey], cwd=ROOT, capture_output=True, text=True, check=False)
        assert asked.returncode == 0 and "batch 2, positions up to 20" in asked.stdout, asked.stderr
    assert witness.process.returncode == 0
    with running(tmp_path) as witness:
        assert witness.status().text == shown
        assert witness.add(PAST.request(1, 2)).status_code == 409
