import hashlib
import os
from pathlib import Path

import pytest

from providers.documents.archive import Archive
from providers.errors import Final

KEY = bytes(range(32))
CONTENT = b"%PDF-1.7 an invoice"


def file_of(folder: Path, name: str) -> Path:
    return folder / name[:2] / name


def test_what_is_put_comes_back_by_its_hash(tmp_path: Path):
    archive = Archive(tmp_path, KEY)
    name = archive.put(CONTENT)
    assert name == hashlib.sha256(CONTENT).hexdigest()
    assert archive.get(name) == CONTENT
    assert Archive(tmp_path, KEY).get(name) == CONTENT


def test_the_file_is_sealed_and_putting_again_leaves_it(tmp_path: Path):
    archive = Archive(tmp_path, KEY)
    name = archive.put(CONTENT)
    sealed = file_of(tmp_path, name).read_bytes()
    assert b"invoice" not in sealed
    assert archive.put(CONTENT) == name
    assert file_of(tmp_path, name).read_bytes() == sealed
    assert [path.name for path in file_of(tmp_path, name).parent.iterdir()] == [name]


@pytest.mark.parametrize("at", [0, 5, -1])
def test_a_changed_byte_is_tampering_and_putting_again_repairs(tmp_path: Path, at: int):
    archive = Archive(tmp_path, KEY)
    path = file_of(tmp_path, name := archive.put(CONTENT))
    sealed = bytearray(path.read_bytes())
    sealed[at] ^= 1
    path.write_bytes(sealed)
    with pytest.raises(Final, match="tampered"):
        archive.get(name)
    archive.put(CONTENT)
    assert archive.get(name) == CONTENT


def test_two_sealed_files_cannot_be_swapped(tmp_path: Path):
    archive = Archive(tmp_path, KEY)
    one, two = archive.put(b"one"), archive.put(b"two")
    file_of(tmp_path, one).write_bytes(file_of(tmp_path, two).read_bytes())
    with pytest.raises(Final, match="tampered"):
        archive.get(one)


@pytest.mark.parametrize("content", [b"", b"\x01", os.urandom(10)])
def test_a_truncated_file_is_tampering(tmp_path: Path, content: bytes):
    archive = Archive(tmp_path, KEY)
    name = archive.put(CONTENT)
    file_of(tmp_path, name).write_bytes(content)
    with pytest.raises(Final, match="tampered"):
        archive.get(name)


def test_another_key_opens_nothing(tmp_path: Path):
    name = Archive(tmp_path, KEY).put(CONTENT)
    with pytest.raises(Final, match="tampered"):
        Archive(tmp_path, bytes(32)).get(name)


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "A" * 64])
def test_an_unknown_name_is_not_found(tmp_path: Path, name: str):
    with pytest.raises(Final, match="not_found"):
        Archive(tmp_path, KEY).get(name)


def test_a_short_key_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="32 bytes"):
        Archive(tmp_path, b"short")
