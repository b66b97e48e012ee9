"""Compliance's orders on the real chain: claims follow a freeze, a locked token stands still and is still paid out."""

from __future__ import annotations

from typing import Any

from chain.client import token_id
from domain.party import COMPLIANCE
from domain.subject import SUBJECT
from domain.token import TOKEN
from scripts.story import COLLECTIONS
from tests.scenarios.town import Person, Town, accepted, refused


def token_of(reference: str) -> str:
    return reference.replace("FX-", "FXR-")


def claims(town: Town, who: str) -> str:
    return town.house.platform.store.load(SUBJECT, town.id_of(who)).claims


def on_chain(town: Town, who: str) -> dict[str, bool]:
    """Topic -> whether the chain takes the claim."""
    chain, wallet = town.house.platform.outside.chain(), town.house.platform.outside.wallets(town.id_of(who))
    return {topic: claim.valid for topic, claim in chain.claims(wallet).items()}


def frozen(town: Town, who: str) -> str:
    subject = town.id_of(who)
    accepted(town.person("mlro").post(f"/v1/compliance/subjects/{subject}/freeze", {"reason_code": "LIST_HIT"}))
    return subject


# ---------------------------------------------------------------- claims


def test_a_freeze_takes_the_claims_and_its_end_gives_them_back(town: Town, deputy: Person) -> None:
    assert all(on_chain(town, "salford").values())
    subject = frozen(town, "salford")
    town.wait(lambda: claims(town, "salford") == "REVOKED", "the claims to be revoked")
    assert not any(on_chain(town, "salford").values())
    chain = town.house.platform.outside.chain()
    wallet = town.house.platform.outside.wallets(subject)
    listed = token_id(token_of(town.listed()))
    assert chain.can_transfer(chain.platform_wallet, wallet, listed, chain.receivable(listed).face_pence) == (
        False, "RESTRICTED")
    shown = accepted(town.person("mlro").get(f"/v1/subjects/{subject}"))
    assert shown["wallet"]["claims"] == "REVOKED"
    line, = accepted(town.person("mlro").get("/v1/compliance/subjects", q="Salford"))["data"]
    assert line["claims"]["state"] == "REVOKED"
    assert accepted(town.person("salford").get("/v1/me"))["state"] == "IN_REVIEW"

    refused(town.person("mlro").post(f"/v1/compliance/subjects/{subject}/unfreeze", None), 403, "not_the_mlro")
    accepted(deputy.post(f"/v1/compliance/subjects/{subject}/unfreeze", None))
    town.wait(lambda: claims(town, "salford") == "ISSUED", "the claims to be issued again")
    assert all(on_chain(town, "salford").values())
    assert chain.can_transfer(chain.platform_wallet, wallet, listed, chain.receivable(listed).face_pence)[0]
    for tag in ("subject.revocation_requested.1", "subject.claims_revoked.1", "subject.claims_reissued.1"):
        entry, = town.entries(tag, lambda entry: entry.resource == subject)
    order, = town.entries("subject.frozen.1", lambda entry: entry.resource == subject)
    assert (order.actor_role, order.on_behalf_of) == (COMPLIANCE, subject)


def test_a_freeze_that_comes_while_claims_are_issued_ends_revoked(town: Town, chain_node: Any) -> None:
    """The chain is away while the wallet is bound and the freeze ordered; when it is back, revoked is the last word."""
    account = {"name": "Severn Family Office Ltd", "sort_code": "20-11-43", "account_number": "40718266"}
    town.registers("07452987", "SEVERN FAMILY OFFICE LTD")
    town.story.sign_up("severn", role="investor", legal_name="Severn Family Office Ltd", company_number="07452987",
                       representative="Gwen Rees", email="g.rees@severnfo.co.uk")
    store, subject = town.house.platform.store, town.id_of("severn")
    chain_node.save()
    chain_node.stop()
    try:
        form = {"bank_account": account, "mifid_category": "PROFESSIONAL"}
        accepted(town.person("severn").post("/v1/onboarding", form))
        town.wait(lambda: store.load(SUBJECT, subject).stage == "WALLET_PENDING", "the wallet to be asked for")
        frozen(town, "severn")
        assert claims(town, "severn") == "ISSUING"
    finally:
        chain_node.start()
    town.wait(lambda: claims(town, "severn") == "REVOKED", "the claims to be revoked")
    assert on_chain(town, "severn") and not any(on_chain(town, "severn").values())
    assert store.load(SUBJECT, subject).state == "FROZEN"


# ---------------------------------------------------------------- locks


def test_a_locked_token_is_not_offered_and_not_moved(town: Town, deputy: Person) -> None:
    reference = town.listed()
    token, mlro, pennine = token_of(reference), town.person("mlro"), town.person("pennine")
    chain = town.house.platform.outside.chain()
    refused(mlro.post(f"/v1/compliance/tokens/{token}/lock", {"reason_code": "SANCTIONS"}), 422,
            "lock_reason_unknown")
    refused(mlro.post("/v1/compliance/tokens/FXR-INV-00000/lock", {"reason_code": "COURT_ORDER"}), 404, "not_found")
    refused(pennine.post(f"/v1/compliance/tokens/{token}/lock", {"reason_code": "COURT_ORDER"}), 403, "not_your_role")
    accepted(mlro.post(f"/v1/compliance/tokens/{token}/lock", {"reason_code": "OBLIGOR_INSOLVENT"}))
    assert reference not in [row["reference"] for row in accepted(pennine.get("/v1/marketplace"))["data"]]
    refused(town.reserves(reference), 404, "not_found")
    town.wait(lambda: shown(town, token)["lock"]["state"] == "LOCKED", "the chain to lock it")
    wallet = town.house.platform.outside.wallets(town.id_of("pennine"))
    face = town.invoice(reference).face_pence
    assert chain.can_transfer(chain.platform_wallet, wallet, token_id(token), face) == (False, "TOKEN_LOCKED")

    refused(mlro.post(f"/v1/compliance/tokens/{token}/unlock", {"reason_code": "RESOLVED"}), 403,
            "second_person_required")
    accepted(deputy.post(f"/v1/compliance/tokens/{token}/unlock", {"reason_code": "RESOLVED"}))
    town.wait(lambda: shown(town, token)["lock"] is None, "the chain to unlock it")
    assert reference in [row["reference"] for row in accepted(pennine.get("/v1/marketplace"))["data"]]
    accepted(town.reserves(reference))


def shown(town: Town, token: str) -> dict[str, Any]:
    return accepted(town.person("mlro").get(f"/v1/compliance/tokens/{token}"))


def test_money_that_comes_for_a_token_locked_meanwhile_goes_back(town: Town) -> None:
    reference = town.listed()
    payment = town.reserved(reference)
    order = {"reason_code": "COURT_ORDER"}
    accepted(town.person("mlro").post(f"/v1/compliance/tokens/{token_of(reference)}/lock", order))
    town.pays(payment["pay_into"], payment["net_advance_pence"], reference)
    town.wait_state(reference, "LISTED")
    town.wait(lambda: any(row["amount_pence"] == payment["net_advance_pence"] for row in town.bank()), "the refund")
    assert town.house.platform.store.load(TOKEN, token_of(reference)).slice(0).holder == "platform"


def test_a_locked_token_is_paid_out_and_burned_and_the_log_says_so(town: Town) -> None:
    reference = town.disbursed()
    order = {"reason_code": "OBLIGOR_INSOLVENT"}
    accepted(town.person("mlro").post(f"/v1/compliance/tokens/{token_of(reference)}/lock", order))
    holding = accepted(town.person("pennine").get(f"/v1/tokens/{token_of(reference)}"))
    assert holding["locked"] is True and "OBLIGOR" not in str(holding)
    refused(town.person("pennine").post(f"/v1/tokens/{token_of(reference)}/slices", {"faces_pence": [1, 2]}), 409,
            "token_locked")
    town.wait(lambda: shown(town, token_of(reference))["lock"]["state"] == "LOCKED", "the chain to lock it")
    town.pays(COLLECTIONS, town.invoice(reference).face_pence, reference)
    town.wait_state(reference, "SETTLED")
    under, = town.entries("token.burn_under_lock.1", lambda entry: entry.resource == token_of(reference))
    burn, = town.entries("token.burn_requested.1", lambda entry: entry.resource == token_of(reference))
    assert under.position == burn.position - 1
    assert town.house.platform.outside.chain().receivable(token_id(token_of(reference))).status == "burned"
