"""A person can operate every simulator in a browser."""

import httpx
import pytest

from tests.providers.conftest import Simulators

PREFIXES = ["/identity", "/screening", "/companies-house", "/fca", "/payee", "/bank", "/email"]


def test_the_index_leads_to_every_simulator(simulators: Simulators):
    page = httpx.get(simulators.url + "/").text
    assert all(f'href="{prefix}/"' in page for prefix in PREFIXES)


@pytest.mark.parametrize("path", [*PREFIXES, *(prefix + "/" for prefix in PREFIXES), "/email/mail"])
def test_every_page_opens_and_runs_no_script(simulators: Simulators, path: str):
    page = httpx.get(simulators.url + path)
    assert page.status_code == 200
    assert page.text.startswith("<!doctype html>")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_outage_switch_is_a_button(simulators: Simulators, prefix: str):
    browser = {"Accept": "text/html", "Origin": simulators.url}
    for on, state in (("true", "down"), ("true", "down"), ("false", "up")):
        done = httpx.post(f"{simulators.url}{prefix}/control/outage", data={"on": on}, headers=browser)
        assert (done.status_code, done.headers["Location"]) == (303, prefix + "/")
        assert simulators.get("/health")["rooms"][prefix] == state


def test_paying_in_by_form(simulators: Simulators):
    account = simulators.bank().open_virtual_account("by-form", "<b>Owner</b> Ltd")
    form = {"sort_code": "04-00-75", "account_number": account.account_number, "amount_pence": "12345"}
    form |= {"narration": "FX-<i>1</i>", "remitter_name": "Northwind Retail plc"}
    done = httpx.post(
        f"{simulators.url}/bank/control/credits",
        data=form,
        headers={"Accept": "text/html"},
        follow_redirects=True,
    )
    assert "£123.45" in done.text
    assert "FX-&lt;i&gt;1&lt;/i&gt;" in done.text
    assert "&lt;b&gt;Owner&lt;/b&gt; Ltd" in done.text


def test_another_site_cannot_operate_the_controls(simulators: Simulators):
    given = {"Origin": "https://evil.example"}
    assert httpx.post(f"{simulators.url}/bank/control/hold", headers=given).status_code == 403


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"on": "maybe"}', b'{"on": 3}'])
def test_a_control_explains_what_it_cannot_use(simulators: Simulators, body: bytes):
    done = httpx.post(f"{simulators.url}/bank/control/hold", content=body)
    assert done.status_code == 400
    assert done.json()["error"]
