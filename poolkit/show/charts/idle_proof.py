"""Dead connections and reuse with a keep-alive below the idle timeout, and with one too long."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from poolkit.probes.records import Proof, ProofRun
from poolkit.show.charts import style
from poolkit.show.charts.frame import entitle, single_axes
from poolkit.units import plural, share

_ROW = 0.42  # inches
_ROOM = 0.55  # of the width, for the words right of the bars
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
    given = axes
    rows = [
        (name, run, good)
        for name, proof in proofs
        for run, good in ((proof.recommended, True), (proof.too_long, False))
    ]
    with style.house():
        axes = single_axes(axes, 1.15 + _ROW * len(rows))
        most = max([run.disconnects for _, run, _ in rows] + [1])
        axes.set_xlim(0, most / (1 - _ROOM))
        axes.set_xticks(range(0, most + 1, max(1, most // 5)))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), labels=[f"{n}\n{r.setting}" for n, r, _ in rows])
        axes.tick_params(axis="y", length=0, pad=7)
        calls = rows[0][1].calls
        axes.set_xlabel(f"dead connections met in {calls} calls, some after a pause", loc="left")
        entitle(axes, idle_proof_finding(proofs), given)
        for row, (_, run, good) in enumerate(rows):
            _draw(axes, row, run, good)
    return axes


def _draw(axes: Axes, row: int, run: ProofRun, good: bool) -> None:
    colour = style.GREEN if good else style.VERMILION
    if run.disconnects:
        axes.barh(
            [row],
            [run.disconnects],
            height=0.5,
            color=colour,
            edgecolor=style.PAPER,
            hatch="" if good else "//",
            zorder=3,
        )
    axes.plot(
        [run.disconnects], [row], "o" if good else "^", color=colour, ms=7, clip_on=False, zorder=4
    )
    axes.annotate(
        f"{'recommended' if good else 'too long'}: {_words(run)}",
        (run.disconnects, row),
        (10, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=style.LABEL_SIZE - 0.5,
    )


def _words(run: ProofRun) -> str:
    return f"{run.disconnects} dead, {run.failed} failed, reuse {share(run.reuse_ratio)}"
