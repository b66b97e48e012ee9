"""House rules as tests: sizes, locks, documentation."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LONGEST_FILE = 500


def tracked(*patterns: str) -> list[Path]:
    names = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    return [ROOT / name for name in names.stdout.splitlines()]


def pins(name: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE))


def test_no_source_file_is_longer_than_500_lines() -> None:
    too_long = [path.name for path in tracked("*.py", "*.sol") if len(path.read_text().splitlines()) > LONGEST_FILE]
    assert too_long == []


def test_lock_files_carry_no_download_addresses() -> None:
    for name in ("requirements.lock", "requirements-run.lock", "requirements-nodeps.lock",
                 "requirements-slither.lock", "package-lock.json"):
        assert "http" not in re.sub(r"httpx|httpcore|aiohttp|httptools", "", (ROOT / name).read_text()), name


def test_the_runtime_lock_is_part_of_the_lock() -> None:
    assert pins("requirements-run.lock") <= pins("requirements.lock")


def test_decisions_are_short() -> None:
    for record in (ROOT / "docs" / "decisions").glob("*.md"):
        assert len(record.read_text().splitlines()) <= 45, record.name


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for named in re.findall(r"`make ([a-z-]+)`", (ROOT / "README.md").read_text()):
        assert named in targets or named.startswith("bench-"), named
