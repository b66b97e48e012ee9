"""Of a client's idempotency key nothing is kept: not in the database, the log, a bundle's entries, or an answer."""

from __future__ import annotations

import base64
import hashlib
import json

import psycopg
from psycopg import sql

from tests.api.conftest import Past
from tests.scenarios.town import Person, Town, accepted, refused

KEY = "a-key-that-only-the-client-knows-4711"
WAYS = (KEY, base64.b64encode(KEY.encode()).decode().rstrip("="), KEY.encode().hex(),
        hashlib.sha256(KEY.encode()).hexdigest())
TABLES = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('fx', 'read', 'vault')"


def test_a_key_is_nowhere(past: Past) -> None:
    town: Town = past.town
    nobody: Person = town.person("nobody")
    sign_up = {"role": "sme_seller", "legal_name": "Kept Keys Ltd", "company_number": "07452991",
               "representative": "K", "email": "k@keptkeys.co.uk"}
    answer = nobody.post("/v1/subjects", sign_up, key=KEY)
    subject = accepted(answer)["id"]
    accepted(nobody.post("/v1/subjects", sign_up, key=KEY))
    refused(nobody.post("/v1/subjects", {**sign_up, "representative": "L"}, key=KEY), 422, "idempotency_key_reused")
    [created] = town.entries("subject.created.1", lambda entry: entry.resource == subject)
    assert created.command.startswith("http:") and len(created.command) == 5 + 64
    said = json.dumps([answer.json(), dict(answer.headers)])
    with psycopg.connect(str(town.house.platform.settings.database_url)) as owner:
        owner.execute("SET session_replication_role = replica")
        for schema, table in owner.execute(TABLES).fetchall():
            rows = owner.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, table)))
            said += "".join(f"{row[0]}\n" for row in rows)
        bodies = owner.execute("SELECT convert_from(body, 'UTF8') FROM fx.audit_entries").fetchall()
        answers = owner.execute("SELECT convert_from(response, 'UTF8') FROM fx.command_keys WHERE response IS NOT NULL")
        said += "".join(row[0] for row in (*bodies, *answers.fetchall()))
    assert subject in said and "keptkeys.co.uk" in said, "the dump has what it should have"
    assert [way for way in WAYS if way in said] == []


def test_what_a_process_does_keeps_its_readable_key(past: Past) -> None:
    commands = {entry.command.partition(":")[0] for entry in past.town.house.platform.store.read(0, 100_000)}
    assert "http" in commands and any("." in command for command in commands)
