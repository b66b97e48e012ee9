"""The connection to the node, and the one place where its failures are sorted into our errors."""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from web3 import HTTPProvider, Web3
from web3.exceptions import (
    BadFunctionCallOutput,
    ContractLogicError,
    TransactionIndexingInProgress,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware
from web3.types import RPCEndpoint

from chain.abi import UNNAMED_REVERT, refusal_code
from chain.errors import ChainError, Final, Refused, Retryable

DEFAULT_TIMEOUT_SECONDS = 10.0
CALLS_AT_ONCE = 128  # Besu takes 1,024 in one request, some gateways 100 to 200

Call = tuple[str, Sequence[Any]]
Reply = dict[str, Any]


def connect(
    url: str, expected_chain_id: int | None, timeout: float, request_kwargs: dict[str, Any] | None = None
) -> tuple[Web3, int]:
    """Returns the connection and its chain id.

    `request_kwargs` carries a client certificate where the network asks for one. Nothing is repeated behind
    our back: the journal decides what is sent again. Raises `Final` on another chain id than expected.
    """
    provider = HTTPProvider(
        url,
        request_kwargs={"timeout": timeout, **(request_kwargs or {})},
        exception_retry_configuration=None,
        cache_allowed_requests=True,  # or every read of a contract asks for the chain id, twice
        cacheable_requests={RPCEndpoint("eth_chainId")},
    )
    w3 = Web3(provider)
    w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)  # Besu's blocks carry validator seals
    with node_errors():
        chain_id = w3.eth.chain_id
    if expected_chain_id is not None and chain_id != expected_chain_id:
        raise Final(f"the node at this address serves chain {chain_id}, not chain {expected_chain_id}")
    return w3, chain_id


def replies(w3: Web3, calls: Sequence[Call]) -> list[Reply]:
    """Sends calls together and returns each one's `result` or `error`, in the order of the calls.

    The node may run them in any order. Raises `Retryable` when it does not answer or answers something else.
    """
    found: list[Reply] = []
    for first in range(0, len(calls), CALLS_AT_ONCE):
        part = calls[first : first + CALLS_AT_ONCE]
        with node_errors():
            try:
                answered = cast(Any, w3.provider).make_batch_request(part)
            except ValueError as error:
                raise Retryable("what answers at this address is no node") from error
        if not isinstance(answered, list) or len(answered) != len(part):
            raise Retryable(f"the node refused a batch of {len(part)} calls: {_message(answered)}")
        found += answered
    return found


def ask(w3: Web3, calls: Sequence[Call]) -> list[Any]:
    """Sends calls together and returns their results. Raises `Retryable` when one of them is refused."""
    found = replies(w3, calls)
    for (method, _), reply in zip(calls, found, strict=True):
        if "error" in reply:
            raise Retryable(f"the node refused {method}: {_message(reply)}")
    return [reply["result"] for reply in found]


def rouse(w3: Web3, sender: str, nonce: int) -> bool:
    """Wakes a node that stands still before a key's next nonce; returns whether what waits must be sent once more.

    Only Anvil falls asleep. A transaction that comes while a block is being mined may be judged by the nonce before
    that block: it is filed among later ones and never looked at again, until it is dropped (and those behind it with
    it) and sent again; or it is ready, and the miner was told too early, until somebody asks for a block.
    """
    if not ask(w3, [("web3_clientVersion", [])])[0].startswith("anvil/"):
        return False
    pool, at_once = ask(w3, [("txpool_content", []), ("anvil_getAutomine", [])])
    if pool["pending"]:
        ask(w3, [("evm_mine", [])] if at_once else [])
        return False
    stuck = pool["queued"].get(sender, {}).get(str(nonce))
    return stuck is not None and bool(ask(w3, [("anvil_dropTransaction", [stuck["hash"]])])[0])


def _message(reply: Any) -> str:
    error = reply.get("error") if isinstance(reply, dict) else None
    return str(error.get("message", error) if isinstance(error, dict) else error or reply)[:200]


@contextmanager
def node_errors() -> Iterator[None]:
    """Turns a failed call into `Retryable` (node away, answer lost, contract not there yet) or `Refused`."""
    try:
        yield
    except ChainError:
        raise
    except ContractLogicError as error:
        raise Refused(refusal_code(revert_bytes(error))) from error
    except TransactionIndexingInProgress as error:
        raise Retryable("the node is still indexing") from error
    except BadFunctionCallOutput as error:
        raise Retryable("the contract is not on this chain: deploy or reconcile") from error
    except Web3RPCError as error:
        raise Retryable(f"the node refused: {error.message}") from error
    except OSError as error:
        if (refusal := _tls_refusal(error)) is not None:
            raise Final(f"no TLS with the node: {refusal} (FX_CHAIN_CA, FX_CHAIN_CERT, FX_CHAIN_KEY)") from error
        raise Retryable(f"the node does not answer: {type(error).__name__}") from error


def _tls_refusal(error: BaseException | None) -> str | None:
    """Returns why two sides did not trust each other; None when the connection failed for another reason."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return getattr(error, "verify_message", "") or (error.reason or str(error)).replace("_", " ").lower()
        inner = next((part for part in error.args if isinstance(part, BaseException)), None)
        error = inner or getattr(error, "reason", None) or error.__cause__ or error.__context__
    return None


def revert_bytes(error: ContractLogicError) -> bytes:
    """Returns the data of a revert; empty when the node gave none."""
    data = error.data
    if isinstance(data, str) and data.startswith("0x"):
        return bytes.fromhex(data[2:])
    return bytes(data) if isinstance(data, bytes) else b""


__all__ = [
    "DEFAULT_TIMEOUT_SECONDS",
    "UNNAMED_REVERT",
    "ask",
    "connect",
    "node_errors",
    "replies",
    "revert_bytes",
    "rouse",
]
