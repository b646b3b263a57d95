"""What reaches the caller after every connection was cut, by the pool's setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from poolkit.probes.records import CutKind, Setting, StaleCount
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, row_axes
from poolkit.units import listed

_ROW = 0.62  # inches, two bars
_CUTS: dict[CutKind, tuple[str, str, str]] = {
    "restart": ("server went down", style.BLUE, ""),
    "drop": ("dropped in silence", style.VERMILION, "//"),
}
_NAMES: dict[Setting, str] = {
    "none": "nothing set",
    "pre_ping": "pre-ping",
    # It replaces by age alone: in calls that come right after the cut it would find the dead ones.
    "recycle": "recycle (after a pause)",
    "retry": "retry",
}


def stale_calls_finding(counts: Sequence[StaleCount], name: str) -> str:
    """The finding as a sentence: failed calls with nothing set, and with which settings none."""
    failed = {setting: _failed(counts, setting) for setting in _settings(counts)}
    clean = [_NAMES[setting] for setting, lost in failed.items() if lost == 0]
    bare = failed.get("none", 0)
    calls = sum(count.calls for count in counts if count.setting == "none")
    if not bare:
        return f"{name}: no call of {calls} fails after a cut, even with nothing set"
    if not clean:
        return f"{name}: {bare} of {calls} calls fail after a cut, and no setting prevents it"
    return (
        f"{name}: {bare} of {calls} calls fail after a cut with nothing set, none with "
        f"{listed(clean).replace(' and ', ' or ')}"
    )


def stale_calls_alt(counts: Sequence[StaleCount], name: str) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    said = [f"{stale_calls_finding(counts, name)}."]
    said += [f"{_NAMES[c.setting]}, {_CUTS[c.cut][0]}: {_words(c)}." for c in counts]
    return " ".join(said)


def stale_calls(counts: Sequence[StaleCount], name: str, *, axes: Axes | None = None) -> Axes:
    """Draw two bars a setting, one for each kind of cut; without `axes` a figure is made.

    Raises:
        ValueError: nothing was counted.
    """
    if not counts:
        raise ValueError("counts must be 1 or more, got 0")
    settings = _settings(counts)
    names = [_tick(one) for one in settings]
    title = stale_calls_finding(counts, name)
    below = f"failed calls of {counts[0].calls} after each cut"
    with row_axes(axes, names, title, below, row=_ROW) as axes:
        axes.set_xlim(0, max([count.failed for count in counts] + [1]))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for count in counts:
            offset = -0.21 if count.cut == "restart" else 0.21
            _draw(axes, settings.index(count.setting) + offset, count)
    return axes


def _tick(setting: Setting) -> str:
    return _NAMES[setting].replace(" (", "\n(")


def _settings(counts: Sequence[StaleCount]) -> list[Setting]:
    return list(dict.fromkeys(count.setting for count in counts))


def _failed(counts: Sequence[StaleCount], setting: Setting) -> int:
    return sum(count.failed for count in counts if count.setting == setting)


def _draw(axes: Axes, row: float, count: StaleCount) -> None:
    cut, colour, hatch = _CUTS[count.cut]
    kw: Any = {"height": 0.36, "edgecolor": style.PAPER, "hatch": hatch, "zorder": 3}
    axes.barh([row], [count.failed], color=colour, **kw)
    marker = "^" if hatch else "o"
    axes.plot([count.failed], [row], marker, color=colour, ms=6, clip_on=False, zorder=4)
    beside(axes, f"{cut}: {_words(count)}", (count.failed, row), colour)


def _words(count: StaleCount) -> str:
    said = f"{count.failed} of {count.calls} failed"
    hidden = [f"{count.disconnects} dead met"] if count.disconnects else []
    hidden += [f"{count.retries} repeated"] if count.retries else []
    return ", ".join([said, *hidden])
