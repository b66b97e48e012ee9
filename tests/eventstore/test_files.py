"""Files that are whole, private and on the disk; and that nothing in the house writes them in another way."""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.keys import ROLES, FolderKeys
from eventstore.files import private_folder, private_log, write_whole
from providers.keys.local import KeyRing
from providers.stage.store import Store as StageStore

ROOT = Path(__file__).parents[2]
ROOMS = ("domain", "eventstore", "providers", "chain", "ai", "projections", "processes", "api", "bootstrap")
OWN_COPY = {"chain/witness.py"}
"""Run by another firm, without the rest of the house."""


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, in order."""
    names: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (names.append(os.readlink(f"/proc/self/fd/{handle}")),
                                                     fsync(handle)))
    return names


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_is_whole_synced_and_has_its_mode(tmp_path: Path, umask: int, synced: list[str]) -> None:
    path = tmp_path / "file"
    write_whole(path, b"first")
    write_whole(path, b"second", 0o644)
    assert path.read_bytes() == b"second" and mode(path) == 0o644
    assert [Path(name).parent == tmp_path for name in synced] == [True, False] * 2, "the file, then its folder"
    assert synced[1] == synced[3] == str(tmp_path)
    assert os.listdir(tmp_path) == ["file"]


def test_of_many_that_make_it_the_first_wins(tmp_path: Path) -> None:
    path, lost = tmp_path / "key", []

    def write(number: int) -> None:
        try:
            write_whole(path, str(number).encode(), replace=False)
        except FileExistsError:
            lost.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted([*lost, int(path.read_text())]) == list(range(8)) and os.listdir(tmp_path) == ["key"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"kept")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"lost")
    assert path.read_bytes() == b"kept" and os.listdir(tmp_path) == ["file"]


def test_a_folder_is_its_owners_alone(tmp_path: Path, umask: int, synced: list[str]) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path / "a"), mode(folder)) == (0o700, 0o700)
    assert synced == [str(tmp_path), str(tmp_path / "a")]
    folder.chmod(0o777)
    private_folder(folder)
    assert mode(folder) == 0o700
    os.close(private_log(folder / "log"))
    assert mode(folder / "log") == 0o600


def test_keys_and_the_simulators_memory_are_private(tmp_path: Path, umask: int) -> None:
    FolderKeys(tmp_path / "keys")
    KeyRing(tmp_path / "ring" / "ring.json", bytes(32))
    StageStore(tmp_path / "simulators" / "memory.sqlite3").close()
    modes = {path: mode(path) for path in tmp_path.rglob("*")}
    assert len(modes) > len(ROLES)
    assert {found for path, found in modes.items() if path.is_file()} == {0o600}, modes
    assert {found for path, found in modes.items() if path.is_dir()} == {0o700}, modes


def test_every_room_writes_what_it_keeps_through_this_one_module() -> None:
    """Who syncs, links or replaces a file does by hand what `write_whole` is for."""
    found = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for room in ROOMS for path in (ROOT / room).rglob("*.py")
        if path.name != "files.py" and str(path.relative_to(ROOT)) not in OWN_COPY
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
        and node.attr in ("fsync", "replace", "rename", "link")}
    assert found == set()
