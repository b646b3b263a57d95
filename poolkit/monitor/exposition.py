"""Reads poolkit's gauges from the text that a service exports at /metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from poolkit.errors import BadInput
from poolkit.monitor import names

Cumulative = tuple[tuple[float, float], ...]  # (upper bound, values up to it)


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram as it stands: its buckets, how many values, and their sum (s)."""

    buckets: Cumulative
    count: float
    total: float


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """One pool at the moment of a scrape."""

    driver: str
    values: Mapping[str, float]  # by poolkit's name, a counter's without `_total`
    times: Mapping[str, Times]  # by poolkit's name


def parse(text: str, what: str) -> dict[str, PoolFigures]:
    """The pools of an exposition by name; empty where it exports none.

    Args:
        what: where the text is from, for messages.

    Raises:
        BadInput: the text is not in Prometheus's format.
    """
    drivers: dict[str, str] = {}
    values: dict[str, dict[str, float]] = defaultdict(dict)
    parts: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    wanted = {metric.name: metric.kind for metric in names.METRICS}
    try:
        for family in text_string_to_metric_families(text):
            kind = wanted.get(family.name)
            for sample in family.samples if kind is not None else ():
                pool = sample.labels["pool"]
                drivers[pool] = sample.labels["driver"]
                if kind != "histogram":
                    values[pool][family.name] = sample.value
                    continue
                part = sample.name.removeprefix(f"{family.name}_")
                if part == "bucket":
                    part = sample.labels["le"]
                parts[pool, family.name][part] = sample.value
        return {
            pool: PoolFigures(
                driver,
                values[pool],
                {name: _times(found) for (of, name), found in parts.items() if of == pool},
            )
            for pool, driver in drivers.items()
        }
    except (ValueError, KeyError) as error:
        raise BadInput(
            f"{what} is not an exposition in Prometheus's text format", "name the /metrics address"
        ) from error


def _times(found: Mapping[str, float]) -> Times:
    bounds = {float(part): value for part, value in found.items() if part not in ("count", "sum")}
    return Times(tuple(sorted(bounds.items())), found["count"], found["sum"])
