"""Whatever is accepted, every client library reads the judged host and port, and no other.

`POOLKIT_FUZZ=100000 pytest tests/targets/test_one_form.py -k fuzz` tries that many inputs a kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolkit.drivers.table import Driver
from poolkit.errors import BadInput, Unreachable
from poolkit.measure.preflight import check_first_call
from poolkit.targets import Target, load_targets, production
from poolkit.targets.endpoint import PORTS, of_dsn, of_url
from poolkit.targets.hosts import canonical_host, read_url
from poolkit.targets.postgres_uri import read_postgres_uri
from tests.targets import readings
from tests.targets.readings import ANY_SOCKET, Place, Reader

FUZZ = int(os.environ.get("POOLKIT_FUZZ", "4000"))
# Texts made of what authorities are made of find more than random ones.
PIECES = [
    *("localhost", "127.0.0.1", "127.0.0.2", "[::1]", "::1", "[::ffff:127.0.0.1]", "evil.example"),
    *("xn--bcher-kva", "db_1", "0x7f.1", "2130706433", "127.1", "80", ":5432", ":0", "x", "UPPER"),
    *("u:p@", "u@", "%40", "%2F", "%2f", "%252F", "%2C", "%3A", "%5d", "%09", "%00", "%61", "%zz"),
    *("/", "/d", "/run/pg", "%2Frun%2Fpg", "?", "&", "=", "+", "host=", "hostaddr=", "port=5499"),
    *("service=x", "dbname=d", "db=2", "user=u", "password=p", "options=-c%20x", "sslmode=require"),
    *("target_session_attrs=any", "#", "@", ":", ",", ".", ";", "%", "[", "]", "\\", "\t", "\n"),
    *("\u2100", "\uff0f", "\u3002", "\u212a", "\u00df", "\u0130", " ", "//", "..", "-"),
]
VALUES = ["127.0.0.1", "127.0.0.2", "evil.example", "/run/pg", ":1", "a,b", "5499", "1,2", "", "x"]


@pytest.fixture(autouse=True)
def _own_variables() -> Iterator[None]:
    kept = {name: os.environ[name] for name in readings.VARIABLES if name in os.environ}
    readings.with_variables({})
    yield
    readings.with_variables(kept)


def read(reader: Reader, text: str) -> list[Place]:
    """What a library reads, its IPv6 addresses written as ours are."""
    return [(canonical(host), port) for host, port in reader(text)]


def canonical(host: str) -> str:
    return str(ipaddress.ip_address(host)) if ":" in host and "/" not in host else host


def told(error: ValueError) -> None:
    """Let a refusal pass that names its rule."""
    if not str(error).startswith("must "):
        raise error


def check_url(text: str, scheme: str = "http") -> bool:
    """Whether a URL is accepted; then every library must agree about it."""
    kind = "redis" if scheme.startswith("redis") else "http"
    try:
        found = of_url(text) if kind == "http" else of_dsn(text, {}, "redis")
    except ValueError as error:
        told(error)
        return False
    form = found.canonical
    url = read_url(form, PORTS[kind])
    place = (url.host, url.port or PORTS[kind][url.scheme])
    assert of_url(form, kind).canonical == form, text
    assert found.hosts == (url.host,), text
    for reader in readings.HTTP if kind == "http" else (readings.by_redis,):
        try:
            assert read(reader, form) == [place], (text, reader.__name__)
        except ValueError as refusal:
            # A name that IDNA does not know, or an option's value: then nobody is dialled.
            if "xn--" not in form and "Invalid value for" not in str(refusal):
                raise
    return True


def check_dsn(dsn: str, environ: dict[str, str]) -> bool:
    """Whether a DSN is accepted beside these variables; then every library must agree about it."""
    try:
        found = of_dsn(dsn, environ)
    except ValueError as error:
        told(error)
        return False
    form, uri = found.canonical, read_postgres_uri(dsn, environ)
    assert of_dsn(form, environ).canonical == form, dsn
    places = list(uri.places) or [(ANY_SOCKET, uri.port or 5432)]
    assert found.hosts == (tuple(host for host, _ in uri.places) or ("localhost",)), dsn
    readings.with_variables(environ)
    for reader in readings.POSTGRES:
        try:
            assert read(reader, form) == places, (dsn, environ, reader.__name__)
        except (psycopg.ProgrammingError, asyncpg.ClientConfigurationError) as refusal:
            # An option that it does not know, or a value of it: then nobody is dialled.
            if not any(words in str(refusal) for words in ("query parameter", "session_attrs")):
                raise
    if len(uri.places) == 1 and not uri.places[0][0].startswith("/"):
        assert read(readings.by_sqlalchemy, form) == places, dsn
    return True


TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map("".join) | st.text(
    max_size=40
)
ENVIRONMENTS = st.dictionaries(
    st.sampled_from(readings.VARIABLES), st.sampled_from(VALUES), max_size=2
)


@given(TEXTS, st.sampled_from(["http", "https", "redis", "rediss"]))
@settings(max_examples=400, deadline=None)
def test_of_a_url_every_library_reads_the_judged_host(text: str, scheme: str) -> None:
    """aiohttp, httpx, urllib and redis-py read one host and port from what they are handed."""
    check_url(f"{scheme}://{text}", scheme)


@given(TEXTS, ENVIRONMENTS)
@settings(max_examples=400, deadline=None)
def test_of_a_dsn_every_library_reads_the_judged_hosts(text: str, environ: dict[str, str]) -> None:
    """libpq, asyncpg and SQLAlchemy read the same hosts and ports, whatever the variables say."""
    check_dsn(f"postgresql://{text}", environ)


@pytest.mark.parametrize("scheme", ["http", "https", "redis", "postgresql"])
def test_fuzz(scheme: str) -> None:
    """Many inputs from a fixed seed, of which a fair share is accepted."""
    rng = random.Random(scheme)
    accepted = 0
    for _ in range(FUZZ):
        text = f"{scheme}://" + "".join(rng.choices(PIECES, k=rng.randint(1, 9)))
        if scheme == "postgresql":
            names = rng.sample(readings.VARIABLES, k=rng.choice((0, 0, 0, 1, 2)))
            accepted += check_dsn(text, {name: rng.choice(VALUES) for name in names})
        else:
            accepted += check_url(text, scheme)
    assert accepted > FUZZ / 100


HIDDEN_IN_DSNS = [
    "postgresql://u:p@%2Fnone%2C127.0.0.2:5499/db",
    "postgresql:///db?host=%252Fnone%252C127.0.0.2", "postgresql://%252Frun/db",
    "postgresql://127.0.0.1%2C127.0.0.2/db", "postgresql://%09%2f.example/db",
    "postgresql://127.0.0.1%3A5432/db", "postgresql://[::1].evil.example/db",
    "postgresql://[::1%5d.evil.example]/db", "postgresql://127.0.0.1/db?host=evil.example",
    "postgresql://127.0.0.1/db?hostaddr=127.0.0.2", "postgresql:///db?host=a&host=b",
    "postgresql://%40abstract/db", "postgresql:///db?ho%73t=127.0.0.1&host=b",
    "postgresql://127.0.0.1:5432/db?port=5499", "postgresql://::1/db",
    "postgresql://127.0.0.1/db?replication=database",
    "postgresql://127.0.0.1/db?service=x", "postgresql://127.0.0.1/db?oauth_issuer=http://x",
    "postgresql://fe80::1%25eth0/db", "postgresql://[fe80::1%25eth0]/db", "postgresql://127.1/db",
    "postgresql://a,b,c:1/db?port=1,2", "postgresql://%2Fx%2F.s.PGSQL.5432/db", "postgresql:h/db",
    "postgresql://127.0.0.1%00.evil.example/db", "postgresql://u:%db@127.0.0.1/d",
    "postgresql://localhost%ef%bc%8eevil/db",
]  # fmt: skip


@pytest.mark.parametrize("dsn", HIDDEN_IN_DSNS)
def test_a_host_that_one_library_alone_would_see_is_refused(dsn: str) -> None:
    """Two lists, two decodings, two ways to write a number: no such DSN has one form."""
    with pytest.raises(ValueError, match=r"^must "):
        of_dsn(dsn, {})


HIDDEN_IN_URLS = [
    "[::1].evil.example", "[::1%5d.evil.example]", "%09%2f.example", "127.0.0.1%3A5432",
    "127.0.0.1%2eevil.example", "[::1]evil", "[127.0.0.1]", "[v1.x]", "127.1", "0x7f.0.0.1",
    "2130706433", "127.0.0.01", "127.0.0.1..", "a..b", "[fe80::1%25lo]", "localhost\u3002evil",
    "\u212aube.example", "a,b", "-a.example", "127.0.0.1:80:90", "127.0.0.1;evil", "[::1", "::1",
    "u@v@127.0.0.1", "%00", "127.0.0.1%00.evil.example", "xn--\u00df", "127.0.0.1:+80", "[::1.]",
    "xn--localhost-x", "a.xn--0.example",
]  # fmt: skip


@pytest.mark.parametrize("authority", HIDDEN_IN_URLS)
def test_an_authority_that_is_not_plain_is_refused(authority: str) -> None:
    """As url, as the DSN of Redis and as the Prometheus that is asked."""
    for kind, scheme in (("http", "http"), ("redis", "redis")):
        with pytest.raises(ValueError, match=r"^must "):
            of_url(f"{scheme}://{authority}/", kind)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^prometheus must "):
        production.read_rate_query({"prometheus": f"http://{authority}/", "query": "up"})
    with pytest.raises(BadInput, match=r"its address must"):
        production.fetch(f"http://{authority}/", "the server")


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("HTTP://DB.Internal.:080/a/b?c=d#e", "http://db.internal:80/a/b?c=d"),
        ("http://u!:p%40s@LOCALHOST", "http://u%21:p%40s@localhost"),
        ("http://[2001:DB8:0:0::1]:8080/", "http://[2001:db8::1]:8080/"),
        ("http://127.0.0.1.:80/", "http://127.0.0.1:80/"),
        ("http://h:/", "http://h/"),
    ],
)
def test_the_form_of_a_url_is_what_the_target_holds(url: str, form: str) -> None:
    """What is left of the text once it is judged is the one form; nothing else is handed on."""
    target = Target(name="t", driver="aiohttp", url=url, target_rate=1.0)
    assert target.addresses == (form,)


@pytest.mark.parametrize(
    ("dsn", "environ", "form"),
    [
        ("postgres://u:p@DB.internal./d", {}, "postgresql://u:p@db.internal:5432/d"),
        ("postgresql://%64b.internal/d", {}, "postgresql://db.internal:5432/d"),
        ("postgresql:///d?host=a:1,b&user=u", {}, "postgresql://u@a:1,b:5432/d"),
        ("postgresql://a,b/d?port=1,2", {}, "postgresql://a:1,b:2/d"),
        ("postgresql:///d?host=/run/pg", {}, "postgresql://%2Frun%2Fpg:5432/d"),
        ("postgresql:///d?host=::1", {}, "postgresql://[::1]:5432/d"),
        ("postgresql:///?hostaddr=10.0.0.1&dbname=d", {}, "postgresql://10.0.0.1:5432/d"),
        ("postgresql:///d", {"PGHOST": "h", "PGPORT": "7"}, "postgresql://h:7/d"),
        ("postgresql:///d", {"PGPORT": "7"}, "postgresql:///d?port=7"),
        ("postgresql:///d", {}, "postgresql:///d"),
        ("postgresql://h", {"PGDATABASE": "x"}, "postgresql://h:5432"),
        (
            "postgresql://h/a%2Fb?sslmode=require&x=",
            {},
            "postgresql://h:5432/a%2Fb?sslmode=require",
        ),
    ],
)
def test_the_form_of_a_dsn(dsn: str, environ: dict[str, str], form: str) -> None:
    """Every server with its port before the path, whatever it came from."""
    assert of_dsn(dsn, environ).canonical == form


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PGHOSTADDR", "127.0.0.2"), ("PGSERVICE", "elsewhere"), ("PGOPTIONS", "-c x=y"),
        ("PGTARGETSESSIONATTRS", "standby"), ("PGLOADBALANCEHOSTS", "random"),
    ],
)  # fmt: skip
def test_a_variable_that_leads_elsewhere_is_refused_before_a_dial(
    variable: str, value: str, tmp_path: Path
) -> None:
    """In the file's check, and again where the pool is made; the remedy names the variable."""
    os.environ[variable] = value
    file = tmp_path / "targets.toml"
    dsn = "postgresql://u:p@127.0.0.1:5499/d"
    file.write_text(
        f'[targets.t]\ndriver = "psycopg"\ndsn = "{dsn}"\nstatements = ["select 1"]\n'
        "target_rate = 1\n",
        encoding="utf-8",
    )
    with pytest.raises(BadInput, match=f"unset {variable}"):
        load_targets(file)
    target = Target(name="t", driver="psycopg", dsn=dsn, statements=["select 1"], target_rate=1.0)
    with pytest.raises(BadInput, match=f"unset {variable}"):
        target.resolved_dsn()


def test_files_beside_the_dsn_name_no_host(tmp_path: Path) -> None:
    """Without a service no service file is read, and a passfile adds a password only."""
    service = tmp_path / "services"
    service.write_text("[x]\nhost=127.0.0.2\nhostaddr=127.0.0.2\n", encoding="utf-8")
    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:*:p\n", encoding="utf-8")
    passwords.chmod(0o600)
    assert check_dsn(
        "postgresql://u@127.0.0.1/d", {"PGSERVICEFILE": str(service), "PGPASSFILE": str(passwords)}
    )


@given(st.text(max_size=60))
def test_a_host_is_one_form_or_refused(text: str) -> None:
    """The form of a form is itself."""
    try:
        host = canonical_host(text)
    except ValueError as error:
        told(error)
    else:
        assert canonical_host(host) == host


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg", "sqlalchemy"])
@pytest.mark.parametrize(
    "variables", [("PGHOST",), ("PGPORT",), ("PGHOST", "PGPORT"), ("PGHOSTADDR",), ("PGSERVICE",)]
)
def test_a_real_dial_goes_to_the_judged_place_only(
    driver: Driver, variables: tuple[str, ...], tmp_path: Path
) -> None:
    """With variables and a service file that lead to a second listener, nobody comes there."""
    with Listener("127.0.0.1") as judged, Listener("127.0.0.2") as other:
        port = str(other.port)
        service = tmp_path / "services"
        service.write_text(f"[x]\nhostaddr=127.0.0.2\nport={port}\n", encoding="utf-8")
        elsewhere = {"PGHOST": "127.0.0.2", "PGHOSTADDR": "127.0.0.2", "PGPORT": port}
        elsewhere["PGSERVICE"] = "x"
        readings.with_variables({name: elsewhere[name] for name in variables})
        os.environ["PGSERVICEFILE"] = str(service)
        dsn = f"postgresql://u:p@127.0.0.1:{judged.port}/d?sslmode=disable"
        target = Target(name="t", driver=driver, dsn=dsn, statements=["select 1"], target_rate=1.0)
        with pytest.raises((BadInput, Unreachable)) as refused:
            asyncio.run(check_first_call(target))
        assert (judged.came > 0) == (refused.type is Unreachable)
        assert other.came == 0


class Listener:
    """Hangs up on whoever comes, and counts them."""

    def __init__(self, host: str) -> None:
        self.came = 0
        self._server = socket.create_server((host, 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._server.accept()
                self.came += 1
                connection.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
