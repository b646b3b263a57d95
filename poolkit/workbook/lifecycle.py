"""Tables and charts of the lesson about idle, stale and costly connections: a claim each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from poolkit import units
from poolkit.panels.look import framed
from poolkit.probes import Probe
from poolkit.report.page import Part
from poolkit.report.pictures import figure
from poolkit.show import charts
from poolkit.show.tables import Table
from poolkit.show.tables.of_probe import limits as limits_of_one
from poolkit.show.tables.of_probe import parameters as parameters_of_one
from poolkit.show.tables.table import passed
from poolkit.units import NONE, milliseconds, number

Row = tuple[str, ...]


def checks(probes: Sequence[Probe]) -> Table:
    """Whether each probe can be trusted, and what was not looked at."""
    rows = tuple(row for probe in probes for row in _checks(probe))
    return Table("Checks on each probe", ("target", "check", "outcome", "seen"), rows)


def _checks(probe: Probe) -> Iterator[Row]:
    name = probe.target
    yield (name, "went to its end", passed(probe.status == "done"), f"{number(probe.seconds, 2)} s")
    for limit in probe.idle:
        ends = sum(each.outcome != "alive" for each in limit.observations)
        is_clear = limit.kind != "random"
        seen = f"{ends} of {len(limit.observations)} silences saw an end; {limit.kind}"
        yield (name, f"{limit.session}: not at random", passed(is_clear), seen)
    if probe.proof is not None:
        yield (name, "the value was proven", passed(probe.proof.holds), probe.proof.seen)
    if probe.costs is not None:
        few = min((cost.samples for cost in probe.costs.costs), default=0)
        yield (name, "costs: enough samples", passed(few >= 6), f"{few} pairs at least")
    for what, why in _skipped(probe).items():
        yield (name, f"{what.replace('_', ' ')}", NONE, f"not looked at: {why}")


def _skipped(probe: Probe) -> dict[str, str]:
    return dict(probe.skipped) | (dict(probe.costs.skipped) if probe.costs is not None else {})


def limits(probes: Sequence[Probe]) -> Table:
    """What ends a connection of each target: silence, requests, age, a changed record."""
    found = [(probe.target, table) for probe in probes if (table := limits_of_one(probe))]
    return _together("What ends a connection", ("limit", "found", "seen"), found)


def parameters(probes: Sequence[Probe]) -> Table:
    """What to set, with its reason."""
    found = [(probe.target, table) for probe in probes if (table := parameters_of_one(probe))]
    return _together("What to set", ("parameter", "value", "because"), found, frozenset({2}))


def _together(
    caption: str,
    columns: Row,
    found: Sequence[tuple[str, Table]],
    numeric: frozenset[int] = frozenset(),
) -> Table:
    rows = tuple((name, *row) for name, table in found for row in table.rows)
    return Table(caption, ("target", *columns), rows, numeric)


def storm(probes: Sequence[Probe]) -> Part:
    """Dead connections with the recommended value, and with one that is too long."""
    proofs = [(probe.target, probe.proof) for probe in probes if probe.proof is not None]
    if not proofs:
        return _words("No value had to be proven: no idle connection ended while it was watched.")
    words = (
        "Four pools of one connection for each value: calls, a pause as long as the timeout, calls "
        "again. Dead: the connection had been closed when it was used."
    )
    return _part(
        [figure(charts.idle_proof(proofs), charts.idle_proof_alt(proofs), "storm", words)],
        charts.idle_proof_alt(proofs),
    )


def costs(probes: Sequence[Probe]) -> Part:
    """What each checkout and each dial costs, a chart a target."""
    drawn, said = [], []
    for probe in probes:
        if probe.costs is None or not probe.costs.costs:
            continue
        alt = charts.checkout_costs_alt(probe.costs, probe.target)
        axes = charts.checkout_costs(probe.costs, probe.target)
        size = units.plural(probe.costs.pool_size, "connection")
        busy = f"Throughput: what {size} carry, seen at no more than the target rate. "
        is_compared = any(cost.is_lost_measured for cost in probe.costs.costs)
        words = (busy if is_compared else "") + "TLS, TCP and the look-up are parts of the dial."
        drawn.append(figure(axes, alt, f"costs-{probe.target}", words))
        said.append(alt)
    return _part(drawn, "\n".join(said)) if drawn else _words("No cost was measured.")


def stale(probes: Sequence[Probe]) -> Part:
    """What reaches the caller after every connection was cut, a chart a target."""
    drawn, said = [], []
    for probe in probes:
        if not probe.stale:
            continue
        alt = charts.stale_calls_alt(probe.stale, probe.target)
        axes = charts.stale_calls(probe.stale, probe.target)
        words = "Dead met: dead connections that a call or its ping found; the rest noticed before."
        drawn.append(figure(axes, alt, f"stale-{probe.target}", words))
        said.append(alt)
    return _part(drawn, "\n".join(said)) if drawn else _words("No connection was cut.")


def names(probes: Sequence[Probe]) -> Table:
    """What a changed DNS record means to each target's driver."""
    rows = []
    for probe in probes:
        found = probe.names
        if found is None:
            continue
        kept = f"{found.kept_on_old} of {found.kept_calls}" if found.kept_calls else NONE
        rows.append(
            (
                probe.target,
                "an address" if found.is_address else "a name",
                milliseconds(found.lookup),
                NONE if found.ttl is None else f"{number(found.ttl)} s",
                NONE if found.old_for is None else f"{number(found.old_for, 2)} s",
                kept,
            )
        )
    columns = (
        "target",
        "named by",
        "look-up",
        "ttl_dns_cache tried",
        "dials to the old address for",
        "calls on a kept connection that still went there",
    )
    return Table("After a DNS record changed", columns, tuple(rows), frozenset({2, 3, 4, 5}))


def worst(probes: Sequence[Probe]) -> str:
    """The setting and the cut that let most calls fail, in a sentence."""
    counted = [(probe, count) for probe in probes for count in probe.stale]
    if not counted:
        return "No connection was cut."
    probe, count = max(counted, key=lambda pair: pair[1].failed)
    how = "went down" if count.cut == "restart" else "was cut off without a word"
    setting = "nothing set" if count.setting == "none" else f"{count.setting} set"
    return (
        f"{probe.target} ({probe.driver}) with {setting}: {count.failed} of {count.calls} calls "
        f"failed after the server {how}."
    )


def _part(drawn: Sequence[str], words: str) -> Part:
    return Part(framed("\n".join(drawn)), words)


def _words(sentence: str) -> Part:
    return Part(framed(f"<p>{sentence}</p>"), sentence)
