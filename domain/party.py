"""What one aggregate may know of a subject: plain facts, handed over by whoever sends the command."""

from __future__ import annotations

import re
import unicodedata

import msgspec

from domain.forms import normal

SELLER = "sme_seller"
BUYER = "corporate_buyer"
LENDER = "lender"
INVESTOR = "investor"
CUSTOMER_ROLES = (SELLER, BUYER, LENDER, INVESTOR)

COMPLIANCE = "compliance_officer"
ADMIN = "platform_admin"
STAFF_ROLES = (COMPLIANCE, ADMIN)

SYSTEM = "system"

FROZEN, RESTRICTED, CLOSED, ERASED = "FROZEN", "RESTRICTED", "CLOSED", "ERASED"
"""RESTRICTED: the periodic refresh is overdue beyond its grace."""

PAUSED = "we have paused new submissions on your account while we conclude a routine review"
"""What a frozen customer is told, whatever the reason: anything more would tip off."""


class Personal(msgspec.Struct, frozen=True):
    """A personal value sealed for one subject (AES-256-GCM, base64). The log hashes the sealed form only."""

    subject: str
    sealed: str


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """A subject's standing at the moment of the command."""

    id: str
    role: str
    state: str
    name: str
    company_number: str = ""
    wallet: str | None = None
    turnover_pence: int = 0
    email_domain: str = ""

    @property
    def may_act(self) -> bool:
        """A refresh that is due stops nobody (decisions row 20); a freeze and every unfinished file do."""
        return self.state in ("ACTIVE", "REFRESH_DUE")


def same_company(one: Party, other: Party) -> bool:
    """By register number, written as anybody may write it."""
    return one.company_number != "" and company_key(one.company_number) == company_key(other.company_number)


def company_key(company_number: str) -> str:
    return company_number.strip().upper()


# ---------------------------------------------------------------- names

_FORMS = (
    (("public", "limited", "company"), "plc"),
    (("cwmni", "cyfyngedig", "cyhoeddus"), "plc"),
    (("ccc",), "plc"),
    (("limited", "liability", "partnership"), "llp"),
    (("partneriaeth", "atebolrwydd", "cyfyngedig"), "llp"),
    (("community", "interest", "company"), "cic"),
    (("limited", "partnership"), "lp"),
    (("limited",), "ltd"),
    (("cyfyngedig",), "ltd"),
    (("cyf",), "ltd"),
    (("incorporated",), "inc"),
    (("corporation",), "corp"),
    (("company",), "co"),
)
"""Legal forms as a name may end in them, longest first, English and Welsh, with the short form each is compared by."""

_SHORT_FORMS = frozenset(short for _, short in _FORMS)
_FOLDED = str.maketrans({"&": " and ", "+": " and ", "ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ð": "d",
                         "þ": "th"} | dict.fromkeys("'’‘`´ʼ", ""))
_DESIGNATION = re.compile(r"\s+[-–—]+\s+|\s*\(|\s+(?:t/a|trading as)\s+", re.IGNORECASE)


def same_name(one: str, other: str) -> bool:
    """Whether two texts are the same company's whole name, as people and registers write it.

    Without regard to case, accents, punctuation, compatibility forms (full-width letters, ligatures), a leading "The",
    "&" for "and", and how the legal form is written (Ltd and Limited, plc and P.L.C. and public limited company). The
    form itself counts: a Ltd is no plc, and a name without its form is another name. Letters of another alphabet that
    look alike are other letters.
    """
    key = _name_key(one)
    return bool(key) and key == _name_key(other)


def same_account_name(account: str, company: str) -> bool:
    """`same_name`, where the account's name may go on with what the account is for: "Pennine LLP — Trade Finance"."""
    return same_name(account, company) or any(same_name(account[:cut.start()], company)
                                              for cut in _DESIGNATION.finditer(account))


def name_words(name: str) -> tuple[str, ...]:
    """The words of a name that count, folded, without its legal form."""
    return _parts(name)[0]


def _name_key(name: str) -> tuple[str, ...]:
    """The words that count, then the form; none when a legal form is all there is."""
    words, form = _parts(name)
    return (*words, *form) if words else ()


def _parts(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    folded = normal("NFKC", name).casefold()
    letters = "".join(letter for letter in normal("NFKD", folded.translate(_FOLDED))
                      if unicodedata.category(letter) not in ("Mn", "Cf"))
    words = _initials(re.findall(r"[^\W_]+", letters))
    if len(words) > 1 and words[0] == "the":
        words = words[1:]
    end: list[str] = []
    while (form := _form_at_the_end(words)) is not None:
        words, end = words[:-form[0]], [form[1], *end]
    return tuple(words), tuple(end)


def _form_at_the_end(words: list[str]) -> tuple[int, str] | None:
    """How many words the legal form takes, and its short form."""
    for form, short in _FORMS:
        if tuple(words[-len(form):]) == form:
            return len(form), short
    return (1, words[-1]) if words and words[-1] in _SHORT_FORMS else None


def _initials(words: list[str]) -> list[str]:
    """"J. P. Morgan" and "JP Morgan", "p l c" and "plc": letters that stand alone in a row are one word."""
    joined: list[str] = []
    in_a_row = False
    for word in words:
        alone = len(word) == 1 and word.isalpha()
        if alone and in_a_row:
            joined[-1] += word
        else:
            joined.append(word)
        in_a_row = alone
    return joined
