"""A call-back that was denied: what waited is void, its debt free, and compliance told."""

from __future__ import annotations

from domain.invoice import INVOICE, VoidInvoice
from domain.pair import RecordCallback
from domain.party import COMPLIANCE
from domain.platform import ClearAlarm, RaiseAlarm
from domain.subject import SUBJECT
from processes.verification import release_fingerprints
from tests.processes.world import world_at
from tests.projections.story import BUYER, MLRO, REFERENCE, SELLER


def test_a_denied_invoice_is_void_its_debt_free_and_compliance_told() -> None:
    world = world_at("call-back wanted")
    overdue = f"callback_overdue:{REFERENCE}"
    world.do(RaiseAlarm(alarm=overdue, source="callbacks", code="callback_overdue", detail="late"))
    denied, = world.do(RecordCallback(seller=SELLER, buyer=BUYER, confirmed=False, note_sha256="n",
                                      note=world.look(SUBJECT, BUYER).email), by=(MLRO, COMPLIANCE))
    expected = [VoidInvoice(reference=REFERENCE, reason="callback_denied"),
                *release_fingerprints(world.look(INVOICE, REFERENCE)),
                RaiseAlarm(alarm=f"callback_denied:{REFERENCE}", source="callbacks", code="callback_denied",
                           detail=f"the customer denies {REFERENCE}: consider a freeze of its seller"),
                ClearAlarm(alarm=overdue)]
    assert world.reacts(denied) == {"callbacks": expected}
    world.do(*expected)
    assert world.look(INVOICE, REFERENCE).state == "VOID"
    assert world.reacts(denied) == {}, "once"
