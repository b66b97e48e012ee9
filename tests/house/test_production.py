"""A start in production with anything of the sandbox, missing or weak is impossible, and everything is said at once."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest

import scripts.doctor as doctor
from bootstrap import Production, Sandbox, SetupError, documented, findings, settings_from
from bootstrap.production import defaults, secrets_in, variable
from bootstrap.rules import strong
from chain.notes import COSIGNATURE, Signer
from eventstore.access import ROLES
from scripts.settings_table import BEGIN, END, markdown

ROOT = Path(__file__).parents[2]
VKEY = Signer("witness.example/w", bytes(range(32))).verifier(COSIGNATURE).vkey
HINTS = get_type_hints(Production, include_extras=True)
VENDORS = ("identity", "screening", "companies_house", "fca", "payee", "bank", "kms")
GOOD = {
    "FX_PROFILE": "production", "FX_HOME": "/srv/fintokenx",
    "FX_DATABASE_URL": f"postgresql://owner:{secrets.token_urlsafe(24)}@db.fintokenx.uk/fx?sslmode=verify-full",
    "FX_CHAIN_URL": "https://besu.fintokenx.uk", "FX_CHAIN_ID": "52014", "FX_LOG_ID": "8d" * 4 + "17ac" * 14,
    "FX_PUBLIC_URL": "https://app.fintokenx.uk", "FX_FCA_EMAIL": "registers@fintokenx.uk",
    **{variable(f"{vendor}_url"): f"https://{vendor.replace('_', '-')}.example" for vendor in VENDORS},
    "FX_BANK_SORT_CODE": "040076", "FX_BANK_ACCOUNT_NUMBER": "20000002", "FX_BANK_ACCOUNT_ID": "9b1c-collections",
    "FX_OWN_SORT_CODE": "200001", "FX_OWN_ACCOUNT_NUMBER": "70000014", "FX_SMTP_HOST": "smtp.example",
    "FX_SMTP_PORT": "587", "FX_SMTP_SECURITY": "starttls", "FX_SMTP_USERNAME": "fx-mailer",
    "FX_WITNESSES": f"w=https://witness.example {VKEY}", "FX_WITNESS_QUORUM": "1",
    **{variable(name): secrets.token_urlsafe(24) for name, hint in HINTS.items() if strong in get_args(hint)},
}
OF_PRODUCTION = [name for name in Production.__struct_fields__ if name not in defaults(Production)]

LOCAL = ("https://localhost", "https://app.localhost", "https://127.0.0.1", "https://127.9.9.9:8443", "https://[::1]",
         "https://0.0.0.0", "https://[::]", "https://[::ffff:127.0.0.1]", "https://127.1", "https://2130706433",
         "https://0x7f000001", "https://LOCALHOST.", "https://169.254.169.254")
NO_ADDRESS = ("http://bank.example", "bank.example", "https://", "https://user:pass@bank.example",
              "https://bank.example?x=1", "https://bank.example#x", "https://bank .example", "ftp://bank.example",
              "https://bank.example\\@evil.example", "https://[bank.example", "https://bank.example:99999")
WEAK_SECRETS = ("x", "short-secret", "a" * 40, "abab" * 10, "abcabcabcabcabcabcabcabcd"[:24], "password-of-the-bank-1",
                "changeme-changeme", "my sandbox token 1", "sandbox-fca-key", "ñandú-ñandú-12345-xyz",
                "0123456789abcdef")
WEAK = {
    "https": (*LOCAL, *NO_ADDRESS), "strong": WEAK_SECRETS,
    "database": ("postgresql:///fx", "postgresql://u:p@h/fx", "postgresql://u:p@h/fx?sslmode=prefer",
                 "postgresql://u:p@h/fx?sslmode=disable", "postgresql://u:p@h/fx?sslmode=require&sslmode=allow",
                 "postgresql://u@/fx?host=/tmp&sslmode=require", "mysql://u:p@h/fx?sslmode=require", "fx.sqlite",
                 "postgresql://h/fx?sslmode=require", "postgresql://u:p@h?sslmode=require",
                 "postgresql://u:p@h/fx?sslmode=require", "postgresql://u@h/fx?sslmode=require",
                 "postgresql://u:%70assword-of-ours-1@h/fx?sslmode=require"),
    "proxies": ("*", "nonsense,*", "10.0.0.7,proxy.example", "0.0.0.0/0", "::/0", "10.0.0.7/8"),
    "host_names": ("*", "a.example,*", "a b.example", "https://a.example", "a.example/x"),
    "tenant": ("a b'; drop", "fintokenx", "tnt_", "tnt_A", "tnt_x\n"),
    "own_chain": ("31337", "1337", "0", "-1", "many"),
    "thirty_two_bytes": ("00" * 32, "ab" * 32, "8d" * 31, "x" * 64, "AB" * 32),
    "absolute": (".fintokenx", "home"),
    "sort_code": ("04-00-76", "04007", "000000", "٠٤٠٠٧٦", "040076\n"),
    "account_number": ("1234567", "123456789", "00000000", "٢٠٠٠٠٠٠٢"),
    "identifier": ("a b", "naïve", "a\nb"),
    "mailbox": ("registers", "a@b", "a b@c.uk", "a@b.uk, c@d.uk"),
    "elsewhere": ("localhost", "127.0.0.1", "::1", "smtp example", "smtp.example/x", "0"),
    "witnesses": (f"w=http://witness.example {VKEY}", f"w=https://127.0.0.1 {VKEY}", f"w=https://localhost {VKEY}",
                  "w=https://witness.example", "nobody", ";"),
}
OTHERWISE_WEAK = {
    "smtp_port": ("0", "65536", "many"), "smtp_security": ("none", "plain", "TLS"),
    "witness_quorum": ("0", "-1", "2", "x"),
}


def weak_values(name: str) -> Iterator[str]:
    """What a setting may not be: the sandbox's value, and those that its rules are there to refuse."""
    if (sandboxed := str(defaults(Sandbox).get(name) or "")):
        yield sandboxed
    yield from OTHERWISE_WEAK.get(name, ())
    hint = HINTS[name]
    for rule in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        yield from WEAK.get(getattr(rule, "__name__", ""), ())


def refused(**changed: str | None) -> str:
    """The one line a start fails with."""
    environ = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    with pytest.raises(SetupError) as told:
        settings_from(environ)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_what_is_complete_and_strong_starts() -> None:
    settings = settings_from(GOOD)
    assert isinstance(settings, Production) and not settings.sandbox and findings(GOOD) == []
    assert settings.vendor("companies_house") == "https://companies-house.example"
    assert settings.credentials.clearbank_token == GOOD["FX_CLEARBANK_TOKEN"]
    assert not [value for name, value in secrets_in(GOOD).items() if value in repr(settings)], "secrets do not show"


@pytest.mark.parametrize("name", OF_PRODUCTION)
def test_a_setting_left_out_is_named(name: str) -> None:
    for empty in (None, ""):
        assert re.fullmatch(rf"not fit for production: {variable(name)} is missing \(.*\)",
                            refused(**{variable(name): empty}))


@pytest.mark.parametrize(("name", "value"), [
    (name, value) for name in Production.__struct_fields__ for value in weak_values(name)
    if name in OF_PRODUCTION or value != str(defaults(Sandbox).get(name))])
def test_a_setting_of_the_sandbox_or_a_weak_one_is_named(name: str, value: str) -> None:
    said = refused(**{variable(name): value})
    assert variable(name) in said and said.count("FX_") == 1, said


def test_every_setting_that_matters_is_tried() -> None:
    tried = {name for name in OF_PRODUCTION if list(weak_values(name))}
    assert tried == set(OF_PRODUCTION)
    rules = {rule.__name__ for hint in HINTS.values()
             if get_origin(hint) is Annotated for rule in get_args(hint)[1:] if hasattr(rule, "__name__")}
    assert rules == set(WEAK)


@pytest.mark.parametrize("name", sorted({*Sandbox.__struct_fields__} - {*Production.__struct_fields__}))
def test_what_only_a_sandbox_has_is_refused(name: str) -> None:
    value = "sandbox:2026-05-22T09:42:00Z" if name == "clock" else "http://127.0.0.1:8700"
    assert f"{variable(name)} belongs to the sandbox" in refused(**{variable(name): value})


def test_no_two_secrets_are_the_same() -> None:
    names = sorted(secrets_in(GOOD))
    for first, second in zip(names, names[1:], strict=False):
        said = refused(**{second: GOOD[first]})
        assert first in said and second in said and "is the same as" in said


@pytest.mark.parametrize("role", ROLES)
def test_a_weak_password_of_a_login_is_named(role: str) -> None:
    assert f"{role.upper()}_PASSWORD" in refused(**{f"{role.upper()}_PASSWORD": "short"})


@pytest.mark.parametrize(("changed", "said"), [
    ({"FX_CHAIN_CERT": "/etc/cert.pem"}, "FX_CHAIN_CERT and FX_CHAIN_KEY belong together"),
    ({"FX_OWN_SORT_CODE": GOOD["FX_BANK_SORT_CODE"], "FX_OWN_ACCOUNT_NUMBER": GOOD["FX_BANK_ACCOUNT_NUMBER"]},
     "FX_OWN_ACCOUNT_NUMBER is the collections account"),
    ({"FX_WITNESS_QUORUM": "2"}, "FX_WITNESS_QUORUM asks for more witnesses than are named"),
    ({"FX_PROFILE": "staging"}, "FX_PROFILE is 'staging'"),
])
def test_settings_that_do_not_fit_together_are_named(changed: dict[str, str], said: str) -> None:
    assert said in refused(**changed)


def test_everything_is_said_at_once_and_nothing_is_started(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    environ = {"FX_HOME": str(tmp_path / "home"), "FX_CLOCK": "sandbox:2026-05-22T09:42:00Z", "FX_FCA_KEY": "x" * 40}
    assert doctor.production(environ) == 1
    shown = capsys.readouterr().out
    for name in OF_PRODUCTION:
        assert name == "home" or variable(name) in shown
    assert "FX_CLOCK" in shown and "repeats itself" in shown and "x" * 40 not in shown
    assert not (tmp_path / "home").exists()
    assert doctor.production(GOOD) == 0


def test_every_setting_is_documented_and_shown_in_the_readme() -> None:
    for kind in (Sandbox, Production):
        assert set(documented(kind)) >= set(kind.__struct_fields__)
    table = (ROOT / "README.md").read_text().partition(BEGIN)[2].partition(END)[0]
    assert table.strip() == markdown().strip(), "run `python -m scripts.settings_table`"
