"""Signed notes, as others write them and as ours are read; every byte of one that is changed is noticed."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.checkpoint import (
    BatchRecord,
    Checkpoint,
    Inconsistent,
    Tip,
    genesis_of,
    head_after,
    origin_of,
    read_checkpoint,
    replay,
)
from chain.notes import COSIGNATURE, NOTE, BadSignature, Malformed, Signer, Verifier, read_note, read_signature, time_of
from chain.receipts import EntryReceipt, read_receipt

# The example of golang.org/x/mod/sumdb/note: a note of another program, with its published key.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ANSWER = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
LOG = Signer(origin_of("tnt_fintokenx", bytes(32)), b"\1" * 32)
WITNESS = Signer("witness.example.com/w1", b"\2" * 32)
CHECKPOINT = Checkpoint(LOG.name, Tip(3, 72, b"\7" * 32))
RECEIPT = EntryReceipt("ab" * 32, "Zq_-" * 8, 1_779_444_000_000_000, "INVOICE_CONFIRMED", "FX-INV-23A4F", "sub_1")


def test_a_note_of_another_program_is_read_and_checked() -> None:
    verifier = Verifier.read(NEUMANN)
    assert verifier.vkey == NEUMANN and verifier.kind == NOTE
    note = read_note(ANSWER)
    verifier.check(note)
    assert str(note) == ANSWER
    with pytest.raises(BadSignature):
        verifier.check(read_note(ANSWER.replace("answer", "question")))


def test_a_checkpoint_is_countersigned_beside_the_log_s_own_signature() -> None:
    note = LOG.sign(CHECKPOINT.text)
    signature = WITNESS.cosign(note.text, 1_779_444_000)
    both = read_note(str(note) + signature.line)
    LOG.verifier().check(both)
    found = WITNESS.verifier(COSIGNATURE).check(both)
    assert time_of(found) == 1_779_444_000 and found.line == signature.line
    assert read_checkpoint(both.text) == CHECKPOINT
    with pytest.raises(BadSignature):  # the same key under the other type is another key
        WITNESS.verifier(NOTE).check(both)


def test_a_witness_s_line_is_framed_as_the_specification_s_example() -> None:
    """c2sp.org/tlog-cosignature publishes a line and its time, and no key."""
    line = ("— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
            "qhf5nNo0xUe+mbIUBkBIfZ+qnA==")
    signature = read_signature(line)
    assert (signature.name, time_of(signature)) == ("witness.example.com/w1", 1_679_315_147)
    assert signature.line == line + "\n" and len(signature.blob) == len(WITNESS.cosign("x\n", 1).blob)


def test_the_same_text_gets_the_same_signature() -> None:
    assert LOG.sign(CHECKPOINT.text) == LOG.sign(CHECKPOINT.text)
    assert str(RECEIPT.signed(LOG)) == str(RECEIPT.signed(Signer(LOG.name, b"\1" * 32)))


def test_every_changed_character_of_a_note_is_noticed() -> None:
    raw = str(LOG.sign(CHECKPOINT.text)) + WITNESS.cosign(CHECKPOINT.text, 1_779_444_000).line
    dice = random.Random(7)
    for at in range(len(raw)):
        changed = raw[:at] + chr(ord(raw[at]) ^ (1 << dice.randrange(7))) + raw[at + 1 :]
        with pytest.raises((Malformed, BadSignature)):
            note = read_note(changed)
            LOG.verifier().check(note)
            WITNESS.verifier(COSIGNATURE).check(note)


@pytest.mark.parametrize("raw", [
    "", "\n", "text\n", "text\n\n", "text\n\n— name\n", "text\n\n— na me AAAAAAAA\n", "text\n\n— a+b AAAAAAAA\n",
    "text\n\n- name AAAAAAAA\n", "text\n\n— name AAAA\n", "text\n\n— name AAAAAAB=\n", "text\n\n— name AAAAAAAA",
    "text\r\n\n— name AAAAAAAA\n", "text\n\n" + "— name AAAAAAAA\n" * 65,
])
def test_what_is_no_note_is_malformed(raw: str) -> None:
    with pytest.raises(Malformed):
        read_note(raw)


@pytest.mark.parametrize("vkey", ["", "name", "name+00000000", NEUMANN.replace("c74f", "c74e"), NEUMANN[:-4],
                                  NEUMANN.replace("+AR", "+BR"), "a b" + NEUMANN, NEUMANN.replace("Peter", "Pete")])
def test_a_mistyped_key_is_no_key(vkey: str) -> None:
    with pytest.raises(Malformed):
        Verifier.read(vkey)


@given(st.text(max_size=300))
def test_nothing_makes_the_readers_fail_otherwise(raw: str) -> None:
    for read in (read_note, read_signature, Verifier.read, read_checkpoint, BatchRecord.read):
        with suppress(Malformed):
            read(raw)


# ------------------------------------------------------------ checkpoints


def test_batches_lead_from_one_checkpoint_to_the_next() -> None:
    start = genesis_of(LOG.name)
    first, second = BatchRecord(1, 1, 20, b"\3" * 32), BatchRecord(2, 21, 21, b"\4" * 32)
    one = replay(start, [first])
    assert one == Tip(1, 20, head_after(start.head, 1, 1, 20, first.root))
    assert replay(start, [first, second]) == replay(one, [second])
    assert BatchRecord.read(first.line.rstrip("\n")) == first
    for wrong in ([second], [first, first], [first, second._replace(from_position=22)],
                  [first, second._replace(from_position=20)], [first._replace(to_position=0)],
                  [first._replace(batch_id=2)]):
        with pytest.raises(Inconsistent):
            replay(start, wrong)


@pytest.mark.parametrize("text", [
    CHECKPOINT.text.replace("\n72\n", "\n072\n"), CHECKPOINT.text.replace("batch 3", "batch 0"),
    CHECKPOINT.text + "more\n", CHECKPOINT.text[:-1], CHECKPOINT.text.replace("\n72\n", "\n2\n"),
    CHECKPOINT.text.replace("Bwc", "Bw"), CHECKPOINT.text.replace("\n72\n", "\n-72\n"),
    CHECKPOINT.text.replace("\n72\n", f"\n{2**63}\n"), CHECKPOINT.text.replace("\n72\n", "\n٧٢\n")])
def test_a_checkpoint_has_one_form(text: str) -> None:
    with pytest.raises(Malformed):
        read_checkpoint(text)


# ------------------------------------------------------------ receipts


def test_a_receipt_says_what_was_recorded() -> None:
    raw = str(RECEIPT.signed(LOG))
    assert read_receipt(raw, LOG.verifier()) == RECEIPT
    with pytest.raises(BadSignature):
        read_receipt(raw.replace("place Zq", "place Zr"), LOG.verifier())
    with pytest.raises(BadSignature):
        read_receipt(raw, Signer(LOG.name, b"\5" * 32).verifier())
    with pytest.raises(Malformed, match="no receipt"):
        read_receipt(str(LOG.sign(CHECKPOINT.text)), LOG.verifier())
    with pytest.raises(Malformed):
        read_checkpoint(read_note(raw).text)
