"""The bundle's own check of Ed25519 signatures: never more than `cryptography` accepts, and with it on honest keys."""

import json
import random

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chain import anchor, verifier, verify_notes
from chain.bundle import BatchRow, Cosignature, write_bundle
from chain.checkpoint import Checkpoint, Tip, origin_of
from chain.notes import COSIGNATURE, Signer
from chain.verify_notes import L, P, verified
from tests.chain.logbook import Logbook
from tests.chain.test_bundles import ANCHORED_AT, FACTS, batches, log  # noqa: F401
from tests.chain.test_verifier import CREATED_AT, quick

SEED = 22
LOG = Signer(origin_of("ten_main", FACTS.log_id), b"l" * 32)
FIRM, OTHER = Signer("witness.example.com/w1", b"w" * 32), Signer("w2.example.com", b"v" * 32)
SEEN = ANCHORED_AT + 300

# The eight points whose order divides 8, and spellings of them that are not the only one.
OF_ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
SMALL = [0, 1 << 255, 1, P - 1, OF_ORDER_8, P - OF_ORDER_8, OF_ORDER_8 | 1 << 255, (P - OF_ORDER_8) | 1 << 255,
         P, P + 1, 1 | 1 << 255, (P - 1) | 1 << 255]


def theirs(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_rfc_8032_vectors():
    for public, message, signature in (
        ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
         "d25bf5f0595bbe24655141438e7a100b"),
        ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
         "387b2eaeb4302aeeb00d291612bb0c00"),
    ):
        assert verified(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))


def test_it_agrees_with_cryptography_on_true_and_bent_signatures():
    rng, accepted = random.Random(SEED), 0
    for number in range(60):
        key, message = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)), rng.randbytes(number)
        given = [key.public_key().public_bytes_raw(), key.sign(message), message + b"."]
        given[2] = given[2][:-1]
        if number % 3:
            bent = rng.randrange(3 if message else 2)
            raw = bytearray(given[bent])
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
            given[bent] = bytes(raw)
        assert verified(*given) == theirs(*given) == (number % 3 == 0)
        accepted += verified(*given)
    assert accepted == 20


def test_a_number_is_spelt_in_one_way():
    key, message = Ed25519PrivateKey.from_private_bytes(b"k" * 32), b"m"
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"m")
    s = int.from_bytes(signature[32:], "little")
    assert verified(public, signature, message)
    for other in (s + L, s + 2 * L, s + 8 * L, L - s):
        bent = signature[:32] + other.to_bytes(32, "little")
        assert not verified(public, bent, message) and not theirs(public, bent, message)
    for length in (0, 32, 63, 65, 96):
        assert not verified(public, (signature + bytes(32))[:length], message)
        assert not verified((public + bytes(96))[:length], signature, message) or length == 32


def test_these_are_the_points_of_small_order():
    found = [verify_notes.point_of(one.to_bytes(32, "little")) for one in SMALL]
    assert [point is not None for point in found] == [True] * 8 + [False] * 4
    assert all(verify_notes.is_neutral(verify_notes.times(8, point)) for point in found if point)


@pytest.mark.parametrize("point", SMALL)
def test_a_key_of_small_order_signs_nothing(point):
    """Under such a key a signature can be made that holds for many messages; the library lets some of them pass."""
    public = point.to_bytes(32, "little")
    for first in SMALL:
        for number in range(4):
            assert not verified(public, first.to_bytes(32, "little") + bytes(32), b"%d" % number)
    neutral = (1).to_bytes(32, "little")
    assert point != 1 or theirs(public, neutral + bytes(32), b"anything")


# ---------------------------------------------------------------- in a bundle


@pytest.fixture
def signed(tmp_path, log, batches):  # noqa: F811
    """Writes a bundle with countersignatures of (batch, witness, time), checks it, and returns the verdicts."""
    def write(*given: tuple[int, Signer, int], **options):
        lines = [Cosignature(number, signer.name, signer.cosign(text_of(batches, number), time).line)
                 for number, signer, time in given]
        write_bundle(tmp_path / "b", FACTS, log.entries, batches, log.hashes, CREATED_AT, cosignatures=lines, log=LOG)
        return quick(tmp_path / "b", "log", LOG.verifier().vkey, *[one for pair in options.items() for one in pair])
    return write


def text_of(rows, number: int) -> str:
    row = rows[number - 1]
    return Checkpoint(LOG.name, Tip(number, row.to_position, row.head)).text


def pinned(*signers: Signer) -> list[str]:
    return [signer.verifier(COSIGNATURE).vkey for signer in signers]


def test_the_logs_signature_is_checked(signed, tmp_path):
    verdicts = signed()
    assert verdicts["authenticity"][0] == "NOT PROVED"
    assert verdicts["authenticity"][1].endswith("; the log signed the head of batch 3")
    path = tmp_path / "b" / "manifest.json"
    honest = json.loads(path.read_text())
    for checkpoint, why in (
        (honest["checkpoint"].replace("\nbatch 3\n", "\nbatch 2\n"), "is of another head than its last batch"),
        (str(Signer(LOG.name, b"x" * 32).sign(honest["checkpoint"].partition("\n\n")[0] + "\n")), "has not signed"),
    ):
        path.write_text(json.dumps(honest | {"checkpoint": checkpoint}))
        verdict, said = quick(tmp_path / "b", "log", LOG.verifier().vkey)["authenticity"]
        assert verdict == "FAIL" and why in said
    path.write_text(json.dumps(honest | {"checkpoint": ""}))
    assert "has no checkpoint" in quick(tmp_path / "b", "log", LOG.verifier().vkey)["authenticity"][1]
    other = Signer(origin_of("ten_main", b"o" * 32), b"l" * 32).verifier().vkey
    assert quick(tmp_path / "b", "log", other)["authenticity"] == (
        "FAIL", f"the key {other.partition('+')[0]} is of another log")


def test_a_countersignatures_time_gives_freshness_offline(signed):
    verdicts = signed((3, FIRM, SEEN), witness=pinned(FIRM))
    assert verdicts["freshness"] == (
        "PASS", "the newest countersignature is not older than the newest entry; the log signed the head of batch 3; "
        "countersigned by 1 of the witnesses given")
    verdicts = signed((3, FIRM, ANCHORED_AT - 4_000), witness=pinned(FIRM))
    assert verdicts["freshness"][0] == "FAIL"


@pytest.mark.parametrize(("given", "quorum", "words"), [
    ([], None, "; provisional: batches 1 to 3 have fewer than 2 countersignatures"),
    ([(2, FIRM)], 1, "; provisional: batches 3 to 3 have fewer than 1 countersignatures"),
    ([(3, FIRM), (2, OTHER)], None, "; provisional: batches 3 to 3 have fewer than 2 countersignatures"),
    ([(3, FIRM), (2, OTHER)], 1, "; countersigned by 1 of the witnesses given"),
    ([(3, FIRM), (3, OTHER)], None, "; countersigned by 2 of the witnesses given"),
])
def test_only_pinned_keys_count(signed, given, quorum, words):
    found = signed(*((number, signer, SEEN) for number, signer in given), witness=pinned(FIRM, OTHER), quorum=quorum)
    assert found["authenticity"][1].endswith(words)
    assert found["freshness"][0] == ("NOT PROVED" if "provisional" in words else "PASS")


def test_a_forged_countersignature_fails(signed, tmp_path):
    stolen = Signer(FIRM.name, b"s" * 32)
    assert "provisional" in signed((3, stolen, SEEN), witness=pinned(FIRM))["authenticity"][1], "another key's id"
    signed((2, FIRM, SEEN), witness=pinned(FIRM))
    path = tmp_path / "b" / "batches.json"
    rows = json.loads(path.read_text())
    rows[2]["cosignatures"] = rows[1]["cosignatures"]
    path.write_text(json.dumps(rows))
    verdicts = quick(tmp_path / "b", "log", LOG.verifier().vkey, "witness", pinned(FIRM))
    assert verdicts["authenticity"] == ("FAIL", f"the countersignature of batch 3 is not {FIRM.name}'s")


def test_batches_of_ones_own_have_no_countersignatures(tmp_path, log, batches):  # noqa: F811
    """Rewritten as a whole: the witness's line is over another head, and taking it out leaves the batch provisional."""
    forged = Logbook()
    for number in range(11, 16):
        forged.invoice_story(number)
    line = Cosignature(1, FIRM.name, FIRM.cosign(text_of(batches, 1), SEEN).line)
    made = anchor.make_batch(1, list(enumerate(forged.hashes(1, 40), 1)), anchor.genesis_head(FACTS.log_id))
    row = BatchRow(1, 1, 40, made.root, made.prev_head, made.head, "0x" + "44" * 32, 1, ANCHORED_AT)
    for lines, verdict in (([line], "FAIL"), ([], "NOT PROVED")):
        write_bundle(tmp_path / "b", FACTS, forged.entries, [row], forged.hashes, CREATED_AT, cosignatures=lines)
        found = quick(tmp_path / "b", "log", LOG.verifier().vkey, "witness", pinned(FIRM))
        assert found["integrity"][0] == "PASS" and found["authenticity"][0] == verdict
        assert found["freshness"][0] == "NOT PROVED"


@pytest.mark.parametrize("options", [
    ["--witness", "W"], ["--log", "LOG", "--quorum", "1"], ["--log", "LOG", "--witness", "W", "--quorum", "2"],
    ["--log", "LOG", "--witness", "W", "--quorum", "0"], ["--log", "no+key"], ["--log", "W"],
    ["--log", "LOG", "--witness", "LOG"], ["--log", "LOG", "--witness", "W2"],
])
def test_keys_that_are_none_exit_with_2(signed, tmp_path, capsys, options: list[str]):
    signed()
    firm = pinned(FIRM)[0]
    vkeys = {"LOG": LOG.verifier().vkey, "W": firm, "W2": firm.replace("+", "+0", 1)}
    try:
        code = verifier.main([str(tmp_path / "b"), *[vkeys.get(option, option) for option in options]])
    except SystemExit as ended:
        code = ended.code
    assert code == 2 and capsys.readouterr().err
    assert verifier.main([str(tmp_path / "b"), "--log", vkeys["LOG"], "--witness", vkeys["W"]]) == 0


def test_keys_are_read_as_the_platform_writes_them():
    log_key, [witness] = verify_notes.read_keys(LOG.verifier().vkey, pinned(FIRM))
    assert (log_key.name, log_key.key_id, log_key.public) == (
        LOG.name, LOG.verifier().key_id, LOG.verifier().public)
    assert (witness.name, witness.key_id) == (FIRM.name, FIRM.verifier(COSIGNATURE).key_id)
