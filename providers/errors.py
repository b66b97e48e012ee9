"""The two ways an outside call fails.

    ProviderError
    ├── Retryable    nothing is known to be wrong with the request: try again, with the same key
    └── Final        the same request will be refused again: a person or a different command must act

`code` is stable and safe to store and show; `detail` is for operators and carries no secret or personal data.
"""

LONGEST_WAIT_S = 15 * 60.0
"""What anybody outside can make us wait at a time. Asking again is cheap; an effect that sleeps for years is lost."""


class ProviderError(Exception):
    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Retryable(ProviderError):
    """Unreachable, too slow, overloaded or unreadable. `retry_after_s` is the provider's own wish, if it
    has one, as far as it is reasonable.
    """

    def __init__(self, code: str, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(code, detail)
        self.retry_after_s = None if retry_after_s is None else bounded_wait(retry_after_s)


class Final(ProviderError):
    """Refused. Repeating it changes nothing."""


def bounded_wait(wish_s: float | None) -> float:
    """Seconds to wait when asked for `wish_s`: none at all for what is no wish, and 15 minutes at most."""
    if wish_s is None or not wish_s > 0:  # not a number is not above 0 either
        return 0.0
    return min(wish_s, LONGEST_WAIT_S)
