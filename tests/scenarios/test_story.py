"""The whole road once, on real parts, and once more: the second time changes nothing."""

from __future__ import annotations

from tests.conftest import House


def test_the_story_from_submission_to_settlement(house: House) -> None:
    house.story().play()
    admin = house.client(house.admin_key)
    ledger = admin.get("/v1/admin/ledger")
    assert ledger["sum_pence"] == 0
    assert ledger["not_cleared"] == []
    balances = {row["account"]: row["pence"] for row in ledger["accounts"]}
    assert balances["platform_cash"] == 10_000 + 797
    assert balances["fee_income:MINIMUM_FEE_TOP_UP"] == -1_500
    head = house.platform.store.head()

    house.story().play()

    assert house.platform.store.head() == head
