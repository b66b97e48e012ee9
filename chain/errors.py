"""What can go wrong on the way to the chain, and what the caller may do about it.

ChainError
├── Retryable            try the same operation again later; nothing is known to have failed
│   ├── Pending          sent, and the blocks are slower than our patience
│   ├── Cancelled        an operator gave its nonce to a no-op; trying again signs it anew
│   └── RefusedForNow    the contract said no for a reason that passes
├── Refused              the contract said no; the answer is recorded and will not change
├── Final                the operation or the set-up is wrong, until a person changes something
└── ForeignTransaction   somebody else used one of our keys; stop and call a person
"""


class ChainError(Exception):
    """Base of every error this room raises on purpose."""


class Retryable(ChainError):
    """The node is down, the transaction is pending, or the outcome is unknown."""


class Pending(Retryable):
    """Signed and sent, and not mined deep enough yet: the chain has its own pace, so ask again soon."""

    retry_after_s = 0.1


class Cancelled(Retryable):
    """The operation did not happen and, under the bytes signed so far, never will."""


class RefusedForNow(Retryable):
    """A contract is paused, or cannot say; `code` is a refusal's. Nothing is signed anew while this lasts."""

    def __init__(self, op_id: str, code: str) -> None:
        super().__init__(f"{op_id} is refused for now: {code}")
        self.code = code


class Refused(ChainError):
    """A contract reverted. `code` is stable and neutral: RESTRICTED, KYC_VERIFIED_MISSING, TOKEN_ID_USED,
    …
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Final(ChainError):
    """Wrong chain, wrong folder, an expired certificate, a transaction no node accepts: trying again helps only when
    somebody has mended it. What is owed stays owed.
    """


class ForeignTransaction(ChainError):
    """A nonce of ours was used by a transaction the journal does not know."""
