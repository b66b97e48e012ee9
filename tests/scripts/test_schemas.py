"""What the campaign of the description counts: every server's error, and every operation it sent nothing to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import requests

from scripts.campaigns.schemas import Tally, figures_of


def case(answer: int | Exception) -> Any:
    def call(**_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(status_code=answer)

    return SimpleNamespace(method="GET", path="/", call=call, as_curl_command=lambda: "curl")


@pytest.mark.parametrize(("answer", "errors", "hangs"), [
    (200, 0, 0), (404, 0, 0), (422, 0, 0), (500, 1, 0), (501, 1, 0), (503, 1, 0), (requests.Timeout(), 1, 1),
    (requests.ConnectionError(), 1, 0), (requests.exceptions.InvalidHeader(), 0, 0)], ids=str)
def test_every_error_of_the_server_counts(answer: int | Exception, errors: int, hangs: int) -> None:
    tally = Tally()
    tally.send(case(answer), "http://here", None)
    figures = figures_of(tally, alive=True, grown_mib=0.0)
    assert (figures["requests"], figures["server_errors"], figures["hangs"]) == (1, errors, hangs)


def test_what_was_not_made_is_named() -> None:
    tally = Tally(unmade=["POST /b: Unsatisfiable", "GET /a: Unsatisfiable"])
    assert figures_of(tally, alive=True, grown_mib=0.0)["unmade"] == sorted(tally.unmade)
