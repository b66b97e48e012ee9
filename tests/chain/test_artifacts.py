"""The committed artifacts are what the sources compile to."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from chain.abi import ARTIFACTS, CONTRACTS, artifact, creation_code, refusal_code, unword, word

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = REPOSITORY / "chain" / "contracts"
CODE_LIMIT_BYTES = 24_576


def test_the_sources_compile_to_the_committed_artifacts(tmp_path):
    node = REPOSITORY / ".venv" / "bin" / "node"
    node = str(node) if node.exists() else shutil.which("node")
    if node is None or not (REPOSITORY / "node_modules" / "solc").exists():
        pytest.skip("node or solc is not installed")
    script = REPOSITORY / "scripts" / "contracts.cjs"
    subprocess.run([node, str(script), str(tmp_path)], check=True, capture_output=True)
    built = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert built == {path.name: path.read_text() for path in ARTIFACTS.iterdir()}


def test_every_contract_has_an_artifact_and_fits_a_block():
    assert {path.stem for path in ARTIFACTS.iterdir()} == set(CONTRACTS)
    for contract in CONTRACTS:
        entry = artifact(contract)
        assert entry["solc"].startswith("0.8.37") and entry["settings"]["evmVersion"] == "paris"
        assert len(entry["bytecode"]) // 2 < CODE_LIMIT_BYTES
        assert list(entry) == sorted(entry)


DECLARATION = re.compile(
    r"(?P<doc>(?:^ *///.*\n)*)(?:^ *// .*\n)*"
    r"^ {0,4}(?P<kind>function|event|error|constructor|struct|enum|contract|interface|library|mapping"
    r"|[\w\[\]]+ public)\b"
    r"(?P<rest>[^;{]*)",
    re.MULTILINE,
)


def test_everything_a_caller_can_name_is_documented():
    """Functions, getters, events and errors say what they are; functions also what every parameter is."""
    missing = []
    for source in sorted(SOURCES.glob("*.sol")):
        for found in DECLARATION.finditer(source.read_text()):
            doc, kind, rest = found["doc"], found["kind"], found["rest"]
            if kind in ("struct", "enum") or re.search(r"\b(private|internal)\b", rest):
                continue
            if kind == "mapping" and " public " not in rest:
                continue
            if "///" not in doc:
                missing.append(f"{source.name}: {kind}{rest[:40]}")
            if kind in ("function", "constructor") and "@inheritdoc" not in doc:
                parameters = rest[rest.index("(") + 1 : rest.index(")")]
                names = [part.split()[-1] for part in parameters.split(",") if len(part.split()) > 1]
                missing += [f"{source.name}: {name} of{rest[:30]}" for name in names if f"@param {name} " not in doc]
    assert missing == []


def test_no_refusal_names_sanctions():
    for contract in CONTRACTS:
        names = {
            item.get("name", "") for item in artifact(contract)["abi"] if item["type"] in ("error", "event")
        }
        assert not any("sanction" in name.lower() for name in names)
    reasons = (SOURCES / "FXTypes.sol").read_text().partition("library Reason")[2]
    assert "SANCTION" not in reasons


def test_constructor_arguments_follow_the_code():
    code = creation_code("FXTrustedIssuersRegistry", "0x" + "11" * 20)
    assert code.hex().endswith("11" * 20)
    assert code.hex().startswith(artifact("FXTrustedIssuersRegistry")["bytecode"][2:])
    assert creation_code("FXIdentity").hex() == artifact("FXIdentity")["bytecode"][2:]


def test_reverts_have_names():
    assert refusal_code(b"") == "REVERTED"
    assert refusal_code(bytes.fromhex("deadbeef")) == "REVERTED"
    assert unword(word("RESTRICTED")) == "RESTRICTED"
    with pytest.raises(ValueError, match="does not fit"):
        word("A" * 33)


def test_artifacts_are_json_with_sorted_keys():
    for path in ARTIFACTS.iterdir():
        text = path.read_text()
        assert json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n" == text
