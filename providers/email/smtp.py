"""Any SMTP server (RFC 5321), by the standard library; a Message-ID that is a fingerprint of the key."""

import hashlib
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Literal

from domain.forms import Email, fits, unseen
from providers.errors import Final, Retryable

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


Security = Literal["none", "starttls", "tls"]


class SMTPEmail:
    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str = "platform@fintokenx.uk",
        sender_name: str = "FinToken X",
        security: Security = "none",
        username: str | None = None,
        password: str | None = None,
        ca: Path | None = None,
        timeout_s: float = 10.0,
        total_s: float = 60.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`security`: encrypted from the first byte (`tls`) or after a greeting (`starttls`), with the server's
        certificate checked against the system's authorities or the file `ca`. `total_s`: for all of one mail.
        """
        self._server = (host, port)
        self._sender = Address(sender_name, addr_spec=_plain(sender))
        self._login = (username, password) if username and password else None
        self._security = security
        self._tls = None if security == "none" else ssl.create_default_context(cafile=ca)
        self._timeout_s, self._total_s = timeout_s, total_s
        self._clock = clock
        if self._login and security == "none":
            raise ValueError("a password is never sent without TLS")

    def send(self, key: str, to: str, subject: str, text: str, html: str | None = None) -> None:
        address = _plain(to)
        try:
            message = self._message(key, address, subject, text, html)
            message.as_bytes()
        except (ValueError, LookupError, AttributeError, IndexError, HeaderParseError) as error:
            # The library's parsers fail in many ways on what they cannot write; none of it gets better by waiting.
            raise Final("unsendable", f"no message can be made of this: {type(error).__name__}") from error
        try:
            with self._connected() as server:
                server.send_message(message, self._sender.addr_spec, [to])
        except smtplib.SMTPRecipientsRefused as error:
            raise _sorted(next(iter(error.recipients.values()))[0]) from error
        except smtplib.SMTPNotSupportedError as error:
            raise Final("refused", "the mail server lacks a feature this message needs") from error
        except smtplib.SMTPResponseException as error:
            raise _sorted(error.smtp_code) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Retryable("unreachable", f"mail server: {type(error).__name__}") from error

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """A session, encrypted and logged in. What fails on the way there says nothing of the mail: Retryable."""
        with ExitStack() as stack:
            try:
                server = stack.enter_context(self._opened())
                if self._security == "starttls":
                    server.starttls(context=self._tls)
                if self._login:
                    server.login(*self._login)
            except smtplib.SMTPAuthenticationError as error:
                raise Retryable("unauthorised", "the mail server does not take our name and password") from error
            except smtplib.SMTPNotSupportedError as error:
                raise Retryable("insecure", "the mail server offers no STARTTLS, or no login") from error
            except (smtplib.SMTPException, OSError) as error:
                raise Retryable("unreachable", f"mail server: {type(error).__name__}") from error
            yield server

    def _opened(self) -> smtplib.SMTP:
        times = {"timeout": self._timeout_s, "total_s": self._total_s}
        if self._security == "tls":
            return _SessionInTLS(*self._server, context=self._tls, **times)
        return _Session(*self._server, **times)

    def _message(self, key: str, to: str, subject: str, text: str, html: str | None) -> EmailMessage:
        if _CONTROL.search(subject):
            raise Final("header_injection", "a control character in the subject")
        subject, text = printable(subject), "\n".join(map(printable, text.split("\n")))
        message = EmailMessage(policy=POLICY)
        message["From"] = self._sender
        message["To"] = Address(addr_spec=to)
        message["Subject"] = subject
        message["Date"] = format_datetime(self._clock())
        message["Message-ID"] = message_id(key, self._sender.domain)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        if html is not None:
            message.add_alternative(html, subtype="html")
        return message


def printable(line: str) -> str:
    """One line in which whatever breaks it, hides in it or turns it around has become a space."""
    return "".join(" " if unseen(letter) else letter for letter in line)


class _Bounded:
    """Cuts the connection when its time is up: a server that sends a byte now and then is never late for a read."""

    sock: socket.socket | None = None

    def __init__(self, *where: Any, total_s: float, **options: Any) -> None:
        self._timer = threading.Timer(total_s, self._cut)
        self._timer.daemon = True
        self._timer.start()
        try:
            super().__init__(*where, **options)
        except BaseException:
            self._timer.cancel()
            raise

    def close(self) -> None:
        self._timer.cancel()
        super().close()  # pyright: ignore[reportAttributeAccessIssue]

    def _cut(self) -> None:
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


class _Session(_Bounded, smtplib.SMTP):
    """Encrypted later, if at all."""


class _SessionInTLS(_Bounded, smtplib.SMTP_SSL):
    """Encrypted from the first byte."""


def message_id(key: str, domain: str) -> str:
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def _plain(address: str) -> str:
    """One address and nothing else: no display name, no list, no second line that could become a header."""
    if _CONTROL.search(address):
        raise Final("header_injection", "a control character in the address")
    if not fits(Email, address):
        raise Final("refused", "not an e-mail address")
    return address


def _sorted(smtp_code: int) -> Final | Retryable:
    if 500 <= smtp_code < 600:
        return Final("refused", f"mail server answered {smtp_code}")
    return Retryable("unavailable", f"mail server answered {smtp_code}")
