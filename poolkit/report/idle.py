"""What a probe adds to a target's section: idle and dead connections, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from poolkit.probes import Probe
from poolkit.records import Parameter
from poolkit.report import pictures
from poolkit.show import charts
from poolkit.show.tables import Table
from poolkit.show.tables.of_probe import costs, limits, parameters, proof, stale

_TAKEN = "The parameters above hold what was found here."
_INSTEAD = (
    "Where a value differs from the one in the parameters above, take the one here: it was "
    "measured."
)
_NEXT = " The next review in this folder does so by itself."
_PROOF = (
    "Low traffic with pauses as long as the timeout, both values side by side. Dead: the server "
    "had closed the connection when it was used."
)
_STALE = "A relay on this machine cut the connections; the target itself was not restarted."
_COSTS = "Medians of paired differences; TLS, TCP and the look-up are parts of the dial."


def idle_html(probe: Probe, anchor: str, set_above: Sequence[Parameter] = ()) -> Iterator[str]:
    """What was found, what to set, the proof of it, and the rest folded.

    Args:
        set_above: the parameters that the target's section recommends.
    """
    values = {row.name: row.value for row in set_above}
    is_taken = all(values.get(row.name) == row.value for row in probe.parameters)
    said = _TAKEN if is_taken else _INSTEAD + (_NEXT if probe.status == "done" else "")
    yield f'<h4 id="{escape(anchor)}-idle">Idle connections</h4>'
    yield f"<p>Probed on {escape(probe.created[:10])}{_ending(probe)}. {said}</p>"
    yield from _shown(limits(probe))
    yield from _shown(parameters(probe))
    if probe.doubts:
        items = "".join(
            f"<li>{escape(doubt.seen)}. What to do: {escape(doubt.next)}.</li>"
            for doubt in probe.doubts
        )
        yield f'<div class="pk-doubts"><p><strong>To be acted on</strong></p><ul>{items}</ul></div>'
    if probe.proof is not None:
        proven = [(probe.target, probe.proof)]
        alt = charts.idle_proof_alt(proven)
        yield pictures.figure(charts.idle_proof(proven), alt, f"{anchor}-i", _PROOF)
    if probe.stale:
        alt = charts.stale_calls_alt(probe.stale, probe.target)
        axes = charts.stale_calls(probe.stale, probe.target)
        yield pictures.figure(axes, alt, f"{anchor}-s", _STALE)
    if probe.costs is not None and probe.costs.costs:
        alt = charts.checkout_costs_alt(probe.costs, probe.target)
        axes = charts.checkout_costs(probe.costs, probe.target)
        yield pictures.figure(axes, alt, f"{anchor}-k", _COSTS)
    for table in (proof(probe.proof), stale(probe), costs(probe.costs)):
        yield from _folded(table)


def _ending(probe: Probe) -> str:
    """What cut it short; nothing where it went to its end."""
    return "" if probe.status == "done" else f" and {probe.status} before its end"


def _shown(table: Table | None) -> Iterator[str]:
    if table is not None:
        yield table.html()


def _folded(table: Table | None) -> Iterator[str]:
    if table is not None:
        summary = escape(table.caption)
        yield f"<details><summary>{summary}</summary>\n{table.html()}</details>"
