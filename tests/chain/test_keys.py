"""Keys stay in files only their owner reads, and nowhere else."""

import stat

import pytest

from chain.errors import Final
from chain.keys import ROLES, WALLET_SEED, FolderKeys


def test_missing_keys_are_made_once_and_kept_private(tmp_path):
    folder = tmp_path / "keys"
    first, second = FolderKeys(folder), FolderKeys(folder)
    addresses = [first.address(role) for role in ROLES]
    assert addresses == [second.address(role) for role in ROLES]
    assert len(set(addresses)) == len(ROLES)
    assert {path.name for path in folder.iterdir()} == {f"{name}.key" for name in (*ROLES, WALLET_SEED)}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_seed_gives_the_same_keys_and_no_seed_does_not(tmp_path):
    one, two = (FolderKeys(tmp_path / name, seed=b"demonstration") for name in ("one", "two"))
    assert one.address("operator") == two.address("operator")
    assert one.custody_address("sub_1") == two.custody_address("sub_1")
    assert FolderKeys(tmp_path / "three").address("operator") != one.address("operator")


def test_custody_wallets_are_stable_and_differ(tmp_path):
    keys = FolderKeys(tmp_path / "keys")
    assert keys.custody_address("sub_1") == FolderKeys(tmp_path / "keys").custody_address("sub_1")
    assert keys.custody_address("sub_1") != keys.custody_address("sub_2")
    assert keys.custody_address("sub_1").startswith("0x")


def test_a_key_others_can_read_is_refused(tmp_path):
    FolderKeys(tmp_path / "keys")
    (tmp_path / "keys" / "admin.key").chmod(0o644)
    with pytest.raises(Final, match="key can be read by others"):
        FolderKeys(tmp_path / "keys")


def test_a_broken_key_is_refused_without_showing_it(tmp_path):
    FolderKeys(tmp_path / "keys")
    (tmp_path / "keys" / "admin.key").write_text("deadbeef")
    with pytest.raises(Final, match="does not hold 32 bytes") as caught:
        FolderKeys(tmp_path / "keys")
    assert "deadbeef" not in str(caught.value)


def test_no_key_is_in_the_repr(tmp_path):
    keys = FolderKeys(tmp_path / "keys")
    secrets = [path.read_text().strip() for path in (tmp_path / "keys").iterdir()]
    assert not any(secret in repr(keys) + str(keys) for secret in secrets)
