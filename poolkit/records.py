"""The frozen records that measuring writes and analysing reads, to and from JSON.

Records are dumb: they are summed up once where they are made, and nothing here computes.
Times are seconds, rates are calls per second. A field that a record does not have is None, never 0.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Outcome = Literal["ok", "error", "pool_timeout", "timeout", "rejected", "unfinished"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "error", "pool_timeout", "timeout", "rejected", "unfinished")

Interval = tuple[float, float]
# The first five make the curve where they are closed loops, with as many callers as connections.
# "limit" asks a server that turned calls away what it counts, in an open loop too: calls are due as
# many at a time as there are connections. "approach" climbs to the target rate with a roomy pool;
# the others try one size in service: at the target rate, above it, after it, and with more callers
# than connections.
CurvePurpose = Literal["ramp", "refine", "repeat", "sentinel", "limit"]
Purpose = Literal[CurvePurpose, "approach", "verify", "overload", "recovery", "fairness"]
CURVE_PURPOSES: frozenset[str] = frozenset({"ramp", "refine", "repeat", "sentinel", "limit"})
KneeRule = Literal["littles_law", "plateau95", "usl_peak"]
VerdictName = Literal[
    "server_bound", "client_bound", "pool_bound", "rate_limited", "refused", "stopped", "not_pushed"
]
LimitKind = Literal["at_once", "rate", "connections"]
# What a size would have to give way on to be smaller, or what stands in the way of any.
LimitedBy = Literal["wait", "response", "plateau", "cap", "floor", "unknown"]
Status = Literal["done", "stopped", "unreachable", "failed"]
# How a pooler between client and PostgreSQL lends its connections to the server: for a transaction
# (or a statement) each, or for a client's whole session.
Pooler = Literal["transaction", "session", "unknown"]


class Record(BaseModel):
    """Base of every record: frozen, and strict about its fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class Distribution(Record):
    """Times of one kind over the successful calls of a window (s); None where no call has it."""

    count: int
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    longest: float | None = None
    # Sparse buckets {index: count}; `poolkit.histogram` knows their edges.
    buckets: dict[int, int] = Field(default_factory=dict, repr=False)


class BudgetPart(Record):
    """One part of the time of the successful calls (s)."""

    mean: float
    p50: float
    p99: float


class DialParts(Record):
    """What a dial of the trial took on average (s), warm-up and failed calls included."""

    dials: int
    dns: float  # 0 where the address is kept or needs no look-up
    tcp: float
    tls: float


class TimeBudget(Record):
    """Where the response time of the successful calls went; the means add up to its mean."""

    lag: BudgetPart
    wait: BudgetPart
    dial: BudgetPart  # 0 for calls on a kept connection
    service: BudgetPart
    release: BudgetPart  # reset, rollback


class Check(Record):
    """One doubt about a trial or a result, put to the test."""

    name: str
    passed: bool
    seen: str
    why: str
    next: str


class Trial(Record):
    """One measurement at one pool size; a line of NAME.trials.jsonl."""

    schema_: Literal["poolkit.trial/2"] = Field("poolkit.trial/2", alias="schema")
    target: str
    driver: str
    fingerprint: str  # of the target's settings that shape the load; a resume checks it
    purpose: Purpose
    loop: Literal["closed", "open"]
    pool_size: int
    pools: int = 1  # pools side by side (a fleet), each of pool_size connections
    gate: int | None = None  # size of the semaphore in front of each pool
    callers: int | None = None  # closed loop: callers that each wait for their reply
    arrival_rate: float | None = None  # open loop: planned calls/s over all pools
    at_a_time: int | None = None  # open loop: calls due together, evenly spaced; None: Poisson
    seed: int
    started: str  # ISO 8601, UTC
    warm_up: float  # s cut from the front, by MSER-5 but at least the planned warm-up
    window: float  # s that were measured
    outcomes: dict[Outcome, int]  # of the calls due in the window
    error_kinds: dict[str, int] = Field(default_factory=dict)
    throughput: float  # successful completions per second of the window
    throughput_interval95: Interval | None = None  # batch means; None below 10 batches
    response_time: Distribution
    wait_time: Distribution
    hold_time: Distribution
    wait_is_exact: bool = True  # False: inferred from later moments, 0.3 to 3 ms high
    lag: Distribution
    # The parts of the hold time: hold = dial + service + release.
    dial_time: Distribution = Distribution(count=0)  # 0 for calls on a kept connection
    service_time: Distribution = Distribution(count=0)
    release_time: Distribution = Distribution(count=0)  # reset, rollback
    # Of the successful calls only, where wait_time and lag are also those of calls that failed.
    budget: TimeBudget | None = None
    dial_parts: DialParts | None = None  # None: no call dialled, or the library does not show them
    concurrency: float | None  # sampled mean of calls in the system (waiting or holding)
    utilisation: float  # busy connection-seconds / (pool_size * pools * window)
    connections_opened: int  # dials in the window
    disconnects: int  # calls in the window that met a closed connection
    reuse_ratio: float | None  # 1 - dials / calls
    dispersion: float | None = None  # variance / mean of completions per sub-window (Cd2)
    cpu_share: float  # this process's CPU seconds / window
    loop_lag_p99: float | None = None  # s, how late the event loop woke the sampler
    # CPU seconds that other processes took, as a share of the time of the cores that this one may
    # use, steal time included; None: the system does not tell.
    others_cpu: float | None = None
    # By batch of the window, in order of time: connections in use at once, of all pools together ->
    # T(n), s with exactly so many, C(n), calls released out of that state (Denning and Buzen 1978,
    # "The operational analysis of queueing network models"), and how many of these were rejected.
    in_use: tuple[dict[int, tuple[float, int, int]], ...] = Field(default=(), repr=False)
    # Open loop: share of calls that waited longer than the target's wait_p99; batch means.
    late_interval95: Interval | None = None
    longest_wait_ratio: float | None = None  # longest wait / mean wait of the calls that waited
    fairness: float | None = None  # Jain's index of the waits, 1: all waited alike; None: no wait
    checks: tuple[Check, ...] = ()
    stopped: str | None = None  # the brake that ended it early
    # "approach": why it ended before its time, at a load that the server was not up to.
    cut_short: str | None = None
    pooler: Pooler | None = None  # stands before the server; None: none does, or not PostgreSQL
    keep_alive: float | None = None  # s, from the server's Keep-Alive header; None: it has none

    @property
    def connections(self) -> int:
        """Connections of all its pools together."""
        return self.pool_size * self.pools

    def mean_of(self, part: str) -> float | None:
        """The mean time (s) of a part of its successful calls: lag, wait, dial, service, release.

        Of all calls in trials of before the parts were recorded.
        """
        if self.budget is not None:
            return float(getattr(self.budget, part).mean)
        times: Distribution = self.lag if part == "lag" else getattr(self, f"{part}_time")
        return times.mean

    @property
    def most_in_use(self) -> int | None:
        """The most connections that were in use at once; None where that was not recorded."""
        return max((n for batch in self.in_use for n in batch), default=None)

    @property
    def mean_hold(self) -> float:
        """Mean hold time (s); 0 where no call held a connection."""
        return self.hold_time.mean or 0.0

    @property
    def is_usable(self) -> bool:
        """Whether the trial may be fitted: it ran to its end and no check failed."""
        return self.stopped is None and not self.failed_checks

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """Those of the checks that it did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def is_of_curve(self) -> bool:
        """Whether the trial measured a point of the curve rather than a size in service."""
        return self.loop == "closed" and self.purpose in CURVE_PURPOSES


class Sweep(Record):
    """The trials of one target over pool sizes, in the order they ran."""

    target: str
    trials: tuple[Trial, ...]
    stopped: str | None = None


class CurvePoint(Record):
    """The measured curve at one pool size, repeats pooled."""

    pool_size: int
    throughput: float
    interval95: Interval | None
    hold_time: float  # s, mean
    repeats: int


class StatePoint(Record):
    """Throughput with so many connections in use at once, from every trial that was seen there."""

    in_use: int
    throughput: float  # C(n) / T(n), calls/s
    interval95: Interval | None
    seconds: float  # T(n)
    releases: int  # C(n)

    @property
    def mean_hold(self) -> float | None:
        """n / X(n), s; None where no call was released."""
        return self.in_use / self.throughput if self.throughput else None


class Limit(Record):
    """At what a server turns calls away."""

    kind: LimitKind  # calls at once, calls/s, or connections
    value: float  # the most that it takes
    interval95: Interval | None
    seen: str


class Knee(Record):
    """A pool size where the throughput curve bends, by a named rule; size None: none was seen."""

    rule: KneeRule
    size: float | None
    interval95: Interval | None
    note: str = Field("", exclude=True)  # in the reader's words; not part of recommended.json


class Plateau(Record):
    """Throughput that no larger pool improves (calls/s)."""

    throughput: float
    interval95: Interval | None


class Verdict(Record):
    """What bounds the throughput, with the evidence in one sentence."""

    name: VerdictName
    evidence: str


class RuleOfThumb(Record):
    """A sizing rule from the web beside the measured result, and where it fails here."""

    name: str
    size: int
    fails: str


class PredictedWait(Record):
    """What the queue model expects at one pool size and the target rate."""

    pool_size: int
    exceedance: float | None  # P(wait > wait_p99); None: the rate is beyond this size's throughput
    wait_p99: float | None  # s
    hold_time: float  # s, mean
    utilisation: float
    response_time: float | None = None  # s, mean
    response_p99: float | None = None  # s
    is_extrapolated: bool = False  # no size as large, or none as small, was measured


class Sizing(Record):
    """The size that the measured curve asks for, before verification."""

    target: str
    verdict: Verdict
    points: tuple[CurvePoint, ...]
    knees: tuple[Knee, ...]
    plateau: Plateau | None
    size: int | None  # None: cannot say, or out of reach; `because` says which
    because: str
    limited_by: LimitedBy
    is_extrapolated: bool = False  # `size` is beyond those measured, up or down
    headroom: int = 0  # connections of `size` on top of those needed, because they were asked for
    out_of_reach: bool = False
    reachable_rate: float | None = None  # calls/s that still meets the objective
    size_for_reachable: int | None = None  # what that rate needs, where a limit is in the way
    raised_by: str = ""  # where out of reach: what would raise that rate, in words
    rate_per_pool: float  # calls/s that one pool must carry, a lost replica included
    predictions: tuple[PredictedWait, ...] = ()
    dispersion: float | None = None
    hold_at_one: float | None = None  # s
    only_moves_queue: str | None = None  # set where a smaller pool serves callers as soon
    smallest_as_fast: int | None = None  # smallest size with which callers are served as soon
    limits: tuple[Limit, ...] = ()
    states: tuple[StatePoint, ...] = ()  # in order of connections in use
    rules_of_thumb: tuple[RuleOfThumb, ...] = ()


class Signal(Record):
    """One of the signs of a right size, looked for under load."""

    name: Literal[
        "wait_near_zero",
        "graceful_plateau",
        "no_disconnects",
        "reuse_above_0.9",
        "recovers",
        "response_in_time",  # where a response_p99 is asked, or nothing of the times
    ]
    passed: bool
    seen: str


class Verification(Record):
    """What the recommended size did at the target rate and above it."""

    achieved_rate: float
    wait_p99: float | None
    reuse_ratio: float | None
    disconnects: int
    signals: tuple[Signal, ...]

    @property
    def missing_signals(self) -> tuple[Signal, ...]:
        """Signs of a right size that were looked for and not seen."""
        return tuple(signal for signal in self.signals if not signal.passed)


class Parameter(Record):
    """One row of the recommended table."""

    name: str
    value: int | float | bool | str | None
    unit: str
    because: str
    source: Literal["measured", "library", "rule"]


class HoldTimes(Record):
    """Mean hold time (s) at one connection and at the recommended size."""

    at_one: float | None
    at_recommended: float | None


class Resumed(Record):
    """Trials that an earlier run measured and a later one goes on from."""

    trials: int  # 1 or more
    oldest: str  # when the first of them began, ISO 8601, UTC
    newest: str


class Recommendation(Record):
    """What poolkit says of one target; an entry of recommended.json."""

    target: str
    driver: str
    status: Status
    verdict: VerdictName | None = None
    target_rate: float
    target_rate_from: str | None = None  # where it was read from; None: targets.toml says it
    wait_p99: float | None = None
    response_p99: float | None = None
    recommended_size: int | None = None
    # The smallest size with which callers are served as soon; None where it is not smaller.
    smallest_as_fast: int | None = None
    limits: tuple[Limit, ...] = ()  # at which the server turned calls away
    push: bool = True  # False: nothing above the target rate was sent, by choice
    limited_by: LimitedBy | None = None
    headroom: int = 0  # connections of recommended_size that only the headroom asks for
    reachable_rate: float | None = None  # calls/s, where target_rate is out of reach
    size_for_reachable: int | None = None  # what that rate needs, where a limit is in the way
    knees: tuple[Knee, ...] = ()
    plateau: Plateau | None = None
    hold_time: HoldTimes | None = None
    parameters: tuple[Parameter, ...] = ()
    rules_of_thumb: tuple[RuleOfThumb, ...] = ()
    verification: Verification | None = None
    checks: tuple[Check, ...] = ()
    trials: int = 0
    seconds: float = 0.0
    resumed: Resumed | None = None  # those of the trials that an earlier run measured

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """The doubts about it."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def missing_signals(self) -> tuple[Signal, ...]:
        """Signs of a right size that were looked for under load and not seen."""
        return () if self.verification is None else self.verification.missing_signals

    @property
    def is_verified(self) -> bool:
        """Whether the recommended size showed every sign of a right one under load."""
        return self.verification is not None and not self.missing_signals


class RecommendedFile(Record):
    """The whole of recommended.json."""

    schema_: Literal["poolkit.recommended/2"] = Field("poolkit.recommended/2", alias="schema")
    created: str
    targets: tuple[Recommendation, ...]
