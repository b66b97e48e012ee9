"""The manners of the interface: problems, idempotency, cursors, documentation, health."""

from __future__ import annotations

import base64
import re
import threading
import uuid
from typing import Any

import httpx
import pytest

from tests.api.conftest import Past
from tests.scenarios.town import Town, accepted, invoice_pdf, refused

PAYMENT = {"receivable_reference": "FX-INV-00000", "discount_bps": 240, "net_advance_pence": 1,
           "typed_reference": "FX-INV-00000"}


# ---------------------------------------------------------------- problems


@pytest.mark.parametrize(("method", "path", "status", "code"), [
    ("GET", "/v1/nothing", 404, "not_found"),
    ("GET", "/favicon.ico", 404, "not_found"),
    ("DELETE", "/v1/me", 405, "method_not_allowed"),
    ("PUT", "/v1/invoices", 405, "method_not_allowed"),
    ("GET", "/v1/me", 401, "not_authenticated"),
    ("POST", "/v1/sandbox/clock", 405, "method_not_allowed"),
])
def test_every_refusal_is_a_problem_document(town: Town, method: str, path: str, status: int, code: str) -> None:
    answer = town.person("nobody").http.request(method, path)
    body = refused(answer, status, code)
    assert set(body) >= {"type", "title", "status", "code", "detail", "request_id"}
    assert town.person("nobody").get(body["type"]).status_code == 200
    assert status != 405 or answer.headers["allow"]


@pytest.mark.parametrize("authorization", [
    "", "Bearer", "Bearer nonsense", "Basic Zm86YmFy", "Bearer fxk_test_sub_0000000000000000_aaaa"])
def test_who_is_not_known_is_told_how_to_say_who_they_are(town: Town, authorization: str) -> None:
    answer = town.person("nobody").get("/v1/me", headers={"Authorization": authorization})
    refused(answer, 401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_with_one_letter_changed_opens_nothing(town: Town) -> None:
    key = town.story.keys["pennine"]
    for position in (4, 15, -1):
        letter = "a" if key[position] != "a" else "b"
        changed = key[:position] + letter + (key[position + 1:] if position != -1 else "")
        answer = town.person("nobody").get("/v1/me", headers={"Authorization": f"Bearer {changed}"})
        if changed.split("_")[2:] == key.split("_")[2:]:
            continue  # the environment's name is not a secret
        refused(answer, 401, "not_authenticated")


@pytest.mark.parametrize(("change", "pointer"), [
    ({"discount_bps": "two"}, "/discount_bps"),
    ({"net_advance_pence": 1.5}, "/net_advance_pence"),
    ({"surprise": 1}, None),
    ({"receivable_reference": None}, "/receivable_reference"),
])
def test_a_malformed_body_is_answered_with_where(town: Town, change: dict[str, Any], pointer: str | None) -> None:
    body = refused(town.person("pennine").post("/v1/payments", {**PAYMENT, **change}), 422, "malformed")
    assert body["errors"][0]["detail"]
    assert pointer is None or body["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(("content", "status"), [
    (b"{", 400), (b"\xff\xfe", 400), (b'{"a": "\xff"}', 400), (b'"\\ud800"', 400), (b"", 400), (b"[]", 422),
    (b"null", 422), (b'{"discount_bps": 1e6}', 422)])
def test_what_is_not_the_json_we_ask_for_is_refused(town: Town, content: bytes, status: int) -> None:
    answer = town.person("pennine").http.post("/v1/payments", content=content, headers={
        "Content-Type": "application/json", "FX-Idempotency-Key": uuid.uuid4().hex})
    assert refused(answer, status, answer.json()["code"])["code"] in ("malformed", "malformed_json", "bad_request")


@pytest.mark.parametrize("query", ["limit=ten", "limit=0", "limit=101", "tenor_max=soon"])
def test_a_query_that_makes_no_sense_is_bad_request(town: Town, query: str) -> None:
    answer = town.person("pennine").http.get(f"/v1/marketplace?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_other_media_types_are_refused(town: Town) -> None:
    answer = town.person("pennine").http.post("/v1/payments", content=b"<xml/>", headers={
        "Content-Type": "application/xml", "FX-Idempotency-Key": uuid.uuid4().hex})
    refused(answer, 415, "unsupported_media_type")
    form = town.person("pennine").http.post("/v1/payments", data={"discount_bps": "1"}, headers={
        "FX-Idempotency-Key": uuid.uuid4().hex})
    refused(form, 415, "unsupported_media_type")
    answer = town.person("coppergate").http.post("/v1/documents", content=b"GIF89a",
                                                 headers={"Content-Type": "application/pdf"})
    refused(answer, 400, "not_a_pdf")


def test_what_is_too_large_is_refused(town: Town) -> None:
    answer = town.person("pennine").http.post("/v1/payments", content=b" " * 1_000_001, headers={
        "Content-Type": "application/json", "FX-Idempotency-Key": uuid.uuid4().hex})
    refused(answer, 413, "too_large")


def test_a_rule_that_is_broken_is_unprocessable_and_named(town: Town) -> None:
    answer = town.submits(town.new_reference(), face_value_pence=1)
    body = refused(answer, 422, "face_out_of_band")
    assert body["errors"][0]["pointer"] == "/face_value_pence"


# ---------------------------------------------------------------- idempotency


def test_mutations_need_a_key_that_can_be_kept(town: Town) -> None:
    pennine = town.person("pennine").http
    refused(pennine.post("/v1/payments", json=PAYMENT), 400, "idempotency_key_required")
    for key in ("k" * 256, "with space", "caf\u00e9"):
        answer = pennine.post("/v1/payments", json=PAYMENT, headers={"FX-Idempotency-Key": key.encode("utf-8")})  # pyright: ignore[reportArgumentType]
        refused(answer, 400, "idempotency_key_malformed")


def test_a_key_stands_for_one_request(town: Town) -> None:
    reference = town.listed()
    first = town.reserves(reference, key="one-payment")
    again = town.reserves(reference, key="one-payment")
    assert accepted(first) == accepted(again)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["FX-Idempotency-Replayed"] == "true"
    refused(town.reserves(reference, key="one-payment", bps=250), 422, "idempotency_key_reused")
    refused(town.reserves(reference, "salford", key="one-payment"), 404, "not_found")


def test_a_refused_request_does_not_use_up_its_key(town: Town) -> None:
    reference = town.awaiting()
    refused(town.reserves(reference, key="too-early"), 404, "not_found")
    accepted(town.confirms(reference))
    town.wait_state(reference, "LISTED")
    answer = town.reserves(reference, key="too-early")
    accepted(answer)
    assert "FX-Idempotency-Replayed" not in answer.headers


def test_twenty_at_once_with_one_key_have_one_effect(town: Town) -> None:
    reference = town.listed()
    start = threading.Barrier(20)
    answers: list[httpx.Response] = []

    def send() -> None:
        start.wait()
        answers.append(town.reserves(reference, key="all-at-once"))

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 20
    assert len({answer.content for answer in answers}) == 1
    assert sum("FX-Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert len(town.entries("invoice.reserved.1", lambda entry: entry.resource == reference)) == 1


def test_keys_of_different_callers_do_not_meet(town: Town) -> None:
    one = town.person("coppergate").post("/v1/onboarding", {}, key="the-same-word")
    two = town.person("brightside").post("/v1/onboarding", {}, key="the-same-word")
    assert {one.json()["code"], two.json()["code"]} <= {"not_onboarding", "form_incomplete"}
    sign_up = {"role": "sme_seller", "legal_name": "One Ltd", "company_number": "07452988", "representative": "O",
               "email": "o@one.co.uk"}
    nobody = town.person("nobody")
    first = accepted(nobody.post("/v1/subjects", sign_up, key="sign-up-of-a-newcomer-0001"))
    again = accepted(nobody.post("/v1/subjects", sign_up, key="sign-up-of-a-newcomer-0001"))
    assert again == {**first, "api_key": None}, "a key is answered once"
    other = accepted(nobody.post("/v1/subjects", {**sign_up, "email": "t@two.co.uk"}, key="sign-up-of-a-newcomer-0001"))
    assert other["id"] != first["id"] and other["api_key"] != first["api_key"]


def test_an_answer_says_where_in_the_log_it_stands(town: Town) -> None:
    reference = town.listed()
    answer = town.reserves(reference)
    place = answer.headers["FX-Position"]
    position = accepted(town.person("admin").get(f"/v1/audit/receipts/{place}"))["position"]
    entry, = accepted(town.person("admin").get("/v1/audit/entries", after=position - 1, limit=1))["data"]
    assert (entry["position"], entry["type"], entry["resource"]) == (position, "invoice.reserved.1", reference)
    assert accepted(town.person("pennine").get(f"/v1/invoices/{reference}"))["state"] in ("RESERVED",)


# ---------------------------------------------------------------- cursors


def test_pages_meet_without_gap_or_overlap(town: Town) -> None:
    coppergate = town.person("coppergate")
    whole = [row["reference"] for row in accepted(coppergate.get("/v1/invoices", limit=100))["data"]]
    found: list[str] = []
    cursor = None
    while True:
        page = accepted(coppergate.get("/v1/invoices", limit=2, **({"cursor": cursor} if cursor else {})))
        found += [row["reference"] for row in page["data"]]
        cursor = page["page"]["cursor"]
        if not page["page"]["has_more"]:
            break
    assert found == whole and len(whole) > 2
    assert cursor is None


LISTS = {"/v1/invoices": "coppergate", "/v1/marketplace": "pennine", "/v1/listings": "brunel",
         "/v1/portfolio": "pennine", "/v1/compliance/cases": "mlro", "/v1/compliance/incidents": "mlro",
         "/v1/compliance/orders": "mlro", "/v1/compliance/subjects": "mlro", "/v1/audit/entries": "admin",
         "/v1/audit/anchors": "admin", "/v1/admin/ledger/lines": "admin",
         "/v1/bills": "pennine", "/v1/admin/bills": "admin", "/v1/compliance/releases": "mlro",
         "/v1/compliance/callbacks": "mlro"}


def test_every_list_is_a_page(past: Past) -> None:
    """Found by what each address answers: whatever has `data` says whether there is more, and goes on to it."""
    town = past.town
    timeline = f"/v1/invoices/{past.settled}/timeline"
    for path, who in {**LISTS, timeline: "coppergate", f"{timeline}?": "admin"}.items():
        path = path.rstrip("?")
        whole = accepted(town.person(who).get(path, limit=100))
        assert whole["page"] == {"cursor": whole["page"]["cursor"], "has_more": whole["page"]["cursor"] is not None}
        for limit in ("0", "-1", "1001", "ten", "1e1"):
            body = refused(town.person(who).get(path, limit=limit), 400, "malformed")
            assert body["errors"][0]["pointer"] == "/limit"
        found: list[Any] = []
        answer = accepted(town.person(who).get(path, limit=2))
        while len(found) < 20:
            found += answer["data"]
            if not answer["page"]["has_more"]:
                break
            answer = accepted(town.person(who).get(path, limit=2, cursor=answer["page"]["cursor"]))
        assert found == whole["data"][:len(found)], path
    described = accepted(town.person("nobody").get("/docs/openapi.json"))["paths"]
    paged = {path for path, methods in described.items() if "get" in methods and any(
        parameter["name"] == "cursor" for parameter in methods["get"].get("parameters", []))}
    assert paged == {*LISTS, "/v1/invoices/{reference}/timeline"}


def test_a_cursor_belongs_to_its_caller_and_its_query(town: Town) -> None:
    cursor = accepted(town.person("coppergate").get("/v1/invoices", limit=1))["page"]["cursor"]
    refused(town.person("northwind").get("/v1/invoices", limit=1, cursor=cursor), 400, "bad_cursor")
    refused(town.person("pennine").get("/v1/marketplace", cursor=cursor), 400, "bad_cursor")
    accepted(town.person("coppergate").get("/v1/invoices", limit=50, cursor=cursor))

    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    moved = base64.urlsafe_b64encode(raw.replace(b"FX-INV", b"FX-AAA")).decode().rstrip("=")
    for forged in (moved, cursor[:-2], "x", "%%%", "é", "A" * 400):
        refused(town.person("coppergate").get("/v1/invoices", cursor=forged), 400, "bad_cursor")


# ---------------------------------------------------------------- documentation and health


def test_the_documentation_comes_from_here_alone(town: Town) -> None:
    nobody = town.person("nobody").http
    assert nobody.get("/").headers["location"] == "/docs"
    page = nobody.get("/docs")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']+""", page.text) == []
    assets = re.findall(r"""(?:src|href)=["'](/[^"']+)""", page.text)
    assert len(assets) >= 3
    for asset in assets:
        assert nobody.get(asset).status_code == 200, asset


def test_the_description_is_complete(town: Town) -> None:
    described = accepted(town.person("nobody").get("/docs/openapi.json"))
    assert described["openapi"].startswith("3.1")
    assert described["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation.get("tags"), f"{method} {path} has no tag"
    named = set(re.findall(r"running|Injected", str(described["paths"])))
    assert named == set()


def test_health_says_little_and_enough(town: Town) -> None:
    nobody = town.person("nobody")
    assert accepted(nobody.get("/health/live")) == {"status": "live"}
    town.wait(lambda: accepted(nobody.get("/health/ready"))["projection_lag"] == 0, "the read models")
    ready = accepted(nobody.get("/health/ready"))
    assert (ready["status"], ready["database"], ready["chain"]) == ("ready", "up", "up")
    assert not re.search(r"version|postgres|password|host", str(ready))


def test_documents_are_kept_once(past: Past) -> None:
    town = past.town
    pdf = invoice_pdf(past.outstanding, 1_000_100, town.due())
    person = town.person("coppergate").http
    sent = [accepted(person.post("/v1/documents", content=pdf, headers={"Content-Type": "application/pdf"}))
            for _ in range(2)]
    assert sent[0] == sent[1]
    refused(town.person("northwind").http.post("/v1/documents", content=pdf), 403, "not_your_role")


def test_control_characters_reach_no_record(town: Town) -> None:
    """PostgreSQL's text refuses U+0000: one such name in the log would stop every read model that shows it."""
    nobody = town.person("nobody")
    for name in ("\u0000", "two\nlines", "\u007f"):
        refused(nobody.post("/v1/subjects", {"role": "sme_seller", "legal_name": name, "representative": "A Person",
                                             "company_number": "07452988", "email": "a@b.co.uk"},
                            key=f"a-long-random-key-{ord(name[-1]):08d}"), 422, "malformed")
    refused(town.person("pennine").get("/v1/invoices/%00"), 404, "not_found")
    refused(town.person("pennine").get("/v1/audit/proofs/999999999999999999999"), 404, "not_found")


def test_numbers_stay_below_two_to_the_53(town: Town) -> None:
    answer = town.person("pennine").post("/v1/onboarding", {"appetite": {"max_obligor_pence": 10**23}})
    refused(answer, 422, "malformed")
