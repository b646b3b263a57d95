"""Tables of what was measured and what the queue model expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from poolkit.analysis.disturbed import QUIET
from poolkit.recommend.checks import is_without_gate
from poolkit.records import GeneratorShare, PredictedWait, Sizing, StatePoint, Trial
from poolkit.show import trust, words
from poolkit.show.course import Slice, slices, trial_name, verifications
from poolkit.show.tables.table import Column, Columns, Number, Table
from poolkit.units import NONE, interval, listed, milliseconds, number, plural, rate, share

_KINDS = {
    "unfinished": "unfinished when the trial ended",
    "pool_timeout": "no connection in time",
    "pool_full": "refused by the full pool",
    "timeout": "no answer in time",
}
_DIAL_PARTS = ("dns", "tcp", "tls")


def trials(measured: Sequence[Trial]) -> Table:
    """Every trial in the order of sizes, the climb first; open-loop ones name their rate."""
    columns: Columns[Trial] = (
        *SIZE_AND_LOOP,
        Number("calls/s", lambda t: number(t.throughput)),
        Number("95 % interval", lambda t: interval(t.throughput_interval95)),
        Number("hold p50", lambda t: milliseconds(t.hold_time.p50)),
        Number("hold p99", lambda t: milliseconds(t.hold_time.p99)),
        Number("wait p99", lambda t: milliseconds(t.wait_time.p99) + _inferred(t)),
        Number("busy", lambda t: share(t.utilisation)),
        Number("client CPU", lambda t: share(t.cpu_share)),
        Column("fitted", _use),
    )
    return Table.of("Every trial", columns, in_order(measured))


def time_budget(measured: Sequence[Trial]) -> Table:
    """Where the mean time of a call goes in each trial, in the order in which it goes there.

    The parts are those of the successful calls, where they are known.
    """

    columns: Columns[Trial] = (
        *SIZE_AND_LOOP,
        Number("lag", lambda t: milliseconds(t.mean_of("lag"))),
        Number("wait", lambda t: milliseconds(t.mean_of("wait")) + _inferred(t)),
        Number("dial", lambda t: milliseconds(t.mean_of("dial"))),
        Number("service", lambda t: milliseconds(t.mean_of("service"))),
        Number("release", lambda t: milliseconds(t.mean_of("release"))),
        Number("response, all together", lambda t: milliseconds(t.response_time.mean)),
    )
    known = in_order([t for t in measured if t.service_time.mean is not None])
    return Table.of("Where the time of a call goes (means)", columns, known)


def cut_and_dials(measured: Sequence[Trial]) -> Table:
    """What was left out of each trial's front, and how often its calls dialled."""
    columns: list[Column[Trial]] = [
        *SIZE_AND_LOOP,
        Number("cut off", lambda t: f"{t.warm_up:.2f} s"),
        Number("measured", lambda t: f"{t.window:.2f} s"),
        Number("dials", lambda t: str(t.connections_opened)),
        Number("dials a call", _dials),
    ]
    # Mean times of a dial's parts; aiohttp shows them.
    if any(t.dial_parts is not None for t in measured):
        columns += [Number(part.upper(), partial(_dial_part, part)) for part in _DIAL_PARTS]
    caption = "What was cut off as warm-up (MSER-5), and dials"
    return Table.of(caption, columns, in_order(measured))


def _dial_part(part: str, trial: Trial) -> str:
    return NONE if trial.dial_parts is None else milliseconds(getattr(trial.dial_parts, part))


def _dials(trial: Trial) -> str:
    return NONE if trial.reuse_ratio is None else share(1.0 - trial.reuse_ratio)


def trial_checks(measured: Sequence[Trial]) -> Table:
    """For each check: in how many trials it was made and passed, and the worst that was seen.

    A trial that leaves the gate out to show what happens is no doubt, and is not counted.
    """
    made: dict[str, list[tuple[bool, Trial, str]]] = {}
    for t in measured:
        for check in () if is_without_gate(t) else t.checks:
            made.setdefault(check.name, []).append((check.passed, t, check.seen))
    rows = []
    for name, results in made.items():
        bad = [(t, seen) for ok, t, seen in results if not ok]
        where = f"at {plural(bad[0][0].pool_size, 'connection')}: {bad[0][1]}" if bad else NONE
        count = f"{'✗' if bad else '✓'} {len(results) - len(bad)} of {len(results)}"
        rows.append((words.check(name), count, where))
    columns = ("check", "trials that passed", "first that did not")
    return Table("Checks made on every trial", columns, tuple(rows))


def generators(measured: Sequence[Trial]) -> Table:
    """What each generator of a fleet did in each trial of a size in service."""
    columns: Columns[tuple[Trial, GeneratorShare]] = (
        Column("trial", lambda row: trial_name(row[0])),
        Column("generator", lambda row: row[1].name),
        Number("pools", lambda row: f"{row[1].pools} of {row[1].pool_size}"),
        Number("planned", lambda row: NONE if row[1].planned is None else rate(row[1].planned)),
        Number("sent", lambda row: rate(row[1].sent)),
        Number("carried", lambda row: rate(row[1].throughput)),
        Number("p99 wait", lambda row: milliseconds(row[1].wait_p99)),
        Number("p99 lag", lambda row: milliseconds(row[1].lag_p99)),
        Number("of a core", lambda row: f"{row[1].cpu_share:.2f}"),
        Number("began", lambda row: f"{row[1].skew * 1e3:+.2f} ms"),
    )
    rows = [(t, one) for t in verifications(measured) for one in t.generators]
    return Table.of("What each generator of the fleet did", columns, rows)


def course(measured: Sequence[Trial]) -> Table:
    """How each trial of a size in service went, slice by slice of its window."""
    columns: Columns[tuple[Trial, Slice]] = (
        Column("connections", lambda row: trial_name(row[0])),
        Number("from", lambda row: f"{row[1].begin:.2f} s"),
        Number("to", lambda row: f"{row[1].end:.2f} s"),
        Number("calls/s", lambda row: number(row[1].rate)),
        Number("in use", lambda row: number(row[1].in_use)),
        Number("at most", lambda row: str(row[1].most_in_use)),
        Number("none free", lambda row: share(row[1].all_busy)),
    )
    rows = [(t, part) for t in verifications(measured) for part in slices(t)]
    return Table.of("Each verification over time", columns, rows)


def errors(measured: Sequence[Trial]) -> Table:
    """The calls that did not succeed, by kind: how many, and in which trial most of them were."""
    calls = sum(sum(t.outcomes.values()) for t in measured)
    kinds: Counter[str] = Counter()
    for t in measured:
        kinds.update(t.error_kinds)
    rows = []
    for kind, count in kinds.most_common():
        worst = max(measured, key=lambda t: t.error_kinds.get(kind, 0))
        where = f"{worst.error_kinds[kind]} with {_connections(worst)} connections, {_loop(worst)}"
        rows.append(
            (_KINDS.get(kind, words.readable(kind)), str(count), share(count / calls), where)
        )
    failed = sum(kinds.values())
    caption = f"Errors by kind: {failed} of {plural(calls, 'call')}"
    columns = ("what happened", "calls", "of all calls", "most of them")
    return Table(caption, columns, tuple(rows), frozenset({1, 2}))


def states(sizing: Sizing) -> Table:
    """Throughput by connections in use at once."""
    columns: Columns[StatePoint] = (
        Number("in use", lambda s: str(s.in_use)),
        Number("seen for", lambda s: f"{number(s.seconds)} s"),
        Number("released", lambda s: number(s.releases)),
        Number("calls/s", lambda s: number(s.throughput)),
        Number("95 % interval", lambda s: interval(s.interval95)),
        Number("mean hold", lambda s: milliseconds(s.mean_hold)),
    )
    return Table.of("Throughput by connections in use", columns, sizing.states)


def predictions(sizing: Sizing, size: int | None = None, around: int = 3) -> Table:
    """What the queue model expects at the sizes around `size` and the target rate.

    Args:
        size: connections of one pool; the sizing's own by default.
        around: sizes shown on either side; a smaller one that serves callers as soon always is.
    """
    columns: Columns[PredictedWait] = (
        Column(
            "connections",
            lambda p: f"{p.pool_size} (extrapolated)" if p.is_extrapolated else str(p.pool_size),
        ),
        Number(
            "calls that wait too long",
            lambda p: "beyond its throughput" if p.wait_p99 is None else share(p.exceedance, 1),
        ),
        Number("wait p99", lambda p: milliseconds(p.wait_p99)),
        Number("mean hold", lambda p: milliseconds(p.hold_time)),
        Number("mean response", lambda p: milliseconds(p.response_time)),
        Number("p99 response", lambda p: milliseconds(p.response_p99)),
        Number("busy", lambda p: share(p.utilisation)),
    )
    size = sizing.size if size is None else size
    ordered = sorted(sizing.predictions, key=lambda p: p.pool_size)
    shown = [
        p
        for p in ordered
        if size is None
        or abs(p.pool_size - size) <= around
        or p.pool_size == sizing.smallest_as_fast
    ]
    caption = f"Expected at {number(sizing.rate_per_pool)} calls/s for each pool"
    return Table.of(caption, columns, shown, lambda p: p.pool_size == size)


def in_order(measured: Sequence[Trial]) -> list[Trial]:
    """The climb to the target rate, then sizes in order, closed loops first."""
    return sorted(
        measured,
        key=lambda t: (
            t.purpose != "approach",
            t.loop,
            t.pool_size * t.pools,
            t.arrival_rate or 0.0,
        ),
    )


def _connections(trial: Trial) -> str:
    size = str(trial.pool_size) if trial.pools == 1 else f"{trial.pools} × {trial.pool_size}"
    return f"up to {size}" if trial.purpose == "approach" else size


def _loop(trial: Trial) -> str:
    return "closed" if trial.arrival_rate is None else f"open, {number(trial.arrival_rate)}/s"


def _inferred(trial: Trial) -> str:
    """Said of a wait where the library does not show when a call acquires."""
    return "" if trial.wait_is_exact else " (inferred)"


# By purpose: what a trial in service is used for.
_SERVED = {
    "approach": "by connections in use",
    "verify": "to verify the size",
    "overload": "as an overload",
    "recovery": "as what follows an overload",
    "fairness": "for fairness",
    "lost_replica": "for the loss of a replica",
    "surge": "for a deploy",
}


def _use(trial: Trial) -> str:
    if trial.stopped is not None:
        return f"✗ stopped: {trial.stopped}"
    if is_without_gate(trial):
        return "no: without the gate, to compare"
    failed = trial.failed_checks
    if failed:
        # Why a trial was measured again is told where it stands beside the one in its place.
        why = "".join(f": {check.seen}" for check in failed if check.name == QUIET)
        return f"✗ {listed([trust.doubt(check) for check in failed])}{why}"
    if trial.is_of_curve:
        return "✓ yes"
    return f"✓ {_SERVED.get(trial.purpose, trial.purpose)}"


SIZE_AND_LOOP = (Column("connections", _connections), Column("loop", _loop))
