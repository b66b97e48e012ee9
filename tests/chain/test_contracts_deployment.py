"""A deployment is of one release, and it is found again as it is."""

import pytest

from chain.abi import artifact
from chain.deployment import RECOVERY_GRANTS
from chain.errors import Final


def test_contracts_of_another_release_are_not_taken_for_ours(fresh_world, monkeypatch):
    fresh_world.chain.deploy()
    ours = artifact("FXReceivableToken")
    changed = ours | {"bytecode": ours["bytecode"][:-2] + "fe"}
    assert changed != ours

    def of_another_release(contract: str):
        return changed if contract == "FXReceivableToken" else artifact(contract)

    monkeypatch.setattr("chain.deployment.artifact", of_another_release)
    for use in (lambda chain: chain.deployment(), lambda chain: chain.deploy()):
        with pytest.raises(Final, match="FXReceivableToken was deployed by another release: .* new FX_HOME"):
            use(fresh_world.connect())
    monkeypatch.undo()
    assert fresh_world.connect().deployment() == fresh_world.chain.deployment()


def test_a_deployment_without_its_grants_is_not_finished(fresh_world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("chain.deployment.RECOVERY_GRANTS", {})
        fresh_world.chain.deploy()
    assert RECOVERY_GRANTS
    with pytest.raises(Final, match="has not been granted"):
        fresh_world.connect().deployment()
    fresh_world.connect().deploy()
    assert fresh_world.connect().deployment() == fresh_world.chain.deployment()
