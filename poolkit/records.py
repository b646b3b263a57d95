"""The frozen records that measuring writes and analysing reads, to and from JSON.

Records are dumb: they are summed up once where they are made, and nothing here computes.
Times are seconds, rates are calls per second. A field that a record does not have is None, never 0.

A record may come from a file that somebody else wrote: what it cannot mean is refused here, so that
whoever computes with one need not ask. Its texts may be a server's: they are printable.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from poolkit.redact import printable

# Of any number: JSON carries whole ones exactly up to it, and a product of some is finite.
LARGEST = 2**53
SHORTEST = 1e-12  # s; what is computed from a hold time is finite
MOST_CONNECTIONS = 1_000_000
BUCKETS = 2000  # of a histogram

Outcome = Literal["ok", "error", "pool_timeout", "timeout", "rejected", "unfinished"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "error", "pool_timeout", "timeout", "rejected", "unfinished")


def _in_order(interval: tuple[float, float]) -> tuple[float, float]:
    if not -LARGEST <= interval[0] <= interval[1] <= LARGEST:
        raise ValueError("must be the lower bound and then the upper one")
    return interval


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Interval = Annotated[tuple[float, float], AfterValidator(_in_order)]
Moment = Annotated[str, AfterValidator(_moment)]  # ISO 8601; without a time zone it is UTC
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Amount = Annotated[float, Field(ge=0, le=LARGEST)]  # a time (s), a rate or a share
Size = Annotated[int, Field(ge=1, le=MOST_CONNECTIONS)]  # connections of one pool
# The first five make the curve where they are closed loops, with as many callers as connections.
# "limit" asks a server that turned calls away what it counts, in an open loop too: calls are due as
# many at a time as there are connections. "approach" climbs to the target rate with a roomy pool;
# the others try one size in service: at the target rate, above it, after it, and with more callers
# than connections. "cold" begins with empty pools, "lost_replica" and "surge" take pools away or
# add some in their midst: these are no evidence of anything else.
# "production" is no trial but what a service's own pools counted, told as one.
CurvePurpose = Literal["ramp", "refine", "repeat", "sentinel", "limit"]
ChangePurpose = Literal["lost_replica", "surge"]
TriedPurpose = Literal["approach", "verify", "overload", "recovery", "fairness", "cold"]
Purpose = Literal[CurvePurpose, TriedPurpose, ChangePurpose, "production"]
CURVE_PURPOSES: frozenset[str] = frozenset({"ramp", "refine", "repeat", "sentinel", "limit"})
APART: frozenset[str] = frozenset({"cold", "lost_replica", "surge"})  # no evidence of the size
KneeRule = Literal["littles_law", "plateau95", "usl_peak"]
VerdictName = Literal[
    "server_bound",
    "client_bound",
    "pool_bound",
    "pooler_bound",
    "rate_limited",
    "refused",
    "stopped",
    "not_pushed",
]
LimitKind = Literal["at_once", "rate", "connections"]
# What a size would have to give way on to be smaller, or what stands in the way of any.
LimitedBy = Literal["wait", "response", "plateau", "cap", "floor", "unknown"]
Status = Literal["done", "stopped", "unreachable", "failed"]
# How a pooler between client and PostgreSQL lends its connections to the server: for a transaction
# (or a statement) each, or for a client's whole session.
Pooler = Literal["transaction", "session", "unknown"]


def in_bounds(value: Any) -> Any:
    """The value of a field, its texts printable; ValueError where a number is beyond `LARGEST`.

    Figures within a field (buckets, intervals) are bounded by their own types.
    """
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, int | float) and not -LARGEST <= value <= LARGEST:
        raise ValueError("must be a number within 2**53")
    if isinstance(value, dict) and isinstance(next(iter(value), None), str):
        return {printable(key): in_bounds(each) for key, each in value.items()}
    if isinstance(value, list) or (
        isinstance(value, tuple) and value and isinstance(value[0], str)
    ):
        return type(value)(map(in_bounds, value))
    return value


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

    _is_in_bounds = field_validator("*")(in_bounds)


class Distribution(Record):
    """Times of one kind over the successful calls of a window (s); None where no call has it."""

    count: Count
    mean: Amount | None = None
    p50: Amount | None = None
    p95: Amount | None = None
    p99: Amount | None = None
    longest: Amount | None = None
    # Sparse buckets {index: count}; `poolkit.histogram` knows their edges.
    buckets: dict[Annotated[int, Field(ge=0, lt=BUCKETS)], Count] = Field(
        default_factory=dict, repr=False
    )


def _held(times: Distribution) -> Distribution:
    if times.mean is not None and 0 < times.mean < SHORTEST:
        raise ValueError(f"no connection is held for less than {SHORTEST:g} s")
    return times


class BudgetPart(Record):
    """One part of the time of the successful calls (s)."""

    mean: Amount
    p50: Amount
    p99: Amount


class DialParts(Record):
    """What a dial of the trial took on average (s), warm-up and failed calls included."""

    dials: Count
    dns: Amount  # 0 where the address is kept or needs no look-up
    tcp: Amount
    tls: Amount


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


class ColdStart(Record):
    """Replicas that began together with empty pools: what their first callers and the server saw.

    The wait is that for a connection that is up: unlike `wait_time` it has the call's own dial in
    it, and the opening of its pool, since a first caller waits for both.
    """

    min_size: Count  # connections that each pool dials as it begins
    is_warm: bool  # dialled before the replica reports ready; False: while calls already come
    jitter: Amount = 0.0  # s, over which the replicas' beginnings are spread at random
    wait_limit: Amount  # s, p99 that is allowed
    ready: Amount | None  # s from the start until every pool was open; None: one did not open
    first_reply: Amount | None  # s from the start; None: there was none
    # s from the first call: the first edge of a slice from which on, of the calls of the trial
    # together and of those of that slice, no more waited beyond `wait_limit` than one in 100 brings
    # by chance; None: none was seen.
    steady: Amount | None
    # s, of the calls due in the first second (of all, where none was); None: too many got none.
    wait_p99: Amount | None
    dials: Count  # that succeeded
    # A second, of those that the pools dial as they begin; None: there were none of that kind.
    dial_rate: Amount | None
    refused: Count  # dials that the server turned away
    failed: Count  # dials that ended otherwise without a connection
    cpu_share: Amount | None  # of one core, of the busiest generator, until those were up
    generators: Size = 1  # processes that the pools began in
    # By slices of 100 ms: p99 wait (s) since the first call, None where there was none or more
    # than one in 100 got no connection; and dials since the start.
    waits: tuple[Amount | None, ...] = Field(default=(), repr=False)
    dials_by_slice: tuple[Count, ...] = Field(default=(), repr=False)

    @property
    def holds(self) -> bool:
        """Whether no dial failed and the first second's callers waited no longer than allowed."""
        in_time = self.wait_p99 is not None and self.wait_p99 <= self.wait_limit
        return in_time and not self.refused and not self.failed


class ReplicaChange(Record):
    """Replicas taken away from a service, or added to it, while it went on at the same rate.

    The change begins where pools are closed, or where new ones begin to open, a moment before they
    get their share of the calls.
    """

    kind: ChangePurpose
    pools_before: Size
    pools_after: Size
    wait_limit: Amount  # s, p99 that is allowed
    wait_p99_before: Amount | None  # s
    wait_p99_after: Amount | None  # s, of the calls due since it began, as the next
    late: Amount  # share of the calls that waited longer than allowed, or got nothing
    # s from its beginning: the first edge of a slice from which on, of the calls left together and
    # of those of that slice, no more were late than one in 100 brings by chance; None: none was.
    steady: Amount | None
    dials: Count  # since it began
    refused: Count  # calls since, that the server turned away or gave no connection
    lost: Count  # calls under way in the pools that were taken away


class TierMoment(Record):
    """What a pooler told in one slice of a trial's window: means of its samples."""

    at: Amount  # s after the trial began, the slice's middle
    clients_active: Amount  # that a connection to the server is lent to
    clients_waiting: Amount
    servers_active: Amount  # connections to the server that are lent
    servers_idle: Amount
    longest_wait: Amount  # s, of the client that waits longest; the largest of the slice


class PoolerSettings(Record):
    """How a pooler before PostgreSQL is set up for the target's database; None: it does not say."""

    mode: str | None = None
    pool_size: Count | None = None  # connections to the server for each database and user
    reserve_pool_size: Count | None = None
    max_db_connections: Count | None = None  # for all users of the database; 0: no limit
    max_client_conn: Count | None = None  # of the whole pooler
    pools: Count | None = None  # pairs of database and user that it serves


class PoolerTier(Record):
    """A pooler before PostgreSQL (`SHOW POOLS`) over the window of a trial."""

    samples: Count
    clients_waiting: Amount  # mean
    waiting_share: Amount  # of the samples, those in which a client waited
    servers_active: Amount  # mean
    servers_most: Count  # most connections to the server at once, lent or idle
    longest_wait: Amount  # s
    settings: PoolerSettings = PoolerSettings()
    moments: tuple[TierMoment, ...] = ()


class ServerWaits(Record):
    """What the target's own sessions in PostgreSQL were busy with (`pg_stat_activity`)."""

    samples: Count
    sessions: Amount  # mean of those that were busy, or idle in a transaction
    # wait_event_type:wait_event -> share of these sessions. "CPU": no wait event, so it ran or
    # stood ready to; "Client:InTransaction": idle in a transaction.
    waits: dict[str, Amount] = Field(default_factory=dict)
    # Relation -> share of the sessions that waited for a lock on it or on a row of it.
    locks: dict[str, Amount] = Field(default_factory=dict)


class Gauge(Record):
    """What a Prometheus query gave for the window of a trial: its largest series."""

    query: str
    value: float
    labels: dict[str, str] = Field(default_factory=dict)


class ServerSide(Record):
    """What was seen of the server's side while a trial ran; `remarks` say what could not be."""

    pooler: PoolerTier | None = None
    waits: ServerWaits | None = None
    gauge: Gauge | None = None
    remarks: tuple[str, ...] = ()


class GeneratorShare(Record):
    """What one generator of a fleet had of a trial."""

    name: str
    pools: Size
    pool_size: Size
    planned: Amount | None  # open loop: calls/s that it was to send
    sent: Amount  # calls/s that were due in the window
    throughput: Amount
    wait_p99: Amount | None
    lag_p99: Amount | None
    cpu_share: Amount
    loop_lag_p99: Amount | None
    skew: float  # s after the agreed moment at which it began


class Trial(Record):
    """One measurement at one pool size; a line of NAME.trials.jsonl."""

    schema_: Literal["poolkit.trial/2"] = Field("poolkit.trial/2", alias="schema")
    target: str
    driver: str
    fingerprint: str  # of the target's settings that shape the load; a resume checks it
    purpose: Purpose
    loop: Literal["closed", "open"]
    pool_size: Size
    pools: Size = 1  # pools side by side (a fleet), each of pool_size connections
    gate: Size | None = None  # size of the semaphore in front of each pool
    callers: Count | None = None  # closed loop: callers that each wait for their reply
    arrival_rate: Amount | None = None  # open loop: planned calls/s over all pools
    at_a_time: Size | None = None  # open loop: calls due together, evenly spaced; None: Poisson
    seed: int
    started: Moment  # UTC
    warm_up: Amount  # s cut from the front, by MSER-5 but at least the planned warm-up
    window: Amount  # s that were measured
    outcomes: dict[Outcome, Count]  # of the calls due in the window
    error_kinds: dict[str, Count] = Field(default_factory=dict)
    throughput: Amount  # successful completions per second of the window
    throughput_interval95: Interval | None = None  # batch means; None below 10 batches
    response_time: Distribution
    wait_time: Distribution
    hold_time: Annotated[Distribution, AfterValidator(_held)]
    wait_is_exact: bool = True  # False: inferred from later moments, 0.3 to 3 ms high
    lag: Distribution
    # The parts of the hold time: hold = dial + service + release.
    dial_time: Distribution = Distribution(count=0)  # 0 for calls on a kept connection
    service_time: Distribution = Distribution(count=0)
    release_time: Distribution = Distribution(count=0)  # reset, rollback
    # Of the successful calls only, where wait_time and lag are also those of calls that failed.
    budget: TimeBudget | None = None
    dial_parts: DialParts | None = None  # None: no call dialled, or the library does not show them
    concurrency: Amount | None  # sampled mean of calls in the system (waiting or holding)
    utilisation: Amount  # busy connection-seconds / (pool_size * pools * window)
    connections_opened: Count  # dials in the window
    disconnects: Count  # calls in the window that met a closed connection
    reuse_ratio: float | None  # 1 - dials / calls
    dispersion: Amount | None = None  # variance / mean of completions per sub-window (Cd2)
    cpu_share: Amount  # this process's CPU seconds / window
    loop_lag_p99: Amount | None = None  # s, how late the event loop woke the sampler
    # CPU seconds that other processes took, as a share of the time of the cores that this one may
    # use, steal time included; None: the system does not tell.
    others_cpu: Amount | None = None
    # By batch of the window, in order of time: connections in use at once, of all pools together ->
    # T(n), s with exactly so many, C(n), calls released out of that state (Denning and Buzen 1978,
    # "The operational analysis of queueing network models"), and how many of these were rejected.
    in_use: tuple[dict[Count, tuple[Amount, Count, Count]], ...] = Field(default=(), repr=False)
    # Open loop: share of calls that waited longer than the target's wait_p99; batch means.
    late_interval95: Interval | None = None
    longest_wait_ratio: Amount | None = None  # longest wait / mean wait of the calls that waited
    fairness: Amount | None = None  # Jain's index of the waits, 1: all waited alike; None: no wait
    checks: tuple[Check, ...] = ()
    stopped: str | None = None  # the brake that ended it early
    # "approach": why it ended before its time, at a load that the server was not up to.
    cut_short: str | None = None
    pooler: Pooler | None = None  # stands before the server; None: none does, or not PostgreSQL
    keep_alive: float | None = None  # s, from the server's Keep-Alive header; None: it has none
    cold: ColdStart | None = None  # of a trial with that purpose
    change: ReplicaChange | None = None  # of a trial with one of those purposes
    server_side: ServerSide | None = Field(None, repr=False)  # None: nothing was asked for
    generators: tuple[GeneratorShare, ...] = ()  # of a fleet; empty: one process sent it all

    @property
    def connections(self) -> int:
        """Connections of all its pools together."""
        return self.pool_size * self.pools

    @property
    def pooler_tier(self) -> PoolerTier | None:
        """What was seen of the pooler while it ran; None: nothing."""
        return None if self.server_side is None else self.server_side.pooler

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

    pool_size: Size
    throughput: Amount
    interval95: Interval | None
    hold_time: Amount  # s, mean
    repeats: Count


class StatePoint(Record):
    """Throughput with so many connections in use at once, from every trial that was seen there."""

    in_use: Count
    throughput: Amount  # C(n) / T(n), calls/s
    interval95: Interval | None
    seconds: Amount  # T(n)
    releases: Count  # C(n)

    @property
    def mean_hold(self) -> float | None:
        """n / X(n), s; None where no call was released."""
        return self.in_use / self.throughput if self.throughput else None


class Limit(Record):
    """At what a server turns calls away."""

    kind: LimitKind  # calls at once, calls/s, or connections
    value: Amount  # the most that it takes
    interval95: Interval | None
    seen: str


class Knee(Record):
    """A pool size where the throughput curve bends, by a named rule; size None: none was seen."""

    rule: KneeRule
    size: Amount | None
    interval95: Interval | None
    note: str = Field("", exclude=True)  # in the reader's words; not part of recommended.json


class Plateau(Record):
    """Throughput that no larger pool improves (calls/s)."""

    throughput: Amount
    interval95: Interval | None


class Verdict(Record):
    """What bounds the throughput, with the evidence in one sentence."""

    name: VerdictName
    evidence: str
    by: str | None = None  # what in the server bounds it, such as "row locks on accounts"


class RuleOfThumb(Record):
    """A sizing rule from the web beside the measured result, and where it fails here."""

    name: str
    size: Count
    fails: str


class PredictedWait(Record):
    """What the queue model expects at one pool size and the target rate."""

    pool_size: Size
    exceedance: Amount | None  # P(wait > wait_p99); None: the rate is beyond this size's throughput
    wait_p99: Amount | None  # s
    hold_time: Amount  # s, mean
    utilisation: Amount
    response_time: Amount | None = None  # s, mean
    response_p99: Amount | None = None  # s
    is_extrapolated: bool = False  # no size as large, or none as small, was measured


class Sizing(Record):
    """The size that the measured curve asks for, before verification."""

    target: str
    verdict: Verdict
    points: tuple[CurvePoint, ...]
    knees: tuple[Knee, ...]
    plateau: Plateau | None
    size: Size | None  # None: cannot say, or out of reach; `because` says which
    because: str
    limited_by: LimitedBy
    is_extrapolated: bool = False  # `size` is beyond those measured, up or down
    headroom: Count = 0  # connections of `size` on top of those needed, because they were asked for
    out_of_reach: bool = False
    reachable_rate: Amount | None = None  # calls/s that still meets the objective
    size_for_reachable: Size | None = None  # what that rate needs, where a limit is in the way
    raised_by: str = ""  # where out of reach: what would raise that rate, in words
    rate_per_pool: Amount  # calls/s that one pool must carry, a lost replica included
    predictions: tuple[PredictedWait, ...] = ()
    dispersion: Amount | None = None
    hold_at_one: Amount | None = None  # s
    only_moves_queue: str | None = None  # set where a smaller pool serves callers as soon
    smallest_as_fast: Size | None = None  # smallest size with which callers are served as soon
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

    achieved_rate: Amount
    wait_p99: Amount | None
    wait_p99_interval95: Interval | None = None  # None: too few independent calls to tell
    reuse_ratio: float | None
    disconnects: Count
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

    at_one: Amount | None
    at_recommended: Amount | None


class ColdAdvice(Record):
    """How the replicas of a service should begin, from trials that began with empty pools."""

    pools: Size  # that begin together
    pool_size: Size
    min_size: Count  # connections of each pool to dial as it begins
    warm_up: bool  # dial them before the service reports ready
    jitter: Amount  # s, over which the replicas' beginnings are to be spread at random
    login_rate: Amount | None  # dials a second that the server took; None: not seen
    # The client's own CPU, or a refusal, may have been what held the dials back.
    is_least: bool = False
    holds: bool  # whether a start like that was tried, and its first callers were served in time
    because: str
    starts: tuple[ColdStart, ...]  # in the order in which they were tried


class Resumed(Record):
    """Trials that an earlier run measured and a later one goes on from."""

    trials: Annotated[int, Field(ge=1)]
    oldest: Moment  # when the first of them began, UTC
    newest: Moment


class WaitShare(Record):
    """The share of calls (0 to 1) that wait longer than so many s, in production."""

    longer_than: Amount
    counted: Amount  # by the service's own histogram
    predicted: Amount


class TodaysWaits(Record):
    """The model's prediction of the waits in production against the service's own histogram."""

    is_trusted: bool
    because: str
    pool_size: Size | None = None  # in production; None: there was nothing to compare
    calls: Count = 0
    shares: tuple[WaitShare, ...] = ()


class Scenario(Record):
    """What one pool needs if something were different."""

    name: str
    rate: Amount  # calls/s of the whole service
    size: Size | None  # None: `because` tells why
    because: str


class NextDay(Record):
    """The p99 wait (s) of all calls of a day like the one seen, with pools of this size.

    None: the peak of such a day is more than they carry, so waits have no bound.
    """

    pool_size: Size
    wait_p99: Amount | None  # the middle of what is likely
    wait_p99_interval95: Interval | None


class Averaged(Record):
    """What averages over windows told of a pool; None: these metrics do not tell it."""

    preset: str  # whose metrics they are
    rate: Amount | None  # calls/s of the whole service, mean
    hold_time: Amount | None  # s, mean
    hold_time_interval95: Interval | None
    offered_load: Amount  # connections in use on average: rate times hold time
    highest_load: Amount  # the same of the busiest window
    utilisation: Amount | None  # share of the connections
    wait: Amount | None  # s, mean of all calls
    wait_predicted: Amount | None  # s, by Erlang's formula at today's size
    wait_of_waiting: Amount | None = None  # s, mean of the calls that had to wait
    timeouts: Count | None = None  # calls that gave up waiting
    assumes: tuple[str, ...] = ()  # what a size rests on
    refuses: tuple[str, ...] = ()  # what cannot be told, and what would let it


class FromProduction(Record):
    """What a service's own metrics told, where a size rests on them and not on load."""

    source: str  # the server and what was asked
    since: Moment
    until: Moment
    window: Amount  # s, of one of the windows in which all processes were added up
    windows: Count  # that counted
    left_out: Count  # with missing scrapes, or figures that are no numbers
    pools: Size  # processes that shared the load
    size_now: Size | None  # of one pool; None: not told, several sizes or no limit
    most_in_use: Count  # of one pool
    peak_rate: Amount  # calls/s of the whole service, of the busiest window
    today: TodaysWaits
    scenarios: tuple[Scenario, ...] = ()
    next_day: tuple[NextDay, ...] = ()  # with the size recommended, then with today's if another
    averages: Averaged | None = None  # None: states were counted


class Recommendation(Record):
    """What poolkit says of one target; an entry of recommended.json."""

    target: str
    driver: str
    status: Status
    verdict: VerdictName | None = None
    bound_by: str | None = None  # what in the server bounds it, where that was seen
    target_rate: Amount
    target_rate_from: str | None = None  # where it was read from; None: targets.toml says it
    wait_p99: Amount | None = None
    response_p99: Amount | None = None
    recommended_size: Size | None = None
    # The smallest size with which callers are served as soon; None where it is not smaller.
    smallest_as_fast: Size | None = None
    limits: tuple[Limit, ...] = ()  # at which the server turned calls away
    push: bool = True  # False: nothing above the target rate was sent, by choice
    limited_by: LimitedBy | None = None
    headroom: Count = 0  # connections of recommended_size that only the headroom asks for
    reachable_rate: Amount | None = None  # calls/s, where target_rate is out of reach
    size_for_reachable: Size | None = None  # what that rate needs, where a limit is in the way
    knees: tuple[Knee, ...] = ()
    plateau: Plateau | None = None
    hold_time: HoldTimes | None = None
    parameters: tuple[Parameter, ...] = ()
    rules_of_thumb: tuple[RuleOfThumb, ...] = ()
    verification: Verification | None = None
    checks: tuple[Check, ...] = ()
    trials: Count = 0
    seconds: Amount = 0.0
    resumed: Resumed | None = None  # those of the trials that an earlier run measured
    cold: ColdAdvice | None = None  # None: no cold start was tried
    source: Literal["load", "production"] = "load"  # what the size rests on
    production: FromProduction | None = None  # None: it rests on load
    # What it did that replicas were lost, or added, under load; empty: that was not tried.
    replica_changes: tuple[ReplicaChange, ...] = ()

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
    created: Moment
    targets: tuple[Recommendation, ...]
