"""Nobody confirms a guess at an entry by what is shown; whoever had the salts would, so the test would notice."""

from __future__ import annotations

import json

from api.opaque import Opaque
from scripts.campaigns.guesses import Onlookers, Seen, figures_of, targets
from tests.api.conftest import Past
from tests.api.test_visibility import EVERYBODY, STAFF

AIMED = 20
"""Entries that are guessed at and asked for by name; `make campaign-guesses` asks for all of the log."""


def test_no_hash_that_anybody_is_shown_confirms_a_guess(past: Past) -> None:
    town, settings = past.town, past.town.house.platform.settings
    onlookers = Onlookers(Opaque(town.house.platform.secrets.edge_secret, settings.tenant), town.person("mlro").http,
                          {who: town.person(who).http for who in (*EVERYBODY, "nobody") if who not in STAFF})
    aims, last = targets(onlookers.compliance)
    known = {"reference": [past.settled, past.outstanding], "token": [past.token], "payment": [past.payment],
             "trade": [past.trade], "file_number": [past.file_number], "order": [past.order],
             "subject": [town.id_of("coppergate")]}
    positions = sorted({aim.position for aim in aims[:AIMED]} | {last})
    onlookers.collect(known, positions, json.dumps(town.outside.get("/email/mail.json")), settings.chain_url or "")
    assert all(seen.whole for who, seen in onlookers.seen.items()), "everybody sees at least the chain's hashes"
    figures = figures_of(onlookers, aims, last, 1_000)
    assert figures["what"] == [] and figures["found"] == 0
    assert figures["guesses"] >= 1_000 and figures["targets"] > 10
    assert figures["control_found"] == figures["targets"], "with the salts, every truth is confirmed"


def test_what_is_cut_off_or_written_otherwise_is_met_as_well() -> None:
    digest = "ab12" * 16
    for shown in (f'{{"hash":"{digest}"}}', digest.upper(), f"0xbca46017{digest}{digest}", f"<{digest[:40]}@x>",
                  "sub_" + digest[:16], "qxKrEqsSqxKrEqsSqxKrEqsSqxKrEqsSqxKrEqsSqxI"):
        seen = Seen()
        seen.add(shown)
        assert seen.holds(digest), shown
        assert not seen.holds("cd" * 32)
