"""Staff accounts, at the command line: enrol, a new key, the end of one. A staff member is known by role and e-mail."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import bootstrap
from api.session import api_key
from bootstrap import Platform, Secrets, Settings, SetupError
from domain.base import Context
from domain.forms import Email, Name, composed, fits, words_of
from domain.party import STAFF_ROLES
from domain.subject import SUBJECT, EnrolStaff, RevokeApiKey, RollApiKey
from domain.subject.keys import OPERATOR
from eventstore.store import Store
from eventstore.vault import Vault


def enrolled(settings: Settings, role: str, name: str, email: str) -> str:
    """The new member's API key; SetupError when this member is known already: a key is told once."""
    subject, name = _member(role, email), composed(name)
    if not fits(Name, name):
        raise SetupError(f"{name!r} is not {words_of(Name)}")
    vault = bootstrap.open_vault(settings, bootstrap.load_secrets(settings.home))
    with _at_the_desk(settings) as (store, secrets, context):
        if store.load(SUBJECT, subject).id:
            raise SetupError("already enrolled, and a key is told once: `fx staff roll` makes a new one")
        _enrol(store, vault, context, subject, role, name, email)
        return _key(settings, secrets, store, subject)


def enrol(platform: Platform, role: str, name: str, email: str) -> str:
    """The same in a process that runs the platform already."""
    subject, now = _member(role, email), platform.clock.now()
    _enrol(platform.store, platform.vault, _context(platform.settings, now), subject, role, name, email)
    return _key(platform.settings, platform.secrets, platform.store, subject)


def _enrol(store: Store, vault: Vault, context: Context, subject: str, role: str, name: str, email: str) -> None:
    store.execute(EnrolStaff(subject=subject, role=role, representative=vault.seal(subject, name),
                             email=vault.seal(subject, email)), context=context, key=f"enrol:{subject}")


def rolled(settings: Settings, role: str, email: str) -> str:
    subject = _member(role, email)
    with _at_the_desk(settings) as (store, secrets, context):
        generation = store.load(SUBJECT, subject).key_generation
        store.execute(RollApiKey(subject=subject), context=context, key=f"roll:{subject}:{generation}")
        return _key(settings, secrets, store, subject)


def revoked(settings: Settings, role: str, email: str) -> None:
    subject = _member(role, email)
    with _at_the_desk(settings) as (store, _, context):
        generation = store.load(SUBJECT, subject).key_generation
        store.execute(RevokeApiKey(subject=subject), context=context, key=f"revoke:{subject}:{generation}")


def _member(role: str, email: str) -> str:
    if role not in STAFF_ROLES:
        raise SetupError(f"role is one of {', '.join(STAFF_ROLES)}")
    if not fits(Email, email):
        raise SetupError(f"{email!r} is not {words_of(Email)}")
    local, _, domain = email.lower().rpartition("@")
    mailbox = f"{local.partition('+')[0]}@{domain}"  # name+2@ is the same person: two officers are two people
    return "stf_" + hashlib.sha256(f"{role}:{mailbox}".encode()).hexdigest()[:16]


@contextmanager
def _at_the_desk(settings: Settings) -> Iterator[tuple[Store, Secrets, Context]]:
    secrets = bootstrap.load_secrets(settings.home)
    store = bootstrap.open_store(settings, secrets)
    try:
        yield store, secrets, _context(settings, bootstrap.choose_clock(settings, store).now())
    finally:
        store.close()


def _context(settings: Settings, now: datetime) -> Context:
    return Context(actor="operator:cli", actor_role=OPERATOR, tenant=settings.tenant, now=now)


def _key(settings: Settings, secrets: Secrets, store: Store, subject: str) -> str:
    return api_key(secrets.api_key_pepper, subject, store.load(SUBJECT, subject).key_generation,
                   sandbox=settings.sandbox)
