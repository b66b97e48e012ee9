from uuid import uuid4

import pytest

from providers.errors import Final, Retryable
from providers.identity.sumsub import Sumsub, sign
from tests.providers.conftest import CREDENTIALS, Simulators


@pytest.fixture
def identity(simulators: Simulators) -> Sumsub:
    return Sumsub(f"{simulators.url}/identity", CREDENTIALS.sumsub_app_token, CREDENTIALS.sumsub_secret)


@pytest.mark.parametrize(
    ("name", "kind", "verdict"),
    [
        ("Coppergate Joinery Ltd", "company", "GREEN"),
        ("Aisha Mahmood", "person", "GREEN"),
        ("Amber YELLOW Ltd", "company", "YELLOW"),
        ("Fraud RED Ltd", "company", "RED"),
        ("Slow PENDING", "person", "PENDING"),
    ],
)
def test_the_verdict_follows_the_name(identity: Sumsub, name, kind, verdict):
    assert identity.check(uuid4().hex, name, kind, "aisha@coppergate.co.uk").verdict == verdict


@pytest.mark.parametrize("key", ["0123456789abcdef" * 2, "subject:1/identity?x=1&y=2;z %€", "k" * 300])
def test_a_repeated_key_is_the_same_applicant_and_the_same_payload(identity: Sumsub, key: str):
    first = identity.check(key, "Coppergate Joinery Ltd", "company", "a@coppergate.co.uk")
    assert identity.check(key, "Coppergate Joinery Ltd", "company", "a@coppergate.co.uk") == first
    assert len(first.payload_sha256) == 64


def test_pending_becomes_what_the_reviewer_decides(identity: Sumsub, simulators: Simulators):
    key = uuid4().hex
    assert identity.check(key, "Slow PENDING Ltd", "company", "a@b.uk").verdict == "PENDING"
    simulators.control("/identity/control/review", external_user_id=key, verdict="GREEN")
    assert identity.check(key, "Slow PENDING Ltd", "company", "a@b.uk").verdict == "GREEN"


def test_a_key_cannot_vouch_for_another_subject(identity: Sumsub):
    identity.check("shared-key", "Coppergate Joinery Ltd", "company", "a@b.uk")
    with pytest.raises(Final, match="key_reused"):
        identity.check("shared-key", "Fraud RED Ltd", "company", "a@b.uk")


def test_a_wrong_secret_is_final(simulators: Simulators):
    wrong = Sumsub(f"{simulators.url}/identity", CREDENTIALS.sumsub_app_token, "guess")
    with pytest.raises(Final, match="unauthorised"):
        wrong.check("k", "Coppergate Joinery Ltd", "company", "a@b.uk")


def test_an_old_signature_is_refused(simulators: Simulators):
    token, secret = CREDENTIALS.sumsub_app_token, CREDENTIALS.sumsub_secret
    slow = Sumsub(f"{simulators.url}/identity", token, secret, clock=lambda: 1_600_000_000)
    with pytest.raises(Final, match="unauthorised"):
        slow.check("k", "Coppergate Joinery Ltd", "company", "a@b.uk")


def test_an_outage_is_retryable_and_causes_nothing(identity: Sumsub, simulators: Simulators):
    simulators.control("/identity/control/outage", on=True)
    try:
        with pytest.raises(Retryable, match="unavailable"):
            identity.check("during-outage", "Coppergate Joinery Ltd", "company", "a@b.uk")
    finally:
        simulators.control("/identity/control/outage", on=False)
    assert identity.check("during-outage", "Coppergate Joinery Ltd", "company", "a@b.uk").verdict == "GREEN"


def test_the_signature_covers_time_method_uri_and_body():
    """The string in the vendor's documentation, signed by an independent tool (openssl dgst -hmac)."""
    uri = "/resources/accessTokens?userId=cfd20712-24a2-4c7d-9ab0-146f3c142335&levelName=basic-kyc-level"
    uri += "&ttlInSecs=600"
    expected = "d83abc452b742637e74439ed5f5f94246241b2d8b69f5e79d71a24fb4707121d"
    assert sign(b"secret", "1607551635", "POST", uri, b"") == expected
    assert sign(b"secret", "1607551635", "POST", uri, b"{}") != expected
