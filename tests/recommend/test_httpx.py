"""What is recommended for httpx, and the library facts that it rests on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.drivers import registry
from poolkit.recommend import parameters, recommend
from poolkit.recommend.session import sessions
from poolkit.records import Parameter, Trial
from tests.recommend.examples import http_target, sizing, times, trial, verifying_trial


def rows(measured: Trial | None = None, **objective: float | None) -> dict[str, Parameter]:
    target = http_target(driver="httpx", **objective)
    return {row.name: row for row in parameters(target, sizing(), measured)}


def test_as_many_are_kept_as_are_opened() -> None:
    """Fewer kept than opened is what makes httpx 0.28 dial for nearly every call."""
    found = rows(verifying_trial())
    names = ("max_connections", "max_keepalive_connections", "gate")
    assert [found[name].value for name in names] == [14, 14, 14]
    kept = found["max_keepalive_connections"]
    assert "(verified so: 2 dials in 4,000 calls)" in kept.because.replace("4000", "4,000")
    assert kept.source == "measured"
    assert rows(trial())["max_keepalive_connections"].source == "rule"


def test_the_fork_is_told_as_what_it_is() -> None:
    """Nothing is said of it that is only true of httpx 0.28, and it shares no client with that."""
    target = http_target(driver="httpx", library="httpx2", max_keepalive_connections=20)
    found = {row.name: row for row in parameters(target, sizing(), verifying_trial())}
    assert found["library"].value == "httpx2"
    assert not any("0.28" in row.because for row in found.values())
    assert found["max_keepalive_connections"].value == 14  # of 20, as the pool has no more

    names = ("a", "b", "c")
    targets = [
        http_target(name=n, driver="httpx", **({"library": "httpx2"} if n == "c" else {}))
        for n in names
    ]
    sized = [recommend(t, sizing(), None, [verifying_trial()], "done", 1.0) for t in targets]
    (shared,) = sessions(sized, targets)
    assert (shared.driver, shared.targets) == ("httpx", ("a", "b"))


def test_reasons_carry_the_measured_figure() -> None:
    """A value that was derived names the figure it was derived from, and where that was seen."""
    found = rows(verifying_trial())
    assert "verified at 499 calls/s: p99 wait 6.1 ms" in found["max_connections"].because
    assert found["read"].because.startswith(
        "hold p99 at 14 connections and 500 calls/s was 41 ms; 10 times that, at least 1 s"
    )


@given(wait=st.floats(1e-4, 10), response=st.none() | st.floats(1e-3, 30), p99=st.floats(1e-5, 60))
def test_limits_that_contain_one_another_stay_in_order(
    wait: float, response: float | None, p99: float
) -> None:
    """The limit of the whole call never ends before those of its parts."""
    measured = verifying_trial(hold_time=times(p99 / 2, p99))
    found = rows(measured, wait_p99=wait, response_p99=response)
    value = {name: float(row.value or 0) for name, row in found.items()}
    parts = 2 * value["connect"] + value["write"] + value["read"]
    assert value["total"] >= parts - 1e-9
    assert value["read"] == value["write"] >= 10 * p99 * (1 - 1e-9)
    assert value["pool"] == value["gate_timeout"]


def test_library_defaults_are_those_of_the_installed_library() -> None:
    """A row that says `library default` holds the default of the library itself."""
    httpx = pytest.importorskip("httpx")
    found = rows()
    assert found["keepalive_expiry"].value == httpx.Limits().keepalive_expiry
    for row in found.values():
        assert (row.source == "library") == row.because.startswith(("library default", "not known"))


def test_httpx_is_measured_behind_the_gate_that_is_recommended() -> None:
    """What is verified is what the generated code does."""
    assert registry.gate_size(http_target(driver="httpx"), 7) == 7
