"""One written form of a host and of a URL: what was judged is what a library is handed.

The libraries' parsers disagree about percent signs, brackets, dots, numbers and letters beyond
ASCII. So only what all of them read alike is let through, and that is written anew. Messages name
the broken rule and never quote the text, which may hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

HTTP_PORTS: Mapping[str, int] = {"http": 80, "https": 443}  # scheme -> the port it stands for
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_NAME = 253  # characters, RFC 1035
# What resolvers may take for an IPv4 address in an old way of writing: 127.1, 0x7f.1, 2130706433.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NO_AUTHORITY = "must be a URL with a valid host and port, 1 to 65535"
_ENTRY = re.compile(r"(?:\[(?P<six>[^\[\]@]*)\]|(?P<plain>[^\[\]@:]*))(?::(?P<port>[0-9]*))?")


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in its one form; user and password as written, None where there is none."""

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None
    path: str
    query: str

    @property
    def canonical(self) -> str:
        """The text that every library reads as this URL; secrets included."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.user_info}{self.authority}{self.path}{query}"

    @property
    def authority(self) -> str:
        """Host and port, no user."""
        return authority(self.host, self.port)

    @property
    def user_info(self) -> str:
        """User and password with every special character as %XX, and the @ behind them."""
        return user_info(self.user, self.password)


def canonical_host(text: str) -> str:
    """The one form of a name or an address: lower case, no brackets, no final dot.

    The final dot goes because the name is handed on without it.

    Raises:
        ValueError: what is not plainly one name or one address.
    """
    if not text.isascii():
        raise ValueError("must name its host in ASCII letters; a name beyond them begins xn--")
    name = text.lower()
    try:
        if ":" in name and "%" not in name:
            return str(ipaddress.IPv6Address(name))
        name = name.removesuffix(".")
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            return str(ipaddress.IPv4Address(name))
    except ValueError:
        pass
    else:
        if _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME and _is_decodable(name):
            return name
    raise ValueError(
        "must name a host in plain form: db.internal, 127.0.0.1 or [::1], "
        "no % or zone and no other way to write a number"
    )


def _is_decodable(name: str) -> bool:
    """Whether each label that begins xn-- stands for a text, which libraries look up to show it."""
    try:
        return bool(name.encode("ascii").decode("idna"))
    except UnicodeError:
        return False


def canonical_port(text: str) -> int | None:
    """The port; None where the text is empty."""
    if not text:
        return None
    if not (re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535):
        raise ValueError("must have a port from 1 to 65535")
    return int(text)


def split_entry(text: str) -> tuple[str, int | None]:
    """Host, as written inside its brackets, and port of `host`, `host:port` or `[v6]:port`."""
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise ValueError(_NO_AUTHORITY)
    six, plain = found["six"], found["plain"]
    if six is not None and ":" not in six:
        raise ValueError("must hold an IPv6 address in its brackets, and nothing behind them")
    return plain if six is None else six, canonical_port(found["port"] or "")


def authority(host: str, port: int | None) -> str:
    """Host and port as they stand in a URL."""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def user_info(user: str | None, password: str | None) -> str:
    """What stands before the host, the @ included; each part as written, one decoding deep."""
    if user is None:
        return ""
    return requoted(user) + (f":{requoted(password)}" if password else "") + "@"


def requoted(text: str) -> str:
    """The same text with everything but letters, digits and _.-~ as %XX."""
    return quote(unquote_to_bytes(text), safe="")


def split_user(netloc: str) -> tuple[str | None, str | None, str]:
    """User, password and what is behind their @, of the part of a URL between // and path."""
    info, at, rest = netloc.rpartition("@")
    if "@" in info:
        raise ValueError("must hold one @ before the host; write one in a password as %40")
    if not at:
        return None, None, rest
    user, colon, password = info.partition(":")
    return user, password if colon else None, rest


def read_url(text: str, ports: Mapping[str, int] = HTTP_PORTS) -> Url:
    """Take a URL of one of these schemes apart; ValueError names the rule that it breaks."""
    refuse_odd_characters(text)
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(_NO_AUTHORITY) from None
    if parts.scheme not in ports:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in ports)}")
    user, password, rest = split_user(parts.netloc)
    host, port = split_entry(rest)
    if not host:
        is_http = "http" in ports
        example = "http://127.0.0.1:8080/orders" if is_http else "redis://127.0.0.1:6379/0"
        raise ValueError(f"must name a host, such as {example}")
    host = canonical_host(host)
    return Url(parts.scheme, user, password, host, port, parts.path, parts.query)


def refuse_odd_characters(text: str) -> None:
    """ValueError for what some parsers drop or take for a slash."""
    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        raise ValueError(
            "must hold no space, backslash or control character; write them as %20 ..."
        )
