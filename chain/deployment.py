"""The contract set: what is deployed in which order, with which keys.

Every step is an operation of the journal. A step done once is answered from there, so deploying again is
harmless, and a chain that was lost is rebuilt at the same addresses. After the deployment the admin key only grants:
no function of any contract but those that give and take roles answers to it.
"""

import hashlib
from typing import Any

import msgspec
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from chain.abi import CONTRACTS, artifact, creation_code, method_data
from chain.errors import Final
from chain.journal import Journal
from chain.keys import KeyPort

DEPLOY_GAS = 4_000_000
SANCTIONS_MAX_AGE_SECONDS = 26 * 3600  # a daily list, with two hours' grace
GRANT_GAS = 100_000
# What FXRecovery is granted, because it is deployed after the contracts it calls.
RECOVERY_GRANTS = {"FXReceivableToken": "OPERATOR_ROLE", "FXIdentityRegistry": "RECOVERY_ROLE"}
DEFAULT_LOG_ID = hashlib.sha256(b"FinToken X audit log").digest()

# EIP-1167 creation code around the implementation's address.
CLONE_HEAD = bytes.fromhex("3d602d80600a3d3981f3363d3d373d3d3d363d73")
CLONE_TAIL = bytes.fromhex("5af43d82803e903d91602b57fd5bf3")


class Deployment(msgspec.Struct, frozen=True):
    """Where the contracts are."""

    chain_id: int
    log_id: bytes
    addresses: dict[str, str]

    def __getitem__(self, contract: str) -> str:
        return self.addresses[contract]

    def identity_of(self, wallet: str) -> str:
        """Returns the address of a wallet's identity clone, registered or not, without asking the chain."""
        implementation = bytes.fromhex(self["FXIdentity"][2:])
        code = keccak(CLONE_HEAD + implementation + CLONE_TAIL)
        salt = bytes.fromhex(wallet[2:]).rjust(32, b"\0")
        registry = bytes.fromhex(self["FXIdentityRegistry"][2:])
        return to_checksum_address(keccak(b"\xff" + registry + salt + code)[12:])


def deploy_contracts(journal: Journal, keys: KeyPort, chain_id: int, log_id: bytes) -> Deployment:
    """Deploys what is missing of the contract set, and grants it.

    Raises `Final` when the journal holds a deployment of other code.
    """
    addresses: dict[str, str] = {}
    for contract in CONTRACTS:
        _require_this_code(journal, contract)
        data = creation_code(contract, *_arguments(contract, keys, addresses, log_id))
        receipt = journal.run(_operation(contract), "admin", None, data, DEPLOY_GAS)
        assert receipt.contract_address is not None
        addresses[contract] = receipt.contract_address
    for contract, role in RECOVERY_GRANTS.items():
        grant = method_data(contract, "grantRole", (keccak(text=role), addresses["FXRecovery"]))
        journal.run(_grant_operation(contract), "admin", addresses[contract], grant, GRANT_GAS)
    return Deployment(chain_id, log_id, addresses)


def find_deployment(journal: Journal, chain_id: int, log_id: bytes) -> Deployment:
    """Reads the addresses from the journal. Raises `Final` when a contract is missing or has other code."""
    addresses: dict[str, str] = {}
    for contract in CONTRACTS:
        _require_this_code(journal, contract)
        receipt = journal.receipt(_operation(contract))
        if receipt is None or receipt.contract_address is None:
            raise Final(f"{contract} is not deployed: run `fx chain deploy`")
        addresses[contract] = receipt.contract_address
    if any(journal.receipt(_grant_operation(contract)) is None for contract in RECOVERY_GRANTS):
        raise Final("FXRecovery has not been granted its roles: run `fx chain deploy`")
    return Deployment(chain_id, log_id, addresses)


def _operation(contract: str) -> str:
    return f"deploy:{contract}"


def _grant_operation(contract: str) -> str:
    return f"deploy:{contract}:grant"


def _require_this_code(journal: Journal, contract: str) -> None:
    """The journal would answer `deploy` with the contract it signed once, whatever the artifact says today."""
    signed = journal.signed_data(_operation(contract))
    if signed is None or signed.startswith(bytes.fromhex(artifact(contract)["bytecode"][2:])):
        return
    raise Final(f"{contract} was deployed by another release: use that release, or start over with a new FX_HOME")


def _arguments(contract: str, keys: KeyPort, deployed: dict[str, str], log_id: bytes) -> tuple[Any, ...]:
    """Returns constructor arguments. Roles are given here, so no contract is ever without its keys."""
    admin = keys.address("admin")
    match contract:
        case "FXClaimIssuer":
            return admin, keys.address("claim_signer"), keys.address("revoker")
        case "FXTrustedIssuersRegistry":
            return (deployed["FXClaimIssuer"],)
        case "FXIdentityRegistry":
            parts = ("FXClaimsTopicRegistry", "FXTrustedIssuersRegistry", "FXIdentity")
            return admin, keys.address("registrar"), *(deployed[part] for part in parts)
        case "FXJurisdictionRule" | "FXMiFIDRule":
            return (deployed["FXIdentityRegistry"],)
        case "FXLockupRule":
            return admin, keys.address("locker")
        case "FXSanctionsRule":
            return admin, keys.address("oracle"), SANCTIONS_MAX_AGE_SECONDS
        case "FXComplianceModularised":
            rules = ("FXJurisdictionRule", "FXMiFIDRule", "FXLockupRule", "FXSanctionsRule")
            return admin, deployed["FXIdentityRegistry"], [deployed[rule] for rule in rules]
        case "FXReceivableToken":
            compliance = deployed["FXComplianceModularised"]
            return admin, *(keys.address(role) for role in ("minter", "operator", "pauser")), compliance
        case "FXRecovery":
            two_keys = keys.address("recovery_proposer"), keys.address("recovery_approver")
            return admin, *two_keys, deployed["FXReceivableToken"], deployed["FXIdentityRegistry"]
        case "FXAuditAnchor":
            return admin, keys.address("anchorer"), log_id
        case _:
            return ()
