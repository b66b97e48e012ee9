"""Port: an e-mail to one person. Every persona gets them; none is evidence of anything but having been
sent.

Errors: `Final("header_injection")` for a line break in the address or the subject, `Final("refused")` when
the server refuses for good, `Final("unsendable")` when no message can be made of it; everything else is `Retryable`.
"""

from typing import Protocol


class Email(Protocol):
    def send(self, key: str, to: str, subject: str, text: str, html: str | None = None) -> None:
        """Mail has no idempotency: a repeated key carries the same Message-ID, by which readers drop the
        repeat.
        """
        ...
