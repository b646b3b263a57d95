"""Figures of a service in production, asked of a Prometheus server's HTTP API.

Every wait is bounded, redirects are not followed, and an answer that is not one finite number above
nothing is refused with what to change in the query.
"""

from __future__ import annotations

import http
import http.client
import math
import os
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from poolkit.errors import BadInput
from poolkit.redact import printable
from poolkit.targets.endpoint import astray
from poolkit.targets.hosts import read_url

HIGHEST_RATE = 1e12  # calls/s; more than any service carries, and products of it are finite
TIMEOUT = 10.0  # s, for the whole answer
_LARGEST_ANSWER = 8 << 20  # bytes; a whole /metrics page needs far less
# The process that measures inherits what its parent resolved, so that both mean one rate.
RESOLVED = "POOLKIT_RESOLVED_RATES"
_CUT = "its answer was cut off", "try again; see what ends it half-way"
_EXAMPLE = 'such as sum(rate(poolkit_pool_asks_total{pool="orders-db"}[5m]))'


@dataclass(frozen=True, slots=True)
class RateQuery:
    """Where a target rate comes from, as targets.toml writes it: `{ prometheus = URL, query = Q }`.

    Attributes:
        prometheus: base URL of a Prometheus server in its one form; no user, password or query
            stands in it.
        query: PromQL that gives one series: calls/s.
    """

    prometheus: str
    query: str

    @property
    def host(self) -> str:
        """The host that is asked, in the form in which hosts are compared."""
        return read_url(self.prometheus).host


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and where it came from.

    Attributes:
        value: what the query gave.
        source: the server, the query and the moment, in words that may be written anywhere.
    """

    value: float
    source: str


# Stands for a query that was refused, so that the rest of its target can be looked at.
NO_QUERY = RateQuery("", "")


def read_rate_query(value: object) -> RateQuery:
    """The query that a table of targets.toml tells; ValueError names the rule, never the URL."""
    if isinstance(value, RateQuery):
        return value
    form = '{ prometheus = "http://127.0.0.1:9090", query = "sum(rate(...[5m]))" }'
    if not isinstance(value, Mapping) or set(value) != {"prometheus", "query"}:
        raise ValueError(f"must be a number of calls/s, or {form}")
    url, query = value["prometheus"], value["query"]
    if not isinstance(query, str) or not query.strip():
        raise ValueError(f"query must be PromQL that gives one number of calls/s, {_EXAMPLE}")
    if not isinstance(url, str):
        raise ValueError(f"prometheus must be a URL in quotes: {form}")
    return RateQuery(base_url(url, "prometheus"), query)


def base_url(url: str, key: str) -> str:
    """The URL as it will be asked; ValueError names the rule that it breaks.

    Args:
        key: of targets.toml, in whose name the rule is told.
    """
    try:
        found = read_url(url)
    except ValueError as error:
        raise ValueError(f"{key} must be a URL such as http://127.0.0.1:9090: it {error}") from None
    if found.user is not None or found.query or "#" in url:
        raise ValueError(f"{key} must hold no user, password or query: they would be printed")
    return found.canonical.rstrip("/")


def resolve(name: str, query: RateQuery) -> Figure:
    """The rate (calls/s) of target `name`: what a parent process read, or asked for now.

    Raises:
        BadInput: the server cannot be reached or its answer is no rate; nothing was sent to the
            target.
    """
    known = _handed_down().get(name)
    # Its own figure may be of yesterday.
    if known is not None and known.of == query and known.reader != os.getpid():
        return Figure(known.value, known.source)
    figure = ask(query)
    if not 0 < figure.value <= HIGHEST_RATE:
        raise BadInput(
            f"targets.{name}.target_rate: {_shown(query)} gave {figure.value:g}, and a target rate "
            f"must be more than 0 and at most {HIGHEST_RATE:g}",
            "ask for a time with traffic, such as max_over_time(...[1d:5m])"
            if figure.value <= 0
            else f"ask for calls/s, {_EXAMPLE}",
        )
    _hand_down(name, query, figure)
    return figure


def ask(query: RateQuery, *, timeout: float = TIMEOUT) -> Figure:
    """The one number that an instant query gives.

    Args:
        timeout: s, for the whole answer.

    Raises:
        BadInput: out of reach, refused, or not exactly one finite number, with what to change.
    """
    value = _one_value(query, _data(query, timeout))
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Figure(value, f"Prometheus at {query.prometheus}, query {query.query}, read {at}")


def largest(query: RateQuery, at: float, *, timeout: float) -> tuple[float, dict[str, str]]:
    """The largest of the series that an instant query gives at a moment, and its labels.

    Args:
        at: Unix time (s).
        timeout: s, for the whole answer.

    Raises:
        BadInput: out of reach, refused, or no finite number, with what to change.
    """
    data = _data(query, timeout, at)
    if data is None or data.resultType != "vector":
        return _one_value(query, data), {}
    found: list[tuple[float, dict[str, str]]] = []
    for one in data.result if isinstance(data.result, list) else ():
        value = _one_value(query, _Data(resultType="vector", result=[one]))
        try:
            labels = _Labels.model_validate(one).metric
        except ValidationError:
            labels = {}
        found.append((value, {printable(name): printable(text) for name, text in labels.items()}))
    return max(found, key=lambda one: one[0]) if found else (_one_value(query, data), {})


def fetch(
    url: str,
    what: str,
    *,
    timeout: float = TIMEOUT,
    keeps: Sequence[int] = (),
    headers: Mapping[str, str] | None = None,
    largest: int = _LARGEST_ANSWER,
) -> bytes:
    """The body that a GET of `url` gives, redirects and proxies left aside.

    Args:
        what: the thing that is asked, for messages; it may be printed.
        timeout: s, for the whole answer.
        keeps: HTTP statuses beside those of success whose body is the answer too.
        headers: sent with it.
        largest: bytes of the answer, at most.

    Raises:
        BadInput: no plain http address, no answer in time, another status, or more than `largest`.
    """
    try:
        url = read_url(url).canonical
    except ValueError as error:
        raise BadInput(
            f"{what} cannot be asked: its address {error}", "write it as http://HOST:PORT/PATH"
        ) from None
    # In a thread of its own: a server that drips, or a look-up that hangs, has no other end.
    found: list[bytes | BadInput] = []

    def work() -> None:
        try:
            found.append(_fetched(url, what, timeout, keeps, headers or {}, largest))
        except Exception as error:  # of whatever library reads what a stranger answered
            found.append(_no_answer(what, f"its answer is none ({type(error).__name__})"))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout + 1.0)
    answer = found[0] if found else _no_answer(what, "did not answer in time")
    if isinstance(answer, BadInput):
        raise answer
    return answer


def _fetched(
    url: str,
    what: str,
    timeout: float,
    keeps: Sequence[int],
    headers: Mapping[str, str],
    largest: int,
) -> bytes | BadInput:
    if moved := astray((read_url(url).host,)):
        return _no_answer(what, moved)
    opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
    try:
        asked = urllib.request.Request(url, headers=dict(headers))
        with opener.open(asked, timeout=timeout) as response:
            content: bytes = response.read(largest + 1)
            packed = response.headers.get("Content-Encoding", "identity").strip().lower()
            # Without this half a page of counters would pass for a whole one.
            is_cut = bool(response.length) and len(content) <= largest
    except urllib.error.HTTPError as error:
        with error:
            content = error.read(_LARGEST_ANSWER)
        if error.code in keeps:
            return content
        remedy = "check the address: redirects are not followed"
        if error.code == http.HTTPStatus.TOO_MANY_REQUESTS or error.code >= 500:
            remedy = "it runs, and cannot answer now: try again, and see its log"
        elif error.code in (401, 403):
            remedy = "it lets only some in: production.token_env names the variable with a token"
        return BadInput(f"{what} answered HTTP {error.code}", remedy)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return _no_answer(
                what,
                f"its certificate is not trusted: {reason.verify_message}",
                "where an authority of your own signed it, name that: export SSL_CERT_FILE=ca.pem",
            )
        if isinstance(reason, http.client.IncompleteRead):
            return _no_answer(what, *_CUT)
        is_late = isinstance(reason, TimeoutError)
        said = printable(str(reason)).strip()[:200]  # may be what a stranger sent
        return _no_answer(what, "did not answer in time" if is_late else said)
    if is_cut:
        return _no_answer(what, *_CUT)
    if packed != "identity":
        remedy = "name its own address, not that of a proxy which compresses unasked"
        return _no_answer(what, f"its answer is compressed ({printable(packed)[:20]})", remedy)
    if len(content) > largest:
        remedy = "check the address, or ask for less: sum(...) makes one series of many"
        return BadInput(f"{what} answered more than {largest >> 20} MB", remedy)
    return content


def _no_answer(
    what: str, why: str, remedy: str = "check host and port, and that it runs"
) -> BadInput:
    return BadInput(f"cannot read {what}: {why}", remedy)


class _Data(BaseModel):
    resultType: str  # noqa: N815  # Prometheus's name
    result: Any = None


class _Answer(BaseModel):
    """https://prometheus.io/docs/prometheus/latest/querying/api/"""

    status: str
    error: str = "no reason given"
    data: _Data | None = None


class _Series(BaseModel):
    value: tuple[Any, float]  # when, and a number, which Prometheus writes as text


class _Labels(BaseModel):
    metric: dict[str, str] = Field(default_factory=dict, max_length=20)


class _HandedDown(BaseModel):
    """What a process hands down of a rate that it read."""

    of: RateQuery
    reader: int
    value: float = Field(gt=0, le=HIGHEST_RATE)
    source: str


def _data(query: RateQuery, timeout: float, at: float | None = None) -> _Data | None:
    """What a query that succeeds gives, at a moment (Unix time, s) or now."""
    answer = _get(query, timeout, at)
    if answer.status != "success":
        said = printable(answer.error)[:300]
        raise BadInput(f"Prometheus refused {_shown(query)}: {said}", "correct the query")
    return answer.data


def _get(query: RateQuery, timeout: float, at: float | None) -> _Answer:
    asked = {"query": query.query, "timeout": f"{timeout:g}s"}
    words = urllib.parse.urlencode(asked if at is None else {**asked, "time": f"{at:.3f}"})
    what = f"Prometheus at {query.prometheus}"
    # Prometheus says what is wrong with a query in the body of a 400 or 422.
    url = f"{query.prometheus}/api/v1/query?{words}"
    content = fetch(url, what, timeout=timeout, keeps=(400, 422))
    try:
        return _Answer.model_validate_json(content)
    except ValidationError:
        raise BadInput(
            f"{what} did not answer as Prometheus does",
            "check that prometheus is the base URL of a Prometheus server",
        ) from None


def _one_value(query: RateQuery, data: _Data | None) -> float:
    samples: list[Any]
    if data is not None and data.resultType == "scalar":
        samples = [{"value": data.result}]
    elif data is not None and data.resultType == "vector" and isinstance(data.result, list):
        samples = data.result
    else:
        kind = printable(data.resultType)[:60] if data is not None else "thing"
        raise BadInput(
            f"{_shown(query)} gave a {kind or 'thing'}, not one number",
            f"ask for a rate now, {_EXAMPLE}",
        )
    if not samples:
        raise BadInput(
            f"{_shown(query)} gave nothing: no such series, or none lately",
            "run the query in Prometheus's own page; check the metric's name and its labels",
        )
    if len(samples) > 1:
        raise BadInput(f"{_shown(query)} gave {len(samples)} series, not one", _aggregate())
    try:
        value = _Series.model_validate(samples[0]).value[1]
    except ValidationError:
        raise BadInput(f"{_shown(query)} gave no number", "correct the query") from None
    if not math.isfinite(value):
        raise BadInput(
            f"{_shown(query)} gave {value}",
            "a division by a rate of 0 does that; ask for calls/s, " + _EXAMPLE,
        )
    return value


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The host that was allowed is the one that is asked, so nothing is followed."""

    def redirect_request(self, *_arguments: Any, **_options: Any) -> None:
        return None


def _shown(query: RateQuery) -> str:
    text = query.query if len(query.query) <= 120 else f"{query.query[:120]}..."
    return f"the query {text}"


def _aggregate() -> str:
    return f"add the series up: sum(...), {_EXAMPLE}"


def _handed_down() -> dict[str, _HandedDown]:
    """What the environment holds; nothing where that is not of this version."""
    try:
        return _RATES.validate_json(os.environ.get(RESOLVED, "{}"))
    except ValidationError:
        return {}


def _hand_down(name: str, query: RateQuery, figure: Figure) -> None:
    entry = _HandedDown(of=query, reader=os.getpid(), value=figure.value, source=figure.source)
    os.environ[RESOLVED] = _RATES.dump_json({**_handed_down(), name: entry}).decode()


_RATES = TypeAdapter(dict[str, _HandedDown])
