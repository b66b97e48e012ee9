"""Whether anything secret or personal that was entered stands anywhere in clear: `python -m scripts.campaigns.secrets`.

The whole story is played on a platform that logs everything. Then the database, the logs, a bundle over the whole log,
the exported segments and every mail are searched for each API key, idempotency key, link token, name, mailbox, account
number and reason that was entered, and for the home's own secrets, in plain, hex, base64 and URL form. ALLOWED says
what may stand where, and why. Writes build/campaign/secrets.json.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import duckdb
import httpx
import msgspec

from bootstrap import kept_secrets, open_database
from eventstore.database import connect
from scripts.campaigns.figures import keep
from scripts.campaigns.served import STAFF, Apart, served_apart
from scripts.story import ACCOUNTS, Story

SCHEMAS = ("fx", "read", "read_rebuild", "vault")
PEOPLE = {"Aisha Mahmood": "aisha@coppergate.co.uk", "Tom Whitfield": "tom.whitfield@northwind.co.uk",
          "Caroline Beck": "c.beck@pennineam.co.uk", "Faisal Quereshi": "f.quereshi@brunelpp.co.uk",
          **{name: f"{who}@fintokenx.uk" for who, (_, name) in STAFF.items()}}
REASONS = ("Company active since 2010, owners disclosed and screened clear", "no adverse change, screening clear")
CANARY = "Coppergate Joinery Ltd"
"""A company's name, which is no secret: where it is not met, nothing was read."""


class Value(msgspec.Struct, frozen=True):
    """Something that was entered. `owner` is the mailbox of whom it belongs to, if it may be mailed to somebody."""

    kind: str
    text: str
    owner: str = ""


class Met(msgspec.Struct, frozen=True):
    kind: str
    place: str
    form: str


ALLOWED: dict[tuple[str, str], str] = {
    ("mailbox", "mail to its owner"): "a mail names whom it goes to",
    ("name", "mail to its owner"): "a mail may greet its reader",
    ("link token", "mail to its owner"): "the link is for the reader of that mail, and stands nowhere else",
}
"""(kind of value, kind of place): why it may stand there."""


def forms(text: str) -> Iterator[tuple[str, str]]:
    """How a value might be written. Of base64 the middle, which is the same wherever in a text the value begins."""
    raw = text.encode()
    yield "plain", text
    yield "escaped", json.dumps(text)[1:-1]
    yield "hex", raw.hex()
    yield "url", quote(text, safe="")
    yield "form", quote_plus(text)
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        yield "base64", coded[(0, 2, 3)[shift]:len(coded) - 2]
        yield "base64url", coded[(0, 2, 3)[shift]:len(coded) - 2].replace("+", "-").replace("/", "_")


def entered(apart: Apart, story: Story, staff: Mapping[str, str], tokens: Mapping[str, str]) -> list[Value]:
    """Everything secret or personal of this platform's life; `tokens` are the links' tokens, each with its mailbox."""
    values = [Value("API key", key) for key in (*story.keys.values(), *staff.values())]
    values += [Value("idempotency key", f"{story.salt}/sign-up/{who}") for who in story.keys]
    values += [Value("idempotency key", key) for key in ("coppergate-approval", "refresh-approval", "pennine-form")]
    values += [Value("link token", token, owner) for token, owner in tokens.items()]
    values += [Value("name", name, mailbox) for name, mailbox in PEOPLE.items()]
    values += [Value("mailbox", mailbox, mailbox) for mailbox in PEOPLE.values()]
    values += [Value("account number", ACCOUNTS[who]["account_number"]) for who in ("coppergate", "pennine", "brunel")]
    values += [Value("reason", reason) for reason in REASONS]
    for name, kept in msgspec.structs.asdict(kept_secrets(apart.home)).items():
        if isinstance(kept, bytes):
            values += [Value(f"home's {name}", kept.hex()), Value(f"home's {name}", base64.b64encode(kept).decode())]
    return values


# ---------------------------------------------------------------- where is searched


def of_database(url: str) -> Iterator[tuple[str, str]]:
    """Every row of every table, and what its binary columns say as text."""
    named = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY (%s)"
    with connect(url) as owner:
        for schema, table in owner.execute(named, (list(SCHEMAS),)).fetchall():
            for row in owner.execute(f'SELECT t::text, t.* FROM "{schema}"."{table}" t'.encode()).fetchall():
                binary = [bytes(cell).decode("utf-8", "replace") for cell in row
                          if isinstance(cell, (bytes, memoryview))]
                yield f"database {schema}.{table}", "\n".join((str(row[0]), *binary))


def of_bundle(compliance: httpx.Client) -> Iterator[tuple[str, str]]:
    answer = compliance.get("/v1/audit/bundles", params={"from": 1}, timeout=60)
    answer.raise_for_status()
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        yield from ((f"bundle {name}", archive.read(name).decode()) for name in archive.namelist())


def of_segments(folder: Path) -> Iterator[tuple[str, str]]:
    with duckdb.connect() as duck:
        for file in sorted(folder.glob("*.parquet")):
            for row in duck.execute("SELECT * FROM read_parquet(?)", [str(file)]).fetchall():
                yield "segments", " ".join(cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
                                           for cell in row)


def of_mails(outside: Any) -> Iterator[tuple[str, str]]:
    """Each mail under its reader's mailbox."""
    for mail in outside.get("/email/mail.json"):
        to = mail["to"] if isinstance(mail["to"], str) else ",".join(mail["to"])
        yield f"mail to {to}", json.dumps(mail, ensure_ascii=False)


def searched(places: Iterator[tuple[str, str]], values: list[Value]) -> tuple[list[Met], set[str]]:
    """What was met that ALLOWED does not allow; and the kinds of places in which the canary was met."""
    written = [(value, form, text) for value in values for form, text in forms(value.text) if len(text) >= 8]
    met, alive = set[Met](), set[str]()
    for place, content in places:
        if CANARY in content:
            alive.add(place.partition(" ")[0])
        for value, form, text in written:
            if text in content:
                own = value.owner and place == f"mail to {value.owner}"
                if (value.kind, "mail to its owner" if own else place) not in ALLOWED:
                    met.add(Met(value.kind, place, form))
    return sorted(met, key=lambda one: (one.kind, one.place, one.form)), alive


def links(outside: Any) -> dict[str, str]:
    """Every confirmation link's token, and whose mail it stands in."""
    return {token: mail["to"] if isinstance(mail["to"], str) else mail["to"][0]
            for mail in outside.get("/email/mail.json") for token in re.findall(r"#token=([0-9a-f]{64})", mail["text"])}


def lived() -> dict[str, Any]:
    """A platform's whole life, and what of it is met where it should not be."""
    with served_apart(FX_LOG_LEVEL="debug") as (apart, story, staff):
        for title, act in story.steps():
            if "joins" not in title and "the MLRO approves Coppergate" not in title:
                act()
        values = entered(apart, story, staff, links(story.outside))
        bearer = {"Authorization": f"Bearer {staff['mlro']}"}
        compliance = httpx.Client(base_url=apart.settings.http_url, headers=bearer)
        places = [*of_database(open_database(apart.settings, kept_secrets(apart.home), migrate=False)),
                  *of_bundle(compliance), *of_mails(story.outside)]
        segments = apart.home.parent / "segments"
        apart.fx("segments", "export", "--to", str(segments), "--rows", "1")
        places += of_segments(segments)
        places += [("log", line) for line in apart.log.read_text().splitlines()]
    met, alive = searched(iter(places), values)
    return {"values": len(values), "places": len(places), "searched": sorted(alive), "found": len(met),
            "what": [f"{one.kind} in {one.place} ({one.form})" for one in met]}


def main() -> int:
    figures = lived()
    keep("secrets", figures)
    print(json.dumps(figures, indent=2))
    return 1 if figures["found"] else 0


if __name__ == "__main__":
    sys.exit(main())
