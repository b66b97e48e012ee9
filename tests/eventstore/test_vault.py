"""Sealed values open for their subject alone, and for nobody once the subject's key is destroyed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from hypothesis import HealthCheck, given, settings

from domain.party import Personal
from domain.subject import CreateSubject, EnrolStaff, SubmitOnboarding
from eventstore.store import Store
from eventstore.vault import ERASED, Vault
from providers.bank import Account
from tests.eventstore.notes import CONTEXT
from tests.eventstore.strategies import texts
from tests.eventstore.test_store import chain_of

KEK = bytes(range(32))
SUBJECT = "sub_0000000000000001"
PEOPLE = ("Aisha Mahmood", "aisha@coppergate.co.uk", "53910462", "20-48-17", "Priya Raman", "priya@fintokenx.uk")


@pytest.fixture
def vault(store: Store) -> Vault:
    return Vault(store.datastore, KEK)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts)
def test_what_was_sealed_opens(vault: Vault, text: str) -> None:
    sealed = vault.seal(SUBJECT, text)
    assert vault.open(sealed) == text
    assert sealed.subject == SUBJECT
    assert sealed != vault.seal(SUBJECT, text), "equal values do not look equal"


def test_another_process_opens_it(vault: Vault, other_store: Store) -> None:
    sealed = vault.seal(SUBJECT, "Aisha Mahmood")
    assert Vault(other_store.datastore, KEK).open(sealed) == "Aisha Mahmood"


def test_a_value_cannot_be_moved_to_another_subject(vault: Vault) -> None:
    sealed = vault.seal(SUBJECT, "Aisha Mahmood")
    vault.seal("sub_2", "somebody")
    assert vault.open(Personal("sub_2", sealed.sealed)) == ERASED
    assert vault.open(Personal("sub_nobody", sealed.sealed)) == ERASED


def test_tenants_have_keys_of_their_own(store: Store, vault: Vault) -> None:
    sealed = vault.seal(SUBJECT, "Aisha Mahmood")
    other = Vault(store.datastore, KEK, tenant="tnt_other")
    assert other.open(sealed) == ERASED
    other.seal(SUBJECT, "x")
    assert other.open(sealed) == ERASED


def test_the_wrong_key_encryption_key_opens_nothing(store: Store, vault: Vault) -> None:
    sealed = vault.seal(SUBJECT, "Aisha Mahmood")
    with pytest.raises(InvalidUnwrap):
        Vault(store.datastore, bytes(32)).open(sealed)


def test_a_destroyed_key_erases_at_once_and_the_chain_still_verifies(
    store: Store, vault: Vault, owner: psycopg.Connection[Any]
) -> None:
    """The running process has opened the value before; it must not remember the key."""
    sealed = vault.seal(SUBJECT, "Aisha Mahmood")
    store.execute(EnrolStaff(subject=SUBJECT, role="compliance_officer", representative=sealed, email=sealed),
                  context=CONTEXT, key="k")
    assert vault.open(sealed) == "Aisha Mahmood"
    owner.execute("DELETE FROM fx.subject_keys WHERE subject = %s", (SUBJECT,))
    assert vault.open(sealed) == ERASED
    assert vault.open(vault.seal(SUBJECT, "a new life")) == "a new life"
    assert vault.open(sealed) == ERASED
    chain_of(store)


def test_threads_that_seal_first_agree_on_one_key(vault: Vault, store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        sealed = list(threads.map(lambda n: vault.seal(f"sub_{n % 2}", str(n)), range(32)))
    assert [vault.open(value) for value in sealed] == [str(n) for n in range(32)]


def test_sealing_survives_a_lost_connection(vault: Vault, kill: Callable[[], int]) -> None:
    sealed = vault.seal(SUBJECT, "Aisha Mahmood")
    kill()
    assert vault.open(sealed) == "Aisha Mahmood"


def test_no_personal_data_stands_in_the_log(vault: Vault, store: Store, owner: psycopg.Connection[Any]) -> None:
    """Raw bytes of every table and column, after commands that carry names, addresses and accounts."""
    account = vault.seal_struct(SUBJECT, Account(name=PEOPLE[0], sort_code=PEOPLE[3], account_number=PEOPLE[2]))
    store.execute(
        CreateSubject(subject=SUBJECT, role="sme_seller", legal_name="Coppergate Joinery Ltd",
                      company_number="07452983", representative=vault.seal(SUBJECT, PEOPLE[0]),
                      email=vault.seal(SUBJECT, PEOPLE[1]), email_domain="coppergate.co.uk"),
        SubmitOnboarding(subject=SUBJECT, file_number="KYC-1", turnover_pence=1, bank_account=account),
        EnrolStaff(subject="stf_1", role="compliance_officer", representative=vault.seal("stf_1", PEOPLE[4]),
                   email=vault.seal("stf_1", PEOPLE[5])),
        context=CONTEXT, key="k")
    assert msgspec.json.decode(vault.open(account), type=Account).account_number == PEOPLE[2]
    for table in ("audit_entries", "command_keys", "bookmarks", "subject_keys"):
        for (row,) in owner.execute(f"SELECT t::text FROM fx.{table} t"):  # pyright: ignore
            for person in PEOPLE:
                assert person not in row and person.encode().hex() not in row
    bodies = b"".join(bytes(row["body"]) for row in store.rows(1, store.head()))
    assert b"Coppergate Joinery Ltd" in bodies, "a company is not a person; its name may stand"
