"""The recipes of docs/verifying.md do what they say: the page's own blocks are run, on a running platform."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.api.conftest import Past
from tests.scenarios.town import accepted

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "verifying.md").read_text()
NODE = ROOT / ".venv" / "bin" / "node"
POSITION = 7


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


FETCH, BY_HAND, BY_CURL = blocks("bash")
[BY_ETHERS] = blocks("js")

MISSING = [tool for tool in ("bash", "curl", "openssl", "xxd") if shutil.which(tool) is None]
needs_tools = pytest.mark.skipif(bool(MISSING), reason=f"not on this machine: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def bundle(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    answer = past.town.person("mlro").http.get("/v1/audit/bundles", params={"from": 1, "to": 2 * POSITION})
    zipfile.ZipFile(BytesIO(answer.content)).extractall(folder)
    return folder


@pytest.fixture
def environment(past: Past, bundle: Path) -> dict[str, str]:
    settings = past.town.house.platform.settings
    contract = past.town.house.platform.chain().deployment()["FXAuditAnchor"]
    return {**os.environ, "API": past.town.house.url, "KEY": past.town.house.admin_key, "BUNDLE": str(bundle),
            "POSITION": str(POSITION), "RPC": settings.chain_url or "", "CONTRACT": contract}


def run(folder: Path, environment: dict[str, str], *texts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", "\n".join(texts)], cwd=folder, env=environment, capture_output=True, text=True,
                          check=False, timeout=60)


@needs_tools
def test_openssl_follows_an_entry_to_the_root(past: Past, environment: dict[str, str], tmp_path: Path) -> None:
    done = run(tmp_path, environment, FETCH, BY_HAND)
    told = accepted(past.town.person("admin").get(f"/v1/audit/proofs/{POSITION}"))
    assert done.returncode == 0, done.stderr
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[:4])
    assert {**said, "leaf": ""} == {"body_hash": told["body_hash"], "hash": told["hash"], "leaf": "",
                                    "root": told["root"]}
    assert done.stdout.splitlines()[-1] == f"entry {POSITION} is in batch {told['batch_id']}"


@needs_tools
@pytest.mark.parametrize("change", [
    f"""sed -i '/^{{"position":{POSITION},/s/"actor":"./"actor":"~/' entries.jsonl""",
    """sed -i 's/"proof":\\["../"proof":["zz/' proof.json""",
    """sed -i 's/"proof":\\["[0-9a-f]*",/"proof":[/' proof.json""",
    """sed -i 's/"root":"../"root":"zz/' proof.json""",
    """sed -i 's/"recorded_us":./"recorded_us":9/' proof.json""",
    """sed -i 's/"prev_hash":"../"prev_hash":"zz/' proof.json""",
])
def test_openssl_notices_a_change(environment: dict[str, str], bundle: Path, tmp_path: Path, change: str) -> None:
    shutil.copy(bundle / "entries.jsonl", tmp_path)
    done = run(tmp_path, environment | {"BUNDLE": str(tmp_path)}, FETCH, change, BY_HAND)
    assert done.returncode != 0 and "is in batch" not in done.stdout


@needs_tools
def test_curl_asks_the_contract(environment: dict[str, str], tmp_path: Path) -> None:
    done = run(tmp_path, environment, FETCH, BY_CURL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"the contract has entry {POSITION} in batch ")


def test_ethers_asks_the_contract(past: Past, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "check.mjs").write_text(BY_ETHERS)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    (tmp_path / "proof.json").write_bytes(past.town.person("admin").get(f"/v1/audit/proofs/{POSITION}").content)
    asked = [str(NODE), "check.mjs"]
    done = subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"the contract has entry {POSITION} in batch ")


@needs_tools
@pytest.mark.parametrize("asks", ["curl", "ethers"])
def test_the_contract_notices_another_entrys_proof(past: Past, environment: dict[str, str], tmp_path: Path,
                                                   asks: str) -> None:
    other = accepted(past.town.person("admin").get(f"/v1/audit/proofs/{POSITION + 1}"))["hash"]
    swap = f"""sed -i 's/"hash":"[0-9a-f]*"/"hash":"{other}"/' proof.json"""
    (tmp_path / "check.mjs").write_text(BY_ETHERS)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    done = run(tmp_path, environment, FETCH, swap, BY_CURL if asks == "curl" else f"{NODE} check.mjs")
    assert done.returncode != 0 and "the contract has" not in done.stdout
