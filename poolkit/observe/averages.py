"""Averages of other people's pools, read from a Prometheus by the names of a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolkit import units
from poolkit.analysis.averages import Averages
from poolkit.analysis.windows import MOST
from poolkit.errors import BadInput
from poolkit.observe.asking import Asking, Found, check_range
from poolkit.observe.preset import SECONDS, AveragesPreset, Quantity, reading, selector, series
from poolkit.records import MOST_CONNECTIONS
from poolkit.redact import printable
from poolkit.targets.metrics import quoted
from poolkit.targets.words import nearest

Floats = NDArray[np.float64]

_GAUGES = ("in_use", "waiting")
_COUNTERS = ("calls", "held", "waited", "wait", "timeouts")
_NAMES = {"calls": "acquired", "held": "hold"}  # of the preset, where they differ


@dataclass
class AveragesReader(Asking):
    """Reads the quantities of one preset."""

    preset: AveragesPreset = field(kw_only=True)

    def read(self, since: float, until: float) -> Averages:
        """The windows of a range of time.

        Args:
            since, until: Unix time (s).

        Raises:
            BadInput: out of reach, refused, or what the preset names is not there, with the remedy.
        """
        quantities = self.preset.averages
        sign = self._selected(quantities.sign_of_pool)
        span = max(1, round(until - since))
        if not self.check_one_job(sign, span, until):
            raise self._nothing(quantities.sign_of_pool, span, {"time": f"{until:.3f}"})
        window = self.window(sign, since, until)
        ends = check_range(since, until, window)
        parts = {"pools": f"count({sign})"}
        shown = {"pools": quantities.sign_of_pool.name}
        if quantities.size is not None:
            size = self._selected(quantities.size)
            parts |= {"least": f"min({size})", "most": f"max({size})"}
            shown |= dict.fromkeys(("least", "most"), quantities.size.name)
        for name in _GAUGES:
            if (one := self._quantity(name)) is not None:
                parts[name] = f"sum(avg_over_time({self._selected(one)}[{window}s]))"
        for name in _COUNTERS:
            if (one := self._quantity(name)) is not None:
                parts[name] = f"sum(increase({self._selected(one)}[{window}s]))"
        rows: dict[str, Floats] = {}
        for at, (name, query) in enumerate(parts.items()):
            one = self._quantity(name)
            self.on_query(shown[name] if one is None else one.name, at / len(parts))
            unit = SECONDS[one.unit] if one is not None and name in ("held", "wait") else 1.0
            row = unit * _only(self.range(query, ends, window), ends.size)
            # A size may be infinite, where there is no limit.
            is_told = (row >= 0.0) & ((row <= MOST) | (name in ("least", "most")))
            rows[name] = np.where(is_told, row, np.nan)
        missing = self._missing(rows, span, until)
        if (held := quantities.hold) is not None:
            rows["held"] = corrected(held, rows["held"], rows.get("calls"), rows.get("wait"))
            if held.step:
                missing += (_rounded(held.step),)
        unknown = np.full(ends.size, np.nan)
        # A limit of 0 is none: so Go's database/sql has it. So is one beyond all measure.
        sizes = [rows.get(name, unknown) for name in ("least", "most")]
        known = [row[(row > 0) & (row <= MOST_CONNECTIONS)] for row in sizes]
        return Averages(
            seconds=float(window),
            ends=ends,
            pools=rows["pools"],
            **{name: rows.get(name, unknown) for name in (*_GAUGES, *_COUNTERS)},
            least_size=float(known[0].min()) if known[0].size else None,
            most_size=float(known[1].max()) if known[1].size else None,
            missing=missing,
        )

    def _quantity(self, name: str) -> Quantity | None:
        found: Quantity | None = getattr(self.preset.averages, _NAMES.get(name, name), None)
        return found

    def _selected(self, quantity: Quantity) -> str:
        return selector(quantity, self.preset.pool_label, self.of.pool, self.of.matchers)

    def _missing(self, rows: Mapping[str, Floats], span: int, until: float) -> tuple[str, ...]:
        """What is not there, with the nearest name that is; BadInput where a size needs it."""
        missing = []
        for read, row in rows.items():
            name = {"least": "size"}.get(read, read)
            quantity = self._quantity(name)
            if quantity is None or np.isfinite(row).any():
                continue
            said = self._nothing(quantity, span, {"time": f"{until:.3f}"})
            needed = ("in_use", "calls", "held")
            held = self.preset.averages.hold
            if name in needed or (name == "wait" and held is not None and held.has_waits):
                raise said
            missing.append(f"{name}: {said.cause}")
        return tuple(missing)

    def _nothing(self, quantity: Quantity, span: int, when: Mapping[str, str]) -> BadInput:
        """Why there is no such series: another pool, another name, or another time."""
        name, label = quantity.name, quantity.pool_label or self.preset.pool_label
        by = f"count by ({label or 'job'}) (present_over_time({series(name)}[{span}s]))"
        found = self.ask("query", by, when)
        pools = sorted(printable(one.metric.get(label, "")) for one in found)
        selected = self._selected(quantity)
        if self.ask("query", f"count(present_over_time({selected}[{span}s]))", when):
            return BadInput(
                f"{name} is there, but tells nothing in that time: no numbers, or scraped once",
                "look at it in Prometheus's own page; or ask for another time (--since)",
            )
        if found and (not label or self.of.pool in pools):
            return BadInput(
                f"{name} has no series with {wanted_labels(quantity, self.of.matchers)}",
                "correct production.job and production.namespace, and the labels of the preset",
            )
        own = self.names(f"{{{label}={quoted(self.of.pool)}}}", span, when) if label else []
        if pools and not own:
            listed = ", ".join(pools[:8]) + (" ..." if len(pools) > 8 else "")
            return BadInput(
                f"no {name} of a pool named {self.of.pool!r} in that time; there are: {listed}",
                "correct production.pool in targets.toml",
            )
        start = "_".join(name.split("_")[:2])
        there = own or self.names(f'{{__name__=~".*{start}.*"}}', span, when)
        read = {part for _, one in self.preset.averages if one for part in one.name.split("|")}
        unread = [one for one in there if one not in read]
        others = " or ".join(f'"{one}"' for one in reading(there) if one != self.of.preset)
        other = (
            f"set production.preset = {others}, which reads what is there; or " if others else ""
        )
        return BadInput(
            f"Prometheus has no {name} in that time{nearest(name.split('|')[0], unread)}",
            f"{other}copy the preset {self.of.preset} to a file of your own, correct the name and "
            'set production.preset = "own.toml"; or ask for another time (--since)',
        )


def wanted_labels(quantity: Quantity, matchers: str) -> str:
    """The labels beside the pool that were asked for, in words."""
    named = [f"{key}={value!r}" for key, value in quantity.labels.items()]
    return ", ".join([*named, *filter(None, [matchers.removeprefix(",")])]) or "these labels"


def corrected(hold: Quantity, held: Floats, calls: Floats | None, wait: Floats | None) -> Floats:
    """How long connections were held (s), of what an exporter counted.

    A time rounded down is short of the true one by half a step, as a mean of times that differ by
    more than one; of shorter ones half a step is too much, which errs towards a larger size.
    """
    if hold.step and calls is not None:
        held = held + 0.5 * hold.step * calls
    if hold.has_waits and wait is not None:
        # A wait is counted as it ends, and its call only later.
        held = np.maximum(held - wait, 0.0)
    return held


def _rounded(step: float) -> str:
    return (
        f"hold times in fractions of {units.milliseconds(step)}: each is rounded down to it before "
        "it is counted, and half of it was added for each call"
    )


def _only(found: Found, count: int) -> Floats:
    """The one row of a query that adds everything up; nan without one."""
    rows = [row for _, row in found.values()]
    return rows[0] if rows else np.full(count, np.nan)
