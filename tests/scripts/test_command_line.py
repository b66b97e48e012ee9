"""`fx` as a user meets it: every failure is one line, and nothing treads on what already runs."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import scripts.fx as command_line
from chain.anvil import free_port

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30.0
PORTS = ("FX_HTTP_PORT", "FX_CHAIN_PORT", "FX_SIMULATOR_PORT", "FX_SMTP_PORT")

Environment = dict[str, str]


def surroundings(home: Path) -> Environment:
    outer = {name: value for name, value in os.environ.items() if not name.startswith("FX_")}
    return {**outer, **{name: str(free_port()) for name in PORTS}, "FX_HOME": str(home), "COLUMNS": "200"}


def fx(environment: Environment, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "scripts.fx", *words], cwd=ROOT, env=environment,
                          capture_output=True, text=True, check=False, timeout=60)


def refused(environment: Environment, *words: str) -> str:
    """The one line a command fails with."""
    done = fx(environment, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.strip()


@pytest.fixture
def refused_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`refused` without a process of its own, which takes seconds to begin."""

    def run(environment: Environment, *words: str) -> str:
        monkeypatch.setattr(os, "environ", environment)
        monkeypatch.setattr(sys, "argv", ["fx", *words])
        monkeypatch.setattr(command_line, "configure_logs", lambda: None)
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        said = capsys.readouterr().err
        code = 2 if words[0] == "verify" else 1  # 1 is tampering
        assert ended.value.code == code and "Traceback" not in said and len(said.splitlines()) == 1, said
        return said.strip()

    return run


# ---------------------------------------------------------------- settings and homes


@pytest.mark.parametrize(("given", "said"), [
    ({"FX_HTTP_PORT": "70000"}, "FX_HTTP_PORT is '70000'"),
    ({"FX_CHAIN_PORT": "many"}, "FX_CHAIN_PORT is 'many'"),
    ({"FX_DATABASE_URL": "garbage"}, "postgresql://user:password@host:port/name"),
    ({"FX_CLOCK": "noon"}, "FX_CLOCK is 'noon'"),
    ({"FX_CLOCK": "sandbox:noon"}, "FX_CLOCK is 'sandbox:noon'"),
    ({"FX_HOME": "/proc/nowhere"}, "the home /proc/nowhere cannot be used"),
    ({"FX_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/fx"}, "no PostgreSQL answers"),
    ({"FX_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/fx?colour=red"}, "ProgrammingError: "),
])
def test_a_wrong_setting_is_one_line(tmp_path: Path, refused_here: Callable[..., str], given: Environment,
                                     said: str) -> None:
    assert said in refused_here({**surroundings(tmp_path / "home"), **given}, "serve")


def test_broken_secrets_are_one_line(tmp_path: Path, refused_here: Callable[..., str]) -> None:
    (tmp_path / "secrets.json").write_text("{")
    assert "secrets.json is broken" in refused_here(surroundings(tmp_path), "verify")


@pytest.mark.parametrize("words", [("verify",), ("projections", "list"), ("projections", "rebuild", "all"),
                                   ("replay-advice", "F-1"), ("bundle", "export", "/tmp/never.zip")])
def test_a_tool_that_looks_makes_no_home(tmp_path: Path, refused_here: Callable[..., str],
                                         words: tuple[str, ...]) -> None:
    home = tmp_path / "home"
    assert refused_here(surroundings(home), *words) == f"fx: no home at {home} yet: run `make serve`"
    assert not home.exists()


def test_doctor_says_that_there_is_no_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = fx(surroundings(home), "doctor")
    assert done.returncode == 1
    assert "run `make serve`" in done.stdout and done.stderr == ""
    assert not home.exists()


def test_a_misspelt_variable_is_named(tmp_path: Path) -> None:
    done = fx({**surroundings(tmp_path), "FX_HTTP_PROT": "1", "FX_FCA_KEY": "k", "FX_TEST_X": "x"}, "stop")
    assert done.returncode == 0
    assert done.stderr.splitlines() == ["fx: nothing reads FX_HTTP_PROT: misspelt?"]


def test_production_says_in_one_line_what_it_lacks(tmp_path: Path, refused_here: Callable[..., str]) -> None:
    line = refused_here({**surroundings(tmp_path), "FX_PROFILE": "production", "FX_FCA_KEY": "own"}, "serve")
    assert "FX_DATABASE_URL is missing" in line and "FX_FCA_KEY has 3 characters" in line
    assert "`fx doctor --profile production` says what to do" in line


def test_the_doctor_lists_what_keeps_it_from_production(tmp_path: Path) -> None:
    done = fx(surroundings(tmp_path / "home"), "doctor", "--profile", "production")
    assert done.returncode == 1 and done.stderr == ""
    assert "FX_CLEARBANK_SECRET" in done.stdout and "is missing" in done.stdout
    assert not (tmp_path / "home").exists()


# ---------------------------------------------------------------- the demonstration


def test_a_second_demonstration_leaves_the_first_alone(tmp_path: Path, refused_here: Callable[..., str]) -> None:
    kept = tmp_path / "demo" / "kept"
    kept.parent.mkdir()
    kept.touch()
    with (tmp_path / "demo.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert refused_here(surroundings(tmp_path), "demo") == f"fx: another demonstration runs on {tmp_path}"
    assert kept.exists()


def test_a_demonstration_without_its_ports_deletes_nothing(tmp_path: Path, refused_here: Callable[..., str]) -> None:
    kept = tmp_path / "demo" / "kept"
    kept.parent.mkdir()
    kept.touch()
    environment = surroundings(tmp_path)
    with socket.create_server(("127.0.0.1", int(environment["FX_SMTP_PORT"]))):
        assert refused_here(environment, "demo").endswith("set FX_SMTP_PORT")
    assert kept.exists()


# ---------------------------------------------------------------- beside a running platform


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """`fx serve` on a home of its own, with everything embedded; first without its contracts."""
    home = tmp_path_factory.mktemp("home")
    environment = surroundings(home)
    assert fx(environment, "migrate").returncode == 0
    before = fx(environment, "doctor")  # nothing runs yet: the tool starts the node, and creates nothing
    assert before.returncode == 1 and "is not deployed: run `fx chain deploy`" in before.stdout, before.stdout
    with (home / "serve.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "scripts.fx", "serve"], cwd=ROOT, env=environment,
                                   stdout=log, stderr=log)
    deadline = time.monotonic() + READY_S
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", int(environment["FX_HTTP_PORT"]))) != 0:
            assert process.poll() is None and time.monotonic() < deadline, (home / "serve.log").read_text()
            time.sleep(0.1)
    yield environment
    process.terminate()
    process.wait(timeout=30)
    with_contracts = fx(environment, "doctor")
    fx(environment, "stop")
    assert with_contracts.returncode == 0, with_contracts.stdout
    assert (home / "serve.log").read_text().count("Traceback") == 0


def test_a_second_platform_on_the_home_is_refused(running: Environment) -> None:
    ports = {name: str(free_port()) for name in PORTS}
    assert refused({**running, **ports}, "serve") == f"fx: another FinToken X runs on {running['FX_HOME']}"


def test_tools_use_the_node_of_the_running_platform(running: Environment) -> None:
    doctor = fx(running, "doctor")
    assert doctor.returncode == 0 and doctor.stderr == "", doctor.stdout + doctor.stderr
    deploy = fx(running, "chain", "deploy")
    assert deploy.returncode == 0 and "FXAuditAnchor" in deploy.stdout, deploy.stderr


def test_tools_say_when_they_look_for_the_node_elsewhere(running: Environment) -> None:
    line = refused({**running, "FX_CHAIN_PORT": str(free_port())}, "chain", "deploy")
    assert "another FinToken X runs" in line and "the same FX_CHAIN_PORT" in line


def test_a_bundle_needs_anchors_a_range_and_a_folder(running: Environment, tmp_path: Path,
                                                     refused_here: Callable[..., str]) -> None:
    target = str(tmp_path / "bundle.zip")
    assert "nothing is anchored yet" in refused(running, "bundle", "export", target)
    turned = refused_here(running, "bundle", "export", target, "--from", "10", "--to", "5")
    assert turned == "fx: give --from at most --to"
    missing = tmp_path / "missing"
    assert refused_here(running, "bundle", "export", str(missing / "b.zip")).endswith(f"there is no folder {missing}")


def test_a_staff_members_key_is_told_once_rolled_and_revoked(running: Environment,
                                                              refused_here: Callable[..., str]) -> None:
    who = ("--role", "compliance_officer", "--email", "p@fintokenx.uk")
    first = fx(running, "staff", "enrol", *who, "--name", "Priya Lall")
    assert first.returncode == 0 and first.stderr == "" and first.stdout.startswith("fxk_test_stf_")
    assert "a key is told once" in refused_here(running, "staff", "enrol", *who, "--name", "Somebody Else")
    second = fx(running, "staff", "roll", *who)
    assert second.returncode == 0 and second.stdout != first.stdout
    assert fx(running, "staff", "revoke", *who).returncode == 0
    assert "there is no such account" in refused_here(running, "staff", "roll", "--role", "platform_admin", "--email",
                                                      "nobody@fintokenx.uk")
