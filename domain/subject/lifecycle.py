"""The subject's two functions: which decision answers which command, and what each event makes of the state."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import msgspec

from domain.base import Context, Event, Kind
from domain.party import FROZEN, RESTRICTED
from domain.subject import claims, gates, keys, mailbox, recovery, retention, review, signup, standing, wallet
from domain.subject.state import ENDINGS, FORM_RETURNED, ONBOARDED, Filed, Subject, SubjectCommand

_DECISIONS: dict[type[SubjectCommand], Callable[[Subject, Any, Context], list[Event]]] = {
    signup.CreateSubject: signup.create,
    signup.EnrolStaff: signup.enrol,
    signup.SubmitOnboarding: signup.submit,
    mailbox.RequestCode: mailbox.ask,
    mailbox.ProveMailbox: mailbox.prove,
    mailbox.RedeemCode: mailbox.redeem,
    keys.RollApiKey: keys.roll,
    keys.RevokeApiKey: keys.revoke,
    gates.StartGate: gates.start,
    gates.RecordIdentity: gates.record_identity,
    gates.RecordScreening: gates.record_screening,
    gates.RecordFirm: gates.record_firm,
    gates.ContestCompany: gates.contest,
    review.AssessRisk: review.assess,
    review.RecordAdvice: review.advise,
    review.DecideReview: review.decide_review,
    wallet.BindWallet: wallet.bind,
    claims.RecordClaimsRevoked: claims.revoked,
    claims.RecordClaimsIssued: claims.reissued,
    recovery.BeginRecovery: recovery.begin,
    recovery.RecordWalletReplaced: recovery.replace,
    recovery.RecordRecoveryRefused: recovery.refuse,
    standing.PassGates: standing.pass_gates,
    standing.MarkRefreshDue: standing.fall_due,
    standing.MarkRefreshLapsed: standing.lapse,
    standing.FreezeSubject: standing.freeze,
    standing.RecordMatch: standing.match,
    standing.UnfreezeSubject: standing.unfreeze,
    standing.ExpectReceives: standing.expect_receives,
    retention.CloseRelationship: retention.close,
    retention.PlaceHold: retention.place_hold,
    retention.LiftHold: retention.lift_hold,
    retention.EraseSubject: retention.erase,
    retention.RecordKeyDestroyed: retention.key_destroyed,
}


def decide(subject: Subject, command: SubjectCommand, context: Context) -> list[Event]:
    """Whatever is decided, the claims on the chain follow the standing it leaves."""
    decision = _DECISIONS.get(type(command))
    if decision is None:
        raise TypeError(f"subject cannot decide {type(command).__name__}")
    events = decision(subject, command, context)
    return [*events, *claims.follow(reduce(evolve, events, subject), context)]


_STAGES: dict[type[Event], str] = {
    signup.OnboardingSubmitted: "ONBOARDING_SUBMITTED",
    gates.IdentityRequested: "KYC_PENDING",
    gates.KycPassed: "KYC_PASSED",
    gates.KycReferred: "KYC_PASSED",
    gates.KycFailed: "KYC_FAILED",
    gates.FormReturned: FORM_RETURNED,
    gates.ScreeningRequested: "SCREENING_PENDING",
    gates.ScreeningPassed: "SCREENING_PASSED",
    gates.ScreeningHit: "SCREENING_HIT",
    review.ReviewOpened: "MLRO_REVIEW",
    review.ReviewDeclined: "DECLINED",
    review.RiskPassed: "RISK_PASSED",
    gates.FirmCheckRequested: "FCA_PENDING",
    gates.FirmVerified: "FCA_VERIFIED",
    gates.FirmNotAuthorised: "FCA_FAILED",
    standing.MifidClassified: "MIFID_CLASSIFIED",
    wallet.WalletRequested: "WALLET_PENDING",
    wallet.WalletBound: "WALLET_BOUND",
}

def evolve(subject: Subject, event: Event) -> Subject:
    change = msgspec.structs.replace
    for elsewhere in (retention.retain, mailbox.evolve, keys.evolve):
        if (after := elsewhere(subject, event)) is not None:
            return after
    match event:
        case signup.SubjectCreated():
            return change(subject, id=event.subject, role=event.role, state="CREATED", legal_name=event.legal_name,
                          company_number=event.company_number, representative=event.representative,
                          email=event.email, email_domain=event.email_domain, key_generation=1)
        case signup.StaffEnrolled():
            return change(subject, id=event.subject, role=event.role, state="ACTIVE",
                          representative=event.representative, email=event.email, key_generation=1)
        case signup.OnboardingSubmitted():
            subject = change(subject, file_number=event.file_number, flags=(), returned=(), again_from=None,
                             legal_name=event.legal_name or subject.legal_name,
                             company_number=event.company_number or subject.company_number,
                             filed=_claimed(subject.accepted, event))
        case gates.KycPassed() | gates.KycReferred():
            filed = change(subject.filed, incorporated_on=event.incorporated_on, sic_codes=event.sic_codes,
                           registered_office=event.registered_office)
            subject = change(subject, filed=filed,
                             flags=event.reasons if isinstance(event, gates.KycReferred) else ())
        case gates.CompanyContested():
            return change(subject, flags=(*subject.flags, f"company_contested: {event.other} stands for this company"))
        case gates.ScreeningHit():
            subject = change(subject, flags=(*subject.flags, event.reason))
        case gates.FormReturned():
            subject = change(subject, returned=event.pointers)
        case gates.KycFailed() | gates.FirmNotAuthorised() | review.ReviewDeclined():
            subject = change(subject, again_from=event.again_from)
        case review.VerdictProposed():
            return change(subject, advised_file=event.file_number)
        case wallet.WalletRequested():
            subject = change(subject, claims=claims.ISSUING)
        case wallet.WalletBound():
            subject = change(subject, wallet=event.wallet, claims=claims.ISSUED, claim_topics=event.topics,
                             claims_expire_at=event.claims_expire_at)
        case claims.RevocationRequested():
            return change(subject, claims=claims.REVOKING)
        case claims.ClaimsRevoked():
            return change(subject, claims=claims.REVOKED) if event.wallet == subject.wallet else subject
        case claims.ReissueRequested():
            return change(subject, claims=claims.ISSUING)
        case claims.ClaimsReissued():
            return change(subject, claims=claims.ISSUED)
        case recovery.RecoveryBegun():
            return change(subject, claims=claims.MOVING, recovery=event.order)
        case recovery.RecoveryRefused():
            left = claims.ISSUED if subject.claims == claims.MOVING else subject.claims
            return change(subject, claims=left, recovery=None)
        case recovery.WalletReplaced():
            return change(subject, wallet=event.wallet, claims=claims.ISSUED, recovery=None)
        case standing.SubjectActivated():
            return _stand(change(subject, stage=None, accepted=subject.filed,
                                 refresh_due_at=event.refresh_due_at), "ACTIVE")
        case standing.RefreshDue():
            return _stand(subject, "REFRESH_DUE")
        case standing.RefreshLapsed():
            return _stand(subject, RESTRICTED)
        case standing.SubjectFrozen():
            return change(subject, state=FROZEN, resumes=subject.resumes or subject.state,
                          frozen_by=event.ordered_by)
        case standing.SubjectUnfrozen():
            return change(subject, state=subject.resumes or subject.state, resumes=None, frozen_by=None)
        case _:
            pass
    stage = _STAGES.get(type(event))
    if stage is None:
        return subject
    keeps = (subject.resumes or subject.state) in ONBOARDED and stage not in ENDINGS
    return change(subject, stage=stage) if keeps else _stand(change(subject, stage=stage), stage)


def _claimed(accepted: Filed, form: signup.OnboardingSubmitted) -> Filed:
    """A form's claims over those of the file that passed last: one that went back, or was declined, leaves nothing."""
    return msgspec.structs.replace(
        accepted,
        bank_account=form.bank_account or accepted.bank_account,
        turnover_pence=form.turnover_pence or accepted.turnover_pence,
        firm_reference=form.firm_reference or accepted.firm_reference,
        mifid_category=form.mifid_category or accepted.mifid_category,
        appetite=form.appetite or accepted.appetite)


def _stand(subject: Subject, state: str) -> Subject:
    """The new standing; under a freeze it waits until the freeze is lifted."""
    field = "resumes" if subject.state == FROZEN else "state"
    return msgspec.structs.replace(subject, **{field: state})


SUBJECT: Kind[Subject] = Kind("subject", Subject(), decide, evolve)
