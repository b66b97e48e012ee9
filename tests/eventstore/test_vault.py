"""Sealed values open for their subject alone, and for nobody once its key is destroyed; broken is never 'erased'."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import HealthCheck, given, settings

from domain.credit import CreditText, RecordCredit
from domain.party import Personal
from domain.subject import CreateSubject, EnrolStaff, ProveMailbox, SubmitOnboarding
from eventstore import vault as vaults
from eventstore.access import VAULT, Access
from eventstore.store import Store
from eventstore.vault import ERASED, TOMBSTONE, UNREADABLE, KekInUse, SubjectGone, Vault
from eventstore.wrapping import BrokenSeal, KeyMissing, SealError, Several, Wrapped
from providers.bank import Account
from providers.keys.local import FIRST, KeyRing
from tests.conftest import access_to
from tests.eventstore.notes import CONTEXT
from tests.eventstore.strategies import texts
from tests.eventstore.test_store import chain_of

KEK = bytes(range(32))
SUBJECT, TENANT = "sub_0000000000000001", "tnt_fintokenx"
PEOPLE = ("Aisha Mahmood", "aisha@coppergate.co.uk", "53910462", "20-48-17", "Priya Raman", "priya@fintokenx.uk",
          "Jane Doe")


@pytest.fixture
def pool(access: Access) -> Iterator[Any]:
    with access.pool(VAULT) as opened:
        yield opened


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "key_ring.json", KEK)


@pytest.fixture
def vault(pool: Any, ring: KeyRing) -> Vault:
    return Vault(pool, ring, TENANT)


@pytest.fixture
def sealed(vault: Vault) -> Personal:
    return vault.seal(SUBJECT, "Aisha Mahmood")


def key_row(owner: psycopg.Connection[Any], subject: str = SUBJECT) -> tuple[str, bytes]:
    found = owner.execute("SELECT kek, wrapped FROM vault.subject_keys WHERE subject = %s", (subject,)).fetchone()
    assert found is not None
    return found[0], bytes(found[1])


def put_key(owner: psycopg.Connection[Any], kek: str, wrapped: bytes, subject: str = SUBJECT) -> None:
    """As a restore would, which no trigger sees."""
    owner.execute("SET session_replication_role = replica")
    owner.execute("UPDATE vault.subject_keys SET kek = %s, wrapped = %s WHERE subject = %s", (kek, wrapped, subject))


def flipped(sealed: Personal, at: int) -> Personal:
    raw = bytearray(base64.b64decode(sealed.sealed))
    raw[at] ^= 1
    return Personal(sealed.subject, base64.b64encode(raw).decode())


# ---------------------------------------------------------------- sealing and opening


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts)
def test_what_was_sealed_opens(vault: Vault, text: str) -> None:
    sealed = vault.seal(SUBJECT, text)
    assert vault.open(sealed) == vault.reveal(sealed) == vault.show(sealed) == text
    assert sealed.subject == SUBJECT
    assert sealed != vault.seal(SUBJECT, text), "equal values do not look equal"


def test_a_file_opens_by_its_label_alone(vault: Vault) -> None:
    sealed = vault.seal_bytes(SUBJECT, b"%PDF an invoice", "document 1")
    assert b"invoice" not in sealed and vault.open_bytes(SUBJECT, sealed, "document 1") == b"%PDF an invoice"
    for subject, label in ((SUBJECT, "document 2"), ("sub_2", "document 1")):
        with pytest.raises(SealError):
            vault.open_bytes(subject, sealed, label)
    with pytest.raises(BrokenSeal):
        vault.open(Personal(SUBJECT, base64.b64encode(sealed).decode()))


def test_another_process_opens_it(sealed: Personal, access: Access, tmp_path: Path) -> None:
    with access.pool(VAULT) as pool:
        assert Vault(pool, KeyRing(tmp_path / "key_ring.json", KEK), TENANT).open(sealed) == "Aisha Mahmood"


def test_tenants_have_keys_of_their_own(database: str, vault: Vault, sealed: Personal, ring: KeyRing) -> None:
    with access_to(database, "tnt_other").pool(VAULT) as pool:
        other = Vault(pool, ring, "tnt_other")
        with pytest.raises(KeyMissing):
            other.open(sealed)
        other.seal(SUBJECT, "x")
        with pytest.raises(BrokenSeal):
            other.open(sealed)
        other.destroy(SUBJECT)
        assert other.status() == {TOMBSTONE: 1}
    assert vault.open(sealed) == "Aisha Mahmood" and vault.status() == {FIRST: 1}


def test_threads_that_seal_first_agree_on_one_key(vault: Vault) -> None:
    with ThreadPoolExecutor(8) as threads:
        sealed = list(threads.map(lambda n: vault.seal(f"sub_{n % 2}", str(n)), range(32)))
    assert [vault.open(value) for value in sealed] == [str(n) for n in range(32)]


def test_sealing_survives_a_lost_connection(vault: Vault, sealed: Personal, owner: psycopg.Connection[Any]) -> None:
    ended = owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                          "WHERE datname = current_database() AND usename = 'fx_vault'").fetchall()
    assert ended
    assert vault.open(sealed) == "Aisha Mahmood"


# ---------------------------------------------------------------- broken is not erased


@pytest.mark.parametrize("at", [0, 12, -1], ids=["nonce", "content", "tag"])
def test_a_changed_value_is_broken_and_not_erased(vault: Vault, sealed: Personal, at: int) -> None:
    with pytest.raises(BrokenSeal):
        vault.open(flipped(sealed, at))
    assert vault.show(flipped(sealed, at)) == UNREADABLE


@pytest.mark.parametrize("value", ["", "AAAA", "not base64!", base64.b64encode(b"x" * 40).decode()])
def test_what_was_never_sealed_is_broken(vault: Vault, sealed: Personal, value: str) -> None:
    with pytest.raises(BrokenSeal):
        vault.open(Personal(SUBJECT, value))


def test_a_value_cannot_be_moved_to_another_subject(vault: Vault, sealed: Personal) -> None:
    vault.seal("sub_2", "somebody")
    with pytest.raises(BrokenSeal):
        vault.open(Personal("sub_2", sealed.sealed))
    with pytest.raises(KeyMissing):
        vault.open(Personal("sub_nobody", sealed.sealed))


def test_a_key_cannot_be_moved_to_another_subject(vault: Vault, sealed: Personal,
                                                  owner: psycopg.Connection[Any]) -> None:
    """Whoever may write the table gives sub_2 the key of SUBJECT: it does not open there."""
    vault.seal("sub_2", "somebody")
    put_key(owner, *key_row(owner), subject="sub_2")
    with pytest.raises(BrokenSeal):
        vault.open(Personal("sub_2", sealed.sealed))


def test_the_wrong_key_encryption_key_opens_nothing(pool: Any, sealed: Personal, tmp_path: Path) -> None:
    wrong = Vault(pool, KeyRing(tmp_path / "wrong.json", bytes(32)), TENANT)
    with pytest.raises(BrokenSeal):
        wrong.open(sealed)
    assert wrong.show(sealed) == UNREADABLE


def test_a_key_under_an_unknown_key_encryption_key_is_missing(vault: Vault, sealed: Personal,
                                                               owner: psycopg.Connection[Any]) -> None:
    for kek in ("local-9", "transit:fintokenx:v1"):
        put_key(owner, kek, key_row(owner)[1])
        with pytest.raises(SealError):
            vault.open(sealed)


def test_an_unreadable_value_is_logged_without_its_content(vault: Vault, sealed: Personal,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(vaults.log, "error", lambda *args, **fields: said.append((args, fields)))
    vault.show(flipped(sealed, -1))
    assert said == [(("seal.unreadable",), {"subject": SUBJECT, "problem": "BrokenSeal"})]


# ---------------------------------------------------------------- erasing


def test_a_destroyed_key_erases_at_once_and_the_chain_still_verifies(store: Store, vault: Vault,
                                                                     sealed: Personal) -> None:
    """The running process has opened the value before; it must not remember the key."""
    store.execute(EnrolStaff(subject=SUBJECT, role="compliance_officer", representative=sealed, email=sealed),
                  context=CONTEXT, key="k")
    assert vault.open(sealed) == "Aisha Mahmood"
    for _ in range(2):
        vault.destroy(SUBJECT)
        assert vault.open(sealed) == vault.show(sealed) == ERASED
    with pytest.raises(SubjectGone):
        vault.reveal(sealed)
    chain_of(store)


def test_nothing_is_kept_about_an_erased_subject_any_more(vault: Vault, sealed: Personal) -> None:
    """A late writer gets no new key, neither for the subject nor for one that never had any."""
    vault.destroy(SUBJECT)
    vault.destroy("sub_never")
    for subject in (SUBJECT, "sub_never"):
        with pytest.raises(SubjectGone):
            vault.seal(subject, "a new life")
        with pytest.raises(SubjectGone):
            vault.seal_bytes(subject, b"a new life", "document")
    assert vault.status() == {TOMBSTONE: 2}


def test_whoever_seals_while_the_key_is_destroyed_is_refused(vault: Vault, sealed: Personal) -> None:
    def write(n: int) -> str:
        try:
            return vault.open(vault.seal(SUBJECT, str(n)))
        except SubjectGone:
            return "refused"

    with ThreadPoolExecutor(4) as threads:
        writes = [threads.submit(write, n) for n in range(24)]
        vault.destroy(SUBJECT)
        outcomes = [done.result() for done in writes]
    assert vault.open(sealed) == ERASED and vault.status() == {TOMBSTONE: 1}
    assert all(outcome in (str(n), "refused", ERASED) for n, outcome in enumerate(outcomes))


def test_a_key_that_a_backup_brought_back_is_destroyed_again(vault: Vault, sealed: Personal,
                                                             owner: psycopg.Connection[Any]) -> None:
    backup = key_row(owner)
    vault.destroy(SUBJECT)
    assert vault.reapply([SUBJECT]) == []
    put_key(owner, *backup)
    assert vault.open(sealed) == "Aisha Mahmood", "a restored backup brings the key back"
    owner.execute("INSERT INTO vault.subject_keys (tenant_id, subject, kek, wrapped) VALUES (%s, 'sub_2', %s, %s)",
                  (TENANT, *backup))
    assert vault.reapply([SUBJECT, "sub_lost"]) == [SUBJECT, "sub_lost"]
    assert vault.open(sealed) == ERASED
    assert vault.status() == {TOMBSTONE: 2, FIRST: 1}, "nobody else is touched"
    with pytest.raises(SubjectGone):
        vault.seal("sub_lost", "whose tombstone the backup had lost")


# ---------------------------------------------------------------- rotating


def test_a_rotation_rewraps_every_key_and_the_old_one_can_go(vault: Vault, ring: KeyRing) -> None:
    sealed = [vault.seal(f"sub_{n}", str(n)) for n in range(7)]
    vault.destroy("sub_3")
    with pytest.raises(KekInUse):
        vault.require_unused(FIRST)
    assert ring.add() == "local-2" and vault.current() == "local-2"
    with pytest.raises(KekInUse, match="6 data key"):
        vault.require_unused(FIRST)
    assert vault.rewrap_all(batch=2) == (6, ())
    assert vault.rewrap_all(batch=2) == (0, ())
    assert vault.status() == {TOMBSTONE: 1, "local-2": 6}
    vault.require_unused(FIRST)
    ring.drop(FIRST)
    assert [vault.open(value) for value in sealed] == ["0", "1", "2", ERASED, "4", "5", "6"]
    with pytest.raises(KekInUse):
        vault.require_unused("local-2")


def test_a_rotation_that_was_stopped_goes_on(vault: Vault, ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = [vault.seal(f"sub_{n}", str(n)) for n in range(5)]
    ring.add()
    rewrap, left = ring.rewrap, iter(range(3))

    def dies(key: Wrapped, owner: str) -> Wrapped:
        next(left)
        return rewrap(key, owner)

    monkeypatch.setattr(ring, "rewrap", dies)
    with pytest.raises(StopIteration):
        vault.rewrap_all(batch=2)
    monkeypatch.undo()
    assert vault.status() == {FIRST: 2, "local-2": 3}
    assert [vault.open(value) for value in sealed] == list("01234")
    assert vault.rewrap_all(batch=2).moved == 2


def test_a_rotation_overwrites_no_tombstone(vault: Vault, ring: KeyRing, sealed: Personal,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """The subject is erased between the moment its key is read and the moment it would be written."""
    ring.add()
    rewrap = ring.rewrap

    def meanwhile(key: Wrapped, owner: str) -> Wrapped:
        vault.destroy(SUBJECT)
        return rewrap(key, owner)

    monkeypatch.setattr(ring, "rewrap", meanwhile)
    assert vault.rewrap_all() == (0, ())
    assert vault.open(sealed) == ERASED


def test_a_key_that_does_not_open_stops_no_rotation(vault: Vault, ring: KeyRing, sealed: Personal,
                                                    owner: psycopg.Connection[Any]) -> None:
    vault.seal("sub_2", "somebody")
    put_key(owner, FIRST, b"\x01" + bytes(60))
    ring.add()
    assert vault.rewrap_all() == (1, (SUBJECT,))
    assert vault.status() == {FIRST: 1, "local-2": 1}


def test_keys_of_the_first_release_open_and_are_bound_by_the_next_rotation(
    vault: Vault, ring: KeyRing, sealed: Personal, owner: psycopg.Connection[Any]
) -> None:
    key = ring.unwrap(Wrapped(*key_row(owner)), f"{TENANT}/{SUBJECT}")
    put_key(owner, FIRST, aes_key_wrap(KEK, key))
    assert vault.open(sealed) == "Aisha Mahmood"
    ring.add()
    assert vault.rewrap_all().moved == 1
    assert len(key_row(owner)[1]) == 61 and vault.open(sealed) == "Aisha Mahmood"


def test_moving_to_another_keeper_is_a_rotation(pool: Any, vault: Vault, sealed: Personal, ring: KeyRing) -> None:
    class Keeper:
        def current(self) -> str:
            return "kms:1"

        def knows(self, kek: str) -> bool:
            return kek == "kms:1"

        def wrap(self, data_key: bytes, owner: str) -> Wrapped:
            return Wrapped("kms:1", owner.encode() + data_key)

        def unwrap(self, key: Wrapped, owner: str) -> bytes:
            return key.wrapped.removeprefix(owner.encode())

        def rewrap(self, key: Wrapped, owner: str) -> Wrapped:
            return key

    moved = Vault(pool, Several(Keeper(), ring), TENANT)
    assert moved.open(sealed) == "Aisha Mahmood"
    assert moved.rewrap_all().moved == 1 and moved.status() == {"kms:1": 1}
    assert moved.open(sealed) == "Aisha Mahmood"
    with pytest.raises(KeyMissing):
        vault.open(sealed)


def test_the_key_ring_is_the_owners_alone_and_is_read_afresh(ring: KeyRing, tmp_path: Path) -> None:
    path = tmp_path / "key_ring.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    beside = KeyRing(path, bytes(32))
    made = ring.add()
    assert beside.current() == made == "local-2" and beside.ids() == (FIRST, "local-2")
    with pytest.raises(ValueError, match="current"):
        ring.drop(made)
    with pytest.raises(KeyMissing):
        ring.drop("local-7")
    ring.drop(FIRST)
    assert ring.add() == "local-3" and stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ValueError, match="32 bytes"):
        KeyRing(tmp_path / "short.json", b"short")
    assert "keys" in repr(msgspec.json.decode(path.read_bytes())) and list(tmp_path.glob("*.json.*")) == []


# ---------------------------------------------------------------- what stands in the log


def test_no_personal_data_stands_in_the_log(vault: Vault, store: Store, owner: psycopg.Connection[Any]) -> None:
    """Raw bytes of every table and column, after commands that carry names, addresses and accounts."""
    account = vault.seal_struct(SUBJECT, Account(name=PEOPLE[0], sort_code=PEOPLE[3], account_number=PEOPLE[2]))
    said = vault.seal_struct(SUBJECT, CreditText("rent from Jane Doe", PEOPLE[6]))
    store.execute(
        CreateSubject(subject=SUBJECT, role="sme_seller", legal_name="Coppergate Joinery Ltd",
                      company_number="07452983", representative=vault.seal(SUBJECT, PEOPLE[0]),
                      email=vault.seal(SUBJECT, PEOPLE[1]), email_domain="coppergate.co.uk"),
        ProveMailbox(subject=SUBJECT, number=1, given="A", expected="A"),
        SubmitOnboarding(subject=SUBJECT, file_number="KYC-1", turnover_pence=1, bank_account=account),
        EnrolStaff(subject="stf_1", role="compliance_officer", representative=vault.seal("stf_1", PEOPLE[4]),
                   email=vault.seal("stf_1", PEOPLE[5])),
        RecordCredit(credit="crd_1", sort_code="040075", account_number="10000001", pence=1, currency="GBP",
                     reference=None, said=said, received_at=CONTEXT.now),
        context=CONTEXT, key="k")
    assert msgspec.json.decode(vault.open(account), type=Account).account_number == PEOPLE[2]
    for table in ("fx.audit_entries", "fx.command_keys", "fx.bookmarks", "vault.subject_keys"):
        for (row,) in owner.execute(f"SELECT t::text FROM {table} t"):  # pyright: ignore
            for person in PEOPLE:
                assert person not in row and person.encode().hex() not in row
    bodies = b"".join(bytes(row["body"]) for row in store.rows(1, store.head()))
    assert b"Coppergate Joinery Ltd" in bodies, "a company is not a person; its name may stand"
