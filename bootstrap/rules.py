"""What a production setting must be, one rule a function: it says what is wrong with a value, or nothing.

Rules stand in the types of `bootstrap.settings.Production`; bootstrap/production.py asks them.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from chain.cosigning import read_witnesses
from chain.notes import Malformed

Rule = Callable[[str], str | None]

SECRET_CHARACTERS, SECRET_DIFFERENT = 16, 8
SHORT_PERIOD = 4
GUESSED = ("password", "passwort", "secret", "changeme", "change-me", "example", "sandbox", "placeholder", "letmein",
           "0123456789", "abcdefgh", "qwerty")
LOCAL_NAMES = ("localhost", "localdomain", "local")
WIDEST_NETWORK = 8
TEST_CHAINS = (1337, 31337)
SSL_MODES = ("require", "verify-ca", "verify-full")


def strong(secret: str) -> str | None:
    if len(secret) < SECRET_CHARACTERS:
        return f"has {len(secret)} characters, which is fewer than {SECRET_CHARACTERS}"
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        return "holds a blank, or a character that is not ASCII"
    if len(set(secret)) < SECRET_DIFFERENT or _repeats(secret):
        return "repeats itself"
    if any(word in secret.lower() for word in GUESSED):
        return "holds a word that everybody tries first"
    return None


def _repeats(secret: str) -> bool:
    return any(secret == (secret[:period] * len(secret))[:len(secret)] for period in range(1, len(secret) // 2 + 1))


def https(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme != "https":
        return "does not begin with https://"
    if not host or parts.username or parts.password or parts.query or parts.fragment or re.search(r"[\s\\]", url):
        return "is not a plain address: no login, no query and no blank belong into it"
    return elsewhere(host)


def elsewhere(host: str) -> str | None:
    """A machine that others reach by this name, and that is not this one."""
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
        return "is no host name"
    if host.rstrip(".").lower().rpartition(".")[2] in LOCAL_NAMES:
        return "is this machine"
    address = _address(host)
    if address is not None and (address.is_loopback or address.is_unspecified or address.is_link_local):
        return "is this machine"
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address a host is written as, also in the forms only the C library knows (127.1, 0x7f000001)."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    return getattr(found, "ipv4_mapped", None) or found


def database(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        given, _ = parse_qs(parts.query, keep_blank_values=True), parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("postgresql", "postgres"):
        return "does not begin with postgresql://"
    if not parts.hostname or "host" in given or "hostaddr" in given:
        return "names no host: the embedded database is the sandbox's"
    if not parts.username or not parts.path.strip("/"):
        return "names no user or no database"
    if given.get("sslmode", [""])[-1] not in SSL_MODES:
        return f"does not ask for TLS: add sslmode={SSL_MODES[-1]}"
    if weak := strong(unquote(parts.password or "")):
        return f"has a password that {weak}"
    return None


def proxies(text: str) -> str | None:
    """Addresses or networks; whoever is believed says who everybody else is, so it is nobody in general."""
    for one in text.split(","):
        try:
            network = ipaddress.ip_network(one.strip())
        except ValueError:
            return f"names {one.strip()!r}, which is no IP address or network"
        if network.prefixlen < WIDEST_NETWORK:
            return f"believes all of {one.strip()}"
    return None


def host_names(text: str) -> str | None:
    wrong = [name for name in text.split(",") if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", name.strip())]
    return f"names {wrong[0].strip()!r}, which is no host name" if wrong else None


def tenant(text: str) -> str | None:
    return None if re.fullmatch(r"tnt_[a-z0-9]{1,40}", text) else "is not tnt_ with small letters and digits"


def own_chain(number: str) -> str | None:
    return "is a test chain's number" if re.fullmatch(r"[0-9]+", number) and int(number) in TEST_CHAINS else None


def thirty_two_bytes(text: str) -> str | None:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        return "is not 32 bytes in lower-case hex"
    return "repeats itself" if _repeats(text) else None


def absolute(path: str) -> str | None:
    return None if Path(path).is_absolute() else "is no absolute path"


def sort_code(text: str) -> str | None:
    return None if re.fullmatch(r"[0-9]{6}", text) and set(text) != {"0"} else "is not 6 digits"


def account_number(text: str) -> str | None:
    return None if re.fullmatch(r"[0-9]{8}", text) and set(text) != {"0"} else "is not 8 digits"


def identifier(text: str) -> str | None:
    return None if text.isascii() and text.isprintable() and " " not in text else "holds a blank or a foreign character"


def mailbox(text: str) -> str | None:
    return None if re.fullmatch(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", text) else "is no mailbox"


def witnesses(text: str) -> str | None:
    try:
        listed = read_witnesses(text)
    except Malformed as error:
        return f"cannot be read: {error}"
    wrong = [(one.name, why) for one in listed if (why := https(one.url))]
    if not listed:
        return "names nobody"
    return f"names {wrong[0][0]}, whose address {wrong[0][1]}" if wrong else None
