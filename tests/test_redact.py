"""No secret survives in a text, however the text writes it."""

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.redact import MASK, SHORTEST, Redactor

SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST, max_size=30).filter(
    # The mask itself as a password cannot be told from a mask.
    lambda secret: not set(secret) <= set(MASK)
)

WRITERS = {
    "as it is": str,
    "percent-encoded": lambda s: quote(s, safe=""),
    "percent-encoded, slashes kept": quote,
    "form-encoded": quote_plus,
    "JSON": json.dumps,
    "JSON, not only ASCII": lambda s: json.dumps(s, ensure_ascii=False),
    "JSON within JSON": lambda s: json.dumps(json.dumps({"dsn": s})),
    "JSON of a percent-encoded one": lambda s: json.dumps({"url": quote(s, safe="")}),
    "a Python literal": repr,
    "HTML": html.escape,
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS.keys())
@given(secret=SECRETS)
def test_a_secret_is_gone_in_every_form(writer, secret):
    """Whatever wrote the secret, its written form is replaced by the mask."""
    written = f"before {writer(secret)} after"
    core = writer(secret).strip("\"'")
    cleaned = Redactor([secret]).text(written)
    assert MASK in cleaned
    assert len(core) < SHORTEST or core not in cleaned


@given(secret=SECRETS, text=st.text(max_size=60))
def test_what_is_not_secret_stays(secret, text):
    """A text without any secret is returned as it is."""
    cleaned = Redactor([secret]).text(text)
    assert cleaned == text or MASK in cleaned


@pytest.mark.parametrize(
    ("secrets", "text", "expected"),
    [
        ([], "p@ss", "p@ss"),  # nothing to hide
        ([""], "nothing", "nothing"),  # an empty password hides nothing, not everything
        (["ab"], "cab", "cab"),  # too short to be taken out
        (["abc"], "xabcx", "x***x"),  # exactly the shortest
        (["pass", "password"], "password", "***"),  # no tail of the longer one stays
        (["password", "pass"], "pass password", "*** ***"),  # in any order
        (["p%40ss"], "p@ss p%40ss", "*** ***"),  # given encoded, found decoded
        (["p@ss"], "postgresql://u:p%40ss@h/d", "postgresql://u:***@h/d"),
        (["p/ss"], "u:p%2fss@h", "u:***@h"),  # lower-case percent codes
        (["a.c"], "abc a.c", "abc ***"),  # a secret is no pattern
        (["one1", "two2"], "one1two2", "******"),  # each of several
    ],
)
def test_cases(secrets, text, expected):
    """Every rule of the class by one example."""
    assert Redactor(secrets).text(text) == expected


def test_repr_shows_no_secret():
    """The redactor itself can be printed."""
    assert "hunter2" not in repr(Redactor(["hunter2"]))
