"""The headers of an HTTP target: written in the file, or secrets that the environment holds."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from poolkit.targets.endpoint import CREDENTIAL

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.1: token
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")  # section 5.5, without the obsolete bytes
_VALUE_RULE = "must be plain ASCII text: no line break, no space at either end"
# Header -> why it cannot be set by hand.
_REFUSED = {
    "host": "follows from url: load goes to the host that was checked",
    "content-length": "is set by the client library, from the body",
    "transfer-encoding": "is set by the client library, from the body",
}


@dataclass(frozen=True, slots=True)
class Header:
    """A header's value: its text, or the name of the environment variable that holds it."""

    text: str | None = field(default=None, repr=False)
    env: str | None = None

    def value(self, name: str, environ: Mapping[str, str]) -> str:
        """What is sent as `name`; ValueError: the variable is not set or cannot be sent."""
        if self.env is None:
            return self.text or ""
        content = environ.get(self.env)
        if not content:
            raise ValueError(
                f"the environment variable {self.env} is not set; {_export_line(name, self.env)}"
            )
        if not _VALUE.fullmatch(content):
            raise ValueError(f"the content of {self.env} {_VALUE_RULE}")
        return content

    def public(self, name: str) -> str:
        """What may be written of the value: the text, `$VARIABLE`, or `***` for a credential."""
        if self.env is not None:
            return f"${self.env}"
        return "***" if is_credential(name) else self.text or ""

    def secrets(self, name: str, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Texts that must be written nowhere: the whole value, and the credential within it."""
        content = environ.get(self.env, "") if self.env is not None else self.text or ""
        if not content or (self.env is None and not is_credential(name)):
            return ()
        scheme, _, token = content.partition(" ")
        if not token:
            return (content,)
        return (content, token.strip(), *(_password(token) if scheme.lower() == "basic" else ()))


def read_header(value: object) -> Header:
    """A header's value as targets.toml writes it; ValueError names the rule, never the value."""
    if isinstance(value, Header):
        return value
    if isinstance(value, str):
        if not _VALUE.fullmatch(value):
            raise ValueError(_VALUE_RULE)
        return Header(text=value)
    if not isinstance(value, dict) or set(value) != {"env"}:
        raise ValueError('must be text in quotes, or { env = "VARIABLE" } for a secret')
    variable = value["env"]
    if not isinstance(variable, str) or not VARIABLE.fullmatch(variable):
        # A likely mistake is the secret itself in this place, so the value is not quoted.
        raise ValueError(
            'env must be the name of an environment variable, such as "ORDERS_TOKEN"; '
            "the secret itself belongs in that variable"
        )
    return Header(env=variable)


def check_name(name: str) -> str:
    """The name, if a header may be called so; ValueError: a rule, which quotes only known names."""
    if not NAME.fullmatch(name):
        # The value may have slipped into the name: Authorization: Bearer ...
        raise ValueError(
            'a header\'s name must be letters, digits and -; write Accept = "text/html"'
        )
    if name.lower() in _REFUSED:
        raise ValueError(f"must not be set: {name} {_REFUSED[name.lower()]}")
    return name


def check_once(names: Iterable[str]) -> None:
    """ValueError where two names are one header, since case does not matter."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            raise ValueError(f"{seen[name.lower()]} and {name} are the same header: keep one")
        seen[name.lower()] = name


def is_credential(name: str) -> bool:
    """Whether a header's value is a credential by its name, wherever it is written."""
    return CREDENTIAL.search(name) is not None or name.lower() == "cookie"


def _password(token: str) -> tuple[str, ...]:
    """The password of HTTP basic authentication (RFC 7617), where the token holds one."""
    try:
        pair = base64.b64decode(token.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ()
    return tuple(text for text in (pair, pair.partition(":")[2]) if text)


def _export_line(name: str, variable: str) -> str:
    example = "Bearer TOKEN" if name.lower() == "authorization" else "VALUE"
    return f"set it with: export {variable}='{example}'"
