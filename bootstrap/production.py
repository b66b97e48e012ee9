"""What is missing or weak before a platform may run in production: everything at once, and nothing is started."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from bootstrap import rules
from bootstrap.settings import Production, Sandbox, Settings
from chain.cosigning import read_witnesses
from eventstore.access import ROLES

MISSING = "is missing"


class Finding(NamedTuple):
    """One setting, what is wrong with it, and what belongs there."""

    setting: str
    wrong: str
    remedy: str


def findings(environ: Mapping[str, str]) -> list[Finding]:
    """Everything that keeps this environment from production; empty when it may start."""
    given, told = given_to(Production, environ), documented(Production)
    return [*(Finding(variable(name), wrong, told[name]) for name in Production.__struct_fields__
              if (wrong := _wrong(name, given))),
            *_passwords(environ), *_shared(environ), *_together(given), *_of_the_sandbox(environ)]


def variable(name: str) -> str:
    return f"FX_{name.upper()}"


def given_to(profile: type[Settings], environ: Mapping[str, str]) -> dict[str, str]:
    """Field -> value, as far as the environment names any; an empty one counts as none."""
    return {name: value for name in profile.__struct_fields__ if (value := environ.get(variable(name)))}


@cache
def documented(settings: type[Settings]) -> dict[str, str]:
    """Field -> the text under it, those it inherits included."""
    found: dict[str, str] = {}
    for kind in reversed(settings.__mro__):
        if not issubclass(kind, Settings):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = inspect.cleandoc(str(text.value.value)).replace("\n", " ")
    return found


@cache
def defaults(settings: type[Settings]) -> dict[str, Any]:
    """Field -> default, of those that have one."""
    return {field.name: field.default for field in msgspec.structs.fields(settings)
            if field.default is not msgspec.NODEFAULT}


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Production, include_extras=True)


def _wrong(name: str, given: Mapping[str, str]) -> str | None:
    if name not in given:
        return None if name in defaults(Production) else MISSING
    value, hint = given[name], _hints()[name]
    try:
        msgspec.convert(value, hint, strict=False, dec_hook=lambda type_, text: type_(text))
    except msgspec.ValidationError as error:
        return f"does not fit: {error}"
    if name not in defaults(Production) and str(defaults(Sandbox).get(name, "")) == value:
        return "is the sandbox's"
    asked = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((wrong for rule in asked if inspect.isfunction(rule) and (wrong := rule(value))), None)


def secrets_in(environ: Mapping[str, str]) -> dict[str, str]:
    """Variable -> secret, of all that the environment holds."""
    names = [*(name for name, hint in _hints().items() if rules.strong in get_args(hint)),
             *(f"{role.removeprefix('fx_')}_password" for role in ROLES)]
    return {variable(name): value for name in names if (value := environ.get(variable(name)))}


def _passwords(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The login roles' passwords are made in the home where none are given."""
    for role in ROLES:
        name = variable(f"{role.removeprefix('fx_')}_password")
        if (given := environ.get(name)) and (wrong := rules.strong(given)):
            yield Finding(name, wrong, f"The password of the database's login {role}; without it one is made.")


def _shared(environ: Mapping[str, str]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, secret in secrets_in(environ).items():
        if secret in first:
            yield Finding(name, f"is the same as {first[secret]}", "Every secret opens one thing.")
        first.setdefault(secret, name)


def _together(given: Mapping[str, str]) -> Iterator[Finding]:
    if ("chain_cert" in given) != ("chain_key" in given):
        yield Finding("FX_CHAIN_CERT", "and FX_CHAIN_KEY belong together", "Set both or neither.")
    quorum, named = given.get("witness_quorum", ""), given.get("witnesses", "")
    if re.fullmatch(r"[0-9]+", quorum) and not rules.witnesses(named) and int(quorum) > len(read_witnesses(named)):
        yield Finding("FX_WITNESS_QUORUM", "asks for more witnesses than are named", "Name more, or ask for fewer.")
    accounts = [(given.get(f"{whose}_sort_code"), given.get(f"{whose}_account_number")) for whose in ("bank", "own")]
    if accounts[0] == accounts[1] and all(accounts[0]):
        yield Finding("FX_OWN_ACCOUNT_NUMBER", "is the collections account",
                      "Fees are swept to an account of the platform's own, apart from other people's money.")


def _of_the_sandbox(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in Sandbox.__struct_fields__:
        if name not in Production.__struct_fields__ and environ.get(variable(name)):
            yield Finding(variable(name), "belongs to the sandbox", "Leave it out.")
