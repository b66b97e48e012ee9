"""Erasing a subject: keys first, then documents, then the record; and for whom a payer's words are sealed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from domain.credit import CreditText
from domain.party import COMPLIANCE, Personal
from domain.restricted import RecordRestricted
from domain.subject import CloseRelationship, EraseSubject, RecordKeyDestroyed, SubjectErased
from eventstore.vault import SubjectGone
from processes.accounts import credit_id, named_reference, seal_for_payer
from processes.erasure import Report, reapply, reports_about, restricted_id
from providers.bank import Account, CreditNotice
from providers.errors import Final
from tests.processes.outside import Outside, perform
from tests.processes.world import World, world_at
from tests.projections.story import BUYER, INVESTOR, LENDER, NOW, REFERENCE, SELLER

MLRO = ("stf_mlro", COMPLIANCE)
SECRET = b"s" * 32


def erased_world() -> World:
    world = world_at("settled")
    world.do(CloseRelationship(subject=SELLER, reason="platform", outstanding=()), by=MLRO)
    world.do(EraseSubject(subject=SELLER, ground="retention_expired"), by=MLRO, at=NOW.replace(year=NOW.year + 5))
    return world


def test_an_erasure_destroys_keys_then_documents_then_is_recorded() -> None:
    outside = Outside(world := erased_world())
    done = perform(world, "erasure", "destroy_keys", SubjectErased, outside)
    assert outside.asked == [("vault.destroy", SELLER), ("vault.destroy", restricted_id(SECRET, SELLER)),
                             ("archive.forget", SELLER)]
    assert done == [RecordKeyDestroyed(subject=SELLER)]
    assert world.do(*done)[-1].event.tag == "subject.key_destroyed.1"


def test_a_crash_between_the_steps_records_nothing_and_repeats_them() -> None:
    outside = Outside(world := erased_world()).answers("archive", forget=Final("disk"))
    with pytest.raises(Final):
        perform(world, "erasure", "destroy_keys", SubjectErased, outside)
    outside.answers("archive", forget=None)
    assert perform(world, "erasure", "destroy_keys", SubjectErased, outside)


def test_after_a_restore_every_erasure_is_applied_again() -> None:
    asked: list[Any] = []
    vault: Any = SimpleNamespace(reapply=lambda names: asked.append(list(names)) or ["sub_1"])
    archive: Any = SimpleNamespace(forget=lambda subject: asked.append(subject))
    assert reapply(vault, archive, SECRET, ["sub_1", "sub_2"]) == ["sub_1"]
    hidden = [restricted_id(SECRET, "sub_1"), restricted_id(SECRET, "sub_2")]
    assert asked == ["sub_1", "sub_2", hidden, ["sub_1", "sub_2"]]


def test_reports_are_found_by_whoever_has_the_secret_alone() -> None:
    world = world_at("settled")
    report = Report(NOW.date(), "NCA-1")
    record = restricted_id(SECRET, SELLER)
    assert record != restricted_id(b"t" * 32, SELLER) and SELLER not in record
    sealed = Personal(record, "sealed:" + msgspec.json.encode(report).decode())
    world.do(RecordRestricted(record=record, content=sealed, commitment="c", made_on=NOW.date()), by=MLRO)
    outside: Any = Outside(world)
    assert reports_about(outside, SELLER) == [report] and reports_about(outside, BUYER) == []


# ---------------------------------------------------------------- what payers write


class Sealing(Outside):
    """Notes for whom something is sealed; some subjects are gone."""

    def __init__(self, world: World, *gone: str):
        super().__init__(world)
        self.gone = gone
        self.vault.seal_struct = self._seal  # pyright: ignore[reportAttributeAccessIssue]

    def _seal(self, subject: str, value: CreditText) -> Personal:
        if subject in self.gone:
            raise SubjectGone("erased")
        return Personal(subject, f"sealed:{value.remitter}")


def payer(world: World, account: str, narration: str, *gone: str) -> str:
    notice = CreditNotice("ref-1", Account("FX", "04-00-04", account), 1, "GBP", narration, "Jane Doe", NOW)
    outside: Any = Sealing(world, *gone)
    text = CreditText(narration, "Jane Doe")
    sealed, = seal_for_payer(outside, notice, named_reference(outside, narration), text)
    assert sealed.sealed == "sealed:Jane Doe"
    return sealed.subject


@pytest.mark.parametrize(("point", "kind", "expected"), [
    ("funding credited", "funding", LENDER), ("trade credited", "trade", INVESTOR)])
def test_a_virtual_account_tells_who_pays(point: str, kind: str, expected: str) -> None:
    world = world_at(point)
    accounts = {state.purpose: key for (name, key), state in world.states.items() if name == "account"}
    assert payer(world, accounts[kind].partition("-")[2], "anything") == expected


def test_a_reference_tells_that_the_debtor_pays_and_nobody_else_is_guessed() -> None:
    world = world_at("debtor credited")
    assert payer(world, "99990000", REFERENCE) == BUYER
    for narration in ("rent from Jane", "FX-INV-99999", ""):
        assert payer(world, "99990000", narration) == credit_id("ref-1")
    assert payer(world, "99990000", REFERENCE, BUYER) == credit_id("ref-1"), "who was erased gets no new key"


@pytest.mark.parametrize(("narration", "expected"), [
    (REFERENCE.lower(), REFERENCE), (f"{REFERENCE} JONES", None), ("FX-INV-99999", None), ("thank you", None)])
def test_a_reference_stands_in_clear_only_if_it_is_one(narration: str, expected: str | None) -> None:
    outside: Any = Outside(world_at("debtor credited"))
    assert named_reference(outside, narration) == expected
