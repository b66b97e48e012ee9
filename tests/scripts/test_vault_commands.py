"""`fx vault` on a home and a database of its own: what an operator sees, rotates, drops and applies again."""

from __future__ import annotations

import io
from collections.abc import Callable

import msgspec
import pytest
from rich.console import Console

import bootstrap
from bootstrap import Settings, SetupError, load_secrets, open_database
from domain.base import Context
from domain.party import COMPLIANCE, SYSTEM
from domain.subject import CloseRelationship, CreateSubject, EraseSubject
from eventstore.vault import ERASED, SubjectGone, Vault
from projections.base import rebuild
from projections.catalogue import PROJECTIONS
from scripts import vault as commands
from scripts.story import BEGINS

SUBJECT = "sub_1"


@pytest.fixture
def home(settings: Settings) -> Settings:
    open_database(settings, load_secrets(settings.home), migrate=True)
    return settings


@pytest.fixture
def vault(home: Settings) -> Vault:
    return bootstrap.open_vault(home, load_secrets(home.home))


@pytest.fixture
def said(home: Settings) -> Callable[..., str]:
    def run(command: Callable[..., object], *words: str) -> str:
        out = Console(file=io.StringIO(), width=200)
        command(home, *words, out)
        return out.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    return run


def test_a_rotation_from_the_first_key_to_the_last_copy_of_it(home: Settings, vault: Vault,
                                                              said: Callable[..., str]) -> None:
    sealed = vault.seal(SUBJECT, "Aisha Mahmood")
    first = load_secrets(home.home).key_encryption_key
    assert "local-1" in said(commands.show_status) and "current" in said(commands.show_status)
    with pytest.raises(SetupError, match="rotate first"):
        said(commands.drop_key, "local-1")
    told = said(commands.rotate_keys)
    assert "new key-encryption key local-2" in told and "1 subjects' keys now stand under local-2" in told
    assert "is gone" in said(commands.drop_key, "local-1")
    assert vault.open(sealed) == "Aisha Mahmood"
    assert load_secrets(home.home).key_encryption_key != first, "no copy of it stays among the secrets"
    assert bootstrap.open_vault(home, load_secrets(home.home)).open(sealed) == "Aisha Mahmood"


def test_a_key_that_is_not_there_is_said_to_be_missing(home: Settings, said: Callable[..., str]) -> None:
    with pytest.raises(SetupError) as refused:
        said(commands.drop_key, "nosuch")
    assert str(refused.value) == "there is no nosuch: the key ring holds local-1"
    kms = msgspec.structs.replace(home, kms_url="http://kms.example")
    with pytest.raises(SetupError, match=r"the key ring holds local-1; a KMS retires its own versions"):
        commands.drop_key(kms, "transit:fintokenx:v1", Console(file=io.StringIO()))


def test_a_ring_from_an_old_backup_makes_no_key_under_an_id_in_use(home: Settings, vault: Vault,
                                                                    said: Callable[..., str]) -> None:
    ring = home.home / "key_ring.json"
    old = ring.read_bytes()
    said(commands.rotate_keys)
    sealed = vault.seal(SUBJECT, "Aisha Mahmood")
    newest = ring.read_bytes()
    ring.write_bytes(old)
    assert "new key-encryption key local-3" in said(commands.rotate_keys)
    ring.write_bytes(newest)
    assert vault.open(sealed) == "Aisha Mahmood", "the right ring still opens it"


def test_a_key_that_does_not_open_is_named_and_the_command_fails(home: Settings, vault: Vault) -> None:
    vault.seal(SUBJECT, "Aisha Mahmood")
    store = bootstrap.open_store(home, load_secrets(home.home))
    with store.access.pool("fx_vault") as pool, pool.connection() as connection:
        connection.execute("UPDATE vault.subject_keys SET wrapped = 'x'")
    store.close()
    out = Console(file=io.StringIO(), width=200)
    assert commands.rotate_keys(home, out) == 1
    assert SUBJECT in out.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def test_erasures_are_applied_again_after_a_restore(home: Settings, vault: Vault, said: Callable[..., str]) -> None:
    secrets = load_secrets(home.home)
    store, engine = bootstrap.open_with_read_models(home, secrets)
    sealed = vault.seal(SUBJECT, "Aisha Mahmood")
    later = BEGINS.replace(year=BEGINS.year + 6)
    for key, role, now, command in (
            ("1", SYSTEM, BEGINS, CreateSubject(subject=SUBJECT, role="lender", legal_name="L",
                                                company_number="00000001", representative=sealed,
                                                email=sealed, email_domain="l.uk")),
            ("2", COMPLIANCE, BEGINS, CloseRelationship(subject=SUBJECT, reason="platform", outstanding=())),
            ("3", COMPLIANCE, later, EraseSubject(subject=SUBJECT, ground="retention_expired"))):
        store.execute(command, key=key, context=Context(actor="m", actor_role=role, tenant=home.tenant, now=now))
    rebuild(engine, store, PROJECTIONS["subjects"])
    store.close()
    assert vault.open(sealed) == "Aisha Mahmood", "as if a backup had brought the key back"
    assert "1 subjects are erased; 1 had a key again" in said(commands.reapply_erasures)
    assert vault.open(sealed) == ERASED
    with pytest.raises(SubjectGone):
        vault.seal(SUBJECT, "more")
    assert "0 had a key again" in said(commands.reapply_erasures)
