"""Review folders of made-up upstreams: every kind of ending, without a load generator.

The upstreams are curves X(n); trials get seeded noise. Nothing here is measured.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from poolkit.histogram import Histogram
from poolkit.records import (
    Check,
    CurvePoint,
    Distribution,
    HoldTimes,
    Knee,
    Outcome,
    Parameter,
    Plateau,
    PredictedWait,
    Purpose,
    Recommendation,
    RecommendedFile,
    RuleOfThumb,
    Signal,
    Sizing,
    StatePoint,
    Status,
    Trial,
    Verdict,
    Verification,
)
from poolkit.review.manifest import HostFacts, Manifest

Curve = Callable[[float], float]


def workers(count: int, hold: float) -> Curve:
    """`count` workers in parallel, `hold` s a call, with the soft corner of random times."""
    return lambda n: (n / hold) / (1 + (n / count) ** 6) ** (1 / 6)


def soft(plateau: float, hold: float, power: float = 2.2) -> Curve:
    """A curve that bends slowly, like one CPU shared by all connections."""
    return lambda n: (n / hold) / (1 + (n / hold / plateau) ** power) ** (1 / power)


@dataclass(frozen=True)
class Made:
    """One made-up target; `size` None means that nothing is recommended."""

    name: str
    curve: Curve
    sizes: tuple[int, ...]
    rate: float
    size: int | None
    driver: str = "aiohttp"
    wait: float = 0.010
    repeats: int = 2
    noise: float = 0.012
    failed_sizes: tuple[int, ...] = ()
    out_of_reach: bool = False
    verified: bool | None = True
    pools: int = 1
    status: Status = "done"
    because: str = "the smallest size that keeps the wait target at the target rate"
    checks: tuple[Check, ...] = field(default=())
    seed: int = 7
    climbs: bool = False  # to the target rate before anything else, by connections in use
    push: bool = True  # False: that, and a verification at the target rate, is all there is


Batches = tuple[dict[int, tuple[float, int, int]], ...]
NOT_PUSHED = "no more than the target rate was sent, by choice: a plateau was not looked for"
ROOMY = 64  # connections of the pool that climbs to the target rate


def times(rng: np.random.Generator, mean: float, spread: float = 0.25) -> Distribution:
    """A lognormal distribution of times with this mean (s)."""
    histogram = Histogram()
    if mean <= 0:
        histogram.add(np.zeros(400))
    else:
        histogram.add(rng.lognormal(math.log(mean) - spread**2 / 2, spread, 400))
    return histogram.distribution()


LITTLE = Check(
    name="littles_law",
    passed=True,
    seen="12.1 calls in the system sampled, 12.0 expected",
    why="a gap means that calls were lost or mistimed",
    next="measure again on an idle machine",
)
CLIENT_BOUND = Check(
    name="client_bound",
    passed=False,
    seen="this process used 93 % of a core",
    why="the plateau may be the client's own",
    next="measure with fewer other programs running, or from a larger machine",
)


def in_use(made: Made, most: int, rate: float | None, seed: int, seconds: float) -> Batches:
    """Ten batches of time and releases by connections in use, of arrivals in front of the curve.

    Without a rate (calls/s) of a closed loop, which has all of them in use.
    """
    rng = np.random.default_rng([made.seed, most, seed])
    weights = [0.0] * most + [1.0]
    if rate is not None:
        weights = [1.0]
        for n in range(1, most + 1):
            weights.append(weights[-1] * rate / made.curve(n))
    spent = {n: weight / sum(weights) * seconds / 10 for n, weight in enumerate(weights)}
    seen = [n for n, each in spent.items() if each * made.curve(max(n, 1)) > 0.05]
    return tuple(
        {n: (spent[n], int(rng.poisson(spent[n] * made.curve(n))) if n else 0, 0) for n in seen}
        for _ in range(10)
    )


def climb(made: Made) -> list[Trial]:
    """Up to the target rate in four steps through a roomy pool."""
    return [
        trial(made, ROOMY, 80 + step, open_rate=made.rate * step / 4).model_copy(
            update={"purpose": "approach"}
        )
        for step in range(1, 5)
    ]


def trial(made: Made, size: int, seed: int, *, open_rate: float | None = None) -> Trial:
    """One trial at `size` connections (a pool)."""
    rng = np.random.default_rng([made.seed, size, seed])
    pools = made.pools if open_rate else 1
    purpose: Purpose = "ramp"
    if open_rate is not None:
        purpose = "verify" if open_rate == made.rate else "overload"
    carried = made.curve(size * pools) * (1 + float(rng.normal(0, made.noise)))
    throughput = min(carried, open_rate) if open_rate else carried
    hold = size * pools / made.curve(size * pools)
    if open_rate:
        hold = min(hold, throughput * hold / max(throughput, 1e-9))
    if made.climbs and open_rate:
        most = size * pools
        busy = next((n for n in range(1, most) if made.curve(n) >= throughput), most)
        hold = busy / made.curve(busy)
    bad = size in made.failed_sizes and open_rate is None
    checks = (LITTLE, CLIENT_BOUND) if bad else (LITTLE,)
    wait = times(rng, 0.0 if open_rate is None else made.wait / 8, 1.0)
    outcomes: dict[Outcome, int] = {"ok": int(throughput)}
    window = 1.0 if open_rate is None else 2.0
    return Trial(
        target=made.name,
        driver=made.driver,
        fingerprint="made-up",
        purpose=purpose,
        loop="open" if open_rate else "closed",
        pool_size=size,
        pools=pools,
        callers=None if open_rate else size,
        arrival_rate=open_rate,
        seed=made.seed + seed,
        started="2026-01-02T03:04:05+00:00",
        warm_up=0.2,
        window=window,
        outcomes=outcomes,
        throughput=throughput,
        throughput_interval95=(throughput * 0.985, throughput * 1.015),
        response_time=times(rng, hold + made.wait / 8),
        wait_time=wait,
        hold_time=times(rng, hold),
        lag=times(rng, 0.0001),
        dial_time=times(rng, 0.0),
        service_time=times(rng, hold * 0.98),
        release_time=times(rng, hold * 0.02),
        concurrency=throughput * hold,
        utilisation=min(1.0, throughput * hold / (size * pools)),
        connections_opened=0,
        disconnects=0,
        reuse_ratio=1.0,
        dispersion=0.8,
        cpu_share=0.93 if bad else 0.41,
        loop_lag_p99=0.0004,
        longest_wait_ratio=9.0,
        in_use=in_use(made, size * pools, open_rate, seed, window) if made.climbs else (),
        checks=checks,
    )


def trials_of(made: Made) -> tuple[Trial, ...]:
    """The sweep's trials in shuffled order, then the verification's."""
    sweep = [trial(made, size, r) for size in made.sizes for r in range(made.repeats)]
    random.Random(made.seed).shuffle(sweep)
    if made.climbs:
        sweep = climb(made) + sweep
    if made.size is None or made.verified is None:
        return tuple(sweep)
    each = max(1, made.size)
    served = trial(made, each, 90, open_rate=made.rate)
    if not made.push:
        return (*sweep, served)
    return (*sweep, served, trial(made, each, 91, open_rate=made.rate * 1.2))


def states_of(trials: tuple[Trial, ...]) -> tuple[StatePoint, ...]:
    """Throughput by connections in use, pooled over the trials that kept it."""
    seconds: dict[int, float] = {}
    releases: Counter[int] = Counter()
    for batch in (batch for t in trials for batch in t.in_use):
        for n, (spent, released, _) in batch.items():
            seconds[n] = seconds.get(n, 0.0) + spent
            releases[n] += released
    points = []
    for n in sorted(n for n in seconds if n and releases[n]):
        seen = releases[n] / seconds[n]
        half = 1.96 * seen * math.sqrt(0.8 / releases[n])
        ends = (seen - half, seen + half) if releases[n] > 4 else None
        point = StatePoint(
            in_use=n, throughput=seen, interval95=ends, seconds=seconds[n], releases=releases[n]
        )
        points.append(point)
    return tuple(points)


def sizing_of(made: Made, trials: tuple[Trial, ...]) -> Sizing:
    """A sizing as the analysis would write it, from the made-up curve."""
    points = []
    for size in made.sizes:
        seen = [t.throughput for t in trials if t.loop == "closed" and t.pool_size == size]
        usable = [
            t.throughput
            for t in trials
            if t.loop == "closed" and t.pool_size == size and t.is_usable
        ]
        if not usable:
            continue
        mean = sum(usable) / len(usable)
        points.append(
            CurvePoint(
                pool_size=size,
                throughput=mean,
                interval95=(mean * 0.97, mean * 1.03),
                hold_time=size / mean,
                repeats=len(seen),
            )
        )
    plateau = made.curve(10_000)
    at_one = 1 / made.curve(1)
    knee = plateau * at_one
    at95 = next((n for n in range(1, 10_000) if made.curve(n) >= 0.95 * plateau), None)
    predictions = []
    if made.size is not None:
        for c in range(max(1, made.size - 4), made.size + 6):
            carried = made.curve(c * made.pools)
            rho = made.rate / carried
            ok = rho < 1
            predictions.append(
                PredictedWait(
                    pool_size=c,
                    exceedance=min(1.0, 0.01 * 2.2 ** (made.size - c)) if ok else None,
                    wait_p99=made.wait * 0.8 * 1.9 ** (made.size - c) if ok else None,
                    hold_time=c * made.pools / carried,
                    utilisation=min(1.0, rho),
                    response_time=c * made.pools / carried * 1.1,
                )
            )
    states = states_of(trials)
    if not made.push:
        return Sizing(
            target=made.name,
            verdict=Verdict(name="not_pushed", evidence=NOT_PUSHED),
            points=(),
            knees=(),
            plateau=None,
            size=made.size,
            because=made.because,
            limited_by="unknown" if made.size is None else "wait",
            rate_per_pool=made.rate / made.pools,
            predictions=tuple(predictions),
            states=states,
        )
    verdict = Verdict(
        name="stopped" if made.status == "stopped" else "server_bound",
        evidence=f"throughput stays at {plateau:.0f} calls/s beyond {knee:.0f} connections",
    )
    return Sizing(
        target=made.name,
        verdict=verdict,
        points=tuple(points),
        knees=(
            Knee(rule="littles_law", size=knee, interval95=(knee * 0.96, knee * 1.04)),
            Knee(
                rule="plateau95",
                size=at95,
                interval95=None if at95 is None else (at95 * 0.9, at95 * 1.15),
            ),
            Knee(rule="usl_peak", size=None, interval95=None, note="none seen"),
        ),
        plateau=Plateau(throughput=plateau, interval95=(plateau * 0.98, plateau * 1.02)),
        size=made.size,
        because=made.because,
        limited_by="plateau" if made.out_of_reach else "wait",
        out_of_reach=made.out_of_reach,
        reachable_rate=plateau * 0.9,
        rate_per_pool=made.rate / made.pools,
        predictions=tuple(predictions),
        dispersion=0.8,
        hold_at_one=at_one,
        states=states,
        rules_of_thumb=(
            RuleOfThumb(
                name="littles_law_x1.3",
                size=math.ceil(made.rate * at_one * 1.3),
                fails="hold time under load is not the hold time at one connection",
            ),
            RuleOfThumb(name="cores*2+spindles", size=5, fails="knows nothing of the target rate"),
        ),
    )


def recommendation_of(
    made: Made, sizing: Sizing | None, trials: tuple[Trial, ...]
) -> Recommendation:
    """The final word, as the review would write it."""
    verification = None
    if made.size is not None and made.verified is not None:
        good = made.verified
        verification = Verification(
            achieved_rate=made.rate * (0.998 if good else 0.93),
            wait_p99=made.wait * (0.61 if good else 3.4),
            reuse_ratio=0.9991,
            disconnects=0,
            signals=(
                Signal(
                    name="wait_near_zero",
                    passed=good,
                    seen=f"wait p50 0.0 ms, p99 {made.wait * (610 if good else 3400):.1f} ms",
                ),
                *(
                    Signal(
                        name="graceful_plateau",
                        passed=good,
                        seen="1.2 times the target rate was carried without errors",
                    )
                    for _ in range(made.push)
                ),
                Signal(name="no_disconnects", passed=True, seen="0 disconnects"),
                Signal(name="reuse_above_0.9", passed=True, seen="reuse ratio 0.999"),
            ),
        )
    parameters: tuple[Parameter, ...] = ()
    if made.size is not None:
        first = "limit" if made.driver == "aiohttp" else "max_size"
        parameters = (
            Parameter(
                name=first,
                value=made.size,
                unit="connections",
                because=f"the smallest that carried {made.rate:.0f} calls/s with the wait target",
                source="measured",
            ),
            Parameter(
                name="acquire timeout",
                value=0.5,
                unit="s",
                because="fifty times the wait target: a caller that waits longer should fail fast",
                source="rule",
            ),
            Parameter(
                name="keepalive_timeout",
                value=15,
                unit="s",
                because="the library's default; shorter than the server's idle timeout",
                source="library",
            ),
        )
    return Recommendation(
        target=made.name,
        driver=made.driver,
        status=made.status,
        verdict=sizing.verdict.name if sizing else None,
        target_rate=made.rate,
        wait_p99=made.wait,
        recommended_size=made.size,
        push=made.push,
        knees=sizing.knees if sizing else (),
        plateau=sizing.plateau if sizing else None,
        hold_time=HoldTimes(
            at_one=sizing.hold_at_one,
            at_recommended=made.size * made.pools / made.curve(made.size * made.pools)
            if made.size
            else None,
        )
        if sizing
        else None,
        parameters=parameters,
        rules_of_thumb=sizing.rules_of_thumb if sizing else (),
        verification=verification,
        checks=made.checks or (LITTLE,),
        trials=len(trials),
        seconds=sum(t.window + t.warm_up for t in trials),
    )


UNREACHABLE = Made(
    "gone-api",
    workers(1, 1.0),
    (),
    200,
    None,
    status="unreachable",
    checks=(
        Check(
            name="reachable",
            passed=False,
            seen="127.0.0.1:9: connection refused",
            why="nothing can be measured where nothing answers",
            next="start the service, or correct url in targets.toml",
        ),
    ),
)
HTTP = Made("lab-http", workers(24, 0.0252), (1, 2, 4, 8, 12, 16, 20, 24, 32, 48), 600, 20)
CPU = Made("lab-cpu", soft(785, 0.0164), (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 48), 500, 15)
CONTENDED = Made(
    "lab-contended", soft(980, 0.012, 1.4), (1, 2, 4, 8, 12, 16, 24, 32), 500, 12, repeats=3
)
DATABASE = Made(
    "lab-db",
    soft(9100, 0.00042, 3),
    (1, 2, 3, 4, 6, 8, 12),
    5000,
    4,
    driver="asyncpg",
    wait=0.005,
    failed_sizes=(12,),
)
FOUR = (HTTP, CPU, CONTENDED, DATABASE)


def write(folder: Path, mades: tuple[Made, ...] = (*FOUR, UNREACHABLE)) -> Path:
    """Write a review folder of these targets."""
    folder.mkdir(parents=True, exist_ok=True)
    recommendations, settings = [], {}
    for made in mades:
        trials = trials_of(made)
        sizing = sizing_of(made, trials) if trials else None
        if trials:
            lines = "".join(t.model_dump_json() + "\n" for t in trials)
            (folder / f"{made.name}.trials.jsonl").write_text(lines)
        if sizing is not None:
            (folder / f"{made.name}.sizing.json").write_text(sizing.model_dump_json(indent=1))
        recommendations.append(recommendation_of(made, sizing, trials))
        settings[made.name] = {
            "driver": made.driver,
            "target_rate": made.rate,
            "wait_p99": made.wait,
            "max_size": 64,
            "replicas": made.pools,
            "workers": 1,
            "endpoint": "http://127.0.0.1:8080/",
            "push": made.push,
        }
    written = RecommendedFile(created="2026-01-02T03:05:00Z", targets=tuple(recommendations))
    (folder / "recommended.json").write_text(written.model_dump_json(indent=1))
    manifest = Manifest(
        created="2026-01-02T03:05:00Z",
        versions={"poolkit": "0.1.0", "python": "3.11.7", "aiohttp": "3.14.5", "asyncpg": "0.32.0"},
        host=HostFacts(
            cores=2,
            cores_total=2,
            cpu="Made-up CPU",
            memory=4 * 2**30,
            os="Made-up Linux 1",
            kernel="Linux 6.1",
        ),
        parameters={"targets": settings, "seed": 7},
        files={},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=1))
    return folder
