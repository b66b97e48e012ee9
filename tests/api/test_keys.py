"""API keys and the mailbox's code, over HTTP: told once, each part checked, dead when they should be."""

from __future__ import annotations

import json
import uuid
from typing import Any

import psycopg

from api.session import api_key
from domain.subject import SUBJECT
from tests.conftest import House
from tests.scenarios.town import Person, Town, accepted, refused


def signs_up(town: Town, name: str, *, key: str | None = None) -> dict[str, Any]:
    """A newcomer that has proved nothing yet."""
    return accepted(town.person("nobody").post("/v1/subjects", {
        "role": "sme_seller", "legal_name": f"{name} Ltd", "company_number": "07452999", "representative": "A Person",
        "email": f"a@{name}.co.uk"}, key=key))


def mailed(town: Town, made: dict[str, Any], name: str, *, nth: int = 1) -> str:
    town.wait(lambda: len(town.story.codes(made["id"], f"a@{name}.co.uk")) >= nth, "a code by mail")
    return town.story.codes(made["id"], f"a@{name}.co.uk")[nth - 1]


def test_the_form_waits_for_the_mailbox(town: Town) -> None:
    made = signs_up(town, "aldgate")
    person = Person(town.house.url, made["api_key"])
    form = {"turnover_pence": 1, "bank_account": {"name": "Aldgate Ltd", "sort_code": "20-48-17",
                                                  "account_number": "53910462"}}
    refused(person.post("/v1/onboarding", form), 409, "mailbox_unproved")
    refused(person.post("/v1/me/mailbox", {"code": "AAAA-AAAA"}), 422, "code_wrong")
    assert accepted(person.get("/v1/me"))["mailbox_proved"] is False
    code = mailed(town, made, "aldgate")
    assert accepted(person.post("/v1/me/mailbox", {"code": code.lower().replace("-", " ")})) == {"proved": True}
    assert accepted(person.get("/v1/me"))["mailbox_proved"] is True
    refused(person.post("/v1/me/mailbox", {"code": code}), 409, "code_not_open")
    accepted(person.post("/v1/onboarding", form))


def test_five_wrong_codes_are_enough_and_five_codes_a_day(town: Town) -> None:
    made = signs_up(town, "bermondsey")
    person = Person(town.house.url, made["api_key"])
    code = mailed(town, made, "bermondsey")
    for _ in range(5):
        refused(person.post("/v1/me/mailbox", {"code": "AAAA-AAAA"}), 422, "code_wrong")
    refused(person.post("/v1/me/mailbox", {"code": code}), 409, "code_not_open")
    for nth in range(2, 6):
        accepted(person.post("/v1/me/mailbox/code", {}))
        mailed(town, made, "bermondsey", nth=nth)
    refused(person.post("/v1/me/mailbox/code", {}), 409, "too_many_codes")
    refused(person.post("/v1/me/mailbox", {"code": code}), 422, "code_wrong")
    assert town.house.platform.store.load(SUBJECT, made["id"]).codes_asked_for == ()
    accepted(person.post("/v1/me/mailbox", {"code": mailed(town, made, "bermondsey", nth=5)}))


def test_a_key_is_told_once_and_stands_in_no_stored_answer(town: Town) -> None:
    key = uuid.uuid4().hex
    made = signs_up(town, "camden", key=key)
    assert signs_up(town, "camden", key=key) == {**made, "api_key": None}
    person = Person(town.house.url, made["api_key"])
    rolled = accepted(person.post("/v1/api-keys", {}, key=key))
    assert rolled["generation"] == 2 and rolled["api_key"] != made["api_key"]
    refused(person.get("/v1/me"), 401, "not_authenticated")
    renewed = Person(town.house.url, rolled["api_key"])
    assert accepted(renewed.get("/v1/me"))["id"] == made["id"]
    with psycopg.connect(town.house.platform.settings.database_url or "") as owner:
        stored = json.dumps([str(row) for row in owner.execute("SELECT k::text FROM fx.command_keys k")])
    for secret in (made["api_key"], rolled["api_key"]):
        mac = secret.rpartition("_")[2]
        assert mac not in stored and mac.encode().hex() not in stored


def test_a_lost_key_is_recovered_by_mail_and_the_answer_tells_nothing(town: Town) -> None:
    made = signs_up(town, "deptford")
    nobody, old = town.person("nobody"), Person(town.house.url, made["api_key"])
    said = [accepted(nobody.post("/v1/api-keys/recovery", body)) for body in (
        {"subject": made["id"]}, {"subject": "sub_0000000000000000"}, {"email": "nobody@nowhere.co.uk"})]
    assert said[1:] == said[:-1]
    for body in ({}, {"subject": made["id"], "email": "a@deptford.co.uk"}):
        refused(nobody.post("/v1/api-keys/recovery", body), 422, "invalid")
    code = mailed(town, made, "deptford", nth=2)
    for wrong in ({"subject": made["id"], "code": "AAAA-AAAA"}, {"subject": "sub_0000000000000000", "code": code},
                  {"subject": town.id_of("mlro"), "code": code}):
        refused(nobody.post("/v1/api-keys/redeem", wrong), 422, "code_wrong")
    key = uuid.uuid4().hex
    redeemed = accepted(nobody.post("/v1/api-keys/redeem", {"subject": made["id"], "code": code}, key=key))
    again = accepted(nobody.post("/v1/api-keys/redeem", {"subject": made["id"], "code": code}, key=key))
    assert again == {**redeemed, "api_key": None}
    refused(old.get("/v1/me"), 401, "not_authenticated")
    assert accepted(Person(town.house.url, redeemed["api_key"]).get("/v1/me"))["mailbox_proved"] is True
    refused(nobody.post("/v1/api-keys/redeem", {"subject": made["id"], "code": code}), 422, "code_wrong")
    accepted(nobody.post("/v1/api-keys/recovery", {"email": "A@Deptford.co.uk"}))
    mailed(town, made, "deptford", nth=3)
    rolled = town.entries("subject.api_key_rolled.1", lambda entry: entry.resource == made["id"])
    assert [entry.event.generation for entry in rolled] == [2]  # pyright: ignore[reportAttributeAccessIssue]


def test_whoever_knows_a_mailbox_spends_no_code_of_its_owner(town: Town) -> None:
    made = signs_up(town, "fulham")
    for nth in range(2, 9):
        accepted(town.person("nobody").post("/v1/api-keys/recovery", {"subject": made["id"]}))
        if nth <= 6:
            mailed(town, made, "fulham", nth=nth)
    accepted(Person(town.house.url, made["api_key"]).post("/v1/me/mailbox/code", {}))
    mailed(town, made, "fulham", nth=7)
    assert len(town.story.codes(made["id"], "a@fulham.co.uk")) == 7


def test_redeeming_tells_nothing_whatever_its_key(town: Town) -> None:
    made, nobody = signs_up(town, "greenwich"), town.person("nobody")
    mailed(town, made, "greenwich")
    for key, status, code in (("", 400, "idempotency_key_required"), *[("k", 422, "code_wrong")] * 2):
        for subject in (made["id"], "sub_0000000000000000", town.id_of("mlro")):
            for letters in ("AAAA-AAAA", "BBBB-BBBB"):
                answer = nobody.post("/v1/api-keys/redeem", {"subject": subject, "code": letters}, headers={
                    "FX-Idempotency-Key": key})
                refused(answer, status, code)
    for headers in ({"FX-Idempotency-Key": ""}, {"FX-Idempotency-Key": "a b"}):
        assert nobody.post("/v1/api-keys/recovery", {"subject": made["id"]}, headers=headers).status_code == 400


def forged(house: House, subject: str, generation: int, *, sandbox: bool = True) -> str:
    return api_key(house.platform.secrets.api_key_pepper, subject, generation, sandbox=sandbox)


def test_every_part_of_a_key_is_checked(town: Town) -> None:
    subject, house = town.id_of("coppergate"), town.house
    good = forged(house, subject, 1)
    assert good == town.story.keys["coppergate"]
    parts = good.split("_")
    wrong = [forged(house, subject, 1, sandbox=False), forged(house, subject, 2), forged(house, subject, 0)]
    for place, instead in ((1, "live"), (1, "foo"), (2, "stf"), (3, "0" * 16), (4, "2"), (4, "01"), (4, "\u0661"),
                           (5, "a" * 52), (5, parts[5][:-1]), (5, parts[5].upper())):
        wrong.append("_".join([*parts[:place], instead, *parts[place + 1:]]))
    for key in (*wrong, good + "_", good + "a", good[:-1]):
        answer = Person(house.url).http.get("/v1/me", headers={b"Authorization": b"Bearer " + key.encode()})
        refused(answer, 401, "not_authenticated")


def test_the_end_of_a_relationship_ends_its_keys(town: Town) -> None:
    made = signs_up(town, "ealing")
    person = Person(town.house.url, made["api_key"])
    accepted(person.post(f"/v1/subjects/{made['id']}/closure", {}))
    assert town.house.platform.store.load(SUBJECT, made["id"]).state == "CLOSED"
    refused(person.get("/v1/me"), 401, "not_authenticated")
    accepted(town.person("nobody").post("/v1/api-keys/recovery", {"subject": made["id"]}))
    refused(town.person("nobody").post("/v1/api-keys/redeem", {
        "subject": made["id"], "code": mailed(town, made, "ealing")}), 422, "code_wrong")
