"""Charts of probes and a service: what their titles and words say."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from matplotlib.axes import Axes

from poolkit.show import charts
from tests.show import lifecycle
from tests.show.test_charts import figure_of

PROOFS = [(probe.target, probe.proof) for probe in lifecycle.probes() if probe.proof is not None]


@pytest.mark.parametrize("name", lifecycle.all_charts())
def test_the_same_data_give_the_same_bytes_and_given_axes_are_used(name: str) -> None:
    """A chart that did not change leaves no difference, and it can stand in a larger figure."""
    draw = lifecycle.all_charts()[name]
    drawing = charts.inline_svg(draw(), alt="x")
    assert drawing == charts.inline_svg(draw(), alt="x")
    assert len(drawing) < 60_000
    axes = charts.new_figure((9, 5)).subplots()
    drawn: Callable[..., Axes] = draw
    assert drawn(axes=axes) is axes
    assert axes.get_title(loc="left")
    assert figure_of(axes).axes == [axes]


def test_the_proof_counts_dead_connections_of_both_values() -> None:
    """The title sets the two against each other; where a value too long did no harm, it says so."""
    dead = sum(proof.too_long.disconnects for _, proof in PROOFS)
    assert charts.idle_proof_finding(PROOFS) == (
        "Kept for less than the server's timeout, pools met no dead connection; kept for too "
        f"long, {dead}"
    )
    name, proof = PROOFS[0]
    harmless = proof.model_copy(update={"too_long": proof.recommended})
    assert charts.idle_proof_finding([(name, harmless)]) == (
        "Below the idle timeout or above it: 0 and 0 dead connections were met"
    )
    assert f"{name}, {proof.too_long.setting} (too long): " in charts.idle_proof_alt(PROOFS)


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        (5, "a: 5 of 12 calls fail after a cut with nothing set, none with pre-ping"),
        (0, "a: no call of 12 fails after a cut, even with nothing set"),
    ],
)
def test_stale_calls_name_the_settings_that_help(failed: int, words: str) -> None:
    """What fails with nothing set, and with which settings nothing does."""
    counts = lifecycle.counts(failed)
    assert charts.stale_calls_finding(counts, "a") == words
    assert f"nothing set, server went down: {failed} of 12 failed" in charts.stale_calls_alt(
        counts, "a"
    )
    hopeless = counts[:1] if failed else ()
    if hopeless:
        assert "no setting prevents it" in charts.stale_calls_finding(hopeless, "a")


def test_costs_name_the_dearest_checkout_and_the_dial() -> None:
    """A ping is paid by each checkout, a dial by some calls; the words hold every row."""
    for probe in lifecycle.probes():
        assert probe.costs is not None
        said = charts.checkout_costs_finding(probe.costs, probe.target)
        kinds = {cost.per for cost in probe.costs.costs}
        assert ("each checkout" in said) is ("checkout" in kinds)
        assert re.search(r"dial", said)
        words = charts.checkout_costs_alt(probe.costs, probe.target)
        assert all(f"{cost.name}, each {cost.per}: " in words for cost in probe.costs.costs)


def test_before_and_after_are_a_pair_a_row() -> None:
    """A pool that one of the runs lacks, or a time that nobody has, is left out."""
    found = lifecycle.service()
    assert charts.before_after_finding(found).startswith("At 80/s the p99 response goes from ")
    assert charts.before_after_alt(found).count(" undersized, ") == 2 + len(found.before.pools)
    bare = found.model_copy(update={"after": found.after.model_copy(update={"pools": ()})})
    assert charts.before_after_alt(bare).count(" undersized, ") == 2


@pytest.mark.parametrize(
    "draw", [lambda: charts.idle_proof([]), lambda: charts.stale_calls([], "a")]
)
def test_nothing_to_draw_is_an_error(draw: Callable[[], Axes]) -> None:
    """An empty chart would look like a finding."""
    with pytest.raises(ValueError, match="must be 1 or more, got 0"):
        draw()
