"""The whole road once, on real parts, and once more: the second time changes nothing."""

from __future__ import annotations

import time

from tests.conftest import House


def test_the_story_from_submission_to_settlement(house: House) -> None:
    story = house.story()
    story.play()
    admin = house.client(house.admin_key)
    ledger = admin.get("/v1/admin/ledger")
    assert ledger["sum_pence"] == 0
    assert ledger["not_cleared"] == []
    balances = {row["account"]: row["pence"] for row in ledger["accounts"]}
    assert balances["platform_cash"] == 10_000 + 797
    assert balances["fee_income:MINIMUM_FEE_TOP_UP"] == -1_500
    head = settled_head(house)

    again = house.story()
    again.keys = dict(story.keys)
    again.play()

    assert house.platform.store.head() == head


def settled_head(house: House) -> int:
    """The log's end once nothing is owed: the last mails are sent after the last answer."""
    platform, head, before = house.platform, 0, -1
    while head != before or platform.effects.oldest_open() or platform.reactor.position < head:
        time.sleep(0.5)
        before, head = head, platform.store.head()
    return head
