import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from eventstore.access import VAULT, Access
from eventstore.vault import Vault
from eventstore.wrapping import BrokenSeal, KeyMissing, Several, Wrapped
from providers.errors import Final, Retryable
from providers.keys.local import KeyRing
from providers.keys.transit import Transit
from tests.providers.conftest import CREDENTIALS, Simulators

OWNER, OTHER = "tnt_fintokenx/sub_1", "tnt_fintokenx/sub_2"
KEY = bytes(range(32))


ROTATE = """
import sys, time
from pathlib import Path
from providers.keys.local import KeyRing
path, first, begin = Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), float(sys.argv[3])
time.sleep(max(0.0, begin - time.time()))
ring = KeyRing(path, first)
for turn in range(12):
    made = ring.add()
    key = ring.wrap(bytes(32), made)
    print(made, key.kek, key.wrapped.hex(), flush=True)
    if turn % 3 == 2 and made != ring.current():
        ring.drop(made)
        print("dropped", made, "-", flush=True)
"""
"""What several processes do at once: make the ring, add to it, wrap, and now and then drop one of their own."""


@pytest.fixture
def kms(simulators: Simulators) -> Iterator[Transit]:
    yield Transit(f"{simulators.url}/kms", CREDENTIALS.kms_token, "fintokenx")
    simulators.control("/kms/control/retire", min_decryption_version=1)


def test_a_wrapped_key_comes_back_to_its_owner_alone(kms: Transit):
    wrapped = kms.wrap(KEY, OWNER)
    assert wrapped.kek == kms.current() and wrapped.wrapped.startswith(b"vault:v")
    assert kms.knows(wrapped.kek) and not kms.knows("local-1") and not kms.knows("transit:other:v1")
    assert kms.unwrap(wrapped, OWNER) == KEY
    assert kms.wrap(KEY, OWNER) != wrapped, "equal keys do not look equal"
    with pytest.raises(BrokenSeal):
        kms.unwrap(wrapped, OTHER)


def test_a_rotation_rewraps_without_showing_the_key_and_old_versions_retire(kms: Transit, simulators: Simulators):
    old = kms.wrap(KEY, OWNER)
    latest = simulators.control("/kms/control/rotate")["latest_version"]
    assert kms.current() == f"transit:fintokenx:v{latest}" != old.kek
    fresh = kms.rewrap(old, OWNER)
    assert fresh.kek == kms.current() and kms.unwrap(fresh, OWNER) == KEY == kms.unwrap(old, OWNER)
    with pytest.raises(BrokenSeal):
        kms.rewrap(old, OTHER)
    simulators.control("/kms/control/retire", min_decryption_version=latest)
    with pytest.raises(KeyMissing):
        kms.unwrap(old, OWNER)
    assert kms.unwrap(fresh, OWNER) == KEY


@pytest.mark.parametrize("wrapped", [b"", b"vault:v1:", b"vault:v1:AAAA", b"vault:v1:!!!!", b"\xff\x00", b"local"])
def test_what_is_no_wrapped_key_is_broken(kms: Transit, wrapped: bytes):
    with pytest.raises(BrokenSeal):
        kms.unwrap(Wrapped("transit:fintokenx:v1", wrapped), OWNER)


def test_a_version_that_never_was_is_missing(kms: Transit):
    with pytest.raises(KeyMissing):
        kms.unwrap(Wrapped("transit:fintokenx:v999", b"vault:v999:AAAA"), OWNER)


def test_the_kms_insists_on_its_token_and_knows_its_keys(simulators: Simulators):
    with pytest.raises(Final, match="unauthorised"):
        Transit(f"{simulators.url}/kms", "guess", "fintokenx").wrap(KEY, OWNER)
    unknown = Transit(f"{simulators.url}/kms", CREDENTIALS.kms_token, "another")
    with pytest.raises(KeyMissing):
        unknown.wrap(KEY, OWNER)
    with pytest.raises(Final, match="not_found"):
        unknown.current()


def test_an_outage_is_retryable(kms: Transit, simulators: Simulators):
    wrapped = kms.wrap(KEY, OWNER)
    simulators.control("/kms/control/outage")
    try:
        for ask in (kms.current, lambda: kms.wrap(KEY, OWNER), lambda: kms.unwrap(wrapped, OWNER)):
            with pytest.raises(Retryable):
                ask()
    finally:
        simulators.control("/kms/control/outage", on=False)


def test_a_vault_over_the_kms_rotates_with_it_and_moves_there_from_a_file(
    kms: Transit, simulators: Simulators, access: Access, tmp_path: Path
):
    ring = KeyRing(tmp_path / "key_ring.json", KEY)
    with access.pool(VAULT) as pool:
        sealed = Vault(pool, ring, "tnt_fintokenx").seal("sub_1", "Aisha Mahmood")
        vault = Vault(pool, Several(kms, ring), "tnt_fintokenx")
        assert vault.open(sealed) == "Aisha Mahmood"
        assert vault.rewrap_all() == (1, ()) and vault.status() == {kms.current(): 1}
        simulators.control("/kms/control/rotate")
        other = vault.seal("sub_2", "Tom Whitfield")
        assert vault.rewrap_all() == (1, ()) and vault.status() == {kms.current(): 2}
        simulators.control("/kms/control/outage")
        with pytest.raises(Retryable):
            vault.open(sealed)
        vault.destroy("sub_1")  # needs no KMS
        assert vault.open(sealed) == "[erased]", "nor does saying so"
        simulators.control("/kms/control/outage", on=False)
        assert vault.open(other) == "Tom Whitfield"


def test_processes_that_rotate_at_once_lose_no_key_and_share_no_id(tmp_path: Path):
    path, begin = tmp_path / "key_ring.json", time.time() + 1.5
    started = [subprocess.Popen([sys.executable, "-c", ROTATE, str(path), KEY.hex(), str(begin)],
                                stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [line.split() for process in started for line in process.communicate(timeout=60)[0].splitlines()]
    assert [process.returncode for process in started] == [0] * 4
    dropped = {kek for word, kek, _ in said if word == "dropped"}
    made = [(own, kek, bytes.fromhex(wrapped)) for own, kek, wrapped in said if own != "dropped"]
    assert sorted(own for own, _, _ in made) == sorted(f"local-{2 + n}" for n in range(48))
    ring = KeyRing(path, bytes(32))
    assert set(ring.ids()) == {"local-1", *(own for own, _, _ in made)} - dropped
    for own, kek, wrapped in made:
        if kek not in dropped:
            assert ring.unwrap(Wrapped(kek, wrapped), own) == bytes(32)
    assert {found.name for found in tmp_path.iterdir()} == {"key_ring.json", "key_ring.lock"}
    assert (tmp_path / "key_ring.lock").stat().st_mode & 0o777 == 0o600


def test_an_id_never_comes_twice(tmp_path: Path):
    ring = KeyRing(tmp_path / "key_ring.json", KEY)
    assert ring.add() == "local-2"
    ring.drop("local-1")
    with pytest.raises(ValueError, match="current"):
        ring.drop("local-2")
    with pytest.raises(KeyMissing):
        ring.drop("local-1")
    assert ring.add(["local-7", "erased", "transit:fintokenx:v9", "local-x"]) == "local-8"
    assert ring.add(["local-7"]) == "local-9"


@pytest.mark.parametrize(("status", "said", "error"), [
    (500, "1 error occurred:\n\t* cipher: message authentication failed", BrokenSeal),
    (400, "invalid ciphertext: could not decrypt", BrokenSeal),
    (400, "ciphertext or signature version is disallowed by policy (too old)", KeyMissing),
    (400, "encryption key not found", KeyMissing), (500, "internal error", Retryable),
    (400, "missing 'context' for key derivation", Final), (503, "Vault is sealed", Retryable),
    (403, "permission denied", Final),
])
def test_what_the_kms_answers_is_sorted(answering: Callable[..., str], status: int, said: str,
                                        error: type[Exception]):
    """Some releases answer 500 where a value does not authenticate (hashicorp/vault#10842)."""
    kms = Transit(answering(status, {"errors": [said]}), "t", "k")
    with pytest.raises(error):
        kms.unwrap(Wrapped("transit:k:v1", b"vault:v1:AAAA"), OWNER)


@pytest.mark.parametrize(("body", "error"), [
    ({"data": {"latest_version": 2, "derived": False}}, Final), ({"data": {}}, Retryable)])
def test_a_key_that_binds_nothing_is_refused(answering: Callable[..., str], body: Any, error: type[Exception]):
    with pytest.raises(error):
        Transit(answering(200, body), "t", "k").current()


def test_a_ciphertext_that_is_none_is_refused(answering: Callable[..., str]):
    with pytest.raises(Final, match="unreadable"):
        Transit(answering(200, {"data": {"ciphertext": "plain"}}), "t", "k").wrap(KEY, OWNER)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A KMS that gives one answer, whatever it is asked."""

    def answer(status: int, body: Any) -> str:
        transport = httpx.MockTransport(lambda _: httpx.Response(status, content=msgspec.json.encode(body)))
        client = httpx.Client
        monkeypatch.setattr(httpx, "Client", lambda **given: client(
            base_url=given["base_url"], transport=transport))
        return "http://kms.example"

    return answer


def test_the_page_shows_versions(simulators: Simulators):
    page = simulators.client.get(f"{simulators.url}/kms/").text
    assert "current" in page and "Rotate" in page
    refused = simulators.client.post(f"{simulators.url}/kms/control/retire", json={"min_decryption_version": 999})
    assert refused.status_code == 400
