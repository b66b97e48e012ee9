"""Whose mailbox is this? The domain of a mailbox bound to the company that its reader says to speak for.

A domain counts as a company's when it was bound to it before, by a file that passed every gate. A company without one
is taken to own a domain whose registrable label is made of its registered name: the first word, if it says anything,
then further words or their initials in order ("pennineam.co.uk" for Pennine Asset Management LLP). Everything else is a
doubt, and a doubt is for a person: an unknown domain, another company's, or one that looks like another company's.

Registrable: the label before a suffix of two parts whose first is one of COMPOUND, else before the last part. Looks
like: the same letters once those that look alike are folded, or one slip away (two from eight letters on).
"""

from __future__ import annotations

import msgspec

from domain.base import Command, Context, Event, Kind
from domain.party import company_key, name_words

COMPOUND = frozenset({"co", "com", "org", "net", "ltd", "plc", "me", "ac", "gov", "nhs", "edu"})
SAYS_NOTHING = frozenset({
    "british", "capital", "city", "company", "digital", "england", "english", "european", "financial", "first",
    "general", "global", "great", "group", "holdings", "international", "london", "national", "north", "premier",
    "prime", "royal", "scottish", "services", "south", "trading", "united", "welsh", "west", "world"})
LEAST_LETTERS = 4
MAY_FOLLOW = ("", "uk", "ltd", "plc", "llp", "group")
ALIKE = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"), ("-", ""))


# ---------------------------------------------------------------- command, event, state


class BindDomain(Command, frozen=True, kw_only=True):
    """A file with this mailbox has passed every gate."""

    kind = "domains"
    domain: str
    company_number: str
    subject: str

    @property
    def key(self) -> str:
        return "platform"


class DomainBound(Event, frozen=True, kw_only=True):
    tag = "domains.bound.1"
    action = "MAILBOX_DOMAIN_BOUND"
    domain: str
    company_number: str
    subject: str


class Domains(msgspec.Struct, frozen=True):
    """Every (domain, company number) that was bound; a group's companies may share one."""

    bound: frozenset[tuple[str, str]] = frozenset()


def decide(domains: Domains, command: BindDomain, context: Context) -> list[Event]:
    number = company_key(command.company_number)
    if (command.domain, number) in domains.bound:
        return []
    return [DomainBound(domain=command.domain, company_number=number, subject=command.subject)]


def evolve(domains: Domains, event: Event) -> Domains:
    if not isinstance(event, DomainBound):
        return domains
    return Domains(domains.bound | {(event.domain, event.company_number)})


DOMAINS: Kind[Domains] = Kind("domains", Domains(), decide, evolve, resource=lambda _: "mailbox domains")


# ---------------------------------------------------------------- the rule


def doubt_about(domain: str, registered_name: str, company_number: str, known: Domains) -> str | None:
    """Why a person must look at this mailbox's domain; None when it is the company's own."""
    number = company_key(company_number)
    own = {bound for bound, owner in known.bound if owner == number}
    if domain in own:
        return None
    others = sorted((bound, owner) for bound, owner in known.bound if owner != number)
    for bound, owner in others:
        if bound == domain:
            return f"mailbox_domain_of_another: {domain} belongs to company {owner}"
    for bound, owner in others:
        if _looks_like(_label(domain), _label(bound)):
            return f"mailbox_domain_look_alike: {domain} looks like {bound} of company {owner}"
    if own:
        return f"mailbox_domain_unknown: {domain}; this company's mailboxes are at {', '.join(sorted(own))}"
    if not _is_made_of(_label(domain), name_words(registered_name)):
        return f"mailbox_domain_unknown: {domain} says nothing of {registered_name}"
    return None


def _label(domain: str) -> str:
    """What somebody registered: "pennineam" of "mail.pennineam.co.uk"."""
    parts = domain.split(".")
    compound = len(parts) > 2 and len(parts[-1]) == 2 and parts[-2] in COMPOUND
    return parts[-3] if compound else parts[-2] if len(parts) > 1 else domain


def _is_made_of(label: str, words: tuple[str, ...]) -> bool:
    label = label.replace("-", "")
    if not words or not label.isascii():
        return False
    first, rest = words[0], words[1:]
    if len(first) < LEAST_LETTERS or first in SAYS_NOTHING:
        return any(label == "".join(words[:count]) for count in {min(2, len(words)), len(words)})
    return label.startswith(first) and _goes_on(label[len(first):], rest)


def _goes_on(label: str, words: tuple[str, ...]) -> bool:
    if label in MAY_FOLLOW:
        return True
    if not words:
        return False
    word = words[0]
    return (label.startswith(word) and _goes_on(label[len(word):], words[1:])) or (
        label.startswith(word[0]) and _goes_on(label[1:], words[1:])) or (word == "and" and _goes_on(label, words[1:]))


def _looks_like(one: str, other: str) -> bool:
    for letters, instead in ALIKE:
        one, other = one.replace(letters, instead), other.replace(letters, instead)
    if one == other:
        return True
    shortest = min(len(one), len(other))
    return shortest > LEAST_LETTERS and _slips(one, other) <= (2 if shortest >= 8 else 1)


def _slips(one: str, other: str) -> int:
    """Letters put in, left out or changed, and neighbours swapped (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        earlier, before, row = before, row, [i]
        for j, given in enumerate(other, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != given))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == given:
                best = min(best, earlier[j - 2] + 1)
            row.append(best)
    return row[-1]
