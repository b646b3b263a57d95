"""What reaches the caller after every connection was cut, by the pool's setting."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from poolkit.probes.records import CutKind, Setting, StaleCount
from poolkit.show.charts import style
from poolkit.show.charts.frame import entitle, single_axes
from poolkit.units import listed

_ROW = 0.62  # inches, two bars
_ROOM = 0.52  # of the width, for the words right of the bars
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
    given = axes
    settings = _settings(counts)
    with style.house():
        axes = single_axes(axes, 1.15 + _ROW * len(settings))
        most = max([count.failed for count in counts] + [1])
        axes.set_xlim(0, most / (1 - _ROOM))
        axes.set_xticks(range(0, most + 1, max(1, most // 5)))
        axes.set_ylim(len(settings) - 0.45, -0.55)
        axes.set_yticks(range(len(settings)), labels=[_tick(one) for one in settings])
        axes.tick_params(axis="y", length=0, pad=7)
        axes.set_xlabel(f"failed calls of {counts[0].calls} after each cut", loc="left")
        entitle(axes, stale_calls_finding(counts, name), given)
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
    if count.failed:
        axes.barh(
            [row],
            [count.failed],
            height=0.36,
            color=colour,
            edgecolor=style.PAPER,
            hatch=hatch,
            zorder=3,
        )
    axes.plot(
        [count.failed],
        [row],
        "o" if not hatch else "^",
        color=colour,
        ms=6,
        clip_on=False,
        zorder=4,
    )
    axes.annotate(
        f"{cut}: {_words(count)}",
        (count.failed, row),
        (10, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=style.LABEL_SIZE - 0.5,
    )


def _words(count: StaleCount) -> str:
    said = f"{count.failed} of {count.calls} failed"
    hidden = [f"{count.disconnects} dead met"] if count.disconnects else []
    hidden += [f"{count.retries} repeated"] if count.retries else []
    return ", ".join([said, *hidden])
