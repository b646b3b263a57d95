"""Tables of what was measured and what the queue model expects."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.records import Sizing, Trial
from poolkit.show.tables.table import Table
from poolkit.units import interval, listed, milliseconds, number, plural, share


def trials(measured: Sequence[Trial]) -> Table:
    """Every trial in the order of sizes; open-loop ones name their rate."""
    ordered = _in_order(measured)
    rows = tuple(
        (
            _connections(t),
            _loop(t),
            number(t.throughput),
            interval(t.throughput_interval95),
            milliseconds(t.hold_time.p50),
            milliseconds(t.hold_time.p99),
            _wait(t),
            share(t.utilisation),
            share(t.cpu_share),
            _use(t),
        )
        for t in ordered
    )
    columns = (
        "connections",
        "loop",
        "calls/s",
        "95 % interval",
        "hold p50",
        "hold p99",
        "wait p99",
        "busy",
        "client CPU",
        "fitted",
    )
    return Table("Every trial", columns, rows, frozenset(range(2, 9)))


def _wait(trial: Trial) -> str:
    """The p99 wait; where the library does not show when a call acquires, it says so."""
    words = milliseconds(trial.wait_time.p99)
    return words if trial.wait_is_exact else f"{words} (inferred)"


def time_budget(measured: Sequence[Trial]) -> Table:
    """Where the mean time of a call goes in each trial, in the order in which it goes there."""
    known = [t for t in measured if t.service_time.mean is not None]
    ordered = _in_order(known)
    rows = tuple(
        (
            _connections(t),
            _loop(t),
            *_parts(t),
            milliseconds(t.response_time.mean),
        )
        for t in ordered
    )
    columns = (
        "connections",
        "loop",
        "lag",
        "wait",
        "dial",
        "service",
        "release",
        "response, all together",
    )
    return Table("Where the time of a call goes (means)", columns, rows, frozenset(range(2, 8)))


def cut_and_dials(measured: Sequence[Trial]) -> Table:
    """What was left out of each trial's front, and how often its calls dialled."""
    ordered = _in_order(measured)
    has_parts = any(t.dial_parts is not None for t in ordered)
    rows = tuple(
        (
            _connections(t),
            _loop(t),
            f"{t.warm_up:.2f} s",
            f"{t.window:.2f} s",
            str(t.connections_opened),
            "–" if t.reuse_ratio is None else share(1.0 - t.reuse_ratio),
            *(_dial_parts(t) if has_parts else ()),
        )
        for t in ordered
    )
    columns: tuple[str, ...] = (
        "connections",
        "loop",
        "cut off",
        "measured",
        "dials",
        "dials a call",
    )
    if has_parts:
        columns += ("DNS", "TCP", "TLS")
    caption = "What was cut off as warm-up (MSER-5), and dials"
    return Table(caption, columns, rows, frozenset(range(2, len(columns))))


def _dial_parts(trial: Trial) -> tuple[str, str, str]:
    """Mean times of a dial's parts; aiohttp shows them."""
    parts = trial.dial_parts
    if parts is None:
        return ("–", "–", "–")
    return milliseconds(parts.dns), milliseconds(parts.tcp), milliseconds(parts.tls)


def _in_order(measured: Sequence[Trial]) -> list[Trial]:
    return sorted(measured, key=lambda t: (t.loop, t.pool_size * t.pools, t.arrival_rate or 0.0))


def _connections(trial: Trial) -> str:
    return str(trial.pool_size) if trial.pools == 1 else f"{trial.pools} × {trial.pool_size}"


def _loop(trial: Trial) -> str:
    if trial.arrival_rate is None:
        return "closed"
    return f"open, {number(trial.arrival_rate)}/s"


def _parts(trial: Trial) -> tuple[str, ...]:
    """Lag, wait, dial, service and release: those of the successful calls, where they are known."""
    b = trial.budget
    lag, wait, dial, service, release = (
        (b.lag, b.wait, b.dial, b.service, b.release)
        if b is not None
        else (trial.lag, trial.wait_time, trial.dial_time, trial.service_time, trial.release_time)
    )
    return (
        milliseconds(lag.mean),
        milliseconds(wait.mean) + ("" if trial.wait_is_exact else " (inferred)"),
        *(milliseconds(part.mean) for part in (dial, service, release)),
    )


def _use(trial: Trial) -> str:
    if trial.stopped is not None:
        return f"✗ stopped: {trial.stopped}"
    failed = [check.name.replace("_", " ") for check in trial.checks if not check.passed]
    if failed:
        return f"✗ failed {listed(failed)}"
    return "✓ yes" if trial.is_of_curve else f"✓ {trial.purpose}"


def trial_checks(measured: Sequence[Trial]) -> Table:
    """For each check: in how many trials it was made and passed, and the worst that was seen."""
    made: dict[str, list[tuple[bool, Trial, str]]] = {}
    for t in measured:
        for check in t.checks:
            made.setdefault(check.name, []).append((check.passed, t, check.seen))
    rows = []
    for name, results in made.items():
        bad = [(t, seen) for ok, t, seen in results if not ok]
        where = f"at {plural(bad[0][0].pool_size, 'connection')}: {bad[0][1]}" if bad else "–"
        mark = "✗" if bad else "✓"
        count = f"{mark} {len(results) - len(bad)} of {len(results)}"
        rows.append((name.replace("littles_law", "Little's Law").replace("_", " "), count, where))
    columns = ("check", "trials that passed", "first that did not")
    return Table("Checks made on every trial", columns, tuple(rows))


def predictions(sizing: Sizing, size: int | None = None, around: int = 3) -> Table:
    """What the queue model expects at the sizes around `size` and the target rate.

    Args:
        size: connections of one pool; the sizing's own by default.
        around: sizes shown on either side.
    """
    size = sizing.size if size is None else size
    shown = [
        p
        for p in sorted(sizing.predictions, key=lambda p: p.pool_size)
        if size is None or abs(p.pool_size - size) <= around
    ]
    rows = tuple(
        (
            f"{p.pool_size} (extrapolated)" if p.is_extrapolated else str(p.pool_size),
            "beyond its throughput" if p.exceedance is None else share(p.exceedance),
            milliseconds(p.wait_p99),
            milliseconds(p.hold_time),
            milliseconds(p.response_time),
            share(p.utilisation),
        )
        for p in shown
    )
    columns = (
        "connections",
        "calls that wait too long",
        "wait p99",
        "mean hold",
        "mean response",
        "busy",
    )
    emphasis = frozenset(i for i, p in enumerate(shown) if p.pool_size == size)
    caption = f"Expected at {number(sizing.rate_per_pool)} calls/s for each pool"
    return Table(caption, columns, rows, frozenset(range(1, 6)), emphasis)
