"""Dead connections and reuse with a keep-alive below the idle timeout, and with one too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from poolkit.drivers.parameters.findings import Proof, ProofRun
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, row_axes
from poolkit.units import plural, share

_ROW = 0.42  # inches
Proven = tuple[str, Proof]  # the target's name, and its proof


def idle_proof_finding(proofs: Sequence[Proven]) -> str:
    """The finding as a sentence: dead connections that were met with each kind of value."""
    good = sum(proof.recommended.disconnects for _, proof in proofs)
    bad = sum(proof.too_long.disconnects for _, proof in proofs)
    if bad <= good:
        return f"Below the idle timeout or above it: {good} and {bad} dead connections were met"
    met = "no dead connection" if not good else plural(good, "dead connection")
    return f"Kept for less than the server's timeout, pools met {met}; kept for too long, {bad}"


def idle_proof_alt(proofs: Sequence[Proven]) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    said = [f"{idle_proof_finding(proofs)}."]
    for name, proof in proofs:
        said += [
            f"{name}, {run.setting} ({kind}): {_words(run)}."
            for kind, run in (("recommended", proof.recommended), ("too long", proof.too_long))
        ]
    return " ".join(said)


def idle_proof(proofs: Sequence[Proven], *, axes: Axes | None = None) -> Axes:
    """Draw two rows a target, the recommended value first; without `axes` a figure is made.

    Raises:
        ValueError: there is no proof.
    """
    if not proofs:
        raise ValueError("proofs must be 1 or more, got 0")
    rows = [
        (name, run, good)
        for name, proof in proofs
        for run, good in ((proof.recommended, True), (proof.too_long, False))
    ]
    with style.house():
        names = [f"{name}\n{run.setting}" for name, run, _ in rows]
        below = f"dead connections met in {rows[0][1].calls} calls, some after a pause"
        axes = row_axes(axes, names, idle_proof_finding(proofs), below, row=_ROW)
        axes.set_xlim(0, max([run.disconnects for _, run, _ in rows] + [1]))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for row, (_, run, good) in enumerate(rows):
            _draw(axes, row, run, good)
    return axes


def _draw(axes: Axes, row: int, run: ProofRun, good: bool) -> None:
    colour, marker, hatch = (style.GREEN, "o", "") if good else (style.VERMILION, "^", "//")
    kw: Any = {"height": 0.5, "edgecolor": style.PAPER, "hatch": hatch, "zorder": 3}
    axes.barh([row], [run.disconnects], color=colour, **kw)
    axes.plot([run.disconnects], [row], marker, color=colour, ms=7, clip_on=False, zorder=4)
    words = f"{'recommended' if good else 'too long'}: {_words(run)}"
    beside(axes, words, (run.disconnects, row), colour)


def _words(run: ProofRun) -> str:
    return f"{run.disconnects} dead, {run.failed} failed, reuse {share(run.reuse_ratio)}"
