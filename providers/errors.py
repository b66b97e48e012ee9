"""The two ways an outside call fails.

    ProviderError
    ├── Retryable    nothing is known to be wrong with the request: try again, with the same key
    └── Final        the same request will be refused again: a person or a different command must act

`code` is stable and safe to store and show; `detail` is for operators and carries no secret or personal data.
"""


class ProviderError(Exception):
    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Retryable(ProviderError):
    """Unreachable, too slow, overloaded or unreadable. `retry_after_s` is the provider's own wish, if it
    has one.
    """

    def __init__(self, code: str, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(code, detail)
        self.retry_after_s = retry_after_s


class Final(ProviderError):
    """Refused. Repeating it changes nothing."""
