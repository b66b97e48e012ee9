"""Subject: a legal entity in one role, from sign-up through the gates to ACTIVE, and its periodic refresh.

Source: seeds 000 §3 (four gates), `spec/state-machines.md` "Subject"; sellers are always reviewed by the MLRO,
buyers pass Gates 1-2 only. A gate whose provider does not answer stays pending: nothing here passes by silence.
"""

from __future__ import annotations

from domain.subject.gates import (
    FirmCheckRequested,
    FirmNotAuthorised,
    FirmVerified,
    IdentityRequested,
    KycFailed,
    KycPassed,
    KycReferred,
    RecordFirm,
    RecordIdentity,
    RecordScreening,
    ScreeningHit,
    ScreeningPassed,
    ScreeningRequested,
    StartGate,
)
from domain.subject.lifecycle import SUBJECT, decide, evolve
from domain.subject.review import (
    AssessRisk,
    DecideReview,
    NoOpenReview,
    NotTheMlro,
    RecordAdvice,
    ReviewApproved,
    ReviewDeclined,
    ReviewOpened,
    RiskPassed,
    RiskScored,
    VerdictProposed,
)
from domain.subject.signup import (
    MIFID_CLAIMS,
    AlreadyExists,
    CreateSubject,
    EnrolStaff,
    FormIncomplete,
    NotOnboarding,
    OnboardingSubmitted,
    RetailRefused,
    RoleUnknown,
    StaffEnrolled,
    SubjectCreated,
    SubmitOnboarding,
)
from domain.subject.standing import (
    READY,
    FreezeSubject,
    MarkRefreshDue,
    MifidClassified,
    NotFreezable,
    NotFrozen,
    PassGates,
    RefreshDue,
    SubjectActivated,
    SubjectFrozen,
    SubjectUnfrozen,
    UnfreezeSubject,
)
from domain.subject.state import Appetite, Evidence, GateOutOfOrder, Subject, SubjectCommand, as_party
from domain.subject.wallet import (
    CLAIM_TOPICS,
    LAST_GATE,
    REFRESH_DAYS,
    REFRESH_GRACE_DAYS,
    BindWallet,
    WalletBound,
    WalletRequested,
)

__all__ = [
    "AlreadyExists", "Appetite", "AssessRisk", "BindWallet", "CLAIM_TOPICS", "CreateSubject", "DecideReview",
    "EnrolStaff", "Evidence", "FirmCheckRequested", "FirmNotAuthorised", "FirmVerified", "FormIncomplete",
    "FreezeSubject", "GateOutOfOrder", "IdentityRequested", "KycFailed", "KycPassed", "KycReferred", "LAST_GATE",
    "MIFID_CLAIMS", "MarkRefreshDue", "MifidClassified", "NoOpenReview", "NotFreezable", "NotFrozen",
    "NotOnboarding", "NotTheMlro", "OnboardingSubmitted", "PassGates", "READY", "REFRESH_DAYS",
    "REFRESH_GRACE_DAYS", "RecordAdvice", "RecordFirm", "RecordIdentity", "RecordScreening", "RefreshDue",
    "RetailRefused", "ReviewApproved", "ReviewDeclined", "ReviewOpened", "RiskPassed", "RiskScored", "RoleUnknown",
    "SUBJECT", "ScreeningHit", "ScreeningPassed", "ScreeningRequested", "StaffEnrolled", "StartGate", "Subject",
    "SubjectActivated", "SubjectCommand", "SubjectCreated", "SubjectFrozen", "SubjectUnfrozen", "SubmitOnboarding",
    "UnfreezeSubject", "VerdictProposed", "WalletBound", "WalletRequested", "as_party", "decide", "evolve",
]
