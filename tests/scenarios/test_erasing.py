"""A customer leaves, the law keeps its records for a while, and then nothing of the person can be read any more."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.rest import privacy
from domain.base import Context
from domain.calendar import at_london, london_date
from domain.credit import CreditReceived
from domain.party import COMPLIANCE, Personal
from domain.restricted import REGISTER, RESTRICTED
from domain.subject import SUBJECT, CloseRelationship, CreateSubject, SubjectCreated, years_after
from eventstore.vault import ERASED, UNREADABLE, SubjectGone
from processes import erasure
from projections.base import checksum, rebuild
from projections.catalogue import PROJECTIONS
from projections.subjects import erased_subjects
from scripts.evidence import write_evidence
from scripts.story import ACCOUNTS, COLLECTIONS
from tests.eventstore.test_store import chain_of
from tests.scenarios.town import Person, Town, accepted, refused

AISHA = ("Aisha Mahmood", "aisha@coppergate.co.uk", "53910462")
PAYER = ACCOUNTS["northwind"]["account_number"]
OUTSIDE = ("simulators", ".sqlite3")
"""The providers' own memory, which is theirs to erase."""


@pytest.fixture(scope="module")
def left(town: Town) -> str:
    """Coppergate has sold an invoice, been paid, and closed its account; its id."""
    reference = town.disbursed()
    coppergate, subject = town.person("coppergate"), town.id_of("coppergate")
    town.pays(COLLECTIONS, town.invoice(reference).face_pence - 1, "thank you, Jane")
    body = refused(coppergate.post(f"/v1/subjects/{subject}/closure", {}), 409, "still_outstanding")
    assert reference in body["detail"]
    town.pays(COLLECTIONS, town.invoice(reference).face_pence, reference)
    town.wait_state(reference, "SETTLED")
    assert accepted(coppergate.post(f"/v1/subjects/{subject}/closure", {})) == {"id": subject, "state": "CLOSED"}
    return subject


def test_whoever_left_can_do_nothing_more(town: Town, left: str) -> None:
    coppergate = town.person("coppergate")
    refused(coppergate.get("/v1/me"), 401, "not_authenticated")
    refused(coppergate.post(f"/v1/subjects/{left}/closure", {}), 401, "not_authenticated")
    town.wait(lambda: town.entries("directory.released.1"), "the company's number to be free")


def test_the_record_is_shown_to_its_owner_and_to_compliance_alone(town: Town, left: str) -> None:
    """To its owner until the relationship ends, and its keys with it."""
    pennine = town.id_of("pennine")
    own = accepted(town.person("pennine").get(f"/v1/subjects/{pennine}"))
    assert own["representative"] == "Caroline Beck" and not {"holds", "retention"} & set(own)
    refused(town.person("coppergate").get(f"/v1/subjects/{left}"), 401, "not_authenticated")
    for who in ("northwind", "pennine", "admin"):
        refused(town.person(who).get(f"/v1/subjects/{left}"), 404, "not_found")
        answer = town.person(who).post(f"/v1/subjects/{left}/closure", {})
        refused(answer, 404, "not_found")
        refused(town.person(who).post(f"/v1/subjects/{left}/erasure", {"ground": "subject_request"}), 403,
                "not_your_role")
    seen = accepted(town.person("mlro").get(f"/v1/subjects/{left}"))
    assert (seen["email"], seen["holds"]) == (AISHA[1], [])
    assert seen["retention"]["until"] == str(kept_until(town, left, 5))
    found = accepted(town.person("mlro").get("/v1/compliance/subjects", q="coppergate"))["data"]
    assert [(row["id"], row["representative"]) for row in found] == [(left, AISHA[0])]


def test_an_early_erasure_is_refused_with_the_reason(town: Town, left: str) -> None:
    mlro, ground = town.person("mlro"), {"ground": "subject_request"}
    body = refused(mlro.post(f"/v1/subjects/{left}/erasure", ground), 409, "retention_hold")
    assert f"until {kept_until(town, left, 5)}" in body["detail"] and "5 years" in body["detail"]
    refused(mlro.post(f"/v1/subjects/{town.id_of('pennine')}/erasure", ground), 409, "relationship_open")


def test_a_report_is_never_told_of_and_keeps_the_records_a_year_longer(town: Town, left: str) -> None:
    mercia, mlro = town.id_of("mercia"), town.person("mlro")
    own = json.dumps(accepted(town.person("mercia").get(f"/v1/subjects/{mercia}")))
    accepted(town.person("mercia").post(f"/v1/subjects/{mercia}/closure", {}))
    report = {"subject": mercia, "made_on": f"{london_date(town.now)}", "reference": "NCA-2026-7781"}
    refused(town.person("admin").post("/v1/compliance/reports", report), 403, "not_your_role")
    assert accepted(mlro.post("/v1/compliance/reports", report)) == {"recorded": True}
    seen = accepted(mlro.get(f"/v1/subjects/{mercia}"))["retention"]
    assert seen["until"] == str(kept_until(town, mercia, 6)) and "report to the authority" in seen["why"]

    trail = json.dumps(accepted(town.person("admin").get("/v1/audit/entries", limit=1_000, resource="restricted")))
    assert "RESTRICTED_ENTRY" in trail
    for word in ("report", "NCA", "restricted", "retention"):
        assert word not in own
    for secret in (mercia, "NCA-2026-7781", "Mercia"):
        assert secret not in trail
    assert [row for row in everything(town) if "NCA-2026-7781" in row] == []


def test_a_hold_keeps_what_the_period_would_let_go(town: Town, left: str) -> None:
    mlro, holds = town.person("mlro"), f"/v1/subjects/{left}/holds"
    refused(town.person("admin").post(holds, {"reason": "court_order"}), 403, "not_your_role")
    refused(mlro.post(holds, {"reason": "spite"}), 422, "reason_unknown")
    hold = accepted(mlro.post(holds, {"reason": "court_order"}))["id"]
    five_years_on(town, left)
    body = refused(mlro.post(f"/v1/subjects/{left}/erasure", {"ground": "retention_expired"}), 409, "retention_hold")
    assert "court_order" in body["detail"]
    accepted(mlro.post(f"{holds}/{hold}/lift", None))
    assert accepted(mlro.get(f"/v1/subjects/{left}"))["holds"] == []


@pytest.fixture(scope="module")
def erased(town: Town, left: str) -> str:
    """Five years have passed, and the MLRO has erased Coppergate's people."""
    platform = town.house.platform
    five_years_on(town, left)
    assert (platform.settings.home / "documents" / left).is_dir()
    answer = town.person("mlro").post(f"/v1/subjects/{left}/erasure", {"ground": "retention_expired"})
    assert accepted(answer) == {"id": left, "state": "ERASED"} and answer.status_code == 202
    town.wait(lambda: platform.store.load(SUBJECT, left).key_destroyed, "the key to be destroyed")
    return left


def test_every_sealed_value_of_the_log_is_erased_and_the_chain_verifies(town: Town, erased: str) -> None:
    platform = town.house.platform
    mine = [personal for entry in platform.store.read(0, 100_000) for personal in personals(entry.event)
            if personal.subject == erased]
    assert len(mine) >= 5
    assert {platform.vault.open(personal) for personal in mine} == {ERASED}
    chain_of(platform.store)
    other = platform.store.load(SUBJECT, town.id_of("pennine")).representative
    assert other is not None and platform.vault.open(other) == "Caroline Beck"


def test_read_models_and_search_show_erased_also_after_a_rebuild(town: Town, erased: str) -> None:
    platform, mlro = town.house.platform, town.person("mlro")

    def shown() -> list[Any]:
        found = accepted(mlro.get("/v1/compliance/subjects", q="coppergate"))["data"]
        one = accepted(mlro.get(f"/v1/subjects/{erased}"))
        return [*((row["representative"], row["email"]) for row in found), (one["representative"], one["email"])]

    assert shown() == [(ERASED, ERASED), (ERASED, ERASED)]
    assert platform.projector.wait_for(platform.store.head(), 10)  # the key's end is recorded after the answer
    for name in ("subjects", "mlro_queue"):
        with platform.engine.connect() as connection:
            before = checksum(connection, PROJECTIONS[name])
        rebuild(platform.projector.engine, platform.store, PROJECTIONS[name])
        with platform.engine.connect() as connection:
            assert checksum(connection, PROJECTIONS[name]) == before
    assert shown() == [(ERASED, ERASED), (ERASED, ERASED)]


def test_an_evidence_bundle_still_proves_everything_and_tells_nothing(town: Town, erased: str,
                                                                      tmp_path: Path) -> None:
    platform = town.house.platform
    path = tmp_path / "bundle.zip"
    write_evidence(platform.store, platform.outside.chain(), platform.clock, path, 1, None)
    with zipfile.ZipFile(path) as bundle:
        content = b"".join(bundle.read(name) for name in bundle.namelist())
    assert b"Coppergate Joinery Ltd" in content
    assert [word for word in (*AISHA, PAYER) if word.encode() in content] == []


def test_nobody_finds_the_person_anywhere(town: Town, erased: str) -> None:
    """Every table of the database and every file of the home, in clear and in hex."""
    rows = list(everything(town))
    assert any("Coppergate Joinery Ltd" in row for row in rows), "the search sees what is there"
    for word in (*AISHA, PAYER, "thank you, Jane"):
        assert [row[:200] for row in rows if word in row or word.encode().hex() in row] == []
    assert not (town.house.platform.settings.home / "documents" / erased).exists()


def test_what_the_payer_wrote_is_the_debtors_or_nobodys(town: Town, erased: str) -> None:
    """The seller's erasure takes nothing of others; a credit that named nobody has a key of its own."""
    store, vault = town.house.platform.store, town.house.platform.vault
    said = {entry.event.reference: entry.event.said for entry in store.read(0, 100_000)
            if isinstance(entry.event, CreditReceived) and entry.event.said is not None}
    assert said[None].subject.startswith("crd_") and "thank you, Jane" in vault.open(said[None])
    said_to_mlro = json.dumps(accepted(town.person("mlro").get("/v1/compliance/incidents")))
    assert "thank you, Jane" in said_to_mlro
    assert "payer_said" not in json.dumps(accepted(town.person("admin").get("/v1/compliance/incidents")))
    accounts = [entry.event.payer_account for entry in store.read(0, 100_000)
                if isinstance(entry.event, CreditReceived) and entry.event.payer_account is not None]
    debtors = [sealed for sealed in accounts if sealed.subject == town.id_of("northwind")]
    assert debtors and PAYER in vault.open(debtors[0])


def test_nothing_more_is_kept_about_the_person(town: Town, erased: str) -> None:
    vault = town.house.platform.vault
    with pytest.raises(SubjectGone):
        vault.seal(erased, "a late writer")
    refused(town.person("mlro").post(f"/v1/subjects/{erased}/erasure", {"ground": "retention_expired"}), 409,
            "already_erased")


def test_a_restored_backup_of_keys_is_destroyed_again_at_the_next_start(town: Town, erased: str) -> None:
    platform = town.house.platform
    created = next(entry.event for entry in platform.store.history(SUBJECT, erased)
                   if isinstance(entry.event, SubjectCreated))
    with owner(town) as connection:
        connection.execute("SET session_replication_role = replica")  # no trigger sees a restore
        connection.execute("UPDATE vault.subject_keys SET kek = 'local-1', wrapped = 'x' WHERE subject = %s", (erased,))
    assert platform.vault.show(created.email) == UNREADABLE
    with platform.engine.connect() as connection:
        ids = erased_subjects(connection)
    assert erasure.reapply(platform.vault, platform.outside.archive, platform.secrets.link_secret, ids) == [erased]
    assert platform.vault.show(created.email) == ERASED


def test_what_is_broken_is_not_shown_as_erased(town: Town, erased: str) -> None:
    mlro, salford = town.person("mlro"), town.id_of("salford")
    with owner(town) as connection:
        connection.execute("UPDATE vault.subject_keys SET wrapped = 'x' WHERE subject = %s", (salford,))
    seen = accepted(mlro.get(f"/v1/subjects/{salford}"))
    assert (seen["representative"], seen["email"]) == (UNREADABLE, UNREADABLE)


# ---------------------------------------------------------------- a report and an erasure at the same moment


def gone_for_five_years(town: Town, subject: str) -> str:
    """A customer whose records may be erased today."""
    platform = town.house.platform
    sealed, then = platform.vault.seal(subject, "Ida Long"), town.now.replace(year=town.now.year - 5, day=1)
    for command in (CreateSubject(subject=subject, role="lender", legal_name="Longago Ltd", company_number="07452999",
                                  representative=sealed, email=sealed, email_domain="longago.uk"),
                    CloseRelationship(subject=subject, reason="platform", outstanding=())):
        context = Context(actor="stf_mlro", actor_role=COMPLIANCE, tenant=platform.settings.tenant, now=then)
        platform.store.execute(command, context=context, key=f"test:{subject}:{type(command).__name__}")
    return subject


def once_past(monkeypatch: pytest.MonkeyPatch, name: str, answers: list[Any],
                send: Callable[[], httpx.Response]) -> None:
    """Another request, the first time that the API comes past this name."""
    usual = getattr(privacy, name)

    def disturbed(*args: Any, **given: Any) -> Any:
        found = usual(*args, **given)
        if not answers:
            answers.append(None)
            answers[0] = send()
        return found

    monkeypatch.setattr(privacy, name, disturbed)


def test_a_report_that_lands_while_an_erasure_is_decided_is_noticed(town: Town, erased: str,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    subject = gone_for_five_years(town, "sub_00000000000000a1")
    mlro, other, answers = town.person("mlro"), Person(town.house.url, town.house.mlro_key), list[Any]()
    report = {"subject": subject, "made_on": f"{london_date(town.now)}", "reference": "NCA-7"}
    once_past(monkeypatch, "reports_about", answers, lambda: other.post("/v1/compliance/reports", report))
    body = refused(mlro.post(f"/v1/subjects/{subject}/erasure", {"ground": "retention_expired"}), 409,
                   "retention_hold")
    assert accepted(answers[0]) == {"recorded": True} and "6 years" in body["detail"]
    assert town.house.platform.store.load(SUBJECT, subject).state == "CLOSED"


def test_an_erasure_that_lands_while_a_report_is_recorded_is_noticed(town: Town, erased: str,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """The erasure was right when it was decided; nothing is recorded under a key that is about to be destroyed."""
    subject = gone_for_five_years(town, "sub_00000000000000a2")
    mlro, other, answers = town.person("mlro"), Person(town.house.url, town.house.mlro_key), list[Any]()
    report = {"subject": subject, "made_on": f"{london_date(town.now)}", "reference": "NCA-8"}
    before = len(town.entries("restricted.recorded.1"))
    once_past(monkeypatch, "RecordRestricted", answers, lambda: other.post(
        f"/v1/subjects/{subject}/erasure", {"ground": "retention_expired"}))
    refused(mlro.post("/v1/compliance/reports", report), 409, "subject_erased")
    assert answers[0].status_code == 202
    refused(mlro.post("/v1/compliance/reports", report), 409, "subject_erased")
    assert len(town.entries("restricted.recorded.1")) == before


def test_the_log_shows_the_same_whoever_was_erased(town: Town, erased: str) -> None:
    """One event on the subject and one turn at the register; none on the stream a report would be in."""
    platform = town.house.platform
    told = [entry for entry in platform.store.read(0, 100_000) if entry.command == next(
        e.command for e in platform.store.history(SUBJECT, erased) if e.event.tag == "subject.erased.1")]
    assert [(entry.event.tag, entry.resource) for entry in told] == [
        ("subject.erased.1", erased), ("restricted.turn_taken.1", "restricted")]
    assert told[1].originator_id == RESTRICTED.stream(platform.settings.tenant, REGISTER)
    record = erasure.restricted_id(platform.secrets.link_secret, erased)
    assert platform.store.history(RESTRICTED, record) == []


@pytest.mark.parametrize("made_on", ["9999-12-31", "0026-05-01", "2003-02-23", "tomorrow"])
def test_a_report_is_not_of_tomorrow_nor_of_another_age(town: Town, made_on: str) -> None:
    day = f"{london_date(town.now) + timedelta(days=1)}" if made_on == "tomorrow" else made_on
    body = refused(town.person("mlro").post("/v1/compliance/reports", {
        "subject": town.id_of("salford"), "made_on": day, "reference": "NCA-9"}), 422, "report_date_wrong")
    assert body["errors"][0]["pointer"] == "/made_on"


# ---------------------------------------------------------------- time, and looking everywhere


def kept_until(town: Town, subject: str, years: int) -> date:
    ended_at = town.house.platform.store.load(SUBJECT, subject).ended_at
    assert ended_at is not None
    return years_after(london_date(ended_at), years)


def five_years_on(town: Town, subject: str) -> None:
    day = at_london(kept_until(town, subject, 5), time(9))
    if town.now < day:
        town.story.clock_to(day)


def owner(town: Town) -> psycopg.Connection[Any]:
    url = town.house.platform.settings.database_url
    assert url is not None
    return psycopg.connect(url, autocommit=True)


def personals(value: Any) -> Iterator[Personal]:
    """Every sealed value inside an event."""
    if isinstance(value, Personal):
        yield value
    elif hasattr(value, "__struct_fields__"):
        for name in value.__struct_fields__:
            yield from personals(getattr(value, name))


def everything(town: Town) -> Iterator[str]:
    """Each row of each table, and each file of the home but for the simulators' own."""
    with owner(town) as connection:
        tables = connection.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
                                    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')").fetchall()
        assert len(tables) > 15
        for (table,) in tables:
            for (row,) in connection.execute(f"SELECT t::text FROM {table} t"):  # pyright: ignore
                yield row
            if table == "fx.audit_entries":
                for (body,) in connection.execute("SELECT body FROM fx.audit_entries"):
                    yield bytes(body).decode()
    for path in town.house.platform.settings.home.rglob("*"):
        if path.is_file() and not any(part in str(path) for part in OUTSIDE):
            yield path.read_bytes().decode(errors="replace")
