"""Nothing secret or personal that was entered stands in clear in the database, the logs, bundles, segments or mails."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from scripts.campaigns.secrets import CANARY, Value, lived, searched

pytestmark = pytest.mark.long


def test_after_a_whole_story_nothing_entered_is_found() -> None:
    figures = lived()
    assert figures["what"] == []
    assert figures["values"] > 30
    assert {"bundle", "database", "mail", "segments"} <= set(figures["searched"]), "each of these was really read"


@pytest.mark.parametrize("written", [
    "a b/c@d+é!", "a b/c@d+\\u00e9!", "a b/c@d+é!".encode().hex(), quote("a b/c@d+é!", safe=""),
    "YSBiL2NAZCvDqSE=", "xxxYSBiL2NAZCvDqSE", "eEBhIGIvY0BkK8OpIQ", "eHhhIGIvY0BkK8OpIXh4"])
def test_a_value_is_met_however_it_is_written(written: str) -> None:
    met, alive = searched(iter([("log", f"{CANARY}: {written}")]), [Value("name", "a b/c@d+é!")])
    assert met and alive == {"log"}


def test_only_its_owner_s_mail_may_hold_a_link() -> None:
    value = Value("link token", "0123456789abcdef", "tom@x.co.uk")
    assert searched(iter([("mail to tom@x.co.uk", value.text)]), [value])[0] == []
    for place in ("mail to ann@x.co.uk", "log", "database fx.audit_entries"):
        assert searched(iter([(place, value.text)]), [value])[0]
