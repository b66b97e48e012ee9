"""The same journal on a real Besu node: QBFT, one validator, gas without a price. Needs Docker."""

import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from chain.client import Chain, token_id
from chain.errors import Retryable
from tests.conftest import _docker_answers

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
IMAGE = COMPOSE["x-validator"]["image"].partition(":-")[2].rstrip("}")
CHAIN_ID = 1337
PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def besu(tmp_path_factory) -> Iterator[str]:
    """One validator of the network that compose.yaml describes; its URL."""
    if not _docker_answers():
        pytest.skip("Docker does not answer here, and Besu comes as a container image")
    from testcontainers.core.container import DockerContainer

    folder = tmp_path_factory.mktemp("besu")
    network = json.loads(COMPOSE["configs"]["network"]["content"])
    network["blockchain"]["nodes"]["count"] = 1
    network["genesis"]["config"]["qbft"]["blockperiodseconds"] = 1
    (folder / "network.json").write_text(json.dumps(network))
    folder.chmod(0o777)
    generate = ["operator", "generate-blockchain-config", "--config-file=/network/network.json", "--to=/network/made"]
    command = ["docker", "run", "--rm", "--user", "root", "--volume", f"{folder}:/network", IMAGE, *generate,
               "--private-key-file-name=key"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    made = next((folder / "made" / "keys").iterdir())
    shutil.copy(made / "key", folder / "key")
    options = ["--data-path=/tmp/data", "--genesis-file=/network/made/genesis.json",
               "--node-private-key-file=/network/key", "--min-gas-price=0", "--rpc-http-enabled",
               "--rpc-http-host=0.0.0.0", "--host-allowlist=*", "--rpc-http-api=ETH,NET,WEB3,TXPOOL,QBFT"]
    node = DockerContainer(IMAGE, user="root").with_volume_mapping(str(folder), "/network", "rw")
    with node.with_exposed_ports(8545).with_command(options) as running:
        yield f"http://{running.get_container_host_ip()}:{running.get_exposed_port(8545)}"


@pytest.mark.timeout(600)
def test_operations_happen_once_on_besu(besu, new_rows, keys):
    chain = patiently(lambda: Chain.connect(besu, CHAIN_ID, new_rows(), keys))
    patiently(chain.deploy)
    token = token_id(f"besu-{secrets.token_hex(4)}")
    first = patiently(lambda: chain.mint("mint", token, 1_000))
    assert chain.mint("mint", token, 1_000) == first
    assert chain.receivable(token).status == "live"
    assert chain.node(int(time.time())).client.lower().startswith("besu")
    assert chain.examine(int(time.time())) == []


def patiently(act):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except Retryable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
