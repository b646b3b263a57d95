"""Charts of probes, watched pools and a service, from the committed recordings and from figures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from matplotlib.axes import Axes

from poolkit.probes import Probe, read
from poolkit.probes.records import StaleCount
from poolkit.report.source import shared
from poolkit.show import charts
from poolkit.show.before_after import SERVICE, ServiceComparison

FOLDER = "data/recordings/lifecycle"


def probes() -> tuple[Probe, ...]:
    """Of a database and of an HTTP service behind TLS."""
    return tuple(read(shared(FOLDER)).values())


def service() -> ServiceComparison:
    """Undersized pools and the recommended ones."""
    return ServiceComparison.model_validate_json((shared(FOLDER) / SERVICE).read_bytes())


def counts(failed: int) -> tuple[StaleCount, ...]:
    """Nothing set and pre-ping, after a restart alone; with nothing set `failed` calls fail."""
    none = StaleCount(setting="none", cut="restart", calls=12, failed=failed, disconnects=failed)
    ping = StaleCount(setting="pre_ping", cut="restart", calls=12, failed=0, disconnects=4)
    return none, ping


def all_charts() -> dict[str, Callable[[], Axes]]:
    """Each chart on each case, by a name."""
    found = probes()
    proofs = [(probe.target, probe.proof) for probe in found if probe.proof is not None]
    made: dict[str, Callable[[], Axes]] = {
        "idle proof, two targets": partial(charts.idle_proof, proofs),
        "idle proof, one target": partial(charts.idle_proof, proofs[:1]),
        "stale, many failed": partial(charts.stale_calls, counts(12), "orders-db"),
        "service": partial(charts.before_after, service()),
    }
    for probe in found:
        assert probe.costs is not None
        made[f"costs, {probe.target}"] = partial(charts.checkout_costs, probe.costs, probe.target)
        made[f"stale, {probe.target}"] = partial(charts.stale_calls, probe.stale, probe.target)
    return made
