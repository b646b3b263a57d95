"""The keys of targets.toml that say what a call does: headers, body, placeholders, work, gate."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from poolkit.errors import BadInput
from poolkit.redact import Redactor
from poolkit.targets import Choice, Header, Uniform, Zipf, load_targets
from poolkit.targets.draws import read_draw
from tests.targets.test_targets import HTTP, database, http, mistakes

TOKEN = "hunter2-s3cret"
LONE_DB = 'driver = "asyncpg"\ndsn = "postgresql:///d"\ntarget_rate = 5\n'  # without statements


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("PGHOST", "PGPORT", "PGPASSWORD", "ORDERS_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, only=()):
        path = tmp_path / "targets.toml"
        path.write_text(text, encoding="utf-8")
        return load_targets(path, only)

    return write_and_load


def refusal(load, text):
    """The mistakes told of a file that is refused."""
    with pytest.raises(BadInput) as refused:
        load(text)
    return mistakes(refused)


# -- what is read ----------------------------------------------------------------------------


def test_headers_and_body(load, monkeypatch):
    """A header is text, or the name of a variable; the body is text."""
    monkeypatch.setenv("ORDERS_TOKEN", f"Bearer {TOKEN}")
    target = load(
        f'[targets.t]\n{HTTP}method = "POST"\nbody = "a=1"\n'
        'headers = { Accept = "text/html", Authorization = { env = "ORDERS_TOKEN" } }\n'
    )["t"]
    assert target.headers == {
        "Accept": Header("text/html"),
        "Authorization": Header(env="ORDERS_TOKEN"),
    }
    assert target.body == "a=1"


def test_parameters_in_each_form(load):
    """Inline or as a table of its own; whole numbers stay whole, one float makes both floats."""
    target = load(
        f"[targets.t]\n{LONE_DB}pause = 0.002\nread_only = false\ngate = true\n"
        'statements = ["select :a + :b", "select :kind, :hot"]\n'
        "[targets.t.parameters]\na = { uniform = [-3, 5] }\nb = { uniform = [0, 2.5] }\n"
        'kind = { choice = ["x", "y", "x"] }\nhot = { zipf = [1, 1000, 1] }\n'
    )["t"]
    assert target.parameters == {
        "a": Uniform(-3, 5), "b": Uniform(0.0, 2.5), "kind": Choice(("x", "y", "x")),
        "hot": Zipf(1, 1000, 1.0),
    }  # fmt: skip
    assert isinstance(target.parameters["a"].low, int)
    assert isinstance(target.parameters["b"].low, float)
    assert (target.pause, target.read_only, target.gate) == (0.002, False, True)


def test_work_replaces_the_statements(load):
    """A function needs no statement, and may write only where the target says so."""
    target = load(f'[targets.t]\n{LONE_DB}work = "shop.orders:read_one"\nread_only = false\n')["t"]
    assert (target.work, target.statements, target.read_only) == ("shop.orders:read_one", (), False)
    assert load(f'[targets.t]\n{HTTP}work = "orders:read"\n')["t"].work == "orders:read"


# -- what is refused --------------------------------------------------------------------------

HTTP_MISTAKES = [
    ("headers = 3", "headers: must be a table, such as { NAME = VALUE }"),
    (
        "headers = { Accept = 3 }",
        'headers.Accept: must be text in quotes, or { env = "VARIABLE" } for a secret',
    ),
    (
        'headers = { Accept = { environment = "X" } }',
        'headers.Accept: must be text in quotes, or { env = "VARIABLE" } for a secret',
    ),
    (
        'headers = { Accept = "a\\r\\nX: b" }',
        "headers.Accept: must be plain ASCII text: no line break, no space at either end",
    ),
    (
        'headers = { Accept = "é" }',
        "headers.Accept: must be plain ASCII text: no line break, no space at either end",
    ),
    (
        'headers = { "X Y" = "1" }',
        'headers: a header\'s name must be letters, digits and -; write Accept = "text/html"',
    ),
    (
        'headers = { Host = "h" }',
        "headers.Host: must not be set: Host follows from url: load goes to the host that was "
        "checked",
    ),
    (
        'headers = { content-length = "3" }',
        "headers.content-length: must not be set: content-length is set by the client library, "
        "from the body",
    ),
    (
        'headers = { Accept = "a", accept = "b" }',
        "headers: Accept and accept are the same header: keep one",
    ),
    (
        'headers = { X = { env = "ORDERS_TOKEN" } }',
        "headers.X: the environment variable ORDERS_TOKEN is not set; "
        "set it with: export ORDERS_TOKEN='VALUE'",
    ),
    (
        'headers = { authorization = { env = "ORDERS_TOKEN" } }',
        "headers.authorization: the environment variable ORDERS_TOKEN is not set; "
        "set it with: export ORDERS_TOKEN='Bearer TOKEN'",
    ),
    ("body = 3", "body: must be text in quotes"),
    (
        'body = ""',
        'body: GET takes no body; set method = "POST" (or PUT, PATCH, DELETE) or leave it out',
    ),
    (
        'method = "OPTIONS"\nbody = "x"',
        'body: OPTIONS takes no body; set method = "POST" (or PUT, PATCH, DELETE) or leave it out',
    ),
    (
        'work = "m:f"\nmethod = "POST"\nbody = "x"',
        "body: must not stand beside work, whose function does the whole call",
    ),
    (
        "parameters = {}",
        "parameters: belongs to a database; aiohttp takes url, method, headers and body",
    ),
    (
        "read_only = false",
        "read_only: belongs to a database; aiohttp takes url, method, headers and body",
    ),
    (
        'work = "orders.py"',
        'work: must be "module:function", such as "orders_work:read_one", got "orders.py"',
    ),
    (
        'work = "m:f()"',
        'work: must be "module:function", such as "orders_work:read_one", got "m:f()"',
    ),
    ("work = 3", "work: must be text in quotes, got 3"),
    ("gate = 8", "gate: must be true or false, got 8"),
    ('gat = "x"', "gat: unknown key; did you mean gate?"),
    ('header = { Accept = "a" }', "header: unknown key; did you mean headers?"),
]

SPACE = "a colon that binds nothing wants a space behind it"
SQL_MISTAKES = [
    (
        'statements = ["select 1", "select :aid"]',
        "parameters.aid: required by :aid in statements[1], such as "
        f"aid = {{ uniform = [1, 100000] }}; {SPACE}",
    ),
    (
        'statements = ["select :aid"]\nparameters = { aidd = { uniform = [1, 2] } }',
        "parameters.aidd: no statement uses :aidd; did you mean aid?",
    ),
    (
        "statements = [\"select ':aid'\"]\nparameters = { aid = { uniform = [1, 2] } }",
        "parameters.aid: no statement uses :aid",
    ),
    (
        'statements = ["select 1", "select $1"]',
        "statements[1]: uses $1 or the like; write :name, and its values under parameters",
    ),
    (
        'statements = ["select 1"]\npause = 0.1',
        "pause: stands between statements, so it needs at least 2 of them",
    ),
    ('statements = ["select 1", "select 2"]\npause = -0.1', "pause: must be 0 or more, got -0.1"),
    ('statements = ["select 1"]\nread_only = "no"', 'read_only: must be true or false, got "no"'),
    (
        'statements = ["select 1"]\nwork = "m:f"',
        "statements: must not stand beside work, whose function does the whole call",
    ),
    (
        'parameters = { a = { uniform = [1, 2] } }\nwork = "m:f"',
        "parameters: must not stand beside work, whose function does the whole call",
    ),
    (
        'pause = 0.1\nwork = "m:f"',
        "pause: must not stand beside work, whose function does the whole call",
    ),
    (
        'statements = ["select 1"]\nheaders = { A = "b" }',
        "headers: belongs to an HTTP endpoint; asyncpg takes dsn, dsn_env, statements, parameters, "
        "pause and read_only",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "told"), HTTP_MISTAKES, ids=[m[0] for m in HTTP_MISTAKES])
def test_a_mistake_in_an_http_target(load, lines, told):
    """Told with its key and rule."""
    assert f"targets.t.{told}" in refusal(load, f"[targets.t]\n{HTTP}{lines}\n")


@pytest.mark.parametrize(("lines", "told"), SQL_MISTAKES, ids=[m[0] for m in SQL_MISTAKES])
def test_a_mistake_in_a_database_target(load, lines, told):
    """Told with its key and rule."""
    assert f"targets.t.{told}" in refusal(load, f"[targets.t]\n{LONE_DB}{lines}\n")


ONE_OF = (
    "must be one of { uniform = [LOW, HIGH] }, { choice = [VALUE, ...] } and "
    "{ zipf = [LOW, HIGH, EXPONENT] }"
)
UNIFORM = "uniform must be [LOW, HIGH], two numbers with LOW <= HIGH"
CHOICE = 'choice must be a list of 1 or more texts, numbers or booleans, such as ["a", "b"]'
ZIPF = "zipf must be [LOW, HIGH, EXPONENT], two whole numbers with LOW <= HIGH and a number"
WRONG_DRAWS = [
    ("3", ONE_OF),
    ("[1, 2]", ONE_OF),
    ("{}", ONE_OF),
    ("{ uniform = [1, 2], choice = [1] }", ONE_OF),
    (
        "{ unifrm = [1, 2] }",
        "unifrm is no way to draw a value; use uniform, choice, zipf; did you mean uniform?",
    ),
    ("{ uniform = [5, 1] }", f"{UNIFORM}, got [5, 1]"),
    ("{ uniform = [1] }", f"{UNIFORM}, got [1]"),
    ("{ uniform = [1, inf] }", f"{UNIFORM}, got [1, inf]"),
    ("{ uniform = [-1e308, 1e308] }", f"{UNIFORM}, at most 1.7e308 apart, got [-1e+308, 1e+308]"),
    ("{ uniform = [0, 9223372036854775808] }", f"{UNIFORM}, got [0, 9223372036854775808]"),
    ("{ uniform = [true, true] }", UNIFORM),
    ('{ uniform = ["a", "b"] }', UNIFORM),
    ("{ uniform = 3 }", UNIFORM),
    ("{ choice = [] }", CHOICE),
    ('{ choice = ["a", 1] }', CHOICE),
    ("{ choice = [true, 1] }", CHOICE),
    ("{ choice = [nan] }", CHOICE),
    ('{ choice = "ab" }', CHOICE),
    ("{ zipf = [1, 10] }", f"{ZIPF}, got [1, 10]"),
    ("{ zipf = [1, 10.0, 1.1] }", f"{ZIPF}, got [1, 10.0, 1.1]"),
    ("{ zipf = [10, 1, 1.1] }", f"{ZIPF}, got [10, 1, 1.1]"),
    (
        "{ zipf = [1, 10, 0] }",
        f"{ZIPF}; EXPONENT must be more than 0 and at most 1000, got [1, 10, 0]",
    ),
    (
        "{ zipf = [0, 9007199254740992, 1.1] }",
        f"{ZIPF}; HIGH - LOW must be less than 2 ** 53, got [0, 9007199254740992, 1.1]",
    ),
]


@pytest.mark.parametrize(("draw", "told"), WRONG_DRAWS, ids=[draw for draw, _ in WRONG_DRAWS])
def test_a_wrong_way_to_draw_values(load, draw, told):
    """The rule and the numbers given; only this is wrong, since the placeholder has a parameter."""
    text = f'[targets.t]\n{LONE_DB}statements = ["select :a"]\nparameters = {{ a = {draw} }}\n'
    assert refusal(load, text) == [f"targets.t.parameters.a: {told}"]


def test_mistakes_within_tables_are_told_all_at_once(load):
    """Several headers and parameters, single and together, in one go."""
    text = (
        f'[targets.a]\n{HTTP}headers = {{ Host = "h", X = 3, Y = {{ env = "ORDERS_TOKEN" }} }}\n'
        f'body = "b"\n[targets.b]\n{LONE_DB}statements = ["select :x, :y"]\n'
        "parameters = { x = { uniform = [2, 1] }, z = { choice = [] } }\n"
    )
    found = [line.split(": ")[0] for line in refusal(load, text)]
    assert found == [
        "targets.a.headers.Host", "targets.a.headers.X", "targets.a.body", "targets.a.headers.Y",
        "targets.b.parameters.x", "targets.b.parameters.z", "targets.b.parameters.y",
        "targets.b.parameters.z",
    ]  # fmt: skip


def test_a_variable_of_a_target_that_is_left_out_may_be_unset(load):
    """As with DSNs: only what is asked for must be there."""
    text = f'[targets.a]\n{HTTP}[targets.b]\n{HTTP}headers = {{ X = {{ env = "ORDERS_TOKEN" }} }}\n'
    assert list(load(text, ["a"])) == ["a"]
    assert len(refusal(load, text)) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"[targets.a]\n{HTTP}\n[targets.'a'] # again\n{HTTP}",
            "two targets of one name: [targets.a] stands on line 1 and on line 6",
        ),
        (
            f"[targets.'a.b']\n{HTTP}[targets.\"a.b\"]\n{HTTP}",
            'two targets of one name: [targets."a.b"] stands on line 1 and on line 5',
        ),
        (
            f"[targets.a]\n{HTTP}[targets.a.headers]\n[targets.a.headers]\n",
            "one table twice: [targets.a.headers] stands on line 5 and on line 6",
        ),
        (f"[targets.a]\n{HTTP}target_rate = 6\n", "one key twice: Cannot overwrite a value"),
        (f"[targets.a]\nmax_size = {'9' * 5000}", "cannot be read as TOML"),
        (f"a = {'[' * 5000}", "cannot be read as TOML"),
    ],
)
def test_what_toml_refuses(load, text, told):
    """The message says which name or key stands twice, where, and what to do."""
    with pytest.raises(BadInput, match=re.escape(told)) as refused:
        load(text)
    assert refused.value.remedy


# -- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        f'headers = "Authorization: Bearer {TOKEN}"',
        f'headers = ["Authorization: Bearer {TOKEN}"]',
        f'headers = {{ "Authorization: Bearer {TOKEN}" = "" }}',
        f'headers = {{ "Authorization: Bearer {TOKEN}" = 3 }}',
        f'headers = {{ "Authorization: Bearer {TOKEN}" = {{ env = "NOT_SET" }} }}',
        f'headers = {{ Authorization = "Bearer {TOKEN}\\n" }}',
        f'headers = {{ Authorization = {{ env = "Bearer {TOKEN}" }} }}',
        f'headers = {{ Authorization = {{ enw = "{TOKEN}" }} }}',
        f'body = ["{TOKEN}"]',
        f'body = "{TOKEN}"',
        f'parameters = "{TOKEN}"',
        f'parameters = {{ a = {{ choice = ["{TOKEN}", 1] }}, b = {{ uniform = ["{TOKEN}"] }} }}',
    ],
)
def test_no_mistake_quotes_a_secret(load, lines):
    """In whichever key it stands, rightly or by mistake."""
    assert TOKEN not in str(refusal(load, f"[targets.t]\n{HTTP}{lines}\n"))


def test_the_content_of_a_variable_is_judged_and_not_quoted(load, monkeypatch):
    """A token with a line break in it would end the header."""
    monkeypatch.setenv("ORDERS_TOKEN", f"{TOKEN}\r\nX: y")
    text = f'[targets.t]\n{HTTP}headers = {{ X = {{ env = "ORDERS_TOKEN" }} }}\n'
    (told,) = refusal(load, text)
    assert told.startswith("targets.t.headers.X: the content of ORDERS_TOKEN must be plain ASCII")
    assert TOKEN not in told


def test_secrets_of_headers(monkeypatch):
    """What the environment holds, and credentials written in the file: whole and in parts."""
    monkeypatch.setenv("ORDERS_TOKEN", f"Bearer {TOKEN}")
    target = http(
        headers={
            "X-Anything": {"env": "ORDERS_TOKEN"},
            "Authorization": "Basic dXNlcjpwYXNzLTEyMw==",  # user:pass-123
            "Cookie": "session=abc123",
            "Accept": "text/html",
            "X-Unset": {"env": "NOT_SET"},
        }
    )
    assert {f"Bearer {TOKEN}", TOKEN, "pass-123", "session=abc123"} <= set(target.secrets)
    assert "text/html" not in target.secrets
    forms = [repr(target), str(target.model_dump()), target.model_dump_json()]
    forms += [json.dumps(target.public_settings()), repr(target.headers)]
    assert [Redactor(target.secrets).text(form) for form in forms] == forms
    assert target.public_settings()["headers"] == {
        "X-Anything": "$ORDERS_TOKEN", "Authorization": "***", "Cookie": "***",
        "Accept": "text/html", "X-Unset": "$NOT_SET",
    }  # fmt: skip


def test_a_target_made_by_hand_is_held_to_the_same_rules():
    """Tables and their values are checked outside of a file as well."""
    with pytest.raises(ValidationError, match="GET takes no body"):
        http(body="x")
    with pytest.raises(ValidationError, match=r"parameters\.a: required by :a"):
        database(dsn="postgresql:///d", statements=["select :a"])
    with pytest.raises(ValidationError, match="must be plain ASCII") as refused:
        http(headers={"Authorization": f"{TOKEN}\n"})
    assert TOKEN not in str(refused.value)
    drawn = database(
        dsn="postgresql:///d", statements=["select :a"], parameters={"a": Uniform(1, 2)}
    )
    assert drawn.parameters == {"a": Uniform(1, 2)}


# -- what the settings do to a trial's identity -------------------------------------------------

PARAMETERS = {"a": {"uniform": [1, 2]}}
TWO = ["select :a", "select 2"]


def drawn(**changes):
    return database(
        **{"dsn": "postgresql:///d", "statements": TWO, "parameters": PARAMETERS} | changes
    )


def test_the_fingerprint_follows_what_a_call_does():
    """No two of these calls share one."""
    post = {"method": "POST"}
    targets = [
        http(), http(headers={"Accept": "a"}), http(headers={"Accept": "b"}),
        http(headers={"X": {"env": "A"}}), http(gate=True), http(gate=False), http(work="m:f"),
        http(work="m:g"), http(**post), http(**post, body=""), http(**post, body="x"),
        http(**post, body="y"),
        drawn(), drawn(pause=0.1), drawn(read_only=False), drawn(gate=True),
        drawn(parameters={"a": {"uniform": [1, 3]}}), drawn(parameters={"a": {"choice": [1, 2]}}),
        drawn(parameters={"a": {"zipf": [1, 2, 1.1]}}),
        drawn(parameters={"a": {"zipf": [1, 2, 1.2]}}),
        drawn(statements=["select :a"]), database(dsn="postgresql:///d", statements=[], work="m:f"),
    ]  # fmt: skip
    assert len({target.fingerprint for target in targets}) == len(targets)


def test_keys_that_are_left_out_leave_no_trace():
    """Trials from before there were these keys still resume: a default equals nothing."""
    assert drawn(pause=0.0, read_only=True, gate=None).fingerprint == drawn().fingerprint
    assert http(headers={}, body=None, work=None).fingerprint == http().fingerprint
    assert http().fingerprint == "620e9da75993"


def test_the_fingerprint_holds_no_credential_of_a_header(monkeypatch):
    """A new token resumes the old trials."""
    found = set()
    for token in ("one-token", "two-token"):
        monkeypatch.setenv("ORDERS_TOKEN", token)
        found.add(http(headers={"X": {"env": "ORDERS_TOKEN"}, "X-Api-Key": token}).fingerprint)
    assert len(found) == 1


def test_public_settings_of_a_workload():
    """The manifest tells what a call does: the body by its length and hash."""
    shown = http(method="POST", body="é", gate=False, work=None).public_settings()
    assert shown["body"] == "2 bytes, sha256 4a99557e4033"
    assert shown["gate"] is False
    shown = drawn(pause=0.5, read_only=False).public_settings()
    assert shown["parameters"] == PARAMETERS
    assert (shown["pause"], shown["read_only"]) == (0.5, False)
    own = database(dsn="postgresql:///d", statements=[], work="m:f")
    assert own.public_settings()["work"] == "m:f"


NUMBERS = st.integers() | st.floats() | st.booleans() | st.text(max_size=2)


@given(
    st.sampled_from(["uniform", "choice", "zipf", "other"]),
    st.lists(NUMBERS, max_size=4) | NUMBERS,
)
def test_any_draw_is_read_or_refused_by_its_rule(kind, arguments):
    """Nothing else comes out, and what was read is written the same."""
    draw, told = None, ""
    try:
        draw = read_draw({kind: arguments})
    except ValueError as error:
        told = str(error)
    if draw is None:
        assert re.match(rf"{kind} (must be|is no way)", told)
        return
    assert draw.written() == {kind: list(arguments)}
    assert read_draw(draw.written()) == draw


def test_a_dump_holds_the_parameters_and_nothing_that_may_be_secret():
    """Parameters as targets.toml writes them; what may hold a password is left out."""
    dumped = json.loads(drawn().model_dump_json())
    assert dumped["parameters"] == PARAMETERS
    assert not {"headers", "body", "url", "dsn"} & set(json.loads(http().model_dump_json()))


@pytest.mark.parametrize("driver", ["aiohttp", "httpx"])
@pytest.mark.parametrize("url", ["http://user:pass@127.0.0.1:1/a", "http://key@127.0.0.1"])
def test_a_user_in_the_url_beside_the_header_it_is_sent_as(load, driver, url):
    """aiohttp raises and httpx prefers the URL, so neither may guess; a path's @ is no user."""
    lines = (
        f'[targets.t]\ndriver = "{driver}"\ntarget_rate = 1\nheaders = {{ authorization = "b" }}\n'
    )
    said = " ".join(refusal(load, f'{lines}url = "{url}"\n'))
    assert "targets.t.headers.authorization: must not stand beside a user in the URL" in said
    assert "pass@" not in said
    assert load(f'{lines}url = "http://127.0.0.1:1/@a"\n')
