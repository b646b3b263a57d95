"""What a page claimed, held against what was measured: its first sentence and its last cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from poolkit.panels.panel import alert, framed
from poolkit.panels.story import Findings
from poolkit.probes import Probe
from poolkit.recommend.checks import IN_SERVICE, OF_THE_MACHINE
from poolkit.records import Recommendation, Trial
from poolkit.report.page import Part
from poolkit.show import trust, words
from poolkit.show.charts.fairness import fairness_finding, pair
from poolkit.show.charts.response_time import SAME, known, response_finding
from poolkit.show.charts.time_budget import budgets
from poolkit.show.tables import Table
from poolkit.units import milliseconds, number, plural, rate, share
from poolkit.workbook import lessons

RUN_AGAIN = (
    "Close other programs here, or measure from another machine, and run this notebook again. "
    "Another size is no remedy."
)
LONGER = 1.05  # times as long: what a mean of a short trial tells from no longer
_OUTCOMES = {True: "✓ held", False: "✗ did not hold", None: "not tried"}


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of a page and what was seen of it; `held` is None where nothing was tried."""

    says: str
    held: bool | None
    seen: str


def decided(found: Findings, table: Table | None = None) -> Part:
    """The decision with its doubts in one sentence, coloured where there are any; then a table."""
    said = words.sentence(words.finding(found.sizing, found.recommendation, found.trials))
    if found.recommendation.verification is None and found.sizing.because:
        said += f" {words.sentence(found.sizing.because)}"
    html = f"<p>{escape(said)}</p>"
    if trust.is_in_doubt(found.recommendation):
        html = alert(said, remedy := _remedy(found.recommendation))
        said = f"{said} {remedy}".strip()
    if table and table.rows:
        return Part(framed(html, table.html()), f"{said}\n\n{table}")
    return Part(framed(html), said)


def _remedy(recommendation: Recommendation) -> str:
    """What to do about the doubts, in sentences."""
    if trust.was_too_busy(recommendation):
        return RUN_AGAIN
    failed = [c for c in recommendation.failed_checks if c.name not in trust.SAID_OTHERWISE]
    seen = [words.sentence(signal.seen) for signal in recommendation.missing_signals]
    return " ".join(dict.fromkeys([*seen, *(words.sentence(check.next) for check in failed)]))


def closing(claims: Sequence[Claim], doubt: str = "") -> Part:
    """What held and what did not, in one sentence and a table; coloured unless all of it held.

    Args:
        doubt: why none of it may be relied on, whatever was seen; empty for no reason.
    """
    said = words.sentence(doubt or _in_short(claims))
    rows = tuple((claim.says, _OUTCOMES[claim.held], claim.seen) for claim in claims)
    table = Table("What this page claimed", ("claim", "outcome", "seen"), rows)
    is_well = not doubt and all(claim.held is not False for claim in claims)
    html = f"<p>{escape(said)}</p>" if is_well else alert(said, RUN_AGAIN if doubt else "")
    text = said if is_well or not doubt else f"{said} {RUN_AGAIN}"
    return Part(framed(html, table.html()), f"{text}\n\n{table}")


def _in_short(claims: Sequence[Claim]) -> str:
    failed = [claim.says for claim in claims if claim.held is False]
    held = sum(claim.held is True for claim in claims)
    untried = sum(claim.held is None for claim in claims)
    rest = f"; {untried} could not be tried" if untried else ""
    if failed:
        missed = " and that ".join(failed)
        return f"It did not hold here that {missed}; {held} of {len(claims)} claims held{rest}"
    if not held:
        return "No claim of this page could be tried here"
    return f"{held} of {plural(len(claims), 'claim')} held here{rest or ', none failed'}"


def among_many(growth: float) -> str:
    """What the mean hold time does from the smallest pool to the largest, as a sentence.

    Args:
        growth: so many times as long, of the target where it is most; 1 or NaN: one size alone.
    """
    if math.isnan(growth) or growth == 1.0:
        return "Only one pool size was measured, which tells nothing of many"
    if growth > LONGER:
        return f"Among many, a call holds its connection up to {growth:.1f} × as long"
    return "Among as many as were tried, a call holds its connection no longer than alone"


def of_service_time(found: Sequence[Findings], growth: float, apart: float) -> Part:
    """The closing cell of `01_service_time`.

    Args:
        growth: as `among_many` has it.
        apart: % by which the two sides of Little's Law differ, where they do most.
    """
    service = "a call is service and little else, as long as nobody must wait"
    # numpy has a bool of its own, which is never `False`.
    longer = None if math.isnan(growth) or growth == 1.0 else bool(growth > LONGER)
    seen = [sizes[max(sizes)] for each in found if (sizes := budgets(each.trials))]
    least = min((parts["service"] / sum(parts.values()) for parts in seen), default=None)
    claims = [
        Claim(service, None, "the parts of a call were not recorded")
        if least is None
        else Claim(service, least > 0.9, f"{share(least)} of a call or more"),
        Claim("the time alone is not the time under load", longer, among_many(growth)),
        Claim(
            "Little's Law holds", bool(apart <= 5), f"its sides are {number(apart)} % apart at most"
        ),
    ]
    return closing(claims)


def of_sweep(found: Findings, both: Iterable[Sequence[float]]) -> Part:
    """The closing cell of `02_pool_sweep`.

    Args:
        both: throughput with so many connections in use, what the sweep carried with as many
            (NaN: not swept), and the calls released.
    """
    sizing, size = found.sizing, found.recommendation.recommended_size
    full = sizing.plateau is not None and bool(sizing.points)
    compared = [(abs(x / swept - 1), n) for x, swept, n in both if not math.isnan(swept)]
    grows = "throughput grows with the pool until the upstream is full"
    holds, enough = "load at the target rate already holds the curve up to it", "the size holds"
    # Counts scatter by their root, and means of short trials by a few percent.
    alike = all(off < 0.05 + 3 * releases**-0.5 for off, releases in compared)
    most = max((off for off, _ in compared), default=None)
    seen = "no such size" if most is None else f"{share(most, 1)} apart from the sweep at most"
    signs = found.recommendation.verification
    said = sizing.because if size is None else "not verified"
    if signs is not None and size is not None:
        said = f"{plural(size, 'connection')}: " + "; ".join(s.seen for s in signs.signals[:1])
    claims = [
        Claim(grows, full or None, sizing.verdict.evidence),
        Claim(holds, alike if compared else None, seen),
        Claim(enough, None if signs is None else found.recommendation.is_verified, said),
    ]
    doubt = words.TOO_BUSY if trust.was_too_busy(found.recommendation) else ""
    return closing(claims, doubt)


def of_verification(found: Findings, small: Trial | None) -> Part:
    """The closing cell of `03_verify`: its claims on this target, and whether to believe any.

    Args:
        small: the target rate on a pool that is too small; None: not tried.
    """
    on_time = _on_time(found)
    too_busy = trust.was_too_busy(found.recommendation)
    claims = [on_time, _climbed(found), *_room(found), *_signs(found), _in_turn(found)]
    doubt = f"{words.TOO_BUSY}: {on_time.seen}" if too_busy else ""
    return closing([*claims, _moved(found), _stamps(small)], doubt)


def of_probes(probes: Sequence[Probe]) -> Part:
    """The closing cell of `04_keepalive_and_stale`: its claims on each target that was probed."""
    claims: list[Claim] = []
    for probe in probes:
        ended = [limit.seen for limit in probe.idle]
        patience = f"{probe.target}: the server's patience can be measured"
        claims.append(Claim(patience, bool(ended) or None, "; ".join(ended) or "not looked for"))
        claims.append(_proven(probe))
        failed = {(each.cut, each.setting): each.failed for each in probe.stale}
        cures = [each for each in probe.stale if each.setting in ("pre_ping", "retry")]
        # One call more may fail by chance: each cut meets calls of its own.
        worse = [each for each in cures if each.failed > failed.get((each.cut, "none"), 0) + 1]
        says = f"{probe.target}: after a cut pre-ping and retry let no more calls fail than nothing"
        seen = f"{sum(each.failed for each in cures)} of {sum(each.calls for each in cures)} failed"
        claims.append(Claim(says, not worse, seen) if cures else Claim(says, None, "not tried"))
    return closing(claims)


def _proven(probe: Probe) -> Claim:
    says = f"{probe.target}: a client that lets go first meets no dead connection"
    proof = probe.proof
    if proof is None:
        return Claim(says, None, "no idle connection ended while it was watched")
    kept = proof.recommended
    seen = f"{kept.disconnects} dead connections, {plural(kept.failed, 'call')} failed"
    return Claim(says, proof.holds and not kept.failed, seen)


def _on_time(found: Findings) -> Claim:
    """Whether the trials in service were this machine's as little as they should be."""
    says, size = "this machine sends calls when they are due", found.recommendation.recommended_size
    served = [t for t in found.trials if t.purpose in IN_SERVICE and t.pool_size == size]
    if not served:
        return Claim(says, None, "no size was tried in service")
    late = [c.seen for t in served for c in t.failed_checks if c.name in OF_THE_MACHINE]
    longest = max(trial.lag.p99 or 0.0 for trial in served)
    seen = f"99 % of the calls started within {milliseconds(longest)} of when they were due"
    return Claim(says, not late, late[-1] if late else seen)


def _climbed(found: Findings) -> Claim:
    says = "the target rate alone gives a first size"
    steps = [trial for trial in found.trials if trial.purpose == "approach"]
    if not steps:
        return Claim(says, None, "the measurement began with the sweep")
    top = max(step.arrival_rate or 0.0 for step in steps)
    seen = f"the climb ended at {rate(top)} of {rate(found.objective.rate)}"
    return Claim(says, top >= 0.99 * found.objective.rate, seen)


def _room(found: Findings) -> tuple[Claim, Claim]:
    size, plateau = found.recommendation.recommended_size, found.sizing.plateau
    asked, pool, endpoint = found.objective.rate, "the size has room", "the endpoint has room"
    if size is None:
        of_pool = Claim(pool, None, "there is no size")
    else:
        load, most = lessons.offered_load(found), size * found.objective.pools
        busy = f"{number(load)} of {plural(most, 'connection')} busy on average"
        of_pool = Claim(pool, load < most, busy)
    if plateau is None:
        return of_pool, Claim(endpoint, None, "no plateau was looked for, or none was reached")
    seen = f"{rate(asked)} of {rate(plateau.throughput)}"
    return of_pool, Claim(endpoint, asked < plateau.throughput, seen)


def _signs(found: Findings) -> list[Claim]:
    seen = found.recommendation.verification
    if seen is None:
        return [Claim("under load the size shows the signs of a right one", None, "not verified")]
    return [Claim(words.SIGNS[sign.name], sign.passed, sign.seen) for sign in seen.signals]


def _in_turn(found: Findings) -> Claim:
    says, crowded = "a gate serves those who wait in turn", pair(found.trials)
    if crowded is None:
        return Claim(says, None, "no gate stands in front of this pool, or none was tried")
    without, gated = (trial.wait_time.longest or 0.0 for trial in crowded)
    return Claim(says, gated < without, fairness_finding(*crowded))


def _moved(found: Findings) -> Claim:
    says = "beyond the right size a larger pool serves nobody sooner"
    shown = known(found.sizing)
    at = next((p for p in shown if p.size == found.recommendation.recommended_size), None)
    if at is None or shown[-1].size == at.size:
        return Claim(says, None, "no larger pool was predicted")
    gained = at.response - shown[-1].response
    seen = response_finding(found.sizing, found.recommendation)
    return Claim(says, gained <= SAME * at.response, seen)


def _stamps(small: Trial | None) -> Claim:
    says = "a test that stamps calls when it sends them hides their waits"
    if small is None or small.response_time.p99 is None or small.hold_time.p99 is None:
        return Claim(says, None, "no pool was too small")
    sent, due = small.hold_time.p99, small.response_time.p99
    seen = f"p99 {milliseconds(sent)} stamped when sent, {milliseconds(due)} stamped when due"
    return Claim(says, due > sent, seen)
