"""A backup of keys is restored from before an erasure: the next start destroys again what came back."""

from __future__ import annotations

import psycopg

from bootstrap import Platform, Settings
from domain.base import Command, Context
from domain.party import COMPLIANCE, Personal
from domain.subject import CloseRelationship, CreateSubject, EraseSubject
from eventstore.vault import ERASED
from scripts.serve import served
from scripts.story import BEGINS
from tests.processes.conftest import eventually

SUBJECT = "sub_0000000000000009"


def erased_on(platform: Platform, sealed: Personal) -> None:
    later = BEGINS.replace(year=BEGINS.year + 5)
    created = CreateSubject(subject=SUBJECT, role="lender", legal_name="Pennine Ltd", company_number="07452985",
                            representative=sealed, email=sealed, email_domain="pennine.uk")
    steps: list[tuple[Command, object]] = [
        (created, BEGINS), (CloseRelationship(subject=SUBJECT, reason="platform", outstanding=()), BEGINS),
        (EraseSubject(subject=SUBJECT, ground="retention_expired"), later)]
    for number, (command, now) in enumerate(steps):
        context = Context(actor="stf_mlro", actor_role=COMPLIANCE, tenant=platform.settings.tenant,
                          now=now)  # pyright: ignore[reportArgumentType]
        platform.store.execute(command, context=context, key=f"test:{number}")
    eventually(lambda: platform.vault.open(sealed) == ERASED)


def test_a_key_from_a_backup_does_not_survive_the_next_start(settings: Settings) -> None:
    assert settings.database_url is not None
    with served(settings) as platform, psycopg.connect(settings.database_url, autocommit=True) as owner:
        sealed = platform.vault.seal(SUBJECT, "Caroline Beck")
        row = owner.execute("SELECT kek, wrapped FROM vault.subject_keys WHERE subject = %s", (SUBJECT,)).fetchone()
        erased_on(platform, sealed)
        assert row is not None
        owner.execute("SET session_replication_role = replica")  # no trigger sees a restore
        owner.execute("UPDATE vault.subject_keys SET kek = %s, wrapped = %s WHERE subject = %s", (*row, SUBJECT))
        assert platform.vault.open(sealed) == "Caroline Beck"
    with served(settings) as platform:
        eventually(lambda: platform.vault.open(sealed) == ERASED)
