"""The charts of the course: one claim each, in an <svg> that follows the notebook's theme."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from poolkit.panels.findings import Findings
from poolkit.panels.look import framed
from poolkit.records import Purpose, Trial
from poolkit.report.expected import expected_waits
from poolkit.report.page import Part
from poolkit.report.pictures import figure
from poolkit.show import charts
from poolkit.show.charts.fairness import pair
from poolkit.show.charts.response_time import known
from poolkit.show.charts.time_budget import budgets, in_service
from poolkit.units import milliseconds, number, plural
from poolkit.workbook.fleet import AUTOSCALED, FleetPlan
from poolkit.workbook.fleet import budget as fleet_budget
from poolkit.workbook.serving import Serving
from poolkit.workbook.tables_of_lessons import curve, split

NOT_LOADED = "No size was tried under load here, so there is nothing to show: see the checks."


def time_budget(found: Findings) -> Part:
    """Where the time of a call goes, over pool size."""
    trials = curve(found)
    if not budgets(trials):
        return _words("The parts of a call were not recorded.")
    words = (
        "Lag: the generator's own lateness; wait: for a connection; dial: a new connection; "
        "service: the answer; release: reset and rollback. Every connection is busy."
    )
    axes = charts.time_budget(trials)
    return _chart(axes, charts.time_budget_alt(trials), f"budget-{found.sizing.target}", words)


def holds(found: Findings) -> Part:
    """How long a call holds its connection, at one connection and under load."""
    usable = curve(found)
    if not usable:
        return _words("No trial passed its checks: see their table.")
    one, *others = usable
    middle = [t for t in others if t.pool_size in _few([t.pool_size for t in others])]
    shown = [one, *sorted({t.pool_size: t for t in middle}.values(), key=lambda t: t.pool_size)]
    rows = [
        charts.Spread(plural(t.pool_size, "connection"), t.hold_time, t is shown[-1]) for t in shown
    ]
    alone, loaded = one.hold_time.mean or 0.0, shown[-1].hold_time.mean or 0.0
    title = (
        f"{found.sizing.target}: a call that holds its connection for {milliseconds(alone)} alone "
        f"holds it for {milliseconds(loaded)} among {shown[-1].pool_size}"
    )
    return _spreads(rows, title, "hold time", f"holds-{found.sizing.target}")


def _few(sizes: Sequence[int]) -> set[int]:
    """Up to four sizes of many, the largest among them, each at least twice the one before."""
    kept: list[int] = []
    for size in sorted(set(sizes), reverse=True):
        if len(kept) < 4 and (not kept or size <= kept[-1] / 2):
            kept.append(size)
    return set(kept)


def waits(found: Findings) -> Part:
    """The waits at the target rate: predicted from the curve alone, and measured."""
    serving, limit = in_service(found.trials, found.recommendation), found.objective.wait_p99
    if serving is None:
        return _words(NOT_LOADED)
    expected = expected_waits(found.trials, serving, limit)
    axes = charts.wait_distribution(serving, expected, limit)
    words = "The prediction knows the closed-loop trials only, not the one that it is held against."
    return _chart(axes, charts.wait_alt(serving, expected, limit), "waits", words)


def phase(found: Findings, purpose: Purpose) -> Trial | None:
    """The latest trial of the recommended size with this purpose; None where there is none."""
    size = found.recommendation.recommended_size
    trials = [t for t in found.trials if t.purpose == purpose and t.pool_size == size]
    return trials[-1] if trials else None


def recovery(found: Findings) -> Part:
    """Waits at the target rate, above it, and when it is quiet again."""
    names: tuple[tuple[str, Purpose], ...] = (
        ("at the target rate", "verify"),
        ("1.2 × that rate", "overload"),
        ("then half of it", "recovery"),
    )
    trials = [(name, trial) for name, purpose in names if (trial := phase(found, purpose))]
    if len(trials) < 2:
        return _words(NOT_LOADED)
    rows = [charts.Spread(name, t.wait_time, t.purpose == "overload") for name, t in trials]
    last = trials[-1][1]
    title = (
        f"After 1.2 times the rate, 99 % of the calls wait {milliseconds(last.wait_time.p99)} or "
        "less again"
        if last.purpose == "recovery"
        else "Waits at the target rate and above it"
    )
    return _spreads(rows, title, "wait for a connection", "recovery")


def gate(found: Findings) -> Part:
    """Waits of four callers a connection, without the gate and with it."""
    crowded = pair(found.trials)
    if crowded is None:
        return _words("This target has no gate in front of its pool: its library serves in turn.")
    words = (
        "A gate is a semaphore of the pool's size in front of it: first come, first served. The "
        "bar holds 95 % of the waits, the mark at its left end is their median."
    )
    return _chart(charts.fairness(*crowded), charts.fairness_alt(*crowded), "gate", words)


def response(found: Findings) -> Part:
    """Response time over pool size at the target rate."""
    sizing, r = found.sizing, found.recommendation
    if r.recommended_size is None or len(known(sizing)) < 2:
        return _words(NOT_LOADED)
    axes = charts.response_time(sizing, found.trials, r, response_p99=found.objective.response_p99)
    words = (
        "Past saturation a larger pool does not remove the queue, it moves it from the pool into "
        "the server: less wait, longer hold, the same response."
    )
    return _chart(axes, charts.response_alt(sizing, found.trials, r), "response", words)


def hidden(trial: Trial) -> Part:
    """The same calls, timed from when they got a connection and from when they were due."""
    sent, due = trial.hold_time, trial.response_time
    rows = [
        charts.Spread("stamped when sent", sent),
        charts.Spread("stamped when due", due, is_focus=True),
    ]
    title = (
        f"The p99 of the same calls is {milliseconds(sent.p99)} stamped when sent, and "
        f"{milliseconds(due.p99)} stamped when due"
    )
    return _spreads(rows, title, "time of a call", "hidden")


def overflow(orders: Sequence[Serving], trials: Sequence[Trial]) -> Part:
    """Response times of SQLAlchemy's splits of one total."""
    rows = [
        charts.Spread(split(order), trial.response_time, order is orders[-1])
        for order, trial in zip(orders, trials, strict=True)
    ]
    title = (
        f"{split(orders[-1])} connections dial {_times(trials[-1])}, {split(orders[0])} "
        f"{_times(trials[0])}"
    )
    return _spreads(rows, title, "response time", "overflow")


def _times(trial: Trial) -> str:
    if not trial.connections_opened:
        return "never"
    return f"{number(trial.connections_opened / trial.window, 2)} times a second"


def hosts(trials: Sequence[Trial], names: Sequence[str]) -> Part:
    """Waits behind one session for a slow host and a fast one."""
    rows = [
        charts.Spread(name, trial.wait_time, position == 0)
        for position, (name, trial) in enumerate(zip(names, trials, strict=True))
    ]
    title = (
        f"Behind one gate half of all calls wait {milliseconds(trials[0].wait_time.p50)} or more, "
        f"with a limit for each host {milliseconds(trials[-1].wait_time.p50)}"
    )
    return _spreads(rows, title, "wait for a connection", "hosts")


def fleet(found: FleetPlan) -> Part:
    """The server's connections in the states that the fleet comes into."""
    drawn = fleet_budget(found)
    if drawn is None:
        return _words(f"No size will do: {found.answer.because}.")
    words = (
        "Each pool may open as many connections as it may hold, busy or not; scaled out "
        f"{AUTOSCALED} times, with the pools as they are."
    )
    return _chart(charts.fleet_budget(drawn), charts.fleet_alt(drawn), "fleet", words)


def _spreads(rows: Sequence[charts.Spread], title: str, what: str, label: str) -> Part:
    axes = charts.spreads(rows, title, what)
    return _chart(axes, charts.spreads_alt(rows, title), label, "")


def _chart(axes: charts.Drawn, alt: str, label: str, caption: str) -> Part:
    drawn = figure(axes, alt, label, caption)
    return Part(framed(drawn.replace("\n<figcaption></figcaption>", "")), alt)


def _words(sentence: str) -> Part:
    return Part(framed(f"<p>{escape(sentence)}</p>"), sentence)
