import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from aiosmtpd.smtp import SMTP as SMTPServer
from aiosmtpd.smtp import AuthResult

from chain.anvil import free_port
from providers.email.smtp import Security, SMTPEmail, message_id
from providers.errors import Final, Retryable
from tests.providers.conftest import Simulators, certified


@pytest.fixture
def email(simulators: Simulators) -> SMTPEmail:
    return SMTPEmail("127.0.0.1", simulators.smtp_port)


def inbox(simulators: Simulators, to: str) -> list[dict]:
    return httpx.get(f"{simulators.url}/email/mail.json", params={"to": to}).json()


def test_a_mail_arrives_with_all_its_parts(email: SMTPEmail, simulators: Simulators):
    to = f"{uuid4().hex}@northwind.co.uk"
    text = "Dear Tom,\nplease confirm £10,000.00: https://app.fintokenx.uk/c/abc\n"
    email.send("key-1", to, "Bestätigung · FX-INV-23A4F", text, "<p>Dear <b>Tom</b></p>")
    (mail,) = inbox(simulators, to)
    assert mail["message_id"] == message_id("key-1", "fintokenx.uk")
    assert (mail["to"], mail["subject"]) == (to, "Bestätigung · FX-INV-23A4F")
    assert mail["text"].replace("\r\n", "\n") == text
    assert "<b>Tom</b>" in mail["html"]
    assert mail["from"] == "FinToken X <platform@fintokenx.uk>"


def test_a_repeated_key_repeats_the_message_id(email: SMTPEmail, simulators: Simulators):
    to = f"{uuid4().hex}@northwind.co.uk"
    for key in ("a", "a", "b"):
        email.send(key, to, "Subject", "Text")
    first, repeat, other = (mail["message_id"] for mail in inbox(simulators, to))
    assert first == repeat != other


def test_mail_is_listed_in_the_order_received(email: SMTPEmail, simulators: Simulators):
    to = f"{uuid4().hex}@northwind.co.uk"
    for number in range(3):
        email.send(uuid4().hex, to, f"Mail {number}", "Text")
    mails = inbox(simulators, to.upper())
    assert [mail["subject"] for mail in mails] == ["Mail 0", "Mail 1", "Mail 2"]
    later = httpx.get(f"{simulators.url}/email/mail.json", params={"to": to, "after": mails[1]["id"]}).json()
    assert [mail["subject"] for mail in later] == ["Mail 2"]


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("a@b.uk\r\nBcc: all@c.uk", "Subject"),
        ("a@b.uk\nX: y", "Subject"),
        ("a@b.uk", "Subject\r\nBcc: all@c.uk"),
        ("a@b.uk", "Subject\n\nbody"),
        ("a@b.uk", "nul\x00"),
    ],
)
def test_headers_cannot_be_injected(email: SMTPEmail, to: str, subject: str):
    with pytest.raises(Final, match="header_injection"):
        email.send("k", to, subject, "Text")


@pytest.mark.parametrize(
    "to", ["", "a", "a@b", "a@b.uk, c@d.uk", "A <a@b.uk>", "a b@c.uk", "a@b@c.uk", "x" * 250 + "@b.uk"]
)
def test_only_one_plain_address_is_an_address(email: SMTPEmail, to: str):
    with pytest.raises(Final, match="refused"):
        email.send("k", to, "Subject", "Text")


def test_a_bounce_is_final_and_an_outage_retryable(email: SMTPEmail, simulators: Simulators):
    with pytest.raises(Final, match="refused"):
        email.send("k", "bounce@northwind.co.uk", "Subject", "Text")
    simulators.control("/email/control/outage")
    try:
        with pytest.raises(Retryable, match="unavailable"):
            email.send("k", "tom@northwind.co.uk", "Subject", "Text")
    finally:
        simulators.control("/email/control/outage", on=False)


def test_no_server_is_retryable():
    with pytest.raises(Retryable, match="unreachable"):
        SMTPEmail("127.0.0.1", free_port(), timeout_s=1).send("k", "tom@northwind.co.uk", "Subject", "Text")


def test_a_password_needs_tls():
    with pytest.raises(ValueError, match="without TLS"):
        SMTPEmail("127.0.0.1", 25, username="u", password="p")


def test_a_mail_is_shown_without_running_what_is_in_it(email: SMTPEmail, simulators: Simulators):
    to = f"{uuid4().hex}@northwind.co.uk"
    text = "<script>alert(1)</script> https://app.fintokenx.uk/confirm?t=a&b=c."
    email.send("k", to, "<b>Subject</b>", text, "<script>alert(2)</script>")
    (mail,) = inbox(simulators, to)
    page = httpx.get(f"{simulators.url}/email/mail/{mail['id']}")
    assert "<script>" not in page.text
    assert "&lt;b&gt;Subject" in page.text
    assert 'href="https://app.fintokenx.uk/confirm?t=a&amp;b=c"' in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert (
        "default-src 'none'"
        in httpx.get(f"{simulators.url}/email/mail/{mail['id']}/html").headers["Content-Security-Policy"]
    )
    assert httpx.get(f"{simulators.url}/email/mail/999999").status_code == 404


@pytest.mark.parametrize("text", ["\u2028", "\u0085", "\u202e", "\u200b", "\x00", "\x0b", "\ufeff", "\r"])
def test_what_breaks_or_turns_a_line_arrives_as_a_space(email: SMTPEmail, simulators: Simulators, text: str):
    """A text of ours may hold what somebody typed long ago: it is sent all the same, and says nothing else."""
    to = f"{uuid4().hex}@northwind.co.uk"
    email.send(uuid4().hex, to, "FX-INV-1", f"one{text}two\nthree")
    assert inbox(simulators, to)[0]["text"].splitlines() == ["one two", "three"]


def test_a_subject_with_a_line_break_of_any_kind_is_one_line(email: SMTPEmail, simulators: Simulators):
    to = f"{uuid4().hex}@northwind.co.uk"
    email.send(uuid4().hex, to, "one\u2028Bcc: x@y.uk\u2029two", "text")
    assert inbox(simulators, to)[0]["subject"] == "one Bcc: x@y.uk two"


@pytest.mark.parametrize("to", ["a..b@example.co.uk", ".a@example.co.uk", "tomás@example.co.uk"])
def test_what_can_never_be_a_message_is_final(email: SMTPEmail, to: str):
    with pytest.raises(Final) as refused:
        email.send("k", to, "subject", "text")
    assert refused.value.code in ("refused", "unsendable")


# ---------------------------------------------------------------- a server behind TLS that asks who we are

NAME, PASSWORD = "fx-mailer", "a-long-password-of-the-mail-server"


class Post:
    """A mail server with a certificate for `localhost`: by STARTTLS or TLS, and only for those who log in."""

    def __init__(self, folder: Path, security: Security) -> None:
        self.security, self.mails = security, []
        self.ca, certificate, key = certified(folder)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        implicit, explicit = (context, None) if security == "tls" else (None, context)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        serving = self.loop.create_server(lambda: SMTPServer(
            self, tls_context=explicit, require_starttls=security == "starttls", auth_required=True, loop=self.loop,
            auth_require_tls=security == "starttls", authenticator=self.judge, hostname="localhost"),
            "127.0.0.1", 0, ssl=implicit)
        self.server = asyncio.run_coroutine_threadsafe(serving, self.loop).result(5)

    def judge(self, _server, _session, _envelope, _mechanism, data) -> AuthResult:
        known = (data.login, data.password) == (NAME.encode(), PASSWORD.encode())
        return AuthResult(success=known, handled=False)

    async def handle_DATA(self, _server, session, envelope) -> str:
        self.mails.append((envelope.rcpt_tos, session.ssl is not None or self.security == "tls"))
        return "250 OK"

    def client(self, **given) -> SMTPEmail:
        named = {"username": NAME, "password": PASSWORD, "ca": self.ca, "security": self.security, **given}
        return SMTPEmail("localhost", self.server.sockets[0].getsockname()[1], timeout_s=3, **named)


@pytest.fixture(params=["starttls", "tls"])
def post(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Post]:
    server = Post(tmp_path, request.param)
    yield server
    server.loop.call_soon_threadsafe(server.loop.stop)


def test_a_mail_goes_out_encrypted_and_logged_in(post: Post):
    post.client().send("k", "tom@northwind.co.uk", "Subject", "Text")
    assert post.mails == [(["tom@northwind.co.uk"], True)]


@pytest.mark.parametrize(
    ("given", "code"),
    [({"password": "wrong"}, "unauthorised"), ({"ca": None}, "unreachable")],
    ids=["a wrong password", "a certificate nobody vouches for"],
)  # fmt: skip
def test_a_mail_server_that_is_not_ours_or_does_not_know_us_gets_no_mail(post: Post, given: dict, code: str):
    with pytest.raises(Retryable, match=code):
        post.client(**given).send("k", "tom@northwind.co.uk", "Subject", "Text")
    assert post.mails == []


def test_a_server_without_starttls_is_sent_no_password(simulators: Simulators):
    client = SMTPEmail("127.0.0.1", simulators.smtp_port, username=NAME, password=PASSWORD, security="starttls")
    with pytest.raises(Retryable, match="insecure"):
        client.send("k", "tom@northwind.co.uk", "Subject", "Text")


def test_a_mail_server_that_trickles_is_left(dripping: Callable[[bytes], int]):
    port = dripping(b"220-and so on\r\n" * 1000)
    started = time.monotonic()
    with pytest.raises(Retryable, match="unreachable"):
        SMTPEmail("127.0.0.1", port, timeout_s=1, total_s=1).send("k", "tom@northwind.co.uk", "Subject", "Text")
    assert time.monotonic() - started < 4
