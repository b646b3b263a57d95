"""Charts as figures of the page, each with its caption and its words for who cannot see it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from poolkit.probes import Probe
from poolkit.report.expected import expected_waits
from poolkit.report.folder import TargetReview
from poolkit.review.compare import Comparison
from poolkit.review.trend import History, Trend
from poolkit.show import charts, trust
from poolkit.show.before_after import ServiceComparison
from poolkit.show.charts.fairness import pair
from poolkit.show.charts.replicas import verified_by_replicas
from poolkit.show.charts.response_time import known
from poolkit.show.charts.time_budget import all_in_service, budgets, climb
from poolkit.show.course import verifications

_WAIT = (
    "Wait: time between the start of a call and the moment it holds a connection. The curve ends "
    "at the longest wait that was seen."
)
_EXPECTED = (
    "The prediction here follows from the closed loops alone, without the trials it is held "
    "against; the sizes expected below know these, too."
)
_INFERRED = (
    "This client does not show that moment: the waits are inferred from the first sign of the "
    "request after it, and are 0.3 to 3 ms too long."
)
_RESPONSE = (
    "Where the line is flat a larger pool serves nobody sooner. Where the upstream is full it only "
    "moves the queue from the pool into the server: less wait, longer hold, the same response."
)
_COURSE = (
    "Each trial in slices of its time, and below it the p99 of its waits. Rate: calls that gave "
    "their connection back; dotted is what was sent. None free: the share of the time with every "
    "connection in use (dotted above), in which a call that comes has to wait."
)
_BUDGET = (
    "Lag: the generator's own lateness; wait: for a connection; dial: a new connection; release: "
    "reset and rollback."
)
_FLEET = (
    "Each pool may open as many connections as it may hold. One replica more: while a new version "
    "is rolled out, the old one is still there."
)
_GATE = (
    "A gate is a semaphore of the pool's size in front of it: first come, first served. The bar "
    "holds 95 % of the waits, the mark at its left end is their median."
)
_REPLICAS = (
    "Each generator of the fleet is a process with pools of its own, as a replica is. A p99 of all "
    "calls together hides one that waits longer."
)
_PROOF = (
    "Low traffic with pauses as long as the timeout, both values side by side. Dead: the server "
    "had closed the connection when it was used."
)
_STALE = "A relay on this machine cut the connections; the target itself was not restarted."
_COSTS = "Medians of paired differences; TLS, TCP and the look-up are parts of the dial."
_COLD = (
    "Lines: the connections that each pool dials first, and when. Wait: from the start of a call "
    "until its connection is up, the dial and the opening of its pool included. Steady: from there "
    "on no more calls wait too long than one in 100 brings by chance, of all that are left and of "
    "the next 100 ms. Replicas that open before they are called let nobody wait meanwhile."
)
_SERVICE = "Measured on the running service, with the same arrivals; waits are means."
_HISTORY = (
    "Points are reviews, grey their 95 % intervals; dashed is the rate asked. A red line is a step "
    "that lasts; from a dotted line on the reviews are not comparable with those before."
)
_DEMAND = (
    "Connections are read off the measured curve, for the rate of each week: the size of today has "
    "growth and headroom in it, what a week needs has none."
)
_CHANGES = "Grey: then, with its interval; coloured: now. Diamonds moved by more than noise."


def curve(target: TargetReview, versions: str) -> str:
    """The throughput curve, which every target with trials has."""
    r, pools = target.recommendation, target.settings.pools
    axes = charts.throughput_curve(target.sizing, target.trials, r, versions=versions, pools=pools)
    alt = charts.alt_text(target.sizing, target.trials, r, pools)
    return figure(axes.throughput, alt, target.anchor, _how_to_read(target))


def more(target: TargetReview) -> Iterator[str]:
    """The other charts, as far as the target has what they show."""
    r, trials, sizing = target.recommendation, target.trials, target.sizing
    limit, anchor = target.settings.wait_p99, target.anchor
    serving = all_in_service(trials, r)
    if serving is not None and serving.wait_time.count:
        expected = expected_waits(trials, serving, limit)
        shown, exact = (serving, expected, limit), serving.wait_is_exact
        caption = [_WAIT, *[_EXPECTED] * bool(expected), *[_INFERRED] * (not exact)]
        drawn = charts.wait_distribution(*shown)
        yield figure(drawn, charts.wait_alt(*shown), f"{anchor}-w", " ".join(caption))
    if verifications(trials):
        drawn, alt = charts.course(trials, r), charts.course_alt(trials, r)
        yield figure(drawn, alt, f"{anchor}-o", _COURSE)
    if sizing is not None and r.recommended_size is not None and len(known(sizing)) > 1:
        drawn = charts.response_time(sizing, trials, r, response_p99=target.settings.response_p99)
        yield figure(drawn, charts.response_alt(sizing, trials, r), f"{anchor}-r", _RESPONSE)
    if budgets(trials) or climb(trials):
        drawn = charts.time_budget(trials, r)
        yield figure(drawn, charts.time_budget_alt(trials, r), f"{anchor}-b", _BUDGET)
    fleet = _fleet(target)
    if fleet is not None:
        yield figure(charts.fleet_budget(fleet), charts.fleet_alt(fleet), f"{anchor}-c", _FLEET)
    whole = verified_by_replicas(trials, r.recommended_size)
    if whole is not None:
        drawn = charts.replicas(whole)
        yield figure(drawn, charts.replicas_alt(whole), f"{anchor}-l", _REPLICAS)
    crowded = pair(trials)
    if crowded is not None:
        drawn = charts.fairness(*crowded)
        yield figure(drawn, charts.fairness_alt(*crowded), f"{anchor}-f", _GATE)


def of_probe(probe: Probe, anchor: str) -> Iterator[str]:
    """The proof of the recommended value, dead connections, and costs; as far as they were seen."""
    name = probe.target
    if probe.proof is not None:
        proven = [(name, probe.proof)]
        drawn = charts.idle_proof(proven)
        yield figure(drawn, charts.idle_proof_alt(proven), f"{anchor}-i", _PROOF)
    if probe.stale:
        drawn = charts.stale_calls(probe.stale, name)
        yield figure(drawn, charts.stale_calls_alt(probe.stale, name), f"{anchor}-s", _STALE)
    if probe.costs is not None and probe.costs.costs:
        drawn = charts.checkout_costs(probe.costs, name)
        yield figure(drawn, charts.checkout_costs_alt(probe.costs, name), f"{anchor}-k", _COSTS)


def cold(target: TargetReview) -> str:
    """What first callers waited, by how the pools began."""
    advice = target.recommendation.cold
    assert advice is not None, "the template asks"
    drawn, alt = charts.cold_start(advice), charts.cold_alt(advice)
    return figure(drawn, alt, f"{target.anchor}-z", _COLD)


def service(found: ServiceComparison) -> str:
    """What callers felt and pools did, before and after."""
    alt = charts.before_after_alt(found)
    return figure(charts.before_after(found), alt, "service", _SERVICE)


def changes(comparison: Comparison) -> str:
    """What changed since an earlier review, against the noise."""
    return figure(charts.changes(comparison), charts.changes_alt(comparison), "since", _CHANGES)


def history(past: History) -> str:
    """The reviews of each target over time."""
    return figure(charts.history(past), charts.history_alt(past), "over-time-chart", _HISTORY)


def demand(trend: Trend) -> str:
    """Demand as it was and is expected, and the connections that it needs."""
    assert trend.outlook is not None, "the template asks"
    drawn, alt = charts.demand_fan(trend.outlook), charts.demand_alt(trend.outlook)
    return figure(drawn, alt, f"demand-{trend.target}", _DEMAND)


def _fleet(target: TargetReview) -> charts.FleetBudget | None:
    """The server's connections and the fleet's share of them, where targets.toml tells them."""
    s, size = target.settings, target.recommendation.recommended_size
    if s.max_connections is None or size is None:
        return None
    replicas = [("now", s.replicas), ("one replica more", s.replicas + 1)]
    if s.surge:
        replicas.append(("while a deploy rolls", s.replicas + s.surge))
    if s.replicas > 1:
        replicas.append(("one replica lost", s.replicas - 1))
    cases = tuple(charts.FleetCase(name, count, s.workers, size) for name, count in replicas)
    reserved, used = s.reserved_connections, s.used_connections
    return charts.FleetBudget(s.max_connections, reserved, used, cases)


def figure(drawn: charts.Drawn, alt: str, label: str, caption: str) -> str:
    """A chart that speaks and follows the page's theme, with a caption."""
    svg = charts.inline_svg(drawn, alt=alt, label=label)
    return f"<figure>{svg}\n<figcaption>{escape(caption)}</figcaption></figure>"


def _how_to_read(target: TargetReview) -> str:
    words = ""
    if any(t.is_of_curve for t in target.trials):
        words += "Points are single trials, the band is the 95 % interval of their mean. "
    if target.sizing is not None and target.sizing.states:
        words += (
            "Squares: calls released while so many connections were in use, over the time for "
            "which so many were. "
        )
    if any(not t.is_usable for t in target.trials if t.is_of_curve):
        words += "Grey crosses failed a check and are not fitted. "
    if target.sizing is not None and target.sizing.points and target.sizing.hold_at_one:
        words += "n / S(1): the throughput if calls never slowed each other down. "
    if target.recommendation.source == "production" and target.recommendation.production:
        pools = target.recommendation.production.pools
        sent = "" if target.recommendation.trials else "; no load was sent"
        words += f"Production counted these{sent}. "
        if pools > 1:
            words += f"Connections and throughput are those of all {pools} pools together. "
    if target.recommendation.recommended_size is not None:
        left = "callers wait longer than asked"
        if target.settings.asks_as_soon:
            left = "callers are served later"
        elif target.recommendation.smallest_as_fast is not None:
            left += ", but down to the dashed one the response time is the same"
        colour = "amber" if trust.was_seen_to_fail(target.recommendation) else "green"
        words += (
            f"Left of the {colour} line {left}; "
            f"beyond {charts.OVERSIZED_FROM:g} times its size connections are idle. "
        )
    return words.strip()
