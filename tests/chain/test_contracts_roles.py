"""Every role has its own key, and every function refuses every other one."""

import pytest
from eth_utils.crypto import keccak

from chain.abi import CONTRACTS, artifact
from chain.errors import Refused
from chain.keys import ROLES
from chain.rpc import node_errors
from tests.chain.conftest import BASE_TOPICS

UNAUTHORISED = "ACCESS_CONTROL_UNAUTHORIZED_ACCOUNT"
ANYBODY = None  # acts on what is the caller's own, or proves itself
FACE = 1_000

# Which key a function answers to.
HOLDER = {
    "FXClaimIssuer.revoke": "revoker",
    "FXIdentity.addClaim": ANYBODY,
    "FXIdentity.init": ANYBODY,
    "FXIdentityRegistry.registerIdentity": "registrar",
    "FXIdentityRegistry.setActive": "registrar",
    "FXIdentityRegistry.retire": "FXRecovery",
    "FXLockupRule.lock": "locker",
    "FXLockupRule.unlock": "locker",
    "FXSanctionsRule.heartbeat": "oracle",
    "FXSanctionsRule.set": "oracle",
    "FXComplianceModularised.setRule": "nobody",
    "FXReceivableToken.approve": ANYBODY,
    "FXReceivableToken.setOperator": ANYBODY,
    "FXReceivableToken.transfer": ANYBODY,
    "FXReceivableToken.transferFrom": ANYBODY,
    "FXReceivableToken.mint": "minter",
    "FXReceivableToken.burn": "minter",
    "FXReceivableToken.fractionalise": "operator",
    "FXReceivableToken.transferWithRef": "operator",
    "FXReceivableToken.setPaused": "pauser",
    "FXRecovery.propose": "recovery_proposer",
    "FXRecovery.withdraw": "recovery_proposer",
    "FXRecovery.approve": "recovery_approver",
    "FXAuditAnchor.anchor": "anchorer",
}
WITH_ROLES = ("FXClaimIssuer", "FXIdentityRegistry", "FXLockupRule", "FXSanctionsRule", "FXComplianceModularised",
              "FXReceivableToken", "FXRecovery", "FXAuditAnchor")
for contract in WITH_ROLES:
    HOLDER |= {f"{contract}.grantRole": "admin", f"{contract}.revokeRole": "admin", f"{contract}.renounceRole": ANYBODY}

# Who holds a role after the deployment. A contract that is no key is named as itself.
ROLE_HOLDERS = {
    "FXClaimIssuer.SIGNER_ROLE": {"claim_signer"},
    "FXClaimIssuer.REVOKER_ROLE": {"revoker"},
    "FXIdentityRegistry.AGENT_ROLE": {"registrar"},
    "FXIdentityRegistry.RECOVERY_ROLE": {"FXRecovery"},
    "FXLockupRule.LOCKER_ROLE": {"locker"},
    "FXSanctionsRule.ORACLE_ROLE": {"oracle"},
    "FXComplianceModularised.GOVERNOR_ROLE": set(),
    "FXReceivableToken.MINTER_ROLE": {"minter"},
    "FXReceivableToken.BURNER_ROLE": {"minter"},
    "FXReceivableToken.OPERATOR_ROLE": {"operator", "FXRecovery"},
    "FXReceivableToken.PAUSER_ROLE": {"pauser"},
    "FXRecovery.RECOVERY_PROPOSER_ROLE": {"recovery_proposer"},
    "FXRecovery.RECOVERY_APPROVER_ROLE": {"recovery_approver"},
    "FXAuditAnchor.ANCHOR_ROLE": {"anchorer"},
    **{f"{contract}.DEFAULT_ADMIN_ROLE": {"admin"} for contract in WITH_ROLES},
}


def functions() -> dict[str, dict]:
    """Every function that can change something, by contract and name; overloads share an entry."""
    return {
        f"{contract}.{item['name']}": item
        for contract in CONTRACTS
        for item in artifact(contract)["abi"]
        if item["type"] == "function" and item["stateMutability"] not in ("view", "pure")
    }


@pytest.fixture(scope="module")
def callers(shared_world) -> dict[str, str]:
    """Every address that could hold a role, by the name it has here."""
    chain = shared_world.chain
    keys: dict[str, str] = {role: chain.role_address(role) for role in ROLES}
    return keys | {"FXRecovery": chain.deployment()["FXRecovery"], "nobody": chain.platform_wallet}


@pytest.fixture(scope="module")
def holding(shared_world) -> tuple[str, int]:
    """A lender and its receivable."""
    world = shared_world
    world.chain.sanctions_heartbeat(world.op("heartbeat"), bytes(32))
    lender, token = world.wallet("lender", BASE_TOPICS), world.token(FACE)
    world.chain.transfer(world.op("fund"), world.chain.platform_wallet, lender, token, FACE)
    return lender, token


def argument(parameter: dict, address: str, token: int):
    """Some value of the parameter's type."""
    if parameter["type"].endswith("[]"):
        return []
    if parameter["type"] == "tuple":
        return tuple(argument(part, address, token) for part in parameter["components"])
    if parameter["name"] == "tokenId":
        return token
    values = {"address": address, "bool": True, "bytes32": bytes(31) + b"\1", "bytes": b"", "string": ""}
    return values.get(parameter["type"], 1)


def answer(chain, name: str, arguments, caller: str) -> str:
    """Calls without sending; returns the refusal's code, empty when there is none."""
    contract, method = name.split(".")
    try:
        with node_errors():
            chain._contract(contract).functions[method](*arguments).call({"from": caller})
    except Refused as refused:
        return refused.code
    return ""


def test_the_tables_name_every_function_and_every_role():
    assert set(HOLDER) == set(functions())
    constants = {
        f"{contract}.{item['name']}"
        for contract in CONTRACTS
        for item in artifact(contract)["abi"]
        if item["type"] == "function" and item["name"].endswith("_ROLE")
    }
    assert set(ROLE_HOLDERS) == constants


def test_no_two_roles_share_a_key(shared_world, callers):
    assert len(set(callers.values())) == len(callers)
    for name, expected in ROLE_HOLDERS.items():
        contract, role = name.split(".")
        number = bytes(32) if role == "DEFAULT_ADMIN_ROLE" else keccak(text=role)
        holders = {who for who, at in callers.items() if shared_world.chain._read(contract, "hasRole", number, at)}
        assert holders == expected, name


@pytest.mark.parametrize("name", [name for name, holder in HOLDER.items() if holder is not ANYBODY])
def test_a_function_refuses_every_other_key(shared_world, callers, holding, name):
    lender, token = holding
    arguments = [argument(parameter, lender, token) for parameter in functions()[name]["inputs"]]
    for who, caller in callers.items():
        code = answer(shared_world.chain, name, arguments, caller)
        may = who == HOLDER[name] or (who == "FXRecovery" and name == "FXReceivableToken.fractionalise")
        may = may or (who == "FXRecovery" and name == "FXReceivableToken.transferWithRef")
        assert (code != UNAUTHORISED) if may and who != "nobody" else (code == UNAUTHORISED), who


def test_what_anybody_may_call_reaches_nothing_of_others(shared_world, callers, holding):
    lender, token = holding
    chain = shared_world.chain
    for who, caller in callers.items():
        taken = answer(chain, "FXReceivableToken.transferFrom", (lender, caller, token, FACE), caller)
        if who not in ("operator", "FXRecovery"):
            assert taken == "ERC6909_INSUFFICIENT_ALLOWANCE", who
        assert answer(chain, "FXReceivableToken.transfer", (lender, token, FACE), caller) != ""
        assert answer(chain, "FXIdentity.init", (caller,), caller) == "ALREADY_INITIALISED"
        assert answer(chain, "FXIdentity.addClaim", (1, 1, caller, b"", b"", ""), caller) == "NOT_ISSUER"
        for contract in WITH_ROLES:
            others = (bytes(32), chain.role_address("admin"))
            refused = "" if who == "admin" else "ACCESS_CONTROL_BAD_CONFIRMATION"
            assert answer(chain, f"{contract}.renounceRole", others, caller) == refused


def test_a_rule_is_replaced_only_by_a_key_that_was_granted_it_in_public(fresh_world):
    chain, admin = fresh_world.chain, fresh_world.keys.address("admin")
    chain.deploy()
    compliance, lockup = chain.deployment()["FXComplianceModularised"], chain.deployment()["FXLockupRule"]
    replace = chain._encode("FXComplianceModularised", "setRule", (2, lockup))
    misplace = chain._encode("FXComplianceModularised", "setRule", (1, lockup))
    grant = chain._encode("FXComplianceModularised", "grantRole", (keccak(text="GOVERNOR_ROLE"), admin))
    with pytest.raises(Refused, match=UNAUTHORISED):
        chain.journal.run("early", "admin", compliance, replace, 100_000)
    chain.journal.run("grant", "admin", compliance, grant, 100_000)
    chain.journal.run("replace", "admin", compliance, replace, 100_000)
    with pytest.raises(Refused, match="WRONG_RULE"):
        chain.journal.run("misplace", "admin", compliance, misplace, 100_000)
