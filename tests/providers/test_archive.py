import hashlib
import os
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eventstore.vault import SubjectGone
from eventstore.wrapping import BrokenSeal
from providers.documents.archive import Archive
from providers.errors import Final

CONTENT = b"%PDF-1.7 an invoice"
SELLER, OTHER = "sub_1", "sub_2"


class Keys:
    """The vault's part, in memory: a key per subject, which can be destroyed."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes | None] = {}

    def seal_bytes(self, subject: str, content: bytes, label: str) -> bytes:
        nonce = os.urandom(12)
        return nonce + AESGCM(self._key(subject)).encrypt(nonce, content, label.encode())

    def open_bytes(self, subject: str, sealed: bytes, label: str) -> bytes:
        try:
            return AESGCM(self._key(subject)).decrypt(sealed[:12], sealed[12:], label.encode())
        except (InvalidTag, ValueError) as error:
            raise BrokenSeal("broken") from error

    def _key(self, subject: str) -> bytes:
        key = self.keys.setdefault(subject, os.urandom(32))
        if key is None:
            raise SubjectGone("erased")
        return key


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def archive(tmp_path: Path, keys: Keys) -> Archive:
    return Archive(tmp_path, keys)


def file_of(folder: Path, name: str, subject: str = SELLER) -> Path:
    return folder / subject / name[:2] / name


def test_what_is_put_comes_back_by_its_hash(tmp_path: Path, archive: Archive, keys: Keys):
    name = archive.put(SELLER, CONTENT)
    assert name == hashlib.sha256(CONTENT).hexdigest()
    assert archive.get(SELLER, name) == CONTENT and archive.has(SELLER, name)
    assert Archive(tmp_path, keys).get(SELLER, name) == CONTENT


def test_the_file_is_sealed_and_putting_again_leaves_it(tmp_path: Path, archive: Archive):
    name = archive.put(SELLER, CONTENT)
    sealed = file_of(tmp_path, name).read_bytes()
    assert b"invoice" not in sealed
    assert archive.put(SELLER, CONTENT) == name
    assert file_of(tmp_path, name).read_bytes() == sealed
    assert [path.name for path in file_of(tmp_path, name).parent.iterdir()] == [name]


def test_what_one_subject_stored_is_not_there_for_another(archive: Archive):
    name = archive.put(SELLER, CONTENT)
    assert not archive.has(OTHER, name)
    with pytest.raises(Final, match="not_found"):
        archive.get(OTHER, name)


def test_a_forgotten_subject_leaves_nothing_and_others_keep_theirs(tmp_path: Path, archive: Archive):
    name, _ = archive.put(SELLER, CONTENT), archive.put(OTHER, CONTENT)
    for _ in range(2):
        archive.forget(SELLER)
        assert not archive.has(SELLER, name) and not (tmp_path / SELLER).exists()
    assert archive.get(OTHER, name) == CONTENT


def test_a_backup_of_the_folder_is_worthless_once_the_key_is_gone(tmp_path: Path, archive: Archive, keys: Keys):
    name = archive.put(SELLER, CONTENT)
    keys.keys[SELLER] = None
    with pytest.raises(Final, match="erased"):
        archive.get(SELLER, name)
    with pytest.raises(SubjectGone):
        archive.put(SELLER, b"%PDF something new")


@pytest.mark.parametrize("at", [0, 5, -1])
def test_a_changed_byte_is_tampering_and_putting_again_repairs(tmp_path: Path, archive: Archive, at: int):
    path = file_of(tmp_path, name := archive.put(SELLER, CONTENT))
    sealed = bytearray(path.read_bytes())
    sealed[at] ^= 1
    path.write_bytes(sealed)
    with pytest.raises(Final, match="tampered"):
        archive.get(SELLER, name)
    archive.put(SELLER, CONTENT)
    assert archive.get(SELLER, name) == CONTENT


def test_two_sealed_files_cannot_be_swapped(tmp_path: Path, archive: Archive):
    one, two = archive.put(SELLER, b"one"), archive.put(SELLER, b"two")
    file_of(tmp_path, one).write_bytes(file_of(tmp_path, two).read_bytes())
    with pytest.raises(Final, match="tampered"):
        archive.get(SELLER, one)


@pytest.mark.parametrize("content", [b"", b"\x01", b"ten bytes."])
def test_a_truncated_file_is_tampering(tmp_path: Path, archive: Archive, content: bytes):
    name = archive.put(SELLER, CONTENT)
    file_of(tmp_path, name).write_bytes(content)
    with pytest.raises(Final, match="tampered"):
        archive.get(SELLER, name)


def test_another_key_opens_nothing(tmp_path: Path, archive: Archive):
    name = archive.put(SELLER, CONTENT)
    with pytest.raises(Final, match="tampered"):
        Archive(tmp_path, Keys()).get(SELLER, name)


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "A" * 64])
def test_an_unknown_name_is_not_found(archive: Archive, name: str):
    with pytest.raises(Final, match="not_found"):
        archive.get(SELLER, name)


@pytest.mark.parametrize("subject", ["", "..", "sub_1/../sub_2", "sub_1\x00", "/etc"])
def test_a_subject_that_is_none_reaches_no_folder(archive: Archive, subject: str):
    for act in (lambda: archive.put(subject, CONTENT), lambda: archive.forget(subject)):
        with pytest.raises(Final, match="not_found"):
            act()
