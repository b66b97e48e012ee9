"""Everybody's mailbox: an SMTP server that keeps all mail, and pages to read it. Nothing is dropped or
merged.
"""

import asyncio
import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as POLICY
from html import escape
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from providers.stage.page import Html, element, form, link, page, table
from providers.stage.room import Fields, Room, answer, html
from providers.stage.store import Store

LIMIT_BYTES = 5 * 1024 * 1024
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
MAIL_POLICY = f"sandbox {SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src data:"

SCHEMA = """
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, sender TEXT NOT NULL,
    recipient TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL,
    received_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS mail_recipient ON mail (recipient);
"""

_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")


class EmailSimulator:
    def __init__(self, app: web.Application, store: Store) -> None:
        self.store = store
        store.script(SCHEMA)
        self.room = room = Room(
            app,
            store,
            "/email",
            "Mailbox",
            "Every e-mail the platform sent, whoever it was for.",
        )
        app.router.add_get("/email/mail", self.mails)
        app.router.add_get("/email/mail.json", self.mails_json)
        app.router.add_get("/email/mail/{id:[0-9]+}", self.mail)
        app.router.add_get("/email/mail/{id:[0-9]+}/html", self.mail_html)
        room.control("/control/clear", self.clear)
        room.home(lambda: [self._list(None)])

    def protocol(self) -> SMTP:
        """A new SMTP session, for `loop.create_server`."""
        return SMTP(
            self,
            data_size_limit=LIMIT_BYTES,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="FinToken X simulator",
        )

    async def handle_RCPT(  # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.room.outage:
            return "451 mailbox unavailable (simulated outage)"
        if address.lower().startswith("bounce@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        message = message_from_bytes(envelope.original_content or b"", policy=POLICY)
        assert isinstance(message, EmailMessage)
        received_at = datetime.now(UTC).isoformat()
        for recipient in envelope.rcpt_tos:
            self.store.run(
                "INSERT INTO mail (message_id, sender, recipient, subject, text, html, received_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                str(message["Message-ID"] or ""),
                str(message["From"] or ""),
                recipient,
                str(message["Subject"] or ""),
                _part(message, "plain"),
                _part(message, "html"),
                received_at,
            )
        await asyncio.sleep(0)
        return "250 kept"

    async def mails_json(self, request: web.Request) -> web.Response:
        """All mail in the order received; `to` narrows it to one address, `after` to later ids."""
        rows = self.store.rows(
            'SELECT id, message_id, sender AS "from", recipient AS "to", subject, text, html, received_at '
            "FROM mail WHERE (? IS NULL OR recipient = ? COLLATE NOCASE) AND id > ? ORDER BY id",
            request.query.get("to"),
            request.query.get("to"),
            _integer(request.query.get("after", "0")),
        )
        return answer([dict(row) for row in rows])

    async def mails(self, request: web.Request) -> web.Response:
        return html(page("Mailbox", self._list(request.query.get("to"))))

    async def mail(self, request: web.Request) -> web.Response:
        row = self._row(request)
        parts: list[object] = [
            element("p", f"To {row['recipient']}, from {row['sender']}, {row['received_at'][:19]} UTC"),
            element("pre", _linked(row["text"])),
        ]
        if row["html"]:
            parts.append(
                Html(f'<iframe sandbox="{SANDBOX}" src="/email/mail/{row["id"]}/html" title="HTML"></iframe>')
            )
        return html(page(row["subject"] or "(no subject)", *parts))

    async def mail_html(self, request: web.Request) -> web.Response:
        # Shown as in a mail reader: links open in a tab of their own, and nothing in it reaches these pages.
        return html('<base target="_blank">' + self._row(request)["html"], MAIL_POLICY)

    def clear(self, _fields: Fields) -> dict[str, int]:
        return {"deleted": self.store.run("DELETE FROM mail")}

    def _row(self, request: web.Request) -> Any:
        row = self.store.row("SELECT * FROM mail WHERE id = ?", int(request.match_info["id"]))
        if row is None:
            raise web.HTTPNotFound(text="no such mail")
        return row

    def _list(self, to: str | None) -> Html:
        rows = self.store.rows(
            "SELECT * FROM mail WHERE ? IS NULL OR recipient = ? COLLATE NOCASE ORDER BY id DESC LIMIT 300",
            to,
            to,
        )
        listed = table(
            ["Received", "To", "Subject"],
            [
                [
                    r["received_at"][:19],
                    link(f"/email/mail?to={r['recipient']}", r["recipient"]),
                    link(f"/email/mail/{r['id']}", r["subject"] or "(no subject)"),
                ]
                for r in rows
            ],
        )
        return element("div", form("/email/control/clear", "Empty the mailbox"), listed)


def _part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError):
        return "(unreadable)"


def _linked(body: str) -> Html:
    """Addresses in a plain text become links, as mail readers make them."""
    pieces, at = [], 0
    for found in _URL.finditer(body):
        pieces += [escape(body[at : found.start()]), link(found.group(), found.group())]
        at = found.end()
    return Html("".join([*pieces, escape(body[at:])]))


def _integer(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() else 0
