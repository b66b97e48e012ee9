"""The connection to the node, and the one place where its failures are sorted into our errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from web3 import HTTPProvider, Web3
from web3.exceptions import (
    BadFunctionCallOutput,
    ContractLogicError,
    TransactionIndexingInProgress,
    Web3RPCError,
)
from web3.middleware import ExtraDataToPOAMiddleware

from chain.abi import UNNAMED_REVERT, refusal_code
from chain.errors import ChainError, Final, Refused, Retryable

DEFAULT_TIMEOUT_SECONDS = 10.0


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
    )
    w3 = Web3(provider)
    w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)  # Besu's blocks carry validator seals
    with node_errors():
        chain_id = w3.eth.chain_id
    if expected_chain_id is not None and chain_id != expected_chain_id:
        raise Final(f"the node at this address serves chain {chain_id}, not chain {expected_chain_id}")
    return w3, chain_id


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
        raise Retryable(f"the node does not answer: {type(error).__name__}") from error


def revert_bytes(error: ContractLogicError) -> bytes:
    """Returns the data of a revert; empty when the node gave none."""
    data = error.data
    if isinstance(data, str) and data.startswith("0x"):
        return bytes.fromhex(data[2:])
    return bytes(data) if isinstance(data, bytes) else b""


__all__ = ["DEFAULT_TIMEOUT_SECONDS", "UNNAMED_REVERT", "connect", "node_errors", "revert_bytes"]
